"""Intervals that say how sure a few seeds make us. No torch."""
from __future__ import annotations

import bisect
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """A measured value with its 95 % interval, over `n` seeds, or whatever else was drawn (`of`: "images"). Exact
    arithmetic has low = high = value and n = 0."""
    value: float
    low: float
    high: float
    n: int = 0
    of: str = "seeds"


def exact(value: float) -> Interval:
    return Interval(value, value, value)


def mean(values: ArrayLike, level: float = 0.95) -> Interval:
    """Mean with Student's interval; one value alone has no interval but the whole line."""
    x = np.asarray(values, dtype=float)
    centre = float(x.mean())
    if len(x) < 2:
        return Interval(centre, -math.inf, math.inf, len(x))
    half = _quantile(len(x), level) * float(x.std(ddof=1)) / math.sqrt(len(x))
    return Interval(centre, centre - half, centre + half, len(x))


def welch(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Interval:
    """Mean of a less mean of b, two independent samples of two values or more each, with Welch's interval. Samples that
    do not scatter at all say nothing of how they would: the whole line."""
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    value, n = float(x.mean() - y.mean()), min(len(x), len(y))
    of_x, of_y = float(x.var(ddof=1)) / len(x), float(y.var(ddof=1)) / len(y)
    if of_x + of_y < 1e-24 * max(1.0, value ** 2):
        return Interval(value, -math.inf, math.inf, n)
    freedom = (of_x + of_y) ** 2 / (of_x ** 2 / (len(x) - 1) + of_y ** 2 / (len(y) - 1))
    half = float(stats.t.ppf(0.5 + level / 2, freedom)) * math.sqrt(of_x + of_y)
    return Interval(value, value - half, value + half, n)


def geometric(values: ArrayLike, level: float = 0.95) -> Interval:
    """Geometric mean of positive values, its interval computed on the logarithms."""
    of_log = mean(np.log(np.asarray(values, dtype=float)), level)
    return Interval(math.exp(of_log.value), math.exp(of_log.low), math.exp(of_log.high), of_log.n)


def share(hits: int, of: int, level: float = 0.95) -> Interval:
    """A percentage of independent tries with the interval of Clopper and Pearson, which is exact."""
    low, high = clopper_pearson(hits, of, level)
    return Interval(100 * hits / of, float(low), float(high), of)


def clopper_pearson(hits: ArrayLike, of: int, level: float = 0.95) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ends of their interval of a percentage, for each number of hits."""
    k, tail = np.asarray(hits, dtype=float), (1 - level) / 2
    low = np.where(k > 0, stats.beta.ppf(tail, np.maximum(k, 1), of - k + 1), 0.0)
    high = np.where(k < of, stats.beta.ppf(1 - tail, k + 1, np.maximum(of - k, 1)), 1.0)
    return 100 * low, 100 * high


def seeds_needed(interval: Interval, margin: float, level: float = 0.95) -> int | None:
    """How many seeds would bring the half-width down to `margin`, if the spread stays as seen.

    None where fewer than two were seen or no number below 10,000 would.
    """
    if interval.n < 2 or not margin > 0:
        return None
    sd = (interval.high - interval.low) / 2 * math.sqrt(interval.n) / _quantile(interval.n, level)
    n = bisect.bisect_left(range(10_000), True, lo=2, key=lambda n: bool(_quantile(n, level) * sd / n ** 0.5 <= margin))
    return n if n < 10_000 else None


def _quantile(n: int, level: float) -> float:
    return float(stats.t.ppf(0.5 + level / 2, n - 1))
