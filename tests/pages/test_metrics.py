"""What a page hands on: written and read back, with what it rests on, shown as well-formed HTML."""
from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from docutils import nodes

from replication import paths, stats
from replication.errors import BadInput
from replication.pages import html, index, metrics, verdicts
from replication.pages.claim import Claim, Settled
from replication.pages.claims import CLAIMS, PAPERS
from replication.pages.measures import Share
from replication.stats import Interval
from replication.studies import grid
from replication.studies.setting import Setting

INF = math.inf


@pytest.fixture(autouse=True)
def results(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store of published results beside yours; the commit does not matter here."""
    monkeypatch.setattr(paths, "PUBLISHED", tmp_path / "results")
    monkeypatch.setattr(metrics.provenance, "collect", lambda **more: {
        "commit": "0123456789abcdef", "processor": "P", "python": "3", "versions": {"torch": "2"}, **more})
    monkeypatch.delenv("REPLICATION_READ")
    return tmp_path / "results"


def settle(monkeypatch: pytest.MonkeyPatch, **found: Interval | None) -> None:
    """Claims settled as given, by id with _ for -."""
    by_id = {name.replace("_", "-"): interval for name, interval in found.items()}
    monkeypatch.setattr(metrics, "settle", lambda ids, grids: [Settled(CLAIMS[n], by_id[n]) for n in ids])


def hand_on(monkeypatch: pytest.MonkeyPatch, page: str, place: Path | None = None, **found: Interval | None) -> str:
    with monkeypatch.context() as patch:
        if place is not None:
            patch.setenv("REPLICATION_OUT", str(place))
        settle(patch, **found)
        return metrics.write_page(page, [name.replace("_", "-") for name in found])


def strictly(path: Path) -> Any:
    """JSON as the standard has it: no NaN, no Infinity."""
    return json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda word: pytest.fail(f"{word} in {path}"))


# -- written and read ---------------------------------------------------------------------------------------------
def test_what_is_written_is_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    settle(monkeypatch, V1_01=Interval(8.7111, 8.7111, 8.7111), V1_25a=Interval(0.4, -0.1234567, 0.9, 5))
    metrics.write_page("page", ["V1-01", "V1-25a"], flops=1582671872, ratio=0.1234567, name="x", none=None,
                     count=np.int64(7), share=np.float32(0.5), deep={"a": np.float64(2.5)})
    found = metrics.read("page")
    assert found == {key: value for key, value in strictly(paths.mine() / "metrics" / "page.json").items()
                     if key != "seal"}
    assert found is not None
    assert found["claims"]["V1-01"] == {"unit": "×", "verdict": "contradicted", "seeds_needed": None, "value": 8.7111,
                                        "low": 8.7111, "high": 8.7111, "n": 0}
    aux = found["claims"]["V1-25a"]
    assert (aux["low"], aux["high"], aux["n"], aux["verdict"]) == (-0.123457, 0.9, 5, "not resolved")
    assert aux["seeds_needed"] > 5
    assert found["provenance"]["device"] == "none: arithmetic"
    numbers = {name: found[name] for name in ("flops", "ratio", "name", "none", "count", "share", "deep")}
    assert numbers == {"flops": 1582671872, "ratio": 0.123457, "name": "x", "none": None, "count": 7, "share": 0.5,
                       "deep": {"a": 2.5}}
    assert isinstance(found["count"], int)
    assert metrics.pages() == ["page"]


@pytest.mark.parametrize("interval", [Interval(0.3, -INF, INF, 1), Interval(2.0, 0.0, INF, 1),
                                      Interval(math.nan, math.nan, math.nan, 3), Interval(INF, INF, INF, 3), None])
@pytest.mark.parametrize("name", ["V1_25a", "V1_23a"])
def test_what_is_not_finite_is_null_and_can_be_shown(monkeypatch: pytest.MonkeyPatch, name: str,
                                                     interval: Interval | None) -> None:
    """One seed's interval is the whole line, or for a ratio its positive half."""
    shown = hand_on(monkeypatch, "page", **{name: interval})
    record = strictly(paths.mine() / "metrics" / "page.json")["claims"][name.replace("_", "-")]
    if interval is not None and interval.n == 1:
        assert record["high"] is None
        assert "one seed" in shown
        assert record["seeds_needed"] is None
    assert "None" not in shown
    assert "inf" not in html.interval(record)
    assert "nan" not in html.interval(record)
    assert "V1-25a" in verdicts.table("V1")


@pytest.mark.parametrize("number", [INF, -INF, math.nan, np.float64("nan"), np.float32("inf")])
def test_numbers_that_are_not_finite_are_null_too(number: float) -> None:
    metrics.write_page("page", bad=number)
    assert strictly(paths.mine() / "metrics" / "page.json")["bad"] is None


def test_yours_come_before_the_published(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hand_on(monkeypatch, "page", results, V1_01=Interval(1, 1, 1))
    assert metrics.read("page")["claims"]["V1-01"]["value"] == 1
    hand_on(monkeypatch, "page", V1_01=Interval(2, 2, 2))
    assert metrics.read("page")["claims"]["V1-01"]["value"] == 2
    monkeypatch.setenv("REPLICATION_READ", "mine")
    hand_on(monkeypatch, "other", results, V1_01=Interval(3, 3, 3))
    assert metrics.read("other") is None
    assert metrics.read("nowhere") is None


@pytest.mark.parametrize("text", ["{", "", "[1]", "\x00"])
def test_a_spoilt_page_is_one_sentence(text: str) -> None:
    metrics.write_page("page")
    (paths.mine() / "metrics" / "page.json").write_text(text)
    with pytest.raises(BadInput, match=r"page\.json .*delete it and run the page again"):
        metrics.read("page")


def test_tally_counts_what_is_here(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hand_on(monkeypatch, "one", V1_01=Interval(8, 8, 8), V1_04a=Interval(22, 22, 22))
    hand_on(monkeypatch, "two", V1_25a=Interval(0, -1, 1, 3), V3_14=None)
    found = index.tally(metrics.pages())
    assert {k: found[k] for k in ("settled", "supported", "contradicted", "unresolved", "runs")} == {
        "settled": 3, "supported": 1, "contradicted": 1, "unresolved": 1, "runs": 0}
    monkeypatch.setenv("REPLICATION_READ", "mine")  # a page that is published and not made here
    hand_on(monkeypatch, "three", results, V1_08=Interval(9, 9, 9))
    assert metrics.pages() == ["one", "three", "two"]
    assert index.tally(metrics.pages())["settled"] == 3


@pytest.mark.parametrize("show", [html.digits, html.fixed, html.signed])
def test_a_number_below_zero_has_a_minus_sign_and_no_hyphen(show: Any) -> None:
    for value in (-0.31, -1234.5):
        assert show(value).startswith("−")
        assert "-" not in show(value)


# -- what it rests on ---------------------------------------------------------------------------------------------
class Grid:
    """Three runs of one arm and two of the other, on a processor and a GPU."""
    study = grid.STUDIES["v1.aux"]

    judged = None

    def __init__(self, **given: Any) -> None:
        self.setting = Setting(**given)

    def summary(self) -> pd.DataFrame:
        errors = {"none": (0.10, 0.20, 0.30), "4a+4d": (0.15, 0.17)}
        rows = [{"norm": "lrn", "aux": aux, "seed": seed, "address": f"{aux} {seed}", "val_error": error,
                 "val_images": 4000, "device": "CPU", "commit": "c", "seconds": 1.0}
                for aux, of in errors.items() for seed, error in enumerate(of)]
        return pd.DataFrame(rows)

    def history(self) -> pd.DataFrame:
        return self.summary().assign(chance=0.9, epoch=1)


def trained(name: str, monkeypatch: pytest.MonkeyPatch, **given: Any) -> dict[str, Any]:
    """The record of a claim on these runs."""
    made = {"none 0": {"device": "CPU", "processor": "P"}, "4a+4d 0": {"device": "G", "processor": "Q"}}
    monkeypatch.setattr(metrics.store, "find", lambda address: SimpleNamespace(provenance=made.get(
        address, made["none 0"])))
    metrics.write_page("page", [name], [Grid(**given)])
    return dict(strictly(paths.mine() / "metrics" / "page.json")["claims"][name])


def test_a_trained_number_names_seeds_scatter_images_and_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard deviation of 10, 20 and 30 is 10, of 15 and 17 the root of 2."""
    record = trained("V1-25a", monkeypatch)
    assert (record["seeds"], record["scatter"]) == ([3, 2], [10, pytest.approx(2 ** 0.5, abs=1e-6)])
    assert (record["images"], record["devices"]) == (4000, ["G", "P"])
    assert record["value"] == pytest.approx(20 - 16)
    assert record["addresses"] == ["4a+4d 0", "4a+4d 1", "none 0", "none 1", "none 2"]
    assert strictly(paths.mine() / "metrics" / "page.json")["provenance"]["devices"] == ["G", "P"]
    shown, = (dict(row) for row in Page(metrics.write_page("page", ["V1-25a"], [Grid()])).rows if row)
    assert shown["95 % interval"].endswith("(3 and 2 seeds)scatter 10 and 1.4; 4,000 images; G, Pits runs")


def test_a_share_of_runs_scatters_as_its_interval_says(monkeypatch: pytest.MonkeyPatch) -> None:
    share = Claim("V1-25a", "x.", "x", "x", "x", "%", (50, 100), "v1.aux", Share({"norm": "lrn", "aux": "none"}))
    monkeypatch.setitem(CLAIMS, "V1-25a", share)
    record = trained("V1-25a", monkeypatch)
    assert (record["value"], record["seeds"], record["scatter"]) == (0, [3], [])


@pytest.mark.parametrize(("unit", "interval", "scatter", "shown"), [
    ("points", stats.mean([1.0, 2.0, 3.0]), 1, "scatter 1;"),
    ("points", replace(stats.mean([0.0, 100.0, 0.0, 100.0]), of="images"), 57.735027, "scatter 58;"),
    ("×", stats.geometric([1.0, 2.0, 4.0]), 2, "scatter ×2;")])
def test_a_measure_without_sides_scatters_as_its_interval_says(
        unit: str, interval: Interval, scatter: float, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard deviation of 1, 2 and 3 is 1; 1, 2 and 4 lie a factor of 2 apart."""
    one = Claim("V1-25a", "x.", "x", "x", "x", unit, (0, INF), "v1.aux", lambda _: interval)
    monkeypatch.setitem(CLAIMS, "V1-25a", one)
    record = trained("V1-25a", monkeypatch)
    assert record["scatter"] == [pytest.approx(scatter)]
    assert shown in html.ran(record, "V1-25a")


def test_one_seed_has_no_scatter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CLAIMS, "V1-25a", Claim("V1-25a", "x.", "x", "x", "x", "points", (0, INF), "v1.aux",
                                                lambda _: stats.mean([1.0])))
    assert trained("V1-25a", monkeypatch)["scatter"] == []


def test_records_under_one_setting_have_one_digest_whatever_their_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    first = trained("V1-25a", monkeypatch, lr=0.1)["under"]
    assert re.fullmatch("[0-9a-f]{12}", first)
    assert trained("V1-25a", monkeypatch, lr=0.1, seeds=9, first_seed=50)["under"] == first
    assert trained("V1-25a", monkeypatch, lr=0.2)["under"] != first
    assert trained("V1-25a", monkeypatch, lr=0.1, set={"recipe.clip": None})["under"] != first


def test_arithmetic_rests_on_nothing() -> None:
    metrics.write_page("page", ["V1-04a"])
    record = strictly(paths.mine() / "metrics" / "page.json")["claims"]["V1-04a"]
    assert not {"under", "seeds", "scatter", "images", "devices", "of"} & set(record)


# -- shown --------------------------------------------------------------------------------------------------------
class Page(HTMLParser):
    """Every tag closed in order; cells by row as (label, text)."""
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[tuple[str, str]]] = []
        self.heads: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert all(value is not None for _, value in attrs)
        if tag != "br":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag == "td":
            self.rows[-1].append((dict(attrs).get("data-label") or pytest.fail("a td without data-label"), ""))
        elif tag == "th":
            assert dict(attrs)["scope"] == "col"
            self.heads.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open:
            label, text = self.rows[-1][-1]
            self.rows[-1][-1] = label, text + data
        elif "th" in self.open:
            self.heads[-1] += data
        else:
            assert "p" in self.open or not data.strip()


def test_the_claims_table_is_well_formed(monkeypatch: pytest.MonkeyPatch) -> None:
    hand_on(monkeypatch, "page", V1_01=Interval(8.7111, 8.7111, 8.7111), V1_25a=Interval(-0.44, -1.26, 0.38, 4),
            V1_04a=Interval(22, 22, 22), V1_02a=Interval(1.582671872, 1.582671872, 1.582671872),
            V1_39=Interval(0.43, 0.42, 0.44, 4, "repeats"), V1_20=Interval(0.5, 0.4, 0.6, 9),
            V1_25b=Interval(0.5, -9, 10, 5))
    page = Page(verdicts.table(*PAPERS))
    rows = [dict(row) for row in page.rows if row]
    assert [row["Claim"].split()[0] for row in rows] == list(CLAIMS)
    assert all([label for label, _ in row] == page.heads for row in page.rows if row)
    by_id = {row["Claim"].split()[0]: row for row in rows}
    for name, claim in CLAIMS.items():
        assert claim.sentence in by_id[name]["Claim"]
        assert by_id[name]["Paper"] == claim.printed
        assert by_id[name]["Measured"].endswith(claim.quantity)
    assert by_id["V1-01"]["Measured"].startswith("8.71×")
    assert by_id["V1-02a"]["Measured"].startswith("1.58 G")
    assert by_id["V1-04a"]["Measured"].startswith("22 layers")
    assert by_id["V1-01"]["95 % interval"] == "exact"
    assert by_id["V1-25a"]["Measured"].startswith("−0.4 points")
    assert by_id["V1-25a"]["95 % interval"] == "−1.3 to +0.4 (4 seeds)"
    assert by_id["V1-25a"]["Verdict"].startswith("not resolvedclaimed: 0 to 1about ")
    assert by_id["V1-25a"]["Verdict"].endswith(
        "seeds wouldwould contradict it: an interval wholly below 0 or wholly above 1")
    assert by_id["V1-25b"]["Verdict"] == ("not resolvedclaimed: at most 0.5not even 10,000 seeds would"
                                          "would contradict it: an interval wholly above 0.5")
    assert by_id["V1-20"]["Verdict"] == "supportedclaimed: at least 0would change our mind: an interval wholly below 0"
    assert by_id["V1-01"]["Verdict"] == ("contradicted (arithmetic)claimed: 11.5 to 12.5"
                                         "would change our mind: a number between 11.5 and 12.5")
    assert by_id["V1-04a"]["Verdict"].endswith("claimed: 22would change our mind: a number below 22 or above 22")
    assert by_id["V1-39"]["Verdict"].endswith(
        "0 to 7would change our mind: an interval wholly below 0 or wholly above 7")
    assert by_id["V1-39"]["95 % interval"] == "0.42 to 0.44 (4 repeats)"
    assert by_id["V3-15"]["Verdict"] == ("not yet runclaimed: at most 0.5awaits the runs of v1.aux"
                                         "would contradict it: an interval wholly above 0.5")
    assert by_id["KWS-2"]["Verdict"].startswith(
        "not yet runclaimed: at least 0awaits seven other networks of 30,000 weights"
        "would contradict it: an interval wholly below 0")
    assert not any("would " in by_id[name]["Verdict"] for name in CLAIMS if CLAIMS[name].unmeasured == "out of reach")
    assert by_id["V1-38"]["Verdict"].startswith("out of reachclaimed: 43.85 to 43.95Detection needs")


@pytest.mark.parametrize(("region", "verdict", "words"), [
    ((0, INF), "contradicted", "would change our mind: an interval wholly at least 0"),
    ((-INF, 0.5), "supported", "would change our mind: an interval wholly above 0.5"),
    ((-1, 1), "contradicted", "would change our mind: an interval wholly within ±1"),
    ((-1, 1), "supported", "would change our mind: an interval wholly below −1 or wholly above 1"),
    ((0, 1), "not yet run", "would contradict it: an interval wholly below 0 or wholly above 1"),
    ((0, 1), "out of reach", "")])
def test_what_would_change_our_mind(region: tuple[float, float], verdict: str, words: str) -> None:
    assert html.mind(region, {"verdict": verdict}) == words


@pytest.mark.parametrize(("region", "words"), [
    ((0, INF), "at least 0"), ((-INF, 0.5), "at most 0.5"), ((-1, 1), "within ±1"), ((11.5, 12.5), "11.5 to 12.5"),
    ((12, 12), "12"), ((60_000, 60_000), "60,000"), ((2.775, 2.785), "2.775 to 2.785"), ((-2, 1), "−2 to 1")])
def test_regions_in_words(region: tuple[float, float], words: str) -> None:
    assert html.region(region) == words


def test_words_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    nasty = Claim("V1-01", "a < b & c > d </td>.", "§ <1>", "<5 & more", "q <i>", "×", (0, 1), None,
                         lambda: None)
    monkeypatch.setitem(CLAIMS, "V1-01", nasty)
    row, = (dict(row) for row in Page(hand_on(monkeypatch, "page", V1_01=Interval(2, 2, 2))).rows if row)
    assert "a < b & c > d </td>." in row["Claim"]
    assert row["Paper"] == "<5 & more"
    assert row["Measured"].endswith("q <i>")


def test_a_notebook_shows_it_as_html() -> None:
    shown = verdicts.table("V1")
    assert shown._repr_html_() == str(shown)


def test_another_digit_in_a_page_s_numbers_is_noticed(out: Path) -> None:
    metrics.write_page("tiny", best=0.125)
    path = out / "metrics" / "tiny.json"
    assert metrics.read("tiny")["best"] == 0.125  # type: ignore[index]
    path.write_text(path.read_text(encoding="utf-8").replace("0.125", "0.225"), encoding="utf-8")
    with pytest.raises(BadInput, match="by its seal: delete it"):
        metrics.read("tiny")


def test_every_claim_has_a_topic_and_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """By paper, topic, verdict and evidence; the counts that lead there are those of the rows."""
    hand_on(monkeypatch, "aux_heads", V1_25a=Interval(0.4, 0.1, 0.9, 5), V1_23a=Interval(3, 2, 4, 5))
    hand_on(monkeypatch, "googlenet_row_by_row", V1_01=Interval(8.7, 8.7, 8.7))
    shown = verdicts.table(*PAPERS)
    rows = re.findall(r'<tr role="row" id="claim-([^"]*)" data-paper="[^"]+" data-topic="([^"]+)" '
                      r'data-verdict="([^"]+)" data-evidence="([^"]+)">', shown)
    assert [name for name, *_ in rows] == list(CLAIMS)
    by_id = {name: kinds for name, *kinds in rows}
    assert by_id["V1-25a"] == ["auxiliary heads", "supported", "trained"]
    assert by_id["V1-01"] == ["cost and size", "contradicted", "arithmetic"]
    assert by_id["V1-38"] == ["detection", "out of reach", "not run"]
    assert sum(verdicts.by("verdict").values()) == len(CLAIMS)
    assert verdicts.by("evidence", "supported") == {"trained": 2}
    assert "verdicts.html?verdict=supported&amp;evidence=trained" in index.ways()
    for names in verdicts.TOPICS.values():  # of a page, or of a claim that is there
        assert all(name in CLAIMS or (paths.ROOT / "book" / f"{name}.ipynb").exists() for name in names)


def test_a_claim_leads_to_its_section_and_figure_or_to_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    assert verdicts.links("V1-26", "aux_heads") == (
        '<a href="aux_heads.html#how-much-they-should-weigh">Do auxiliary heads help?: How much they should weigh</a>, '
        '<a href="aux_heads.html#fig-weight">figure</a>')
    assert verdicts.links("V1-01", "googlenet_row_by_row") == (
        '<a href="googlenet_row_by_row.html#claim-V1-01">GoogLeNet, row by row</a>')
    assert verdicts.links("V1-01", "nowhere") == ""
    for words in ("4.1 Crops × 10", "Two 3×3 for a 5×5", "n×1 and 1×n", "Which pictures a unit answers to"):
        assert html.anchor(words) == nodes.make_id(words)


def test_the_sections_of_papers_lead_to_the_papers() -> None:
    shown = html.claims_table([(CLAIMS["V1-25a"], {"verdict": "not yet run", "unit": "points"}),
                               (CLAIMS["V3-14"], {"verdict": "not yet run", "unit": "points"})])
    assert '<a href="https://doi.org/10.1109/CVPR.2015.7298594">V1 (CVPR) §5</a>' in shown
    assert '<a href="https://arxiv.org/abs/1512.00567v3">V3 §4</a>' in shown


def test_what_was_found_is_told_with_a_picture_and_only_if_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    assert index.findings().count("Not measured in this book yet.") == 5
    hand_on(monkeypatch, "principles", V3_28c=Interval(9.3, 4.1, 14.4, 6))
    shown = index.findings()
    assert shown.count("Not measured in this book yet.") == 4
    assert "Half the image is not nearly as good" in shown
    assert 'aria-label="+9.3 points, +4.1 to +14.4; claimed: at most 1.5"' in shown
    hand_on(monkeypatch, "principles", V3_28c=Interval(0.3, -0.1, 0.7, 6))
    assert "Half the image is nearly as good" in index.findings()


def test_a_frame_s_numbers_have_a_minus_sign_too() -> None:
    shown = html.neat(pd.DataFrame({"n": [-8, 1234], "x": [-8.04, math.nan], "word": ["a-1", "b"]}), 1).to_html()
    assert re.findall(r"<td[^>]*>([^<]*)</td>", shown) == ["−8", "−8.0", "a-1", "1,234", "–", "b"]


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "</style><b>"])
def test_a_name_puts_no_markup_into_a_table(name: str) -> None:
    shown = html.neat(pd.DataFrame({name: [name, "cow"], "n": [1.5, 2.0]})).to_html()
    assert unescape(shown).count(name) == 2
    assert name not in shown


def test_a_page_on_a_full_disk_is_one_sentence(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(metrics.files, "write", full)
    with pytest.raises(BadInput, match=r"No space left on device.*free some space"):
        metrics.write_page("tiny")
