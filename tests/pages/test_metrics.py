"""What a page hands on: written and read back, shown as well-formed HTML, compared between two stores."""
from __future__ import annotations

import json
import math
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replication import files, paths
from replication.errors import BadInput
from replication.pages import claims, html, index, metrics, reproduced
from replication.pages.claims import CLAIMS
from replication.pages.stats import Interval

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
    monkeypatch.setattr(metrics, "settle", lambda ids, grids: [claims.Settled(CLAIMS[n], by_id[n]) for n in ids])


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
    assert found == strictly(paths.mine() / "metrics" / "page.json")
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
    assert "V1-25a" in index.claims_table(["page"])


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
            V1_04a=Interval(22, 22, 22), V1_02=Interval(1.582671872, 1.582671872, 1.582671872))
    page = Page(index.claims_table(["page"]))
    rows = [dict(row) for row in page.rows if row]
    assert [row["Claim"].split()[0] for row in rows] == list(CLAIMS)
    assert all([label for label, _ in row] == page.heads for row in page.rows if row)
    by_id = {row["Claim"].split()[0]: row for row in rows}
    for name, claim in CLAIMS.items():
        assert claim.sentence in by_id[name]["Claim"]
        assert by_id[name]["Paper"] == claim.printed
        assert by_id[name]["Measured"].endswith(claim.quantity)
    assert by_id["V1-01"]["Measured"].startswith("8.71×")
    assert by_id["V1-02"]["Measured"].startswith("1.58 G")
    assert by_id["V1-04a"]["Measured"].startswith("22 layers")
    assert by_id["V1-01"]["95 % interval"] == "exact"
    assert by_id["V1-25a"]["Measured"].startswith("−0.4 points")
    assert by_id["V1-25a"]["95 % interval"] == "−1.3 to +0.4 (4 seeds)"
    assert by_id["V1-25a"]["Verdict"].startswith("not resolved")
    assert by_id["V1-25a"]["Verdict"].endswith("seeds would")
    assert by_id["V3-15"]["Verdict"] == "not yet run"


def test_words_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    nasty = claims.Claim("V1-01", "a < b & c > d </td>.", "§ <1>", "<5 & more", "q <i>", "×", (0, 1), None,
                         lambda: None)
    monkeypatch.setitem(CLAIMS, "V1-01", nasty)
    row, = (dict(row) for row in Page(hand_on(monkeypatch, "page", V1_01=Interval(2, 2, 2))).rows if row)
    assert "a < b & c > d </td>." in row["Claim"]
    assert row["Paper"] == "<5 & more"
    assert row["Measured"].endswith("q <i>")


def test_a_notebook_shows_it_as_html() -> None:
    shown = index.claims_table([])
    assert shown._repr_html_() == str(shown)


# -- compared -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("published", "mine", "number", "verdict"), [
    (Interval(8, 8, 8), Interval(8, 8, 8), True, True), (Interval(8, 8, 8), Interval(8.1, 8.1, 8.1), False, True),
    (Interval(12, 12, 12), Interval(8, 8, 8), False, False), (Interval(12, 11, 14, 3), Interval(9, 8, 11.2, 4), True,
                                                              False),
    (Interval(9, 8, 10, 3), Interval(11, 10, 11.2, 3), True, True),  # edges that touch
    (Interval(9, 8, 10, 3), Interval(11, 10.1, 11.2, 3), False, True),
])
def test_compared(results: Path, monkeypatch: pytest.MonkeyPatch, published: Interval, mine: Interval, number: bool,
                  verdict: bool) -> None:
    hand_on(monkeypatch, "page", results, V1_01=published)
    hand_on(monkeypatch, "page", V1_01=mine)
    row, = reproduced.compared(["page"])
    assert (row["id"], row["number_agrees"], row["verdict_agrees"]) == ("V1-01", number, verdict)
    shown, = (dict(row) for row in Page(reproduced.compared_table(["page"])).rows if row)
    assert shown["Numbers"] == ("agree" if number else "differ")
    sentence = reproduced.agreement(["page"])
    assert sentence == (f"{int(number)} of 1 published numbers agree with those measured here, and {int(verdict)} of 1 "
                        f"verdicts are the same.")


def test_only_what_both_settled_is_compared(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reproduced.compared(["page"]) == []
    assert reproduced.agreement([]) == reproduced.agreement(["page"])
    hand_on(monkeypatch, "page", results, V1_01=Interval(8, 8, 8), V1_25a=None, V3_14=Interval(1, 0, 2, 3),
            V3_15=Interval(1, -INF, INF, 1))
    hand_on(monkeypatch, "page", V1_01=Interval(8, 8, 8), V1_25a=Interval(1, 0, 2, 3), V3_14=None,
            V3_15=Interval(9, 8, 10, 3))
    hand_on(monkeypatch, "mine", V1_08=Interval(8, 8, 8))
    assert [row["id"] for row in reproduced.compared(metrics.pages())] == ["V1-01", "V3-15"]
    Page(reproduced.compared_table(metrics.pages()))


def test_a_claim_published_under_an_id_since_given_up(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (results, paths.mine()):
        hand_on(monkeypatch, "page", place, V1_01=Interval(8, 8, 8))
        path = place / "metrics" / "page.json"
        files.write(path, path.read_text().replace("V1-01", "V0-99"))
    Page(index.claims_table(["page"]))
    Page(reproduced.compared_table(["page"]))


def test_machines(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hand_on(monkeypatch, "page", results, V1_01=Interval(8, 8, 8))
    hand_on(monkeypatch, "page", V1_01=Interval(8, 8, 8))
    rows = reproduced.machines(["page", "nowhere"]).itertuples()
    assert [(row.page, row.whose, row.commit) for row in rows] == [("page", "published", "012345678"),
                                                                            ("page", "here", "012345678")]
