"""What claims measure on a grid of runs: an `Of` gives each run one number, the rest compare runs by it.

Seeds are independent repetitions, and two variants are compared by Welch's interval: that a run and another share a
seed says nothing about their difference (see the page *What a seed is worth*).
"""
from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from replication import stats
from replication.stats import Interval
from replication.studies.study import Grid

Of = Callable[[Grid], pd.DataFrame]  # a row per finished run: the keys of its arms, its seed, `value`
Arms = Mapping[str, str | tuple[str, ...]]  # keys by factor; of several, a seed's mean over them counts


# -- one number a run ---------------------------------------------------------------------------------------------
def final(column: str = "val_error", scale: float = 100.0) -> Of:
    """A number of its summary."""
    def of(grid: Grid) -> pd.DataFrame:
        runs = grid.summary()
        return runs.assign(value=scale * runs[column].astype(float)) if len(runs) else runs
    return of


ERROR = final()  # top-1, in percent, at the end


def early(grid: Grid) -> pd.DataFrame:
    """Its top-1 error in percent, averaged over the epochs of the first third of its training."""
    history = grid.history()
    if history.empty:
        return history
    whole = history.groupby("address").epoch.transform("max")
    first = history[(history.epoch >= 1) & (history.epoch <= (whole / 3).clip(lower=1))]
    means = first.groupby([*grid.study.factors, "seed"])[["val_error"]].mean().reset_index()
    return means.assign(value=100 * means.val_error)


def gap(grid: Grid) -> pd.DataFrame:
    """Its validation error less its training error in the last epoch, in points. Training counts with dropout on and
    images changed, so that the gap may be negative."""
    runs = grid.summary()
    return runs.assign(value=100 * (runs.val_error - runs.train_error)) if len(runs) else runs


def lost(grid: Grid) -> pd.DataFrame:
    """100 where it diverged or ended within five points of chance, else 0."""
    history, runs = grid.history(), grid.summary()
    if runs.empty:
        return runs
    chance = history.groupby("address").chance.first()
    none = runs.val_error.isna() | (runs.val_error > runs.address.map(chance) - 0.05)
    return runs.assign(value=100.0 * none)


# -- runs compared ------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Difference:
    """The mean of the runs `a` less that of the runs `b`."""
    a: Arms
    b: Arms
    of: Of = ERROR

    def samples(self, grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The numbers of both, in no common order."""
        values = self.of(grid)
        return _sample(values, self.a), _sample(values, self.b)

    def __call__(self, grid: Grid) -> Interval | None:
        a, b = self.samples(grid)
        return stats.welch(a, b) if min(len(a), len(b)) > 1 else None


@dataclass(frozen=True)
class Ratio(Difference):
    """The mean of the runs `a` over that of the runs `b`, of positive numbers, both geometric."""

    def __call__(self, grid: Grid) -> Interval | None:
        a, b = (np.log(sample) for sample in self.samples(grid))
        if min(len(a), len(b)) < 2:
            return None
        found = stats.welch(a, b)
        return Interval(math.exp(found.value), math.exp(found.low), math.exp(found.high), found.n,
                        freedom=found.freedom)


@dataclass(frozen=True)
class Mean:
    """The mean of the runs of some arms."""
    arms: Arms
    of: Of = ERROR

    def samples(self, grid: Grid) -> tuple[NDArray[np.float64], ...]:
        return (_sample(self.of(grid), self.arms),)

    def __call__(self, grid: Grid) -> Interval | None:
        sample, = self.samples(grid)
        return stats.mean(sample) if len(sample) > 1 else None


@dataclass(frozen=True)
class Share(Mean):
    """The percentage of runs of some arms whose number is not 0."""
    of: Of = lost

    def __call__(self, grid: Grid) -> Interval | None:
        sample, = self.samples(grid)
        return stats.share(int((sample != 0).sum()), len(sample)) if len(sample) else None


def _sample(values: pd.DataFrame, arms: Arms) -> NDArray[np.float64]:
    """A number a seed: the mean over the arms, of seeds that have them all; sorted by seed."""
    if values.empty:
        return np.empty(0)
    chosen, several = pd.Series(True, index=values.index), 1
    for factor, keys in arms.items():
        keys = (keys,) if isinstance(keys, str) else keys
        chosen &= values[factor].isin(keys)
        several *= len(keys)
    seeds = values[chosen].dropna(subset=["value"]).groupby("seed").value
    return np.asarray(seeds.mean()[seeds.size() == several], dtype=float)


@dataclass(frozen=True)
class Louder:
    """The norm of the gradient at the first convolution before training, all losses over the main loss alone."""
    arms: Arms

    def __call__(self, grid: Grid) -> Interval | None:
        start = grid.history()
        if start.empty:
            return None
        sample = _sample(start.assign(value=np.log(start.grad_total / start.grad_main)), self.arms)
        return stats.geometric(np.exp(sample)) if len(sample) else None


@dataclass(frozen=True)
class Sooner:
    """How many times as many epochs the runs `a` took to their own mean last error as the runs `b` took to the same
    level, in a straight line between two epochs: each of `b` gives one number, those that never get there infinity.
    `column` of the history is the error, or a loss."""
    a: Arms
    b: Arms
    column: str = "val_error"

    def __call__(self, grid: Grid) -> Interval | None:
        history = grid.history()
        if history.empty:
            return None
        last = history[history.epoch == history.groupby("address").epoch.transform("max")]
        slow = _sample(last.assign(value=last[self.column]), self.a)
        epochs = _sample(last.assign(value=last.epoch), self.a)
        if len(slow) < 2:
            return None
        level = float(slow.mean())
        names = [*grid.study.factors, "seed"]
        first = [{**dict(zip(names, keys, strict=True)), "value": _reached(run, level, self.column)}
                 for keys, run in history.groupby(names)]
        took = _sample(pd.DataFrame(first), self.b)
        return stats.geometric(epochs.mean() / took) if len(took) > 1 else None


def _reached(run: pd.DataFrame, level: float, column: str) -> float:
    """The epoch at which a column of a run's history first is as low as that."""
    run = run.sort_values("epoch").dropna(subset=[column])
    epochs, errors = run.epoch.to_numpy(dtype=float), run[column].to_numpy(dtype=float)
    there = np.flatnonzero(errors <= level)
    if not len(there):
        return math.inf
    last = slice(max(0, there[0] - 1), there[0] + 1)
    return float(np.interp(-level, -errors[last], epochs[last]))


# -- which runs ---------------------------------------------------------------------------------------------------
def sides_of(measure: Any) -> list[Arms]:
    """The arms a measure compares; of one that names none, all."""
    return [getattr(measure, name) for name in ("a", "b", "arms") if hasattr(measure, name)] or [{}]


def addresses(measure: Any, grid: Grid) -> list[str]:
    """The finished runs that a measure rests on."""
    runs = grid.summary()
    chosen = pd.Series(False, index=runs.index)
    for arms in sides_of(measure):
        side = pd.Series(True, index=runs.index)
        for factor, keys in arms.items():
            side &= runs[factor].isin((keys,) if isinstance(keys, str) else keys)
        chosen |= side
    return sorted(set(runs.address[chosen]))
