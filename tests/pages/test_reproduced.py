"""*Reproduced here*: claims compared by their setting, how sharp that is, and that an agreement which could not have
failed is not counted. Records are made by hand."""
from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replication import files, paths
from replication.pages import claims, index, metrics, reproduced
from replication.pages.reproduced import ARITHMETIC, BLURRED, SAME, Pair

POINTS = "V1-20"  # in points, said to lie above 0
BAND = "V1-22"    # within ±1 point
SHARE = "BN-2a"   # in %, said to lie between 50 and 100
COUNT = "V1-04a"  # arithmetic: 22 layers


@pytest.fixture(autouse=True)
def results(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store of published results beside yours."""
    monkeypatch.setattr(paths, "PUBLISHED", tmp_path / "results")
    return tmp_path / "results"


def measured(value: float | None, low: float | None, high: float | None, n: int = 5, *, under: str | None = "s",
             verdict: str = "not resolved", unit: str = "points") -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": n, "unit": unit, "verdict": verdict, "seeds_needed": None,
            **({"under": under} if under else {})}


def exact(value: float) -> dict[str, Any]:
    return measured(value, value, value, 0, under=None, unit="layers", verdict="supported")


def hand_on(place: Path, page: str, **records: dict[str, Any]) -> None:
    """A page's file, claims by id with _ for -."""
    held = {"provenance": {"processor": "P", "device": "CPU", "python": "3", "versions": {"torch": "2"}, "runs": 1,
                           "commit": "0123456789abcdef"},
            "claims": {name.replace("_", "-"): record for name, record in records.items()}}
    (place / "metrics").mkdir(parents=True, exist_ok=True)
    files.write(place / "metrics" / f"{page}.json", files.as_json(held))


def pair(published: dict[str, Any], mine: dict[str, Any], claim: str = POINTS) -> Pair:
    return Pair(claims.CLAIMS[claim], published, mine)


def shown(table: str) -> list[dict[str, str]]:
    rows = re.findall(r"<tr role=\"row\">(<td.*?)</tr>", table, re.S)
    return [{label: " ".join(re.sub("<[^>]*>", " ", cell).split()) for label, cell in
             re.findall(r'<td role="cell" data-label="([^"]*)">(.*?)</td>', row, re.S)} for row in rows]


# -- two samples --------------------------------------------------------------------------------------------------
def test_half_widths_add_by_their_squares() -> None:
    """3 and 4 give 5, of the mean of both half of that."""
    found = pair(measured(10, 7, 13), measured(5, 1, 9))
    assert (found.difference.value, found.difference.low, found.difference.high) == (-5, -10, 0)
    assert found.half_width == 5
    assert found.agrees  # edges count
    both = found.pooled
    assert both is not None
    assert (both["value"], both["low"], both["high"]) == (7.5, 5, 10)
    assert (both["n"], both["verdict"]) == (10, "supported")


def test_it_covers_as_often_as_it_says() -> None:
    """Two samples of six from the same distribution differ in at most five of a hundred cases, both together miss in
    about as many; drawn and counted."""
    draws = np.random.default_rng(0).normal(2.0, 3.0, (1000, 2, 6))
    middle, half = draws.mean(2), 2.5706 * draws.std(2, ddof=1) / 6 ** 0.5  # t of 5 degrees of freedom
    made = [[measured(float(m), float(m - h), float(m + h), 6) for m, h in zip(a, b, strict=True)]
            for a, b in zip(middle, half, strict=True)]
    found = [pair(a, b) for a, b in made]
    assert 0.95 <= np.mean([each.agrees for each in found]) < 0.985
    both = [each.pooled for each in found]
    assert 0.95 <= np.mean([one is not None and one["low"] <= 2 <= one["high"] for one in both]) < 0.985


def test_two_samples_may_resolve_what_neither_does() -> None:
    found = pair(measured(2, -0.5, 4.5), measured(2.2, -0.3, 4.7)).pooled
    assert found is not None
    assert found["verdict"] == "supported"  # 2.1 ± 2.5/√2
    assert found["low"] == pytest.approx(2.1 - 2.5 / 2 ** 0.5)


def test_a_share_stays_a_share() -> None:
    """Five runs of five lost, twice: Clopper and Pearson's 47.8 to 100."""
    lost = measured(100, 47.82, 100, unit="%")
    found = pair(lost, measured(100, 47.81, 100, unit="%"), SHARE)
    assert found.pooled is not None
    assert found.pooled["high"] == 100
    assert found.pooled["low"] == pytest.approx(100 - 52.18 / 2 ** 0.5, abs=0.01)
    assert found.half_width == pytest.approx(52.19)


# -- what counts --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("claim", "published", "mine", "agrees", "excuse"), [
    # the published 3 could have been 0: a difference of 3, which ±1.4 would have shown
    (POINTS, measured(3, 2, 4), measured(3.5, 2.5, 4.5), True, None),
    # V1-25a as it was: −3.3 and +1.1 of forty runs each, ±7.5
    (POINTS, measured(-3.3, -8.4, 1.7), measured(1.1, -4.5, 6.6), True, BLURRED),
    (POINTS, measured(3, 0.8, 5.2), measured(3, 0.9, 5.1), True, BLURRED),  # ±3.04: just too wide
    (POINTS, measured(3, 0.9, 5.1), measured(3.01, 0.91, 5.11), True, None),  # ±2.97: just not
    # nothing that matters is smaller than half a point
    (POINTS, measured(0.1, -0.2, 0.4), measured(0.0, -0.3, 0.3), True, None),
    (POINTS, measured(0.1, -0.3, 0.5), measured(0.0, -0.4, 0.4), True, BLURRED),
    (BAND, measured(0.2, -0.3, 0.7), measured(0.3, -0.2, 0.8), True, None),  # 0.8 to its edge, ±0.71
    (BAND, measured(0.4, -0.1, 0.9), measured(0.3, -0.2, 0.8), True, BLURRED),  # 0.6 to its edge
    (POINTS, measured(3, 2, 4), measured(5, 4, 6), False, None),
    (POINTS, measured(3, -47, 53), measured(99, 94, 104), False, None),  # a disagreement counts however wide
    # one seed says nothing, whatever the other says
    (POINTS, measured(3, None, None, 1), measured(3.1, 3, 3.2), True, BLURRED),
    (POINTS, measured(3, None, None, 1), measured(-99, None, None, 1), True, BLURRED),
    (POINTS, measured(3, 2, 4), measured(3, 2, 4), True, SAME),
    # digits tell it, not names: of late a processor's says more
    (POINTS, measured(3, 2, 4) | {"devices": ["AMD EPYC"]},
     measured(3, 2, 4) | {"devices": ["AMD EPYC (family 25, model 1; AVX2)"]}, True, SAME),
    (POINTS, measured(3, 2, 4) | {"devices": ["AMD EPYC"]},
     measured(3.1, 2.1, 4.1) | {"devices": ["AMD EPYC"]}, True, None),
    (COUNT, exact(22), exact(22), True, ARITHMETIC),
    (COUNT, exact(22), exact(23), False, None),
    # from 100 % it is 50 to the edge that can be crossed; five runs do not show that, six do
    (SHARE, measured(100, 47.82, 100, 5, unit="%"), measured(100, 54.07, 100, 6, unit="%"), True, BLURRED),
    (SHARE, measured(100, 54.07, 100, 6, unit="%"), measured(100, 54.08, 100, 6, unit="%"), True, None),
])
def test_an_agreement_counts_where_it_could_have_failed(claim: str, published: dict[str, Any], mine: dict[str, Any],
                                                        agrees: bool, excuse: str | None) -> None:
    found = pair(published, mine, claim)
    assert (found.agrees, found.excuse) == (agrees, excuse)


@pytest.mark.parametrize(("published", "mine"), [
    (exact(22), exact(22)), (measured(3, 2, 4), measured(3, 2, 4)), (measured(3, None, None, 1), measured(3, 2, 4))])
def test_what_is_no_second_sample_is_not_pooled(published: dict[str, Any], mine: dict[str, Any]) -> None:
    assert pair(published, mine).pooled is None


def test_more_seeds_weigh_more() -> None:
    """One of four parts and three of four: 2.5 ± √(16 + 9 · 4) / 4."""
    found = pair(measured(1, -3, 5, 4), measured(3, 1, 5, 12)).pooled
    assert found is not None
    assert (found["value"], found["n"]) == (2.5, 16)
    assert found["high"] - 2.5 == pytest.approx((16 + 9 * 4) ** 0.5 / 4)


def test_equal_differences_in_all_seeds() -> None:
    """An interval of no width."""
    found = pair(measured(1, 1, 1), measured(1, 1, 1, 6)).pooled
    assert found is not None
    assert (found["value"], found["low"], found["high"]) == (1, 1, 1)


# -- two stores ---------------------------------------------------------------------------------------------------
def test_claims_are_compared_by_setting_and_not_by_page(results: Path) -> None:
    hand_on(results, "head", V1_20=measured(3, 2, 4, under="a"), V1_22=measured(0, -0.3, 0.3, under="a"),
            V1_21=measured(1, 0, 2, under="a"))
    hand_on(results, "gpu", V1_20=measured(8, 7, 9, under="b"), V1_21=measured(1, None, None, 1, under="c"))
    hand_on(paths.mine(), "other", V1_20=measured(7, 6, 8, under="b"), V1_22=measured(0.1, -0.2, 0.4, under="z"),
            V1_21=measured(2, 1, 3, under="c"), V1_26=measured(0, -1, 1, under="a"))
    found = reproduced.compared(metrics.pages())
    assert {(each.claim.id, each.published["value"], each.mine["value"]) for each in found} == {
        ("V1-20", 8, 7), ("V1-21", 1, 2)}
    assert reproduced.not_compared(metrics.pages()) == ["V1-22"]


def test_a_setting_that_is_not_known_is_no_common_one(results: Path) -> None:
    """Records from before settings were written with them; arithmetic has none."""
    for place in (results, paths.mine()):
        hand_on(place, "page", V1_20=measured(3, 2, 4, under=None), V1_04a=exact(22))
    assert [each.claim.id for each in reproduced.compared(["page"])] == ["V1-04a"]
    assert reproduced.not_compared(["page"]) == ["V1-20"]


def test_only_what_holds_a_number_is_compared(results: Path) -> None:
    assert reproduced.compared(["page"]) == []
    assert reproduced.agreement([]) == reproduced.agreement(["page"])
    assert reproduced.agreement(["page"]).startswith("There is no number yet")
    hand_on(results, "page", V1_20={"unit": "points", "verdict": "not yet run"}, V1_22=measured(None, None, None),
            V0_99=exact(1))
    hand_on(paths.mine(), "page", V1_20=measured(3, 2, 4), V1_22=measured(0, -1, 1), V0_99=exact(1))
    assert reproduced.compared(["page"]) == []
    assert "<p>" in reproduced.compared_table(["page"])


def test_the_sentence(results: Path) -> None:
    """Two could have differed and one did, one is arithmetic, one too wide, one the same; one of another setting."""
    hand_on(results, "page", V1_04a=exact(22), V1_20=measured(3, 2, 4, verdict="supported"),
            V1_21=measured(3, 2, 4, verdict="supported"), V1_22=measured(0.2, -5, 5.4), V1_26=measured(1, 0, 2),
            V1_27=measured(1, 0, 2))
    hand_on(paths.mine(), "page", V1_04a=exact(22), V1_20=measured(3.5, 2.5, 4.5, verdict="supported"),
            V1_21=measured(-3, -4, -2, verdict="contradicted"), V1_22=measured(0.1, -5, 5.2), V1_26=measured(1, 0, 2),
            V1_27=measured(1, 0, 2, under="another"))
    assert reproduced.agreement(["page"]) == (
        "1 of 2 numbers that could have differed agree, and 1 of 2 of their verdicts are the same. Not counted, though "
        "they agree: 1 of arithmetic, 1 too uncertain for a difference to show, 1 of the same runs again. Published "
        "under other settings, so not compared: V1-27.")


def test_the_table(results: Path) -> None:
    hand_on(results, "page", V1_04a=exact(22), V1_20=measured(10, 7, 13, verdict="supported"),
            V1_22=measured(3, None, None, 1))
    hand_on(paths.mine(), "page", V1_04a=exact(22), V1_20=measured(5, 1, 9, verdict="supported"),
            V1_22=measured(2, -5, 9))
    rows = {row["Claim"].split()[0]: row for row in shown(reproduced.compared_table(["page"]))}
    assert list(rows) == ["V1-04a", "V1-20", "V1-22"]
    sharp = rows["V1-20"]
    assert sharp["Published"] == "+10.0 points +7.0 to +13.0 (5 seeds) supported"
    assert sharp["Here"] == "+5.0 points +1.0 to +9.0 (5 seeds) supported"
    assert sharp["Numbers"] == "agree difference −5.0 points, ± 5"
    assert sharp["Together"] == "+7.5 points +5.0 to +10.0 (10 seeds) supported"
    assert rows["V1-04a"]["Numbers"] == "agree, not counted: arithmetic"
    assert rows["V1-22"]["Numbers"] == f"agree, not counted: {BLURRED}"
    assert rows["V1-04a"]["Together"] == rows["V1-22"]["Together"] == "–"
    assert not any(word in str(rows) for word in ("None", "inf", "nan"))


def test_machines(results: Path) -> None:
    for place in (results, paths.mine()):
        hand_on(place, "page", V1_20=measured(1, 0, 2))
    rows = reproduced.machines(["page", "nowhere"]).itertuples()
    assert [(row.page, row.whose, row.commit) for row in rows] == [("page", "published", "012345678"),
                                                                   ("page", "here", "012345678")]


def test_a_page_names_what_its_runs_ran_on(results: Path) -> None:
    """Not what read them; the first published pages did not say."""
    hand_on(paths.mine(), "page", V1_20=measured(1, 0, 2))
    path = paths.mine() / "metrics" / "page.json"
    assert reproduced.machines(["page"]).processor.tolist() == ["P"]
    held = json.loads(path.read_text())
    held["provenance"]["devices"] = ["P (model 1)", "Q"]
    path.write_text(json.dumps(held))
    assert reproduced.machines(["page"]).processor.tolist() == ["P (model 1), Q"]
    assert index.tally(["page"])["device"] == "P (model 1) and Q"


def test_numbers_that_are_not_finite_are_unbounded() -> None:
    assert math.isinf(pair(measured(1, None, 2), measured(1, 0, 2)).half_width)
