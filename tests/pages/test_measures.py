"""What claims measure, on frames made by hand whose answers scipy's own tests or paper and pencil give."""
from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, t, ttest_1samp, ttest_ind

from replication.pages import claims
from replication.pages.claim import CONTRADICTED, NOT_RUN, SUPPORTED
from replication.pages.claims import CLAIMS
from replication.pages.measures import Difference, Louder, Mean, Ratio, Share, Sooner, early, final, gap, lost
from replication.stats import Interval
from replication.studies import grid

INF = math.inf
RNG = np.random.default_rng(7)
HEADS = ("none", "4a", "4d", "4a+4d")


@dataclass
class Grid:
    """What a measure asks of a grid: two frames, in no order."""
    runs: list[dict[str, Any]]
    epochs: list[dict[str, Any]] | None = None
    study: Any = grid.STUDIES["v1.aux"]

    def summary(self) -> pd.DataFrame:
        return self._shuffled(self.runs)

    def history(self) -> pd.DataFrame:
        return self._shuffled(self.epochs or [])

    def _shuffled(self, rows: list[dict[str, Any]]) -> pd.DataFrame:
        columns = None if rows else [*self.study.factors, "seed", "address", "val_error"]
        return pd.DataFrame(rows, columns=columns).sample(frac=1, random_state=0)


def runs(norm: str, aux: str, errors: Iterable[float], **more: Any) -> list[dict[str, Any]]:
    return [{"norm": norm, "aux": aux, "seed": seed, "address": f"{norm} {aux} {seed}", "val_error": error, **more}
            for seed, error in enumerate(errors)]


def curve(norm: str, aux: str, seed: int, errors: Iterable[float], **more: Any) -> list[dict[str, Any]]:
    """A row an epoch, from the untrained network on."""
    return [{"norm": norm, "aux": aux, "seed": seed, "address": f"{norm} {aux} {seed}", "epoch": epoch,
             "val_error": error, "chance": 0.9, **more} for epoch, error in enumerate(errors)]


ERRORS = {(norm, aux): RNG.uniform(0.2, 0.6, 5 + 2 * (aux == "none")) for norm in ("lrn", "bn") for aux in HEADS}
ALL = Grid([row for (norm, aux), errors in ERRORS.items() for row in runs(norm, aux, errors)])


def ends(interval: Interval | None) -> tuple[float, float]:
    assert interval is not None
    return interval.low, interval.high


# -- runs compared ------------------------------------------------------------------------------------------------
def test_a_difference_is_welchs_whatever_seeds_both_share() -> None:
    """Seven runs against five, of unequal spreads."""
    a, b = (100 * ERRORS["bn", aux] for aux in ("none", "4a+4d"))
    found = Difference({"norm": "bn", "aux": "none"}, {"norm": "bn", "aux": "4a+4d"})(ALL)
    assert ends(found) == pytest.approx(tuple(ttest_ind(a, b, equal_var=False).confidence_interval(0.95)))
    assert found is not None
    assert (found.value, found.n) == (pytest.approx(a.mean() - b.mean()), 5)


def test_of_several_arms_a_seed_counts_once_with_its_mean() -> None:
    a, b = (ERRORS["lrn", "4a"] + ERRORS["lrn", "4d"]) * 50, 100 * ERRORS["lrn", "4a+4d"]
    found = Difference({"norm": "lrn", "aux": ("4a", "4d")}, {"norm": "lrn", "aux": "4a+4d"})(ALL)
    assert ends(found) == pytest.approx(tuple(ttest_ind(a, b, equal_var=False).confidence_interval(0.95)))


def test_a_run_that_is_missing_or_diverged_takes_no_other_with_it() -> None:
    """Of two arms, only a seed that has both counts."""
    there = [row for row in ALL.runs if (row["norm"], row["aux"], row["seed"]) != ("lrn", "4a", 1)]
    there = [{**row, "val_error": math.nan} if (row["norm"], row["aux"], row["seed"]) == ("lrn", "4a+4d", 3) else row
             for row in there]
    a, b = Difference({"norm": "lrn", "aux": ("4a", "4d")}, {"norm": "lrn", "aux": "4a+4d"}).samples(
        Grid(there))
    assert a == pytest.approx(50 * np.delete(ERRORS["lrn", "4a"] + ERRORS["lrn", "4d"], 1))
    assert b == pytest.approx(100 * np.delete(ERRORS["lrn", "4a+4d"], 3))


def test_one_run_has_no_spread() -> None:
    two = Difference({"norm": "bn", "aux": "none"}, {"norm": "bn", "aux": "4a"})
    assert two(Grid([*runs("bn", "none", (0.1, 0.2)), *runs("bn", "4a", (0.1,))])) is None
    assert Mean({"norm": "bn"})(Grid(runs("bn", "none", (0.1,)))) is None


def test_a_ratio_is_welchs_of_the_logarithms() -> None:
    a, b = np.array([2.0, 3.0, 8.0]), np.array([1.0, 0.5])
    of = Grid([*({**row, "gap": value} for row, value in zip(runs("bn", "none", a), a, strict=True)),
               *({**row, "gap": value} for row, value in zip(runs("bn", "4a", b), b, strict=True))])
    found = Ratio({"aux": "none"}, {"aux": "4a"}, final("gap", 1))(of)
    expected = ttest_ind(np.log(a), np.log(b), equal_var=False).confidence_interval(0.95)
    assert ends(found) == pytest.approx((math.exp(expected.low), math.exp(expected.high)))
    assert found is not None
    assert found.value == pytest.approx(48 ** (1 / 3) / 0.5 ** 0.5)


def test_a_mean_is_students() -> None:
    found = Mean({"norm": "bn", "aux": "none"})(ALL)
    expected = ttest_1samp(100 * ERRORS["bn", "none"], 0).confidence_interval(0.95)
    assert ends(found) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("hits", "of"), [(0, 5), (3, 5), (5, 5), (1, 1), (0, 20)])
def test_a_share_is_clopper_and_pearsons(hits: int, of: int) -> None:
    """With none of n, the upper end is 1 − 0.025^(1/n)."""
    found = Share({"norm": "lrn"}, final())(Grid(runs("lrn", "none", [1.0] * hits + [0.0] * (of - hits))))
    expected = binomtest(hits, of).proportion_ci(0.95, "exact")
    assert ends(found) == pytest.approx((100 * expected.low, 100 * expected.high))
    assert found is not None
    assert (found.value, found.n) == (100 * hits / of, of)
    if hits == 0:
        assert found.high == pytest.approx(100 * (1 - 0.025 ** (1 / of)))


def test_nothing_shared_among_none() -> None:
    assert Share({"norm": "lrn"})(Grid([])) is None


# -- one number a run ---------------------------------------------------------------------------------------------
def test_lost_is_what_diverged_or_stayed_within_five_points_of_chance() -> None:
    errors = (0.2, 0.84, 0.86, 0.9, math.nan)  # chance is 0.9
    of = Grid(runs("lrn", "none", errors), [row for seed in range(5) for row in curve("lrn", "none", seed, (0.9, 0.5))])
    assert list(lost(of).sort_values("seed").value) == [0, 0, 100, 100, 100]
    found = Share({"norm": "lrn"})(of)
    assert found is not None
    assert found.value == 60


def test_early_is_the_mean_over_the_first_third_without_the_untrained_network() -> None:
    six, seven, two = curve("bn", "none", 0, (0.9, 0.5, 0.3, 9, 9, 9, 9)), curve(
        "bn", "none", 1, (0.9, 0.6, 0.2, 9, 9, 9, 9, 9)), curve("bn", "none", 2, (0.9, 0.7, 0.1))
    found = early(Grid([], [*six, *seven, *two])).sort_values("seed")
    assert list(found.value) == pytest.approx([40, 40, 70])


def test_the_gap_is_what_validation_errs_more_than_training() -> None:
    found = gap(Grid(runs("bn", "none", (0.5, 0.25), train_error=0.3)))
    assert sorted(found.value) == pytest.approx([-5, 20])


def test_louder_is_the_geometric_mean_of_all_losses_over_the_main_one() -> None:
    main, total = RNG.lognormal(-5, 1, 5), RNG.lognormal(-3, 1, 5)
    rows = [{"norm": "lrn", "init": "xavier", "seed": s, "epoch": 0, "grad_main": main[s], "grad_total": total[s],
             "grad_aux": 9.0} for s in range(5)]
    rows += [{**row, other: "x", "grad_total": 1e9} for row in rows for other in ("norm", "init")]
    of = Grid([], rows, grid.STUDIES["v1.gradient"])
    found = Louder({"norm": "lrn", "init": "xavier"})(of)
    expected = ttest_1samp(np.log(total / main), 0).confidence_interval(0.95)
    assert ends(found) == pytest.approx((math.exp(expected.low), math.exp(expected.high)))


def test_sooner_is_epochs_to_the_slow_ones_mean_last_error() -> None:
    """The slow end at 0.4 and 0.2 after four epochs: the level is 0.3. The quick get there after one, two, and two."""
    slow = [*curve("lrn", "none", 0, (0.9, 0.8, 0.7, 0.5, 0.4)), *curve("lrn", "none", 1, (0.9, 0.6, 0.5, 0.3, 0.2))]
    quick = [*curve("bn", "none", 0, (0.9, 0.3, 0.4, 0.1, 0.1)), *curve("bn", "none", 1, (0.9, 0.5, 0.2, 0.1, 0.1)),
             *curve("bn", "none", 2, (0.9, 0.31, 0.3, 0.1, 0.1))]
    found = Sooner({"norm": "lrn"}, {"norm": "bn"})(Grid([], [*slow, *quick]))
    logs = np.log([4.0, 4 / (1 + 2 / 3), 2.0])  # 0.3 lies two thirds of the way from 0.5 to 0.2
    half = t.ppf(0.975, 2) * logs.std(ddof=1) / 3 ** 0.5
    assert found is not None
    assert found.value == pytest.approx(19.2 ** (1 / 3))
    assert ends(found) == pytest.approx((math.exp(logs.mean() - half), math.exp(logs.mean() + half)))
    one = Grid([], [*slow[:5], *quick])
    assert Sooner({"norm": "lrn"}, {"norm": "bn"})(one) is None


# -- claims on studies ----------------------------------------------------------------------------------------------
MEASURED = {name: claim for name, claim in CLAIMS.items() if claim.study is not None}


@pytest.mark.parametrize("name", MEASURED)
def test_arms_are_arms_of_the_claims_study(name: str) -> None:
    claim = MEASURED[name]
    factors = grid.STUDIES[claim.study or ""].factors
    for side in ("a", "b", "arms"):
        for factor, keys in getattr(claim.measure, side, {}).items():
            assert set([keys] if isinstance(keys, str) else keys) <= set(factors[factor]), (name, factor)


@pytest.mark.parametrize("name", MEASURED)
def test_nothing_is_known_before_a_run(name: str) -> None:
    claim = MEASURED[name]
    settled, = claims.settle([name], [Grid([], [], grid.STUDIES[claim.study or ""])])
    assert settled.verdict == NOT_RUN


@pytest.mark.parametrize(("name", "gain", "expected"), [
    ("V1-25a", 0.5, SUPPORTED), ("V1-25a", 3.0, CONTRADICTED), ("V1-25a", -1.0, CONTRADICTED),
    ("V1-25b", -2.0, SUPPORTED), ("V1-25b", 0.3, SUPPORTED), ("V1-25b", 2.0, CONTRADICTED),
    ("V3-13", -3.0, SUPPORTED), ("V3-13", 3.0, CONTRADICTED),
    ("V3-14", 0.4, SUPPORTED), ("V3-14", -0.4, CONTRADICTED),
    ("V3-15", 0.1, SUPPORTED), ("V3-15", 1.0, CONTRADICTED),
])
def test_heads_that_lower_the_error_by_a_known_gain(name: str, gain: float, expected: str) -> None:
    """Error without the heads in question is `gain` points more than with both, in every run nearly alike."""
    errors = {aux: 0.4 + (0 if aux == "4a+4d" else gain / 100) + np.array([-1e-4, 0, 1e-4]) for aux in HEADS}
    of = Grid([row for norm in ("lrn", "bn") for aux in HEADS for row in runs(norm, aux, errors[aux])],
              [row for norm in ("lrn", "bn") for aux in HEADS for seed, error in enumerate(errors[aux])
               for row in curve(norm, aux, seed, (0.9, error, error, 0.1, 0.1, 0.1, 0.1))])
    settled, = claims.settle([name], [of])
    assert settled.verdict == expected


@pytest.mark.parametrize(("name", "worse", "better"), [
    ("V1-20", {"head": "fc", "dropout": "0.4"}, {"head": "average", "dropout": "0.4"}),
    ("V1-21", {"head": "average", "dropout": "0"}, {"head": "average", "dropout": "0.4"}),
    ("V1-20b", {"form": "average"}, {"form": "whole"}), ("V1-21b", {"form": "dropout"}, {"form": "whole"}),
    ("V3-14b", {"form": "heads"}, {"form": "whole"}),
    ("V1-08b", {"module": "naive"}, {"module": "reduced"}), ("V1-08c", {"module": "unreduced"}, {"module": "reduced"}),
    ("V1-09", {"mix": "falling"}, {"mix": "rising"}), ("V1-29", {"augment": "flip"}, {"augment": "area"}),
    ("V1-30", {"augment": "flip"}, {"augment": "photometric"}),
    ("V1-27", {"schedule": "steps", "weights": "last"}, {"schedule": "steps", "weights": "average"}),
    ("V3-02", {"reduction": "pool first"}, {"reduction": "parallel"}), ("V3-17", {"step": "7x7"}, {"step": "bn-aux"}),
    ("V3-22", {"smoothing": "0"}, {"smoothing": "0.1"}),
    ("V3-25", {"optimiser": "sgd", "rate": "1"}, {"optimiser": "rmsprop", "rate": "1"}),
    ("V3-27", {"part": "steps"}, {"part": "steps average"}), ("V3-31b", {"step": "smoothing"}, {"step": "7x7"}),
    ("V3-32", {"step": "v2"}, {"step": "bn-aux"}),
    ("V3-32b", {"network": "googlenet"}, {"network": "bn-inception"}),
    ("V3-32c", {"network": "bn-inception"}, {"network": "v2"}),
    ("V3-32d", {"network": "bn-inception"}, {"network": "v3"}),
    ("V3-09", {"form": "linear"}, {"form": "root"}), ("V3-10", {"form": "linear reductions"}, {"form": "root"}),
    ("V3-12a", {"grid": "first"}, {"grid": "none"}), ("V3-30b", {"side": "naive"}, {"side": "half"}),
])
def test_what_a_paper_praises_is_supported_where_it_is_better(name: str, worse: dict[str, str],
                                                              better: dict[str, str]) -> None:
    """Each sentence as it was read: the praised form two points better, then worse; all else is far away."""
    study = grid.STUDIES[CLAIMS[name].study or ""]
    whole = {factor: "bn" if factor == "norm" else "far" for factor in study.factors}
    for gain, expected in ((2, SUPPORTED), (-2, CONTRADICTED)):
        rows = [{**whole, **arms, "seed": seed, "val_error": 0.4 + up / 100 + wobble}
                for arms, up in ((worse, gain), (better, 0), ({}, 50))
                for seed, wobble in enumerate((-1e-4, 0, 1e-4))]
        settled, = claims.settle([name], [Grid(rows, [], study)])
        assert settled.verdict == expected, gain
