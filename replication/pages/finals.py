"""What the runs of a page ended with, and how sure that is: *final* is after the schedule has ended."""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from replication import stats
from replication.models import cost
from replication.pages import html, measures
from replication.runs.experiments import Experiment
from replication.studies.grid import experiments
from replication.studies.study import Grid


def experiment(grid: Grid, **keys: str) -> Experiment:
    """What a study trains in some arms, {"norm": "bn"}, the first where that leaves several: also where a profile
    lists no run of it."""
    return next(made for arms, made in experiments(grid.study, grid.setting) if keys.items() <= arms.items())


def protocol(*grids: Grid) -> dict[str, str]:
    """What the first paragraph of a page says of its runs, in words that are there without runs, too: images to train
    on, images that judge, epochs, seeds a variant, device, and `val_se`, the binomial standard error of so many images
    in points, at the mean error of the runs; without any at 50 %, where it is largest."""
    asked = [experiment(grid) for grid in grids]
    trained = [grid.summary() for grid, one in zip(grids, asked, strict=True) if one.recipe.epochs]
    errors = pd.concat([runs.val_error for runs in trained if len(runs)] or [pd.Series(dtype=float)]).astype(float)
    mean = float(errors.mean()) if errors.notna().any() else 0.5
    judged = [one.data.val_images or 0 for one in asked]
    devices = sorted({device for grid in grids for device in grid.summary().get("device", ())})
    return {"images": _span([one.data.train_images or 0 for one in asked]), "val_images": _span(judged),
            "epochs": _span([made.recipe.epochs for grid in grids for _, made in experiments(grid.study, grid.setting)
                             if made.recipe.epochs]),
            "seeds": _of_seeds([pair for grid in grids for pair in _seeds(grid)]),
            "val_se": f"{100 * math.sqrt(mean * (1 - mean) / max(1, min(judged))):.2f}",
            "device": " and ".join(devices) or "no machine yet"}


def table(grid: Grid) -> Styler | html.Html:
    """A line a variant: mean error at the end with its 95 % interval, error of training, how far apart the two are,
    seeds, and how many of them diverged or stayed at chance."""
    runs = measures.lost(grid)
    if runs.empty:
        return html.Html("<p>No run of it is stored here.</p>")
    factors = list(grid.study.factors)
    rows = []
    for keys, part in runs.groupby(factors, sort=False):
        errors = 100 * part.val_error.astype(float).dropna()
        mean = stats.mean(errors) if len(errors) else stats.exact(math.nan)
        rows.append({**dict(zip(factors, keys, strict=True)), "final top-1 error, %": mean.value,
                     "± (95 %)": mean.high - mean.value if math.isfinite(mean.high) else math.nan,
                     "training error, %": 100 * part.train_error.astype(float).mean(),
                     "gap, points": 100 * (part.val_error - part.train_error).astype(float).mean(),
                     "seeds": len(part), "lost": int((part.value > 0).sum())})
    return html.neat(grid.labelled(pd.DataFrame(rows)), 1)


def costs(grid: Grid) -> pd.DataFrame:
    """A line an arm of a study of one factor: parameters and multiply-adds an image in use, without auxiliary heads,
    and by how many per cent the multiply-adds lie off those of the first arm."""
    factor, = grid.study.factors
    networks = {arms[factor]: made.network for arms, made in experiments(grid.study, grid.setting)}
    table = pd.DataFrame([{factor: key, "parameters": cost.parameters(network, aux=False),
                           "multiply-adds": cost.multiply_adds(network)} for key, network in networks.items()])
    return table.assign(**{"off, %": 100 * (table["multiply-adds"] / table["multiply-adds"].iloc[0] - 1)})


def on(grids: Sequence[Grid]) -> dict[str, str]:
    """The examples of studies in words, by the last part of a study's name: {"ladder": "shapes of 40 px, 4,000 to train
    on and 4,000 to judge"}."""
    found = {grid.study.name.split(".")[-1]: experiment(grid).data for grid in grids}
    return {name: f"{data.name} of {data.resolution} px, {data.train_images or 0:,} to train on and "
                  f"{data.val_images or 0:,} to judge" for name, data in found.items()}


def _seeds(grid: Grid) -> list[tuple[int, int]]:
    """Of each variant the seeds that there are, and those asked for, which a budget may have left out."""
    there = set(grid.summary().address)
    return [(sum(cell.address in there for cell in cells), len(cells))
            for _, cells in replace(grid, cells=grid.cells + grid.left).variants()]


def _of_seeds(found: list[tuple[int, int]]) -> str:
    """"4 seeds"; "2 to 3 of 4 seeds" where some are left to train."""
    seeds, wanted = ([pair[n] for pair in found] for n in (0, 1))
    if not any(seeds):
        return "no seed yet"
    of = f" of {_span(wanted)}" if seeds != wanted else ""
    return f"{_span(seeds)}{of} {'seed' if set(wanted if of else seeds) == {1} else 'seeds'}"


def _span(numbers: Sequence[Any]) -> str:
    low, high = (f"{end:,}" for end in (int(np.min(numbers)), int(np.max(numbers))))
    return low if low == high else f"{low} to {high}"
