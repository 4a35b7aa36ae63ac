"""The first page: what the book found, in numbers and small pictures."""
from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any
from urllib.parse import urlencode

from replication.pages import answers, html, metrics, sketches, verdicts
from replication.pages.claim import CONTRADICTED, SUPPORTED
from replication.pages.claims import CLAIMS
from replication.pages.html import Html
from replication.pages.metrics import Record, ran_on, read
from replication.runs import store


def tally(pages: Sequence[str]) -> dict[str, Any]:
    """How many claims there are, settled and how, and the runs and devices behind them, those counted once that several
    pages share; `untrained` of them were only looked at before their first step."""
    made = [record["provenance"] for page in pages if (record := read(page))]
    addresses = {address for one in made for address in one.get("addresses", ())}
    runs = [run for address in addresses if (run := store.find(address))]
    idle = sum(run.record["experiment"]["recipe"]["epochs"] == 0 for run in runs)
    return {**verdicts.counts(pages), "runs": len(addresses), "untrained": idle,
            "device": " and ".join(sorted({each for one in made if one.get("runs") for each in ran_on(one)}))
                      or "no machine yet"}


# -- findings -----------------------------------------------------------------------------------------------------
def findings() -> Html:
    """The five that a reader should not miss, each with a picture of its numbers and the page that has the rest. What
    was not measured says so."""
    known = verdicts.records(metrics.pages())
    cards = [_table1(), _heads(known), _saved(known), _half(known), _strangers()]
    return Html('<div class="findings">' + "\n".join(cards) + "</div>")


def _card(page: str, title: str, words: str, picture: str) -> str:
    return (f'<section class="finding"><h3><a href="{page}.html">{title}</a></h3>{picture}'
            f"<p>{words or 'Not measured in this book yet.'}</p></section>")


def _table1() -> str:
    found = read("googlenet_row_by_row") or {}
    title, words, picture = "The paper's Table 1 does not add up", "", ""
    if found:
        printed, named, other = found["stem_printed"]["weights_k"], found["stem_weights"] / 1024, (
            found["separable_weights"] / 1024)
        lines = [("as printed, first row", printed, f"{printed:.1f} K weights"),
                 ("the 7×7 convolution that it names", named, f"{named:.1f} K"),
                 ("the same in two steps, as separable", other, f"{other:.1f} K")]
        words = ("The weights that the paper prints fit the filters that it prints in "
                 f"{found['parameters_agree']} of 12 rows. Its first row fits another kind of convolution than the "
                 "one it names.")
        picture = sketches.bars(lines)
    return _card("googlenet_row_by_row", title, words, picture)


def _heads(known: dict[str, Record]) -> str:
    published, normalised = known["V1-23a"], known["V1-23b"]
    title, words, picture = "What auxiliary heads send to the first layer", "", ""
    if published.get("value") and normalised.get("value"):
        lines = [("as published", published["value"], html.measured(published)),
                 ("with batch normalisation", normalised["value"], html.measured(normalised))]
        if published["value"] > 2 * normalised["value"]:
            title = "Auxiliary heads feed the first layer, but not with batch normalisation"
        words = ("How many times as much gradient reaches the first layer with both auxiliary heads as without, before "
                 f"training. And after it: {answers.within(answers.sentence('V3-14', known['V3-14']))}")
        picture = sketches.bars(lines)
    return _card("aux_heads", title, words, picture)


def _saved(known: dict[str, Record]) -> str:
    derived, own = known["V3-07a"], known["V3-07b"]
    words = picture = ""
    if own.get("value"):
        lines = [("as derived", derived["value"], html.measured(derived)),
                 ("over GoogLeNet's own nine modules", own["value"], html.measured(own))]
        words = ("Of a 5×5, in multiply-adds. They save what the second paper derives where a layer gives about as "
                 "many maps as it sees. The branches of the first paper's network give two to four times as many.")
        picture = sketches.bars(lines)
    return _card("network_in_network", "Two 3×3 save less than promised", words, picture)


def _half(known: dict[str, Record]) -> str:
    record, claim = known["V3-28c"], CLAIMS["V3-28c"]
    words = picture = ""
    if record.get("value") and record.get("low") is not None:
        value, low, high = record["value"], record["low"], record["high"]
        shown = f"{html.signed(value)} points, {html.signed(low)} to {html.signed(high)}"
        seeds = " and ".join(map(str, record.get("seeds") or [record["n"]]))
        words = ("A network that sees images of half the side through a stem of less stride costs as much, and does "
                 f"nearly as well, says the second paper. Here its error differs by {shown} ({seeds} seeds): "
                 f"{record['verdict']} at this scale.")
        picture = sketches.interval(value, low, high, claim.region, shown, f"claimed: {html.region(claim.region)}")
    title = {CONTRADICTED: "Half the image is not nearly as good", SUPPORTED: "Half the image is nearly as good"}
    return _card("principles", title.get(record["verdict"], "Is half the image nearly as good?"), words, picture)


def _strangers() -> str:
    found = (read("keywords") or {}).get("error")
    title, words, picture = "Words from voices it knows, and from strangers", "", ""
    if found and _number(found["mixed"]) and _number(found["speakers"]):
        lines = [("voices it was trained on", _number(found["mixed"]), f"{found['mixed']} % wrong"),
                 ("strangers", _number(found["speakers"]), f"{found['speakers']} % wrong")]
        words = (f"A small Inception for spoken digits gets {found['lowest']} to {found['highest']} % wrong, by the "
                 "speaker, of people it has never heard. The split that is handed out with the recordings tests on the "
                 "same people, and hides it.")
        picture = sketches.bars(lines)
        if _number(found["speakers"]) > 3 * _number(found["mixed"]):
            title = "Known voices are easy, those of strangers are not"
    return _card("keywords", title, words, picture)


def _number(words: str) -> float:
    """A number as a page quotes it, 0 where it quotes none."""
    try:
        return float(words)
    except ValueError:
        return 0.0


def ways() -> Html:
    """How many claims have which verdict and rest on what, each number a way to them."""
    lines = []
    for verdict, count in verdicts.by("verdict").items():
        rest = [_way(f"{number} {evidence}", verdict=verdict, evidence=evidence)
                for evidence, number in verdicts.by("evidence", verdict).items() if evidence != verdicts.NONE]
        lines.append((html.word(verdict), _way(str(count), verdict=verdict), ", ".join(rest) or "–"))
    return Html(html.cards(("Verdict", "Claims", "By"), lines, "claims ways"))


def _way(words: str, **kinds: str) -> str:
    """A link to the claims of some kinds, as the page's filters take them."""
    return f'<a href="verdicts.html?{escape(urlencode(kinds))}">{html.text(words)}</a>'
