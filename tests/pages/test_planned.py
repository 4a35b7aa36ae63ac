"""What waits, and what it would cost."""
from __future__ import annotations

from pathlib import Path

import pytest

from replication.pages import planned, power, verdicts
from replication.pages.claim import NOT_RUN, OUT_OF_REACH
from replication.runs import experiments, store
from replication.studies import profiles

RATE = power.Rates(("P", 1e9), ("G", 1e12))


@pytest.fixture(autouse=True)
def nothing_is_stored(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATION_READ", "mine")
    monkeypatch.setattr(planned, "waiting", lambda verdict: [
        planned.CLAIMS[name] for name in (("V3-14", "KWS-2") if verdict == NOT_RUN else ("V1-38",))])


def test_a_study_lacks_the_runs_of_both_sides() -> None:
    """V3-14 compares no head with two, with batch normalisation, ten seeds each."""
    plan, = planned.plans(RATE)
    cells = [cell for cell in power.whole_of("v1.aux", profiles.profile("cpu-full")).cells
             if cell.keys["norm"] == "bn" and cell.keys["aux"] in ("none", "4a+4d")]
    assert (plan.study, plan.claims, plan.runs) == ("v1.aux", ("V3-14",), 20)
    work = sum(experiments.work(cell.experiment) for cell in cells)
    assert plan.here == pytest.approx(work / 1e9 / 2)
    assert plan.gpu == pytest.approx(work / 1e12)


def test_what_is_stored_is_not_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "exists", lambda address: True)
    assert planned.plans(RATE)[0].runs == 0


def test_reasons_stand_beside_the_others() -> None:
    assert "seven other networks" in planned.others(NOT_RUN)
    assert "Detection needs its own images" in planned.others(OUT_OF_REACH)
    shown = planned.studies(planned.plans(RATE))
    assert 'id="v1-aux"' in shown
    assert '<a href="verdicts.html#claim-V3-14">V3-14</a>' in shown
    found = planned.numbers(planned.plans(RATE), RATE)
    assert (found["waiting"], found["awaiting"], found["out_of_reach"]) == (1, 1, 1)
    assert verdicts.topic("V3-14", "aux_heads") == "auxiliary heads"
