"""Intervals against scipy's own tests."""
from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats as reference

from replication import stats

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("n", [2, 3, 5, 30])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_mean_is_the_one_sample_t_interval(n: int, level: float) -> None:
    x = RNG.normal(3, 2, n)
    got, expected = stats.mean(x, level), reference.ttest_1samp(x, 0).confidence_interval(level)
    assert (got.low, got.high) == pytest.approx((expected.low, expected.high), rel=1e-10)
    assert got.value == pytest.approx(sum(x) / n)
    assert got.n == n


def test_samples_without_scatter_say_nothing_of_it() -> None:
    assert stats.welch([3.0, 3.0], [1.0, 1.0, 1.0]) == stats.Interval(2.0, -math.inf, math.inf, 2)
    assert math.isfinite(stats.welch([3.0, 3.0], [1.0, 1.1]).high)


def test_geometric_is_the_t_interval_of_the_logarithms() -> None:
    x = RNG.lognormal(1, 0.5, 6)
    got = stats.geometric(x)
    expected = reference.ttest_1samp(np.log(x), 0).confidence_interval(0.95)
    assert got.value == pytest.approx(reference.gmean(x))
    assert (got.low, got.high) == pytest.approx((math.exp(expected.low), math.exp(expected.high)))
    assert got.n == 6
    scaled = stats.geometric(10 * x)  # a ratio's interval moves with its unit
    assert (scaled.value, scaled.low, scaled.high) == pytest.approx((10 * got.value, 10 * got.low, 10 * got.high))


def test_one_value_has_no_interval() -> None:
    assert stats.mean([0.25]) == stats.Interval(0.25, -math.inf, math.inf, 1)
    one = stats.geometric([4.0])
    assert (one.value, one.low, one.high, one.n) == (pytest.approx(4.0), 0.0, math.inf, 1)


def test_exact_arithmetic_has_a_point() -> None:
    assert stats.exact(1.5) == stats.Interval(1.5, 1.5, 1.5, 0)


def test_equal_values_have_a_point_too() -> None:
    assert stats.mean([0.5] * 4) == stats.Interval(0.5, 0.5, 0.5, 4)


def of_scatter(sd: float, n: int) -> NDArray[np.float64]:
    x = RNG.normal(0, 1, n)
    return (x - x.mean()) / x.std(ddof=1) * sd


@pytest.mark.parametrize(("effect", "one", "two"), [(0.2, 199, 394), (0.5, 34, 64), (0.8, 15, 26)])
@pytest.mark.parametrize("n", [2, 3, 10])
def test_seeds_needed_are_those_of_the_t_tests(effect: float, one: int, two: int, n: int) -> None:
    """Two-sided, α = 0.05, power 0.8: of one sample as G*Power has them, of two as Cohen 1988, table 2.4.1 (394 where
    he rounds to 393)."""
    sample, other = of_scatter(2.5, n) + 2.5 * effect, of_scatter(2.5, n)
    assert stats.seeds_needed(stats.mean(sample), (0, math.inf)) == one
    assert stats.seeds_needed(stats.welch(sample, other), (0, math.inf)) == two


@pytest.mark.parametrize(("interval", "edge"), [
    (stats.Interval(1, -math.inf, math.inf, 1), 0.5), (stats.exact(3), 0.5), (stats.Interval(1, 0, 2, 5), 1),
    (stats.Interval(math.nan, math.nan, math.nan, 5), 0.5), (stats.Interval(1, 0, 2, 5), math.nan),
    (stats.Interval(1, -1e6, 1e6, 3), 1.001), (stats.Interval(1, -math.inf, math.inf, 3), 0.5),
])
def test_seeds_needed_is_none_where_no_number_can_be_said(interval: stats.Interval, edge: float) -> None:
    """One seed, exact values, an estimate on the edge, no number at all, and more seeds than anyone will run."""
    assert stats.seeds_needed(interval, (edge, math.inf)) is None


def test_fewer_than_two_never_do() -> None:
    assert stats.seeds_needed(stats.Interval(0, -1e-9, 1e-9, 5), (-0.5, 0.5)) == 2


def test_an_interval_between_two_edges_takes_more_than_beside_one() -> None:
    seen = stats.mean(of_scatter(1.0, 5))
    assert stats.seeds_needed(seen, (-0.4, math.inf)) < stats.seeds_needed(seen, (-0.4, 0.4))  # type: ignore[operator]
