"""*What its neurons see*: units of a trained network, its class maps and its heads. Runs are looked at by
`training.neurons`, which a notebook hands in: no page imports training."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from pandas.io.formats.style import Styler

from replication.pages import afterwards, finals, html, pictures
from replication.pages.figures import PALETTE, WIDTH, Drawn, Nothing
from replication.pages.predictions import ELSEWHERE, here
from replication.runs.experiments import Experiment
from replication.studies import afterwards as measured
from replication.studies.study import Grid

ARM = {"norm": "bn", "aux": "4a+4d"}
LOOKS = (("trained", PALETTE[0], "o"), ("untrained", PALETTE[1], "s"))
NOT_HERE = "The weights of these runs are not on this machine."
HEAT = np.array([1.0, 0.6, 0.16])    # of what speaks for a class


def looked(grid: Grid, look: Callable[[Experiment, int], Any]) -> Any:
    """The first run with both heads whose weights are here (`neurons.look`), or None."""
    for cell in here(grid, ARM):
        return look(cell.experiment, cell.seed)
    return None


# -- units --------------------------------------------------------------------------------------------------------
def told(found: Any) -> Figure | Nothing:
    """How much the class says of a unit, by row: the middle half of the units and their median, a line a network."""
    if found is None:
        return Nothing(ELSEWHERE)
    rows = list(dict.fromkeys(found.told.row))
    figure = Drawn(figsize=(WIDTH, 3.0), layout="constrained")
    figure.data = (100 * found.told.groupby(["network", "row"], sort=False).told.quantile([0.25, 0.5, 0.75]).unstack()
                   ).rename(columns="{:g} quantile, %".format).reset_index()
    axis = figure.subplots()
    for n, (name, colour, marker) in enumerate(LOOKS):
        shares = 100 * found.told[found.told.network == name].groupby("row").told.quantile(
            [0.25, 0.5, 0.75]).unstack().loc[rows]
        x = np.arange(len(rows)) + 0.12 * (2 * n - 1)
        axis.errorbar(x, shares[0.5], yerr=[shares[0.5] - shares[0.25], shares[0.75] - shares[0.5]], color=colour,
                      marker=marker, markersize=5, linewidth=1, capsize=2, label=name)
    axis.set(ylabel="explained by the class, %", xlabel="output of", xticks=range(len(rows)), xticklabels=rows,
             ylim=(0, None))
    axis.grid(axis="y")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def patches(found: Any, row: str) -> Figure | Nothing:
    """What two units of a row answer to most, a line each."""
    if found is None or row not in found.patches:
        return Nothing(ELSEWHERE)
    of = found.patches[row]
    return pictures.sheet(of.pictures, of.names)


# -- where --------------------------------------------------------------------------------------------------------
def maps(found: Any) -> Figure | Nothing:
    """Class maps over validation images, the box known drawn solid and the box found dashed."""
    if found is None or found.located is None:
        return Nothing(ELSEWHERE if found is None else "these images have no boxes, or the network no class maps")
    of = found.located
    figure = pictures.sheet(np.stack([warm(*one) for one in zip(of.pictures, of.maps, strict=True)]), of.names)
    assert isinstance(figure, Figure)
    for axis, known, said in zip(figure.axes, of.known, of.found, strict=False):
        for (x0, y0, x1, y1), style in ((known, "-"), (said, (0, (2, 1.5)))):
            if x0 >= 0:
                axis.add_patch(Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0 + 1, y1 - y0 + 1, fill=False, linestyle=style,
                                         edgecolor="white" if style == "-" else PALETTE[0], linewidth=1.8))
    return figure


def warm(picture: NDArray[np.floating], heat: NDArray[np.floating]) -> NDArray[np.floating]:
    """(H, W, 3) from 0 to 1 without its colours, and in one of ours where a map (H, W) is above 0."""
    grey = np.repeat(0.7 * picture.mean(2, keepdims=True), 3, 2)
    strength = 0.7 * np.clip(heat / max(heat.max(), 1e-6), 0, 1)[..., None]
    return grey + strength * (HEAT - grey)


def boxes(found: Any) -> Styler | html.Html:
    """Localisation errors by how the box is made."""
    if found is None or found.boxes.empty:
        return html.Html(f"<p>{NOT_HERE if found is None else 'These images have no boxes.'}</p>")
    table = found.boxes
    return html.neat(pd.DataFrame({
        "box from": table.way, "above, % of the maximum": [f"{100 * share:.0f}" if np.isfinite(share) else "–"
                                                           for share in table["share"]],
        "box wrong, %": table.error_box, "class or box wrong, %": table.error,
        "peak in the object's box, %": table.peak}), 1)


# -- heads --------------------------------------------------------------------------------------------------------
def heads(found: Any) -> Figure | Nothing:
    """Validation images of which the heads say different things, with the answer of each."""
    if found is None:
        return Nothing(ELSEWHERE)
    words = [_words(part) for _, part in found.apart.groupby("image", sort=False)]
    return pictures.sheet(found.pictures, words)


def _words(part: pd.DataFrame) -> str:
    lines = [f"{head}: {answer}, {100 * chance:.0f} %" for head, answer, chance in
             zip(part["head"], part["answer"], part["chance"], strict=True)]
    return "\n".join([part["name"].iloc[0], *lines])


# -- in words -----------------------------------------------------------------------------------------------------
def numbers(grid: Grid, start: Grid, found: Any) -> dict[str, Any]:
    """The numbers and sentences that the page quotes: there without runs, too."""
    units, where = _units(found), _where(found)
    return {**finals.protocol(grid), "answer": _short(found, start), "units": units,
            "where": where, "together": _together(start), "apart": _apart(found)}


def _short(found: Any, start: Grid) -> str:
    """What the page opens with: of each of its sections one number, and what that is to be compared with."""
    gained = _gained(start)
    heads = (f"Averaging the three heads {gained}." if gained else
             "Whether averaging the three heads helps has not been measured for these runs.")
    if found is None or found.boxes.empty:
        return f"{NOT_HERE if found is None else _units(found)} {heads}"
    half, first, last = _explained(found)
    wrong = found.boxes.groupby("way", sort=False).last().error_box
    return (f"What an image shows explains {half.trained[last]:.0f} % of what a median unit of the last module does, "
            f"and {half.trained[first]:.0f} % of one of the first convolution; untrained, {half.untrained[last]:.0f} "
            f"and {half.untrained[first]:.0f} %. A box drawn from the class map misses the object in "
            f"{wrong['the class map']:.0f} % of the images, one drawn by covering parts in "
            f"{wrong['covering parts']:.0f} %. {heads}")


def _explained(found: Any) -> tuple[pd.DataFrame, str, str]:
    """What the class explains of a median unit, in per cent, trained and untrained; the first and the last row."""
    half = 100 * found.told.groupby(["network", "row"], sort=False).told.median().unstack(0)
    return half, half.index[0], half.index[-1]


def _gained(start: Grid) -> str:
    """What averaging the heads does, "" where that has not been measured."""
    gain = afterwards.Measured("S2-5b")(start)
    return "" if gain is None else (f"gains {html.signed(gain.value)} points [{html.signed(gain.low)} to "
                                    f"{html.signed(gain.high)}]")


def _units(found: Any) -> str:
    if found is None:
        return NOT_HERE
    half, first, last = _explained(found)
    return (f"Which class an image has explains {half.trained[first]:.0f} % of what a median unit of {first} does over "
            f"the validation images, and {half.trained[last]:.0f} % of what one of {last} does; in the same network "
            f"untrained it explains {half.untrained[first]:.0f} % and {half.untrained[last]:.0f} %.")


def _where(found: Any) -> str:
    if found is None or found.boxes.empty:
        return NOT_HERE if found is None else "These images have no boxes."
    last = found.boxes.groupby("way", sort=False).last()  # with the share that training images chose
    wrong, peak = last.error_box, last.peak
    return (f"A box made from the class map has less than half in common with the object's in "
            f"{wrong['the class map']:.0f} % of the images, and the whole image as an answer in "
            f"{wrong['the whole image']:.0f} %; one made by covering parts of the image in "
            f"{wrong['covering parts']:.0f} %. The highest place of the class map lies in the object's box in "
            f"{peak['the class map']:.0f} %, that of covering in {peak['covering parts']:.0f} %, and the middle of the "
            f"image in {peak['the whole image']:.0f} %.")


def _together(start: Grid) -> str:
    table = measured.table(start, "heads")
    if table.empty:
        return "What the heads say together has not been measured for these runs."
    mean = table.groupby("head", sort=False).error.mean()
    networks = table.seed.nunique()
    sure = f" The average {gained}." if (gained := _gained(start)) else ""
    return (f"Over {networks} networks, the main head errs in {mean['main']:.1f} % of the images, the average of the "
            f"three heads in {mean['average']:.1f} %, and each image's most confident head in "
            f"{mean['most confident']:.1f} %.{sure}")


def _apart(found: Any) -> str:
    if found is None:
        return NOT_HERE
    return f"The three heads disagree on {found.split:.1f} % of the validation images."
