"""Sheets of pictures with words below each, and the matrix of what is taken for what."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from replication.pages.figures import INK, PALETTE, WIDTH, Drawn, Nothing

COLUMNS = 4     # of a sheet: words of LETTERS letters fit below a picture
LETTERS = 16
ABREAST = 45    # letters that fit side by side below a matrix
MARKS = {True: PALETTE[2], False: PALETTE[1]}  # frames around what is right and what is wrong


def sheet(pictures: NDArray[np.floating], words: Sequence[str], right: Sequence[bool] = ()) -> Figure | Nothing:
    """Pictures (n, H, W, 3) from 0 to 1, or of sound (n, bands, frames) with the lowest below, `words` under each
    and, where it is told which are right, a frame in the colour of that."""
    if not len(pictures):
        return Nothing("there is no picture of this kind")
    rows = math.ceil(len(pictures) / COLUMNS)
    lines = 1 + max(word.count("\n") for word in words)
    figure = Figure(figsize=(WIDTH, rows * (WIDTH / COLUMNS + 0.19 * lines)), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    sound: dict[str, Any] = {"origin": "lower", "aspect": "auto", "cmap": "viridis"} if pictures.ndim == 3 else {}
    for axis in axes:
        axis.axis("off")
    for n, (axis, picture, word) in enumerate(zip(axes, pictures, words, strict=False)):
        axis.axis("on")
        axis.imshow(picture, interpolation="none", **sound)  # the browser draws its pixels as squares
        axis.set(xticks=[], yticks=[])
        axis.set_box_aspect(1)
        axis.set_xlabel(safe(word), labelpad=3)
        for spine in axis.spines.values():
            spine.set(visible=len(right) > 0, color=MARKS[bool(right[n])] if len(right) else INK, linewidth=2.5)
    return figure


def confusion(shares: pd.DataFrame) -> Figure | Nothing:
    """A row a class, a column what its images are taken for, in per cent of them; 0 is left empty."""
    if shares.empty:
        return Nothing("the run diverged, and what it says are no numbers")
    n = len(shares)
    figure = Drawn(figsize=(WIDTH, max(2.6, min(WIDTH, 1.2 + 0.36 * n))), layout="constrained")
    figure.data = shares.rename_axis("class").reset_index()
    axis = figure.subplots()
    cells = np.concatenate([np.broadcast_to(to_rgb(PALETTE[0]), (n, n, 3)), shares.to_numpy()[..., None] / 100], 2)
    axis.imshow(cells, interpolation="none", aspect="auto")  # over the page's own ground, light or dark
    for (row, column), share in np.ndenumerate(shares.to_numpy()):
        if round(share):
            axis.annotate(f"{share:.0f}", (column, row), ha="center", va="center",
                          color="white" if share > 80 else INK, fontsize="small" if n <= 12 else "x-small")
    names = [safe(short(name)) for name in shares.index]
    axis.set(xticks=range(n), yticks=range(n), xlabel="taken for", ylabel="true class")
    axis.set_xticklabels(names, rotation=90 if n * max(map(len, names)) > ABREAST else 0)
    axis.set_yticklabels(names)
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)
    return figure


def short(name: str) -> str:
    return name if len(name) <= LETTERS else name[:LETTERS - 1] + "…"


def safe(text: str) -> str:
    """A dollar is a dollar and begins no formula."""
    return text.replace("$", r"\$")
