"""What *Several scales at once* shows besides its claims. Runs are looked at by `training.scales`, which a notebook
hands in: no page imports training."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from replication.models import receptive
from replication.models.googlenet import googlenet
from replication.pages import finals, findings, html, pictures
from replication.pages.figures import DOTTED, INK, PALETTE, WIDTH, Drawn, Nothing
from replication.pages.measures import Difference
from replication.pages.predictions import ELSEWHERE, here
from replication.runs.experiments import Experiment
from replication.studies.study import Grid

SECTIONS: findings.Sections = {"answer": ("V1-40a", "V1-40b"), "kernels": ("V1-40a", "V1-40b")}
SIDE = 224  # px of the paper's images
LOOKS = (("by arithmetic", "arithmetic", INK, "D"), ("trained", "trained", PALETTE[0], "o"),
         ("untrained", "untrained", PALETTE[1], "s"))


def looked(grid: Grid, look: Callable[[Experiment, int], Any]) -> Any:
    """The first run with all kernels whose weights are here (`scales.look`), or None."""
    for cell in here(grid, {"kernels": "mixed"}):
        return look(cell.experiment, cell.seed)
    return None


def arithmetic() -> pd.DataFrame:
    """By row of GoogLeNet as published: the side of what a unit sees, over the side of the image, and the step."""
    rows = [{"row": row, "side, px": field.side, "of the image's side": field.side / SIDE, "step, px": field.step}
            for row, field in receptive.fields(googlenet()).items() if row not in ("norm1", "norm2", "conv2_reduce")]
    return pd.DataFrame(rows)


def fields(found: Any) -> Figure | Nothing:
    """The side of what a unit sees by row: by arithmetic, and where 95 % of the gradient lies."""
    if found is None:
        return Nothing(ELSEWHERE)
    table = found.fields
    figure = Drawn(figsize=(WIDTH, 0.24 * len(table) + 1.2), layout="constrained")
    figure.data = table
    axis = figure.subplots()
    for label, column, colour, marker in LOOKS:
        axis.plot(table[column], table.row, marker, color=colour, label=label, markersize=5,
                  fillstyle="none" if column == "arithmetic" else "full")
    axis.set(xscale="log", xlabel="side of what a unit sees, px")
    axis.invert_yaxis()
    axis.grid(axis="x")
    axis.xaxis.set_major_formatter("{x:g}")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def sheet(found: Any, network: str, number: int = 8) -> Figure | Nothing:
    """First-layer filters, those most like waves first, and below each the wave that fits it best."""
    if found is None:
        return Nothing(ELSEWHERE)
    waves = found.waves[found.waves.network == network].nlargest(number, "share")
    shown, words = [], []
    for first in range(0, len(waves), pictures.COLUMNS):
        part = waves.iloc[first:first + pictures.COLUMNS]
        shown += [_seen(found.filters[network][n]) for n in part["filter"]]
        words += [f"{100 * share:.0f} % a wave" for share in part.share]
        shown += [_seen(found.drawn[network][n]) for n in part["filter"]]
        words += [f"{angle:.0f}°, {wave:g} px" for angle, wave in zip(part.angle, part.wave, strict=True)]
    return pictures.sheet(np.stack(shown), words)


def _seen(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """(C, k, k) weights as colours: 0 is grey."""
    return (0.5 + 0.5 * kernel / np.abs(kernel).max()).transpose(1, 2, 0)


def shares(found: Any) -> Figure | Nothing:
    """How much of each first-layer filter a wave explains, a line a network."""
    if found is None:
        return Nothing(ELSEWHERE)
    figure = Drawn(figsize=(WIDTH, 1.7), layout="constrained")
    figure.data = found.waves
    axis = figure.subplots()
    for y, (name, colour, marker) in enumerate((("trained", PALETTE[0], "o"), ("untrained", PALETTE[1], "s"))):
        part = 100 * found.waves[found.waves.network == name].share
        axis.plot(part, [y] * len(part), marker, color=colour, alpha=0.6, markersize=5)
        axis.plot(part.mean(), y, "|", color=INK, markersize=22, markeredgewidth=2)
    axis.set(yticks=(0, 1), yticklabels=("trained", "untrained"), ylim=(1.6, -0.6), xlim=(0, 100),
             xlabel="energy of the filter that one wave explains, %")
    axis.axvline(0, **DOTTED)
    return figure


def numbers(grid: Grid, found: Any) -> dict[str, Any]:
    """The numbers and sentences that the page quotes besides its claims."""
    table = arithmetic().set_index("row")["side, px"]
    over = next(row for row, side in table.items() if side > SIDE)
    return {**finals.protocol(grid), "found": findings.found(SECTIONS, [grid]), "sizes": _sizes(grid),
            "lowest": _lowest(grid),
            "sides": table.to_dict(), "over": over, "seen": _fields(found), "waves": _waves(found)}


def _lowest(grid: Grid) -> str:
    """Which single size errs least, beside all three, in words. It was chosen by the runs that it is judged by."""
    runs = grid.summary()
    means = runs.groupby("kernels").val_error.mean() if len(runs) else pd.Series(dtype=float)
    alone = [key for key in means.index if key != "mixed"]
    best = min(alone, key=lambda key: means[key], default="")
    of = Difference({"kernels": best}, {"kernels": "mixed"})(grid) if alone else None
    if of is None:
        return "Single sizes have not been compared one by one yet."
    label = next(arm.label for key, arm in grid.study.factors["kernels"].items() if key == best)
    return (f"The best single size is {label}, with an error of {html.fixed(100 * means[best], 1)} %, "
            f"{html.fixed(abs(of.value), 1)} points {'less' if of.value < 0 else 'more'} than all three "
            f"({html.fixed(of.value)} [{html.fixed(of.low)}, {html.fixed(of.high)}]); it was picked after the runs.")


def _sizes(grid: Grid) -> str:
    """How much each arm loses on the smallest fifth of the objects against the largest, in words."""
    parts = grid.by_radius()
    if parts.empty:
        return "No run of it is stored here, or its images carry no size."
    means = parts.groupby(["kernels", "fifth"]).error.mean().unstack()
    said = [f"{html.fixed(100 * (means[means.columns[0]][key] - means[means.columns[-1]][key]), 1)} points with "
            f"{arm.label}" for key, arm in grid.study.factors["kernels"].items() if key in means.index]
    return ("The smallest fifth of the objects is harder than the largest by " + ", ".join(said) + ".")


def _fields(found: Any) -> str:
    if found is None:
        return "The weights of these runs are not on this machine."
    last = found.fields.iloc[-1]
    return (f"At {last.row}, where arithmetic gives {last.arithmetic} px, 95 % of the gradient lies within "
            f"{last.trained} px in the trained network and within {last.untrained} px in the untrained one.")


def _waves(found: Any) -> str:
    if found is None:
        return "The weights of these runs are not on this machine."
    means = 100 * found.waves.groupby("network").share.mean()
    return (f"One wave explains {means['trained']:.0f} % of a trained filter's energy on average, and "
            f"{means['untrained']:.0f} % of an untrained one's.")
