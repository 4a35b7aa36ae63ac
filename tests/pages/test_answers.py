"""Sentences made of verdicts: each is true of its record, whichever way the verdict fell."""
from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from replication import files, paths
from replication.errors import BadInput
from replication.pages import answers, claims, html, metrics, verdicts
from replication.pages.claim import NOT_RUN, OUT_OF_REACH, UNRESOLVED, Claim, Settled
from replication.pages.claims import CLAIMS, PAPERS
from replication.stats import Interval

INF = math.inf


def record(name: str, value: float, low: float, high: float, n: int = 5) -> dict[str, Any]:
    return metrics.record(Settled(CLAIMS[name], Interval(value, low, high, n)))


@pytest.mark.parametrize(("name", "measured", "said"), [
    ("V1-20", (0.84, 0.2, 1.4), "On shapes, average pooling in place of a fully connected layer lowers the top-1 error "
                                "by 0.8 points [0.2, 1.4]."),
    ("V1-20", (-0.84, -1.4, -0.2), "On shapes, average pooling in place of a fully connected layer raises the top-1 "
                                   "error by 0.8 points [0.2, 1.4]."),
    ("V1-20", (0.3, -0.5, 1.1), "On shapes, it could not be told whether average pooling in place of a fully connected "
                                "layer lowers or raises the top-1 error: the gain is 0.3 points [−0.5, 1.1]."),
    ("V1-25a", (0.5, 0.2, 0.8), "In the published network, a pair of auxiliary heads lowers the top-1 error by 0.5 "
                                "points [0.2, 0.8]; the claim, a gain of 0 to 1, is supported."),
    ("V1-25a", (2.5, 2.2, 2.8), "In the published network, a pair of auxiliary heads lowers the top-1 error by 2.5 "
                                "points [2.2, 2.8]; the claim, a gain of 0 to 1, is contradicted."),
    ("V3-15", (0.1, -0.2, 0.4), "With batch normalisation, the lower auxiliary head beside the upper one makes a small "
                                "difference at most: the gain in top-1 error is 0.1 points [−0.2, 0.4]; the claim, a "
                                "gain of at most 0.5, is supported."),
    ("V1-08b", (0.1, -0.9, 1.1), "At equal cost, it could not be told whether the module with reductions in place of "
                                 "the naive one lowers or raises the top-1 error: the gain is 0.1 points [−0.9, 1.1]."),
    ("V1-22", (0.03, 0.01, 0.05), "On shapes, the extra linear layer after the average lowers the top-1 error by 0.03 "
                                  "points [0.01, 0.1]; the claim, a gain within ±1, is supported."),
    ("V1-20", (0.4, -INF, INF), "On shapes, there are too few runs to tell whether average pooling in place of a fully "
                                "connected layer lowers the top-1 error."),
])
def test_a_change_of_error_is_told_by_its_interval(name: str, measured: tuple[float, float, float], said: str) -> None:
    assert answers.sentence(name, record(name, *measured)) == said


def test_what_is_no_change_of_error_is_told_by_its_verdict() -> None:
    assert answers.sentence("V1-01", record("V1-01", 8.711, 8.711, 8.711, 0)) == (
        "“GoogLeNet has 12 times fewer parameters than AlexNet” is contradicted (8.71×).")
    assert answers.sentence("V1-23a", record("V1-23a", 3.2, 2.3, 4.4)) == (
        "“Auxiliary heads raise the gradient that reaches the early layers (published network)” is supported "
        "(3.2×, 95 % interval 2.3 to 4.4 (5 seeds)).")
    assert answers.sentence("BN-5", {"verdict": OUT_OF_REACH, "unit": "%"}).endswith("” is out of reach.")


def test_what_was_measured_comes_first() -> None:
    waits = metrics.record(Settled(CLAIMS["V1-25a"], None))
    known = {"V1-25a": waits, "V3-14b": waits, "V3-14": record("V3-14", 1.1, 0.4, 1.7)}
    said = answers.sentences(("V1-25a", "V3-14", "V3-14b"), known)
    assert said.startswith("With batch normalisation, a pair of auxiliary heads lowers")
    assert said.endswith("Not measured yet: a pair of auxiliary heads (in the published network; on photographs).")


def test_what_was_not_measured_is_one_sentence() -> None:
    waits = metrics.record(Settled(CLAIMS["V1-25a"], None))
    ids = ("V1-25a", "V1-25b", "V1-13")
    assert answers.sentences(ids, dict.fromkeys(ids, waits)) == (
        "Not measured yet: a pair of auxiliary heads (in the published network), the second auxiliary head (in the "
        f"published network), “{CLAIMS['V1-13'].sentence.removesuffix('.')}”.")


def test_every_claim_that_is_told_by_its_change_is_one_of_error() -> None:
    for name in answers.CHANGES:
        assert CLAIMS[name].unit == "points", name
        assert CLAIMS[name].study is not None, name


def test_answers_are_read_from_all_pages(out: Path) -> None:
    assert answers.answer(["V1-20", "V1-08c"]).startswith("Not measured yet: ")
    hand_on("one", V1_20=(0.8, 0.2, 1.4))
    hand_on("two", V1_08c=(-0.8, -1.4, -0.2))
    said = answers.answer(["V1-20", "V1-08c"])
    assert "lowers the top-1 error by 0.8" in said
    assert "raises the top-1 error by 0.8" in said
    assert said in re.sub("<[^>]*>", "", answers.answer(["V1-20", "V1-08c"]))  # plain text
    assert isinstance(said, html.Html)
    for question, ids in answers.QUESTIONS.items():
        assert question in answers.questions()
        assert answers.answer(ids) in answers.questions()
    with pytest.raises(BadInput, match="Did you mean 'V1-20"):
        answers.answer(["V1-200"])


def hand_on(page: str, **found: tuple[float, float, float] | None) -> None:
    """A page's file with these claims, by id with _ for -."""
    records = {name.replace("_", "-"): {"unit": "points", "verdict": NOT_RUN} if of is None else
               record(name.replace("_", "-"), *of) for name, of in found.items()}
    files.write(paths.mine() / "metrics" / f"{page}.json", files.as_json({
        "claims": records, "provenance": {"device": "CPU", "processor": "P", "runs": 7}}))


# -- every claim --------------------------------------------------------------------------------------------------
def test_a_page_that_did_not_measure_takes_nothing_from_one_that_did(out: Path) -> None:
    hand_on("a", V1_20=(0.8, 0.2, 1.4))
    hand_on("b", V1_20=None)
    found = verdicts.records(metrics.pages())
    assert list(found) == list(CLAIMS)
    assert found["V1-20"]["value"] == 0.8
    assert found["BN-5"]["verdict"] == OUT_OF_REACH
    assert found["V3-05"]["verdict"] == NOT_RUN


def test_counts_and_what_chance_would_decide(out: Path) -> None:
    """Of four measured at 95 %, a fifth of one."""
    hand_on("a", V1_20=(0.8, 0.2, 1.4), V3_14=(-1, -2, -0.5), V1_27=(1, -1, 3), V3_22=(1, -1, 3), V1_30=None,
            V1_01=(8.7, 8.7, 8.7), AR_1=(96, 95, 97))
    found = verdicts.counts(metrics.pages())
    assert (found["supported"], found["contradicted"], found["unresolved"]) == (2, 2, 2)
    assert found["trained"] == {"measured": 4, "decided": 2, "by_chance": pytest.approx(4 * 0.05)}
    assert (found["counted"], found["settled"], found["total"]) == (1, 6, len(CLAIMS)), "AR-1 is drawn, not exact"
    assert found["not_run"] + found["out_of_reach"] + 6 == len(CLAIMS)


def test_the_tally_adds_up(out: Path) -> None:
    hand_on("a", V1_20=(0.8, 0.2, 1.4), BN_1b=(-1, -2, -0.5))
    table = verdicts.tally().set_index("paper")
    assert table.loc["all", "all"] == len(CLAIMS)
    assert (table.drop(index="all").sum() == table.loc["all"]).all()
    assert table.loc[PAPERS["BN"], "contradicted"] == table.loc[PAPERS["V1"], "supported"] == 1


def test_what_no_other_page_settles_is_left_for_this_one(out: Path) -> None:
    counted = [name for name, claim in CLAIMS.items() if claim.study is None and claim.measure]
    assert verdicts.left() == counted
    hand_on("a", V1_01=(8.7, 8.7, 8.7))
    hand_on("verdicts", V1_07=(9, 9, 9))
    assert verdicts.left() == [name for name in counted if name != "V1-01"]


def test_the_tables_hold_every_claim_once(out: Path) -> None:
    shown = "".join(verdicts.table(paper) for paper in PAPERS)
    assert [name for name in CLAIMS if shown.count(f"<strong>{name}</strong>") != 1] == []


def test_what_a_sentence_needs_of_claims_is_what_settle_gives() -> None:
    nothing = Claim("x", "x.", "x", "x", "x", "points", (0, INF), None, None, awaits="y")
    assert Settled(nothing, None).verdict == NOT_RUN
    assert Settled(nothing, Interval(0.3, -0.5, 1.1, 3)).verdict == UNRESOLVED
    assert claims.settle(["V3-05"])[0].interval is None
