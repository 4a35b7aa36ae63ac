"""Intervals that say how sure a few seeds make us. No torch."""
from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

POWER = 0.8    # the probability with which a number of seeds shall decide
MOST = 10_000  # seeds beyond which none is told
QUANTILES = (np.arange(400) + 0.5) / 400


@dataclass(frozen=True)
class Interval:
    """A measured value with its 95 % interval, over `n` seeds, or whatever else was drawn (`of`: "images"). Exact
    arithmetic has low = high = value and n = 0. `freedom`: the degrees of freedom of its t distribution, by default
    n - 1."""
    value: float
    low: float
    high: float
    n: int = 0
    of: str = "seeds"
    freedom: float | None = field(default=None, compare=False)


def exact(value: float) -> Interval:
    return Interval(value, value, value)


def mean(values: ArrayLike, level: float = 0.95) -> Interval:
    """Mean with Student's interval; one value alone has no interval but the whole line."""
    x = np.asarray(values, dtype=float)
    centre = float(x.mean())
    if len(x) < 2:
        return Interval(centre, -math.inf, math.inf, len(x))
    half = _quantile(len(x) - 1, level) * float(x.std(ddof=1)) / math.sqrt(len(x))
    return Interval(centre, centre - half, centre + half, len(x))


def welch(a: ArrayLike, b: ArrayLike) -> Interval:
    """Mean of a less mean of b, two independent samples of two values or more each, with Welch's interval. Samples that
    do not scatter at all say nothing of how they would: the whole line."""
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    value, n = float(x.mean() - y.mean()), min(len(x), len(y))
    of_x, of_y = float(x.var(ddof=1)) / len(x), float(y.var(ddof=1)) / len(y)
    if of_x + of_y < 1e-24 * max(1.0, value ** 2):
        return Interval(value, -math.inf, math.inf, n)
    freedom = (of_x + of_y) ** 2 / (of_x ** 2 / (len(x) - 1) + of_y ** 2 / (len(y) - 1))
    half = _quantile(freedom, 0.95) * math.sqrt(of_x + of_y)
    return Interval(value, value - half, value + half, n, freedom=freedom)


def geometric(values: ArrayLike) -> Interval:
    """Geometric mean of positive values, its interval computed on the logarithms."""
    of_log = mean(np.log(np.asarray(values, dtype=float)))
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


def seeds_needed(interval: Interval, region: tuple[float, float]) -> int | None:
    """How many seeds give, with a probability of POWER, an interval of a mean that lies clear of every edge of the
    region, if mean and spread stay as seen.

    None where fewer than two were seen or no number up to MOST would.
    """
    if interval.n < 2 or interval.value in region or not math.isfinite(interval.high - interval.low):
        return None
    a_seed = (interval.freedom or interval.n - 1) / (interval.n - 1)  # degrees of freedom that one more seed brings
    sd = spread(interval)
    return first(lambda n: decides(interval.value, sd / math.sqrt(n), a_seed * (n - 1), region) >= POWER)


def spread(interval: Interval, level: float = 0.95) -> float:
    """The standard deviation between seeds that makes such an interval of the mean of `n`, two or more."""
    return (interval.high - interval.low) / 2 * math.sqrt(interval.n) / _quantile(
        interval.freedom or interval.n - 1, level)


def decides(value: float, error: float, freedom: float, region: tuple[float, float], level: float = 0.95) -> float:
    """The probability that the interval of a mean, `value` with this standard error, lies clear of the region's edges:
    integrated over what the sample's own scatter may turn out to be."""
    low, high = region
    if error == 0:
        return float(value not in region)
    half = _quantile(freedom, level) * error * np.sqrt(stats.chi2.ppf(QUANTILES, freedom) / freedom)
    inside = stats.norm.cdf((high - half - value) / error) - stats.norm.cdf((low + half - value) / error)
    outside = stats.norm.cdf((low - half - value) / error) + stats.norm.cdf((value - high - half) / error)
    return float(np.mean(np.maximum(inside, 0) + outside))


def first(enough: Callable[[int], bool]) -> int | None:
    """The least number of seeds, from 2 to MOST, that are enough, where more always are too; None without one."""
    n = bisect.bisect_left(range(MOST + 1), True, lo=2, key=enough)
    return n if n <= MOST else None


def runs_needed(percent: float, region: tuple[float, float]) -> int | None:
    """How many runs, each of which counts with this probability, give with a probability of POWER a share whose
    interval lies clear of every edge of the region; None where no number up to MOST would."""
    tried = (*range(1, 200), *range(200, MOST + 1, 500))  # one by one: it does not rise steadily
    return next((n for n in tried if decides_share(percent, region, n) >= POWER), None)


def decides_share(percent: float, region: tuple[float, float], n: int) -> float:
    """The probability that the share of `n` runs has an interval clear of the region's edges."""
    hits = np.arange(n + 1)
    low, high = clopper_pearson(hits, n)
    clear = ((region[0] <= low) & (high <= region[1])) | (high < region[0]) | (low > region[1])
    return float(stats.binom.pmf(hits, n, percent / 100)[clear].sum())


def _quantile(freedom: float, level: float) -> float:
    return float(stats.t.ppf(0.5 + level / 2, freedom))
