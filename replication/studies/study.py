"""Binds a study's experiments and seeds to the store: gives back finished runs as frames, trains the missing."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from replication.errors import BadInput, unknown, word
from replication.runs import experiments, store
from replication.studies import grid, profiles
from replication.studies.setting import Setting, setting

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Cell:
    """One run asked for: the keys of its arms by factor, the seed, the experiment, its address."""
    keys: dict[str, str]
    seed: int
    experiment: experiments.Experiment

    @cached_property
    def address(self) -> str:
        return experiments.address(self.experiment, self.seed)


@dataclass(frozen=True)
class Grid:
    """A study under one setting. `left` are runs that a budget did not reach, no part of `cells`. `judged`: validation
    errors by address that stand for the runs' own, judged on other images say; runs without one are left out."""
    study: grid.Study
    setting: Setting
    cells: tuple[Cell, ...]
    left: tuple[Cell, ...] = ()
    judged: Mapping[str, float] | None = None

    @property
    def name(self) -> str:
        """The study's; of a single network, the network's."""
        return self.study.name if self.study.factors else self.setting.network or self.study.network

    @property
    def missing(self) -> list[Cell]:
        return [cell for cell in self.cells if not store.exists(cell.address)]

    def variants(self) -> list[tuple[str, list[Cell]]]:
        """The runs of each combination of arms: ("norm lrn, aux none", a cell a seed)."""
        found: dict[str, list[Cell]] = {}
        for cell in self.cells:
            found.setdefault(", ".join(f"{factor} {key}" for factor, key in cell.keys.items()), []).append(cell)
        return list(found.items())

    def train(self) -> Grid:
        """Trains what is not stored, side by side (`workers`); the rest comes back at once."""
        train([self])
        return self

    def history(self) -> pd.DataFrame:
        """A row per finished run and epoch: keys, seed, address, chance's error, and the columns of history.csv."""
        rows = [{**cell.keys, "seed": cell.seed, "address": cell.address,
                 "chance": 1 - 1 / (cell.experiment.data.classes or 1), **row}
                for cell, run in self._finished() for row in run.history]
        return _frame(rows, [*self.study.factors, "seed", "address", "epoch"])

    def summary(self) -> pd.DataFrame:
        """A row per finished run: keys, seed, address, the last state of the run, and where and how fast it ran."""
        rows = [{**cell.keys, "seed": cell.seed, "address": cell.address, **run.summary,
                 **{k: run.provenance.get(k) for k in ("commit", "device", "seconds", "images_per_s")}}
                for cell, run in self._finished()]
        return _frame(rows, [*self.study.factors, "seed", "address", "val_error"])

    def errors(self) -> pd.DataFrame:
        """Top-1 error in percent by variant, under its labels: mean over seeds, lowest, highest, seeds, and runs that
        diverged."""
        runs = self.labelled(self.summary())
        if runs.empty:
            return runs
        grouped = runs.assign(error=100 * runs.val_error).groupby([*self.study.factors] or "network", sort=False)
        table = grouped.error.agg(["mean", "min", "max", "count"])
        table["diverged"] = grouped.status.agg(lambda status: int((status == "diverged").sum()))
        names = {"mean": "top-1 error, %", "min": "lowest, %", "max": "highest, %", "count": "seeds"}
        return table.rename(columns=names).reset_index()

    def by_radius(self) -> pd.DataFrame:
        """A row per finished run and fifth of the validation images by size: radius as a share of the side, error."""
        return _frame([
            {**cell.keys, "seed": cell.seed, "fifth": i, "radius": (part["low"] * part["high"]) ** 0.5, **part}
            for cell, run in self._finished() for i, part in enumerate(run.summary.get("error_by_radius", []))], [])

    def labelled(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame with labels, for people, in place of keys; of a study without factors, with its `network`."""
        if not self.study.factors:
            return frame.assign(network=self.name)
        return frame.assign(**{name: frame[name].map({key: arm.label for key, arm in factor.items()})
                               for name, factor in self.study.factors.items() if name in frame})

    def _finished(self) -> list[tuple[Cell, store.Run]]:
        pairs = ((cell, store.find(cell.address)) for cell in self.cells)
        found = [(cell, run) for cell, run in pairs if run is not None]
        return found if self.judged is None else [
            (cell, replace(run, summary={**run.summary, "val_error": self.judged[cell.address]}))
            for cell, run in found if cell.address in self.judged]


def study(name: str, **parameters: Any) -> Grid:
    """`study("v1.aux", dataset="shapes", seeds=3)`: the grid of a study under the parameters of `setting`.

    Trains nothing by itself. Raises BadInput for an unknown study, parameter or field, or a value that cannot be.
    """
    return under(grid.named(name), setting(**parameters))


def single(network: str, **parameters: Any) -> Grid:
    """One network of the registry, a run a seed: a study without factors. Arguments and errors as for `study`."""
    return under(replace(grid.named("single"), network=network), setting(**parameters))


def asked(name: str, profile: str, **parameters: Any) -> Grid:
    """A study as a profile asks for it, but for parameters that are not None; one that it does not list has no runs.
    With REPLICATION_TRAIN=none, when a budget is spent, it has the runs that are stored and no other.

    Trains nothing by itself. Raises BadInput as `study` does, and for an unknown profile.
    """
    whole = _as_profiled(name, profile, parameters)
    if word("REPLICATION_TRAIN", "none"):
        stored = {cell.address for cell in whole.cells if store.find(cell.address)}
        return replace(whole, cells=tuple(cell for cell in whole.cells if cell.address in stored),
                       left=tuple(cell for cell in whole.cells if cell.address not in stored))
    return whole


def stored(name: str, profile: str) -> Grid:
    """A study as a profile asks for it, to be read only: what of it is stored here may be nothing."""
    return _as_profiled(name, profile, {})


def _as_profiled(name: str, profile: str, parameters: dict[str, Any]) -> Grid:
    of = profiles.profile(profile)
    given = {key: value for key, value in parameters.items() if value is not None}
    found, asked_for = grid.named(name), setting(**{**of.given(name), **given})
    if name not in of.studies:  # whose networks need not fit its images
        return Grid(found, asked_for, ())
    return some(under(found, asked_for), of)


def under(study: grid.Study, setting: Setting) -> Grid:
    made = grid.experiments(study, setting)
    return Grid(study, setting, tuple(
        Cell(keys, seed, experiment) for seed in range(setting.first_seed, setting.first_seed + setting.seeds)
        for keys, experiment in made))


def only(grids: list[Grid], chosen: dict[str, tuple[str, ...]]) -> list[Grid]:
    """The grids with these arms alone, {"norm": ("bn",)}; a study without such a factor stays whole.

    Raises BadInput for a factor that no study has, and for an arm that it has not.
    """
    for factor, keys in chosen.items():
        known = {key for each in grids for key in each.study.factors.get(factor, ())}
        if not known:
            raise unknown("factor", factor, sorted({name for each in grids for name in each.study.factors}))
        for key in keys:
            if key not in known:
                raise unknown(f"arm of {factor}", key, sorted(known))
    return [replace(each, cells=tuple(cell for cell in each.cells if all(
        cell.keys[factor] in keys for factor, keys in chosen.items() if factor in cell.keys))) for each in grids]


def at(grids: list[Grid], addresses: list[str]) -> list[Grid]:
    """The grids with the runs of these addresses alone. Raises BadInput for an address that none has."""
    known = {cell.address for each in grids for cell in each.cells}
    for address in addresses:
        if address not in known:
            raise BadInput(f"None of the {len(known)} runs asked for has the address {address}: `list --missing` "
                           f"prints the addresses of a profile that are not trained yet.")
    return [replace(each, cells=tuple(cell for cell in each.cells if cell.address in addresses)) for each in grids]


def some(whole: Grid, profile: profiles.Profile) -> Grid:
    """The arms of a study that a profile trains. Raises BadInput as `only` does."""
    choices, setting = profile.only.get(whole.study.name, ({},)), whole.setting
    chosen: set[int] = set()
    for choice in choices:
        seeds = _seeds(choice["seeds"]) if "seeds" in choice else setting.seeds
        arms = only([whole], {factor: keys for factor, keys in choice.items() if factor != "seeds"})[0]
        chosen |= {id(cell) for cell in arms.cells if cell.seed < setting.first_seed + seeds}
    return replace(whole, cells=tuple(cell for cell in whole.cells if id(cell) in chosen))


def _seeds(given: tuple[str, ...]) -> int:
    if len(given) != 1 or not given[0].isdecimal() or int(given[0]) < 1:
        raise BadInput(f"only: seeds={', '.join(given)} must be a whole number of at least 1.")
    return int(given[0])


def of_profile(profile: profiles.Profile) -> list[Grid]:
    """Every study a profile trains, in the order it lists them."""
    return [some(under(grid.named(name), profile.setting(name)), profile) for name in profile.studies]


def missing(grids: list[Grid], by_seed: bool = False) -> dict[str, tuple[str, experiments.Experiment, int]]:
    """The missing runs of several studies by address, in the order they were declared: study by study, then seed by
    seed, so that a first look at all variants comes before a second. `by_seed`: what is not trained at all, which is
    nearly free, then the first two seeds of each study, since one has no interval, then the third of all, and so
    on. A run that several studies share comes once."""
    cells = [(each, cell) for each in grids for cell in each.missing]
    if by_seed:
        cells.sort(key=lambda found: bool(found[1].experiment.recipe.epochs) * max(
            2, 1 + found[1].seed - found[0].setting.first_seed))
    found: dict[str, tuple[str, experiments.Experiment, int]] = {}
    for each, cell in cells:
        found.setdefault(cell.address, (title(each, cell), cell.experiment, cell.seed))
    return found


def train(grids: list[Grid]) -> None:
    """Trains the missing runs of several studies in one go."""
    if jobs := list(missing(grids).values()):
        from replication.studies import workers  # torch: only once something must be trained
        workers.train(jobs)


def title(grid: Grid, cell: Cell) -> str:
    """`v1.aux norm=lrn aux=4a seed 0`"""
    return " ".join([grid.name, *(f"{k}={v}" for k, v in cell.keys.items()), f"seed {cell.seed}"])


def _frame(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    """`columns` are those of a frame without rows."""
    import pandas as pd  # `list` must be instant
    return pd.DataFrame(rows, columns=None if rows else columns)
