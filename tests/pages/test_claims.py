"""The verdict rule as a truth table; what is arithmetic recomputed from the papers' numbers; what is measured on frames
whose differences are known."""
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp, ttest_ind, ttest_rel
from table1 import MODULES

from replication.errors import BadInput
from replication.pages import claims, stats
from replication.pages.claims import CLAIMS, CONTRADICTED, NOT_RUN, SUPPORTED, UNRESOLVED
from replication.pages.stats import Interval
from replication.studies import grid
from replication.studies.setting import Setting

INF = math.inf


# -- the rule -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("ends", "region", "expected"), [
    ((1, 2), (0, 3), SUPPORTED), ((0, 3), (0, 3), SUPPORTED), ((3, 3), (0, 3), SUPPORTED), ((0, 0), (0, 3), SUPPORTED),
    ((1, 2), (0, INF), SUPPORTED), ((-9, 0.5), (-INF, 0.5), SUPPORTED), ((-INF, INF), (-INF, INF), SUPPORTED),
    ((4, 5), (0, 3), CONTRADICTED), ((-2, -1), (0, 3), CONTRADICTED), ((3.1, INF), (0, 3), CONTRADICTED),
    ((-INF, -1), (0, INF), CONTRADICTED), ((11, 11), (12, 12), CONTRADICTED), ((1, 2), (-INF, 0.5), CONTRADICTED),
    ((-1, 1), (0, 3), UNRESOLVED), ((2, 4), (0, 3), UNRESOLVED), ((-1, 4), (0, 3), UNRESOLVED),
    ((-1, 0), (0, 3), UNRESOLVED), ((3, 4), (0, 3), UNRESOLVED), ((-INF, INF), (0, INF), UNRESOLVED),
    ((-INF, 2), (0, 3), UNRESOLVED), ((1, INF), (0, 3), UNRESOLVED), ((math.nan, math.nan), (0, 3), UNRESOLVED),
])
def test_verdict(ends: tuple[float, float], region: tuple[float, float], expected: str) -> None:
    middle = sum(ends) / 2 if all(map(math.isfinite, ends)) else 0.0
    assert claims.verdict(Interval(middle, *ends, 3), region) == expected


def test_what_was_not_measured_is_not_yet_run() -> None:
    assert claims.verdict(None, (0, 1)) == NOT_RUN
    settled = claims.settle(["V1-25a", "V1-01"])
    assert [s.verdict == NOT_RUN for s in settled] == [True, False]
    assert settled[0].seeds_needed is None


def test_ids_regions_and_studies() -> None:
    assert [claim.id for claim in CLAIMS.values()] == list(CLAIMS)
    source = Path(claims.__file__).read_text(encoding="utf-8")
    assert source.count("    Claim(\"") == len(CLAIMS), "two claims share an id"
    for claim in CLAIMS.values():
        assert claim.region[0] <= claim.region[1], claim.id
        assert any(map(math.isfinite, claim.region)), claim.id
        assert claim.study is None or claim.study in grid.STUDIES, claim.id
        assert claim.unit, claim.id
        assert claim.sentence.endswith("."), claim.id


def test_unknown_claim() -> None:
    with pytest.raises(BadInput, match="Did you mean 'V1-"):
        claims.settle(["V1-01", "V1-25x"])


@pytest.mark.parametrize(("interval", "region", "half"), [
    (Interval(0.3, -0.2, 0.8, 5), (0, 1), 0.3), (Interval(0.9, 0.4, 1.4, 5), (0, 1), 0.1),
    (Interval(-0.4, -1.0, 0.2, 4), (0, INF), 0.4), (Interval(0.7, 0.1, 1.3, 4), (-INF, 0.5), 0.2)])
def test_seeds_that_would_resolve_it(interval: Interval, region: tuple[float, float], half: float) -> None:
    """The interval must shrink to the distance from its middle to the nearest edge."""
    claim = claims.Claim("x", "x.", "x", "x", "x", "points", region, None, lambda: interval)
    settled = claims.Settled(claim, interval)
    assert settled.verdict == UNRESOLVED
    assert settled.seeds_needed == stats.seeds_needed(interval, half)
    shrunk = Interval(interval.value, interval.value - 0.999 * half, interval.value + 0.999 * half, 99)
    assert claims.verdict(shrunk, region) != UNRESOLVED


def test_no_seeds_are_asked_for_where_it_is_resolved_or_undefined() -> None:
    claim = CLAIMS["V1-25a"]
    assert claims.Settled(claim, Interval(0.5, 0.4, 0.6, 5)).seeds_needed is None
    assert claims.Settled(claim, Interval(0.5, -INF, INF, 1)).seeds_needed is None
    assert claims.Settled(claim, Interval(math.nan, math.nan, math.nan, 5)).seeds_needed is None


# -- arithmetic, again --------------------------------------------------------------------------------------------
def googlenet() -> tuple[list[tuple[int, int, float, float]], int]:
    """(weights, multiply-adds, printed K, printed M) of Table 1's twelve lines, and all parameters with biases."""
    lines = [(49 * 3 * 64, 49 * 3 * 64 * 112 ** 2, 2.7, 34),
             (64 * 64 + 9 * 64 * 192, (64 * 64 + 9 * 64 * 192) * 56 ** 2, 112, 360)]
    biases = 64 + 64 + 192 + 1000
    for m in MODULES.values():
        lines.append((m.weights, m.weights * m.side ** 2, m.params_k, m.ops_m))
        biases += sum(m.filters)
    lines.append((1024 * 1000, 1024 * 1000, 1000, 1))
    return lines, sum(weights for weights, *_ in lines) + biases


def alexnet() -> int:
    layers = [(96, 3 * 121), (256, 48 * 25), (384, 256 * 9), (384, 192 * 9), (256, 192 * 9), (4096, 256 * 36),
              (4096, 4096), (1000, 4096)]  # Krizhevsky et al. 2012, §3.5: (kernels, inputs of one)
    return sum(out * (inputs + 1) for out, inputs in layers)


def naive() -> int:
    macs, channels = 49 * 3 * 64 * 112 ** 2 + (64 * 64 + 9 * 64 * 192) * 56 ** 2, 192
    for m in MODULES.values():
        macs += m.side ** 2 * channels * (m.n1 + 9 * m.n3 + 25 * m.n5)
        channels += m.n1 + m.n3 + m.n5
    assert channels == 4944  # V1 §4: the nine modules' channels, added up by hand
    return macs + channels * 1000


def two_3x3() -> float:
    """Percent saved over the nine 5×5, with √α times as many maps between two 3×3, rounded."""
    before = after = 0
    for m in MODULES.values():
        before += m.side ** 2 * 25 * m.r5 * m.n5
        after += m.side ** 2 * 9 * round(math.sqrt(m.r5 * m.n5)) * (m.r5 + m.n5)
    return 100 * (1 - after / before)


def agreeing(printed: int, own: int, unit: float) -> int:
    """Lines printed within one unit of their last digit."""
    return sum(abs(line[own] / unit - line[printed]) <= (0.1 if line[printed] == 2.7 else 1) for line in googlenet()[0])


ARITHMETIC: dict[str, tuple[Callable[[], float], float, str]] = {  # how, the number on paper, the verdict
    "V1-01": (lambda: alexnet() / googlenet()[1], 60_965_224 / 6_998_552, CONTRADICTED),
    "V1-02": (lambda: sum(line[1] for line in googlenet()[0]) / 1e9, 1.582671872, CONTRADICTED),
    "V1-03a": (lambda: agreeing(2, 0, 1024), 5, CONTRADICTED),
    "V1-03b": (lambda: agreeing(3, 1, 1e6), 10, CONTRADICTED),
    "V1-04a": (lambda: 1 + 2 + 2 * 9 + 1, 22, SUPPORTED),
    "V1-04b": (lambda: 22 + 4 + 1, 27, SUPPORTED),
    # 57 convolutions, a linear layer, 14 pools, 9 concatenations, 2 LRNs, a dropout; 2 × (pool, conv, 2 linear, drop)
    "V1-05": (lambda: 58 + (4 + 9 + 1) + 9 + 2 + 1 + 2 * 5, 94, SUPPORTED),
    "V1-06": (lambda: (2 * 64) * (2 * 64) / (64 * 64), 4, SUPPORTED),
    "V1-07": (lambda: 28 * 28 * 192 * 32 * 25 / (28 * 28 * (192 * 16 + 25 * 16 * 32)), 120_422_400 / 12_443_648,
              SUPPORTED),
    "V1-08": (lambda: naive() / 1_582_671_872, (12.09e9 + 477.67e6 + 4.944e6) / 1_582_671_872, SUPPORTED),
    "V3-06": (lambda: 5 * 5 / (3 * 3), 25 / 9, SUPPORTED),
    "V3-07a": (lambda: 100 * (1 - 2 * 9 / 25), 28, SUPPORTED),
    # the roots are 22.6, 55.4, 27.7, 39.2, 39.2, 45.3, 64, 64 and 78.4
    "V3-07b": (two_3x3, 100 - 36 * (784 * (23 * 48 + 55 * 128) + 196 * (28 * 64 + 2 * 39 * 88 + 45 * 96 + 64 * 160)
                                    + 49 * (64 * 160 + 78 * 176))
               / (784 * (512 + 3072) + 196 * (768 + 2 * 1536 + 2048 + 4096) + 49 * (4096 + 6144)), CONTRADICTED),
    "V3-11a": (lambda: 100 * (1 - 2 * 3 / 9), 100 / 3, SUPPORTED),
    "V3-11b": (lambda: 100 * (1 - 2 * 4 / 9), 100 / 9, SUPPORTED),
}


def test_every_claim_of_arithmetic_is_recomputed_here() -> None:
    assert set(ARITHMETIC) == {name for name, claim in CLAIMS.items() if claim.study is None}


@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic(name: str) -> None:
    how, printed, verdict = ARITHMETIC[name]
    settled, = claims.settle([name])
    assert how() == pytest.approx(printed, rel=1e-3 if name == "V1-08" else 1e-12)
    assert settled.interval == stats.exact(pytest.approx(how(), rel=1e-12))
    assert settled.verdict == verdict


# -- measured -----------------------------------------------------------------------------------------------------
SEEDS = 5
RNG = np.random.default_rng(7)
ERRORS = {(norm, heads): RNG.uniform(0.2, 0.6, SEEDS)
          for norm in ("lrn", "bn") for heads in ("none", "4a", "4d", "4a+4d")}


@dataclass
class Grid:
    """What a claim asks of a grid: frames, and the epochs trained."""
    errors: dict[tuple[str, str], Any] = field(default_factory=lambda: ERRORS)
    setting: Any = field(default_factory=lambda: Setting(epochs=6, seeds=SEEDS))
    study: Any = grid.STUDIES["v1.aux"]

    def of(self, claim: str) -> Grid:
        return replace(self, study=grid.STUDIES[CLAIMS[claim].study or ""])

    def summary(self) -> pd.DataFrame:
        rows = [{"norm": norm, "aux": heads, "seed": seed, "address": "a", "status": "done", "val_error": error}
                for (norm, heads), errors in self.errors.items() for seed, error in enumerate(errors)
                if not np.isnan(error)]
        return pd.DataFrame(rows).sample(frac=1, random_state=0) if rows else pd.DataFrame(columns=["norm", "aux"])

    def history(self) -> pd.DataFrame:
        """Epoch 1 has the error, epoch 2 twice that; the untrained network and the rest are far away."""
        rows = [{"norm": norm, "aux": heads, "seed": seed, "epoch": epoch, "val_error": error * factor}
                for (norm, heads), errors in self.errors.items() for seed, error in enumerate(errors)
                for epoch, factor in enumerate((100, 1, 2, 50, 60, 70, 80))]
        return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["norm", "aux", "seed", "epoch"])


def errors(norm: str, *heads: str) -> Any:
    return 100 * np.mean([ERRORS[norm, h] for h in heads], axis=0)


GAINS = {  # the claim's sentence: error of the first less error of the second, in points
    "V1-25a": (errors("lrn", "none"), errors("lrn", "4a+4d")),
    "V1-25b": (errors("lrn", "4a", "4d"), errors("lrn", "4a+4d")),
    "V3-13": (1.5 * errors("bn", "none"), 1.5 * errors("bn", "4a+4d")),  # the mean of ×1 and ×2, two epochs of six
    "V3-14": (errors("bn", "none"), errors("bn", "4a+4d")),
    "V3-15": (errors("bn", "4d"), errors("bn", "4a+4d")),
}
LOUDER = {"V1-23a": ("lrn", "xavier"), "V1-23b": ("bn", "he")}


ABLATED = {"V1-20": "average", "V1-21": "dropout", "V3-14b": "heads"}  # what the error is higher without


def test_every_claim_of_a_study_is_measured_here() -> None:
    assert {*GAINS, *LOUDER, *ABLATED} == {name for name, claim in CLAIMS.items() if claim.study is not None}


@pytest.mark.parametrize("name", GAINS)
def test_gains_are_paired_over_seeds(name: str) -> None:
    settled, = claims.settle([name], [Grid()])
    expected = ttest_rel(*GAINS[name]).confidence_interval(0.95)
    assert settled.interval is not None
    assert (settled.interval.low, settled.interval.high) == pytest.approx((expected.low, expected.high))
    assert settled.interval.value == pytest.approx(np.mean(GAINS[name][0] - GAINS[name][1]))
    assert settled.interval.n == SEEDS


@pytest.mark.parametrize(("name", "gain", "verdict"), [
    ("V1-25a", 0.5, SUPPORTED), ("V1-25a", 3.0, CONTRADICTED), ("V1-25a", -1.0, CONTRADICTED),
    ("V1-25b", -2.0, SUPPORTED), ("V1-25b", 0.3, SUPPORTED), ("V1-25b", 2.0, CONTRADICTED),
    ("V3-13", -3.0, SUPPORTED), ("V3-13", 3.0, CONTRADICTED),
    ("V3-14", 0.4, SUPPORTED), ("V3-14", -0.4, CONTRADICTED),
    ("V3-15", 0.1, SUPPORTED), ("V3-15", 1.0, CONTRADICTED),
])
def test_verdicts_of_known_differences(name: str, gain: float, verdict: str) -> None:
    """Error without the heads in question is `gain` points more than with both, in every seed nearly alike."""
    wobble = np.array([-1e-4, 0, 1e-4, 0, 0])
    both = RNG.uniform(0.2, 0.6, SEEDS)
    scale = 1.5 if name == "V3-13" else 1  # of that claim's two epochs
    made = {(norm, heads): both + (0 if heads == "4a+4d" else gain / 100 / scale) + wobble
            for norm in ("lrn", "bn") for heads in ("none", "4a", "4d", "4a+4d")}
    settled, = claims.settle([name], [Grid(made)])
    assert settled.verdict == verdict


def test_a_run_that_is_missing_takes_its_pair_with_it() -> None:
    holes = {key: value.copy() for key, value in ERRORS.items()}
    holes["lrn", "none"][1] = math.nan
    holes["lrn", "4a+4d"][3] = math.nan
    holes["bn", "4a+4d"][:] = math.nan
    holes["lrn", "4d"][0] = math.nan  # the mean of 4a and 4d needs both
    final, one_head, none = claims.settle(["V1-25a", "V1-25b", "V3-14"], [Grid(holes)])
    assert one_head.interval is not None
    assert one_head.interval.value == pytest.approx(np.subtract(*GAINS["V1-25b"])[[1, 2, 4]].mean())
    kept = [0, 2, 4]
    expected = ttest_rel(*(values[kept] for values in GAINS["V1-25a"])).confidence_interval(0.95)
    assert final.interval is not None
    assert final.interval.n == 3
    assert (final.interval.low, final.interval.high) == pytest.approx((expected.low, expected.high))
    assert none.verdict == NOT_RUN


def test_a_variant_whose_seeds_are_all_others_has_no_pair() -> None:
    apart = {("lrn", "none"): np.array([0.1, math.nan]), ("lrn", "4a+4d"): np.array([math.nan, 0.1])}
    settled, = claims.settle(["V1-25a"], [Grid(apart)])
    assert settled.verdict == NOT_RUN


@pytest.mark.parametrize("name", [*GAINS, *LOUDER, *ABLATED])
def test_nothing_is_known_before_a_run(name: str) -> None:
    settled, = claims.settle([name], [Grid({}).of(name)])
    assert settled.verdict == NOT_RUN
    assert settled.seeds_needed is None


def ablated(name: str, without: Any, whole: Any) -> claims.Settled:
    """A claim settled on these errors, shuffled; every other arm is far away."""
    arms = {"whole": whole, "average": np.full(4, 9.0), "dropout": np.full(4, 8.0), "heads": np.full(4, 7.0),
            ABLATED[name]: without}
    rows = [{"form": arm, "seed": seed, "val_error": error} for arm, of in arms.items()
            for seed, error in enumerate(of)]
    of = Grid().of(name)
    of.summary = lambda: pd.DataFrame(rows).sample(frac=1, random_state=0)  # type: ignore[method-assign]
    settled, = claims.settle([name], [of])
    return settled


@pytest.mark.parametrize("name", ABLATED)
def test_ablations_are_compared_with_the_whole_network(name: str) -> None:
    """Independent samples, of unequal numbers and spreads; a run that diverged has no error."""
    without, whole = RNG.uniform(0.4, 0.6, 6), RNG.uniform(0.4, 0.45, 4)
    expected = ttest_ind(100 * without, 100 * whole, equal_var=False).confidence_interval(0.95)
    interval = ablated(name, [*without, math.nan], [math.nan, *whole]).interval
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert interval.value == pytest.approx(100 * (without.mean() - whole.mean()))
    assert interval.n == 4


@pytest.mark.parametrize(("name", "gain", "verdict"), [
    ("V1-20", 0.6, SUPPORTED), ("V1-20", -0.6, CONTRADICTED), ("V1-21", 0.7, SUPPORTED), ("V1-21", 0.3, CONTRADICTED),
    ("V3-14b", 0.4, SUPPORTED), ("V3-14b", -0.4, CONTRADICTED)])
def test_verdicts_of_known_ablations(name: str, gain: float, verdict: str) -> None:
    whole = 0.5 + np.array([-1e-4, 0, 1e-4])
    assert ablated(name, whole + gain / 100, whole).verdict == verdict
    assert ablated(name, whole[:1] + gain / 100, whole).verdict == NOT_RUN  # one seed has no spread


@pytest.mark.parametrize("name", LOUDER)
def test_gradients_are_compared_as_ratios(name: str) -> None:
    norm, init = LOUDER[name]
    main, total = RNG.lognormal(-5, 1, SEEDS), RNG.lognormal(-3, 1, SEEDS)
    rows = [{"norm": norm, "init": init, "seed": s, "epoch": 0, "grad_main": main[s], "grad_total": total[s],
             "grad_aux": 9.0} for s in range(SEEDS)]
    rows += [{**row, other: "x", "grad_total": 1e9} for row in rows for other in ("norm", "init")]
    grid = Grid().of(name)
    grid.history = lambda: pd.DataFrame(rows)  # type: ignore[method-assign]
    settled, = claims.settle([name], [grid])
    expected = ttest_1samp(np.log(total / main), 0).confidence_interval(0.95)
    assert settled.interval is not None
    assert (settled.interval.low, settled.interval.high) == pytest.approx((math.exp(expected.low),
                                                                           math.exp(expected.high)))
    assert settled.interval.n == SEEDS
