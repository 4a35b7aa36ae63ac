"""Binds a study's experiments and seeds to the store: gives back finished runs as frames, trains the missing."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from replication.runs import experiments, store
from replication.studies import grid, profiles
from replication.studies.grid import Setting


@dataclass(frozen=True)
class Cell:
    """One run asked for: what the study varies, the seed, the experiment, its address."""
    labels: dict[str, str]
    seed: int
    experiment: experiments.Experiment

    @property
    def address(self) -> str:
        return experiments.address(self.experiment, self.seed)


@dataclass(frozen=True)
class Grid:
    """A study under one setting."""
    study: grid.Study
    setting: Setting
    cells: tuple[Cell, ...]

    @property
    def missing(self) -> list[Cell]:
        return [cell for cell in self.cells if not store.exists(cell.address)]

    def train(self) -> Grid:
        """Trains what is not stored, side by side (`workers`); the rest comes back at once."""
        train([self])
        return self

    def history(self) -> pd.DataFrame:
        """A row per finished run and epoch: labels, seed, address, chance's error, and the columns of history.csv."""
        rows = [{**cell.labels, "seed": cell.seed, "address": cell.address,
                 "chance": 1 - 1 / (cell.experiment.data.classes or 1), **row}
                for cell, run in self._finished() for row in run.history]
        return pd.DataFrame(rows, columns=None if rows else [*self.study.vary, "seed", "address", "epoch"])

    def summary(self) -> pd.DataFrame:
        """A row per finished run: labels, seed, address, the last state of the run, and where and how fast it ran."""
        rows = [{**cell.labels, "seed": cell.seed, "address": cell.address, **run.summary,
                 **{k: run.provenance.get(k) for k in ("commit", "device", "seconds", "images_per_s")}}
                for cell, run in self._finished()]
        return pd.DataFrame(rows, columns=None if rows else [*self.study.vary, "seed", "address", "val_error"])

    def errors(self) -> pd.DataFrame:
        """Top-1 error in percent by variant: mean over seeds, lowest, highest, seeds, and runs that diverged."""
        runs = self.summary()
        if runs.empty:
            return runs
        grouped = runs.assign(error=100 * runs.val_error).groupby([*self.study.vary], sort=False)
        table = grouped.error.agg(["mean", "min", "max", "count"])
        table["diverged"] = grouped.status.agg(lambda status: int((status == "diverged").sum()))
        names = {"mean": "top-1 error, %", "min": "lowest", "max": "highest", "count": "seeds"}
        return table.rename(columns=names).reset_index()

    def by_radius(self) -> pd.DataFrame:
        """A row per finished run and fifth of the validation images by size: radius as a share of the side, error."""
        return pd.DataFrame([
            {**cell.labels, "seed": cell.seed, "fifth": i, "radius": (part["low"] * part["high"]) ** 0.5, **part}
            for cell, run in self._finished() for i, part in enumerate(run.summary.get("error_by_radius", []))])

    def _finished(self) -> list[tuple[Cell, store.Run]]:
        pairs = ((cell, store.find(cell.address)) for cell in self.cells)
        return [(cell, run) for cell, run in pairs if run is not None]


def study(name: str, **parameters: Any) -> Grid:
    """`study("v1.aux", dataset="shapes", seeds=3)`: the grid of a study under the parameters of `Setting`.

    Trains nothing by itself. Raises BadInput for an unknown study or parameter, or a value that cannot be.
    """
    return under(name, grid.setting(**parameters))


def stored(name: str, profile: str) -> Grid:
    """A study as a profile asks for it, to be read only: what of it is stored here may be nothing."""
    return under(name, profiles.profile(profile).setting(name))


def under(name: str, setting: Setting) -> Grid:
    cells = grid.cells(name, setting)
    return Grid(grid.STUDIES[name], setting, tuple(
        Cell(labels, seed, experiment) for seed in range(setting.seeds) for labels, experiment in cells))


def of_profile(profile: profiles.Profile) -> list[Grid]:
    """Every study a profile trains, in the order it lists them."""
    return [under(name, profile.setting(name)) for name in profile.studies]


def jobs(grids: list[Grid]) -> list[tuple[str, experiments.Experiment, int]]:
    """The missing runs of several studies, in the order they were declared: study by study, then seed by seed, so that
    sets which can be paired are complete early. A run that several studies share comes once, where it is first."""
    found: dict[str, tuple[str, experiments.Experiment, int]] = {}
    for each in grids:
        for cell in each.missing:
            found.setdefault(cell.address, (title(each, cell), cell.experiment, cell.seed))
    return list(found.values())


def train(grids: list[Grid]) -> None:
    """Trains the missing runs of several studies in one go."""
    if missing := jobs(grids):
        from replication.studies import workers  # torch: only once something must be trained
        workers.train(missing)


def title(grid: Grid, cell: Cell) -> str:
    """`v1.aux norm=LRN aux=4a seed 0`"""
    return " ".join([grid.study.name, *(f"{k}={v}" for k, v in cell.labels.items()), f"seed {cell.seed}"])
