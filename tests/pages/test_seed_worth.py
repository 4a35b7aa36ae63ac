"""What a seed is worth: scatter and distances of runs made by hand, and of published ones, as somebody else found."""
from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats as reference

from replication.pages import figures, seed_worth
from replication.pages.reproduced import BLURRED
from replication.runs import experiments, store
from replication.studies import study
from replication.studies.study import Cell, Grid

ZEN3 = "AMD EPYC, Zen 3"


def commit(cell: Cell, *errors: float, threads: int = 1) -> None:
    """A run whose error after each epoch is given; its loss and its gradient are ten times and exp of that."""
    history = [{"epoch": epoch, "val_error": error, "val_loss": 10 * error, "grad_total": math.exp(error)}
               for epoch, error in enumerate(errors)]
    store.commit(cell.address, experiments.record(cell.experiment, cell.seed), history,
                 {"status": "done", "val_error": errors[-1]}, {"device": "CPU", "threads": threads})


@pytest.fixture
def seeds(out: Path) -> Grid:
    """Runs of the seeds 0, 1 and 2 whose last error is 0.1 times the seed of the start and 0.01 times that of the
    order. Nine are stored; those of seed 0 in all three arms are one."""
    made = study.study("seeds", seeds=3)
    for cell in made.cells:
        start = 0 if cell.keys["varied"] == "order" else cell.seed
        order = 0 if cell.keys["varied"] == "start" else cell.seed
        commit(cell, 0.9, 0.1 * start + 0.01 * order)
    return made


@pytest.fixture
def aux() -> Grid:
    return study.stored("v1.aux", "worth")


# -- one thing at a time ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("n", "low", "high"), [(5, 0.599, 2.874), (10, 0.688, 1.826), (20, 0.760, 1.461)])
def test_the_interval_of_a_standard_deviation(n: int, low: float, high: float) -> None:
    """Factors as printed in tables of the chi-square interval."""
    values = np.arange(n) / np.std(np.arange(n), ddof=1)
    found = seed_worth.standard_deviation(list(values))
    assert (found.value, found.low, found.high) == pytest.approx((1, low, high), abs=6e-4)
    assert found.n == n


def test_spread(seeds: Grid) -> None:
    found = seed_worth.spread(seeds).set_index("varied")
    assert found["sd, points"].to_dict() == pytest.approx({"all": 11, "initial weights": 10, "order of images": 1})
    assert found["mean error, %"].to_dict() == pytest.approx({"all": 11, "initial weights": 10, "order of images": 1})


def test_how_far_runs_lie_apart_by_what_they_share(seeds: Grid) -> None:
    """Seven runs: of one start 3 + 1 + 1 pairs, 1, 2, 1, 1 and 2 points apart; of one order ten times that."""
    found = seed_worth.parting(seeds).set_index("two runs share")
    assert found.pairs.to_dict() == {"nothing": 21 - 10, "order of images": 5, "initial weights": 5, "both": 3}
    assert found.alike.to_dict() == {"nothing": 0, "order of images": 0, "initial weights": 0, "both": 3}
    assert found["at the end, points"]["initial weights"] == pytest.approx(1.4)
    assert found["at the end, points"]["order of images"] == pytest.approx(14)
    assert math.isnan(found["at the end, points"]["both"])
    assert found["in epoch"]["order of images"] == 1
    apart = seed_worth.apart(seeds)
    assert apart[apart.epoch == 0].points.max() == 0
    last = apart[(apart.epoch == 1) & (apart.share == "order")]
    assert last.gradient.tolist() == pytest.approx((last.points / 100).tolist())  # the logarithm of exp(error)


def test_twins_share_both(seeds: Grid, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One twin is the same, the other lies 3 points apart; of the latter's two twins both are 2 apart."""
    one, other = [cell for cell in seeds.cells if cell.keys["varied"] == "all"][1:]
    for label, cell, error in (("two", one, 0.11), ("two", other, 0.25), ("gpu", other, 0.23)):
        monkeypatch.setenv("REPLICATION_OUT", str(out / "twins" / label))
        commit(cell, 0.9, error, threads=2)
    monkeypatch.setenv("REPLICATION_OUT", str(out))
    found = seed_worth.again([seeds, seeds]).set_index(["trained", "and again"])
    assert found.runs.to_dict() == {("here", "two"): 2, ("here", "gpu"): 1, ("gpu", "two"): 1}
    assert found.alike.to_dict() == {("here", "two"): 1, ("here", "gpu"): 0, ("gpu", "two"): 0}
    assert found.threads.to_dict() == {("here", "two"): "1 / 2", ("here", "gpu"): "1 / 2", ("gpu", "two"): "2 / 2"}
    assert found["at the end, points"].to_dict() == pytest.approx({
        ("here", "two"): 3, ("here", "gpu"): 1, ("gpu", "two"): 2})
    both = seed_worth.parting(seeds).set_index("two runs share").loc["both"]
    assert (both.pairs, both.alike) == (3 + 4, 3 + 1)
    assert both["at the end, points"] == pytest.approx((3 + 1 + 2) / 3)


# -- the published runs -------------------------------------------------------------------------------------------
def test_the_same_seed_elsewhere_is_as_far_as_another_seed(aux: Grid) -> None:
    """As computed by somebody else from the same forty pairs of runs: 7.3 points as published and 2.7 with BN."""
    found = seed_worth.elsewhere(aux).set_index(["machine", "norm"])
    processor = found.loc[ZEN3]
    assert processor.runs.to_dict() == {"BN": 20, "LRN": 20}
    assert processor["same seed, points"].to_dict() == pytest.approx({"LRN": 7.3, "BN": 2.7}, abs=0.05)
    assert processor["two seeds, points"].to_dict() == pytest.approx({"LRN": 7.2, "BN": 2.8}, abs=0.05)
    assert found.loc["NVIDIA H200"].runs.sum() == 25


def test_pairing_narrowed_nothing(aux: Grid) -> None:
    """As found by the same: 7.3 points paired, 7.2 not; 2.8 and 2.8 with BN."""
    found = seed_worth.pairing(aux).set_index(["machine", "norm"]).loc["here"]
    assert found["sd, paired"].to_dict() == pytest.approx({"LRN": 7.3, "BN": 2.8}, abs=0.05)
    assert found["sd, unpaired"].to_dict() == pytest.approx({"LRN": 7.2, "BN": 2.8}, abs=0.05)
    assert (found["±, paired"] / found["±, unpaired"]).to_dict() == pytest.approx(found.ratio.to_dict())
    assert found["±, paired"]["LRN"] == pytest.approx(2.776 * 7.257 / 5 ** 0.5, rel=1e-3)  # t of 4 degrees of freedom
    assert found["±, unpaired"]["LRN"] == pytest.approx(2.306 * 7.220 / 5 ** 0.5, rel=1e-3)  # of 8


def test_two_measurements_of_a_claim_could_not_disagree(aux: Grid) -> None:
    """V1-25a was −3.3 on one processor and +1.1 on the other, and "agree" was said of it."""
    found = {pair.claim.id: pair for pair in seed_worth.twice(aux, ZEN3)}
    assert set(found) == {"V1-25a", "V1-25b", "V3-14", "V3-15"}  # V3-13 is of whole curves, which the table has not
    assert found["V1-25a"].published["value"] == pytest.approx(-3.3, abs=0.05)
    assert found["V1-25a"].mine["value"] == pytest.approx(1.1, abs=0.05)
    assert {pair.excuse for pair in found.values()} == {BLURRED}
    assert "4 agree, which says something of none of them" in seed_worth.answer(aux, aux_seeds(), ZEN3)


def aux_seeds() -> Grid:
    return study.stored("seeds", "worth")


# -- made up ------------------------------------------------------------------------------------------------------
def aux_made(error: Callable[[int, int], float]) -> Grid:
    """v1.aux with four seeds; `error` of a seed and the number of its heads' arm."""
    made = study.study("v1.aux", seeds=4)
    arms = list(made.study.factors["aux"])
    for cell in made.cells:
        commit(cell, 0.9, error(cell.seed, arms.index(cell.keys["aux"])))
    return made


def test_where_seeds_are_good_for_all_pairing_pays(out: Path) -> None:
    found = seed_worth.pairing(aux_made(lambda seed, arm: 0.1 * seed + 0.02 * arm)).iloc[0]
    assert found.ratio == pytest.approx(0, abs=1e-9)
    assert found["sd, unpaired"] == pytest.approx(10 * (2 * 5 / 3) ** 0.5)  # the variance of 0, 1, 2, 3 is 5/3


@pytest.mark.parametrize(("seeds", "factor"), [(2, 12.706 / 4.303), (5, 2.776 / 2.306), (20, 2.093 / 2.024)])
def test_what_is_lost_with_the_degrees_of_freedom(seeds: int, factor: float) -> None:
    """Student's quantiles as printed in tables."""
    assert seed_worth.lost(seeds) == pytest.approx(factor, rel=1e-3)


@pytest.mark.parametrize("seeds", [3, 5])
def test_bootstraps_of_few_seeds_hold_too_little(seeds: int) -> None:
    """As scipy's do, which draws again at random."""
    found = seed_worth.coverage(seeds)
    x = np.random.default_rng(1).normal(size=(1500, seeds))
    for name, method in (("percentiles", "percentile"), ("BCa", "BCa")):
        made = reference.bootstrap((x,), np.mean, axis=1, n_resamples=999, vectorized=True, method=method, rng=2)
        low, high = made.confidence_interval
        assert found[f"bootstrap, {name}"] == pytest.approx(100 * ((low < 0) & (high > 0)).mean(), abs=3)
    assert found["Student's"] == pytest.approx(95)


def test_of_five_seeds_both_hold_84_of_100() -> None:
    assert seed_worth.coverages(5).loc[0].to_dict() == pytest.approx(
        {"seeds": 5, "Student's": 95, "bootstrap, percentiles": 83.8, "bootstrap, BCa": 83.7}, abs=0.4)


# -- nothing there ------------------------------------------------------------------------------------------------
def test_without_runs_all_is_empty_and_says_so(out: Path) -> None:
    aux, seeds = (study.study(name, dataset="digits") for name in ("v1.aux", "seeds"))
    tables: list[pd.DataFrame] = [seed_worth.elsewhere(aux), seed_worth.pairing(aux), seed_worth.spread(seeds),
                                  seed_worth.parting(seeds), seed_worth.again([aux, seeds])]
    assert all(table.empty and len(table.columns) for table in tables)
    assert isinstance(seed_worth.parting_curves(seeds), figures.Nothing)
    assert seed_worth.twice(aux, ZEN3) == []
    assert "No run of it is stored here" in seed_worth.answer(aux, seeds, ZEN3)


def test_other_settings_have_no_twins_elsewhere() -> None:
    assert seed_worth.elsewhere(study.study("v1.aux", epochs=3)).empty
