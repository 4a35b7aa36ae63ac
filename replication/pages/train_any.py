"""What *Train any network* shows of a run: tables from arrays and grids."""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.io.formats.style import Styler
from scipy.special import softmax

from replication import paths
from replication.data.spec import AreaCrop, Augmentation, Flip, Photometric, RandomCrop, TimeShift
from replication.models import cost
from replication.pages import html
from replication.pages.pictures import short
from replication.runs.experiments import (
    SGD,
    Constant,
    Cosine,
    Experiment,
    OneCycle,
    Poly,
    Recipe,
    RMSProp,
    Step,
    TorchRMSProp,
)
from replication.studies.study import Grid

MOST = 20  # classes of a confusion matrix that can be read
WRONG, RIGHT = 8, 4  # pictures of mistakes, and of what was right
DIVERGED = "The run diverged: its loss was no number any more. Take a lower rate (lr, lr_bn)."

Logits = NDArray[np.floating]


# -- what is trained ----------------------------------------------------------------------------------------------
def rows(grid: Grid) -> pd.DataFrame:
    """A line a row of the network, its heads and, last, what a forward pass takes of them: output, parameters and
    multiply-adds an image."""
    network = grid.cells[0].experiment.network
    table = [{"row": row["name"], "output": "×".join(map(str, row["output"])), "parameters": row["parameters"],
              "multiply-adds": row["multiply_adds"]} for row in cost.table(network)
             if row["parameters"] or row["name"].lower().find("pool") >= 0]
    table.append({"row": "in use, without heads", "output": "", "parameters": cost.parameters(network, aux=False),
                  "multiply-adds": cost.multiply_adds(network)})
    return pd.DataFrame(table)


def recipe(grid: Grid) -> pd.DataFrame:
    """What is trained and how, in words."""
    experiment = grid.cells[0].experiment
    network, data, how = experiment.network, experiment.data, experiment.recipe
    kind = "recordings" if data.features is not None else "images"
    size = (f"{data.features.features} features × {data.resolution} frames" if data.features is not None
            else f"{data.resolution} px")
    steps = (data.train_images or 0) // how.batch
    heads = [head.at for head in network.aux]
    lines = {
        "network": f"{grid.name}, {cost.depth(network)} layers deep, {cost.parameters(network):,} parameters",
        "data": f"{data.name}: {data.classes} classes, {data.train_images:,} {kind} to train on and "
                f"{data.val_images:,} to validate, {size}",
        "each time": ", ".join(map(_changed, how.augment)) or f"the {kind} as they are",
        "steps": f"{how.epochs} epochs of {steps} steps of {how.batch} {kind}",
        "optimiser": _optimiser(how),
        "rate": f"{how.lr:g}, {_schedule(how)}",
        "loss": "cross-entropy" + (f", labels smoothed by {how.label_smoothing:g}" if how.label_smoothing else "")
                + (f"; the heads at {' and '.join(heads)} count {how.aux_weight:g} each" if heads else ""),
        "repetitions": f"{grid.setting.seeds} ({how.precision})",
    }
    return pd.DataFrame({"": list(lines), "as it is trained": list(lines.values())})


def _changed(op: Augmentation) -> str:
    match op:
        case RandomCrop(size, pad):
            return f"a random square of {size} px" + (f" after {pad} px of padding" if pad else "")
        case Flip():
            return "mirrored half of the time"
        case TimeShift(frames):
            return f"earlier or later by up to {frames} frames"
        case AreaCrop(size, area):
            return f"a random part of {area[0]:.0%} to {area[1]:.0%} of the area, resized to {size} px"
        case Photometric():
            return "brightness, contrast and colour changed"


def _optimiser(how: Recipe) -> str:
    one = how.optimiser
    words = {SGD: "SGD", RMSProp: "RMSProp", TorchRMSProp: "torch's RMSprop"}[type(one)]
    words += "" if isinstance(one, SGD) else f", decay {one.decay:g}, ε = {one.epsilon:g}"
    words += f", momentum {one.momentum:g}, weight decay {one.weight_decay:g}"
    limit = how.clip if isinstance(how.clip, (int, float)) or how.clip is None else how.clip.limit
    words += "" if limit is None else f", gradient clipped at {limit:g}"
    return words + ("" if how.average is None else ", weights averaged")


def _schedule(how: Recipe) -> str:
    match how.schedule:
        case Constant():
            words = "kept"
        case Poly(power):
            words = "down a straight line to zero" if power == 1 else f"down to zero with the power {power:g}"
        case Cosine():
            words = "down half a cosine to zero"
        case Step(gamma, epochs):
            words = f"times {gamma:g} every {epochs:g} epochs"
        case OneCycle():
            words = "up and down one cycle"
    return (f"reached after the first {how.warmup:.0%} of all steps, then " if how.warmup else "") + words


# -- what came of it ----------------------------------------------------------------------------------------------
def finite(logits: Logits) -> bool:
    return bool(np.isfinite(logits).all())


def counts(logits: Logits, labels: NDArray[np.int64], classes: Sequence[str]) -> pd.DataFrame:
    """The confusion matrix: a row a class, a column what its images are taken for. Without rows for logits that are no
    numbers."""
    if not finite(logits):
        return pd.DataFrame()
    table = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(table, (labels, logits.argmax(1)), 1)
    return pd.DataFrame(table, list(classes), list(classes))


def confused(table: pd.DataFrame, most: int = MOST) -> pd.DataFrame:
    """Of `counts`, in per cent of each class: of more than `most` classes, those with most mistakes, theirs and of
    others for them, in the order they had."""
    found = table.to_numpy()
    wrong = found.sum(0) + found.sum(1) - 2 * found.diagonal() if len(table) else np.zeros(0)
    chosen = np.sort(np.argsort(-wrong, kind="stable")[:most])
    shares = 100 * found / np.maximum(found.sum(1, keepdims=True), 1) if len(table) else found
    return pd.DataFrame(shares, table.index, table.columns).iloc[chosen, chosen]


def pairs(table: pd.DataFrame, most: int = 5) -> pd.DataFrame:
    """Of `counts` the mistakes made most often: is, taken for, images, and their share of the class in per cent."""
    found = table.to_numpy()
    if not len(table):
        return pd.DataFrame(columns=["is", "taken for", "images", "of the class, %"])
    off = found * (1 - np.eye(len(found), dtype=np.int64))
    order = [np.unravel_index(i, off.shape) for i in np.argsort(-off, axis=None, kind="stable")[:most]]
    return pd.DataFrame([{"is": table.index[a], "taken for": table.columns[b], "images": int(off[a, b]),
                          "of the class, %": 100 * off[a, b] / found[a].sum()} for a, b in order if off[a, b]],
                        columns=["is", "taken for", "images", "of the class, %"])


def telling(logits: Logits, labels: NDArray[np.int64], classes: Sequence[str], wrong: int = WRONG,
            right: int = RIGHT) -> pd.DataFrame:
    """The most confident mistakes, worst first, then, of what is right, the most confident image of each of the best
    classes. Columns: image (its position), is, taken_for, confidence (of what it is taken for), right."""
    if not finite(logits):
        return pd.DataFrame(columns=["image", "is", "taken_for", "confidence", "right"])
    chances = softmax(logits.astype(float), axis=1)
    taken = chances.argmax(1)
    table = pd.DataFrame({"image": np.arange(len(labels)), "is": np.asarray(classes)[labels],
                          "taken_for": np.asarray(classes)[taken], "confidence": chances.max(1),
                          "right": taken == labels}).sort_values("confidence", ascending=False, kind="stable")
    good = table[table.right].drop_duplicates("is")
    return pd.concat([table[~table.right][:wrong], good[:right]], ignore_index=True)


def captions(table: pd.DataFrame) -> list[str]:
    """Of `telling`, for below each picture."""
    return [f"{short(name)} ✓\n{share:.0%} sure" if right else
            f"{short(name)}, taken for\n{short(taken)}, {share:.0%}" for name, taken, share, right in
            zip(table["is"], table.taken_for, table.confidence, table.right, strict=True)]


def heads(table: pd.DataFrame, experiment: Experiment) -> Styler | html.Html:
    """Of `Seen.heads`: errors in per cent, top-5 only where there are more classes."""
    if table.empty:
        return html.Html(f"<p>{DIVERGED}</p>")
    found = table.assign(**{"top-1 error, %": 100 * table.error, "top-5 error, %": 100 * table.error5})
    five = ["top-5 error, %"] if (experiment.data.classes or 0) > 5 else []
    return html.neat(found[["head", "top-1 error, %", *five]], 1)


def speed(grid: Grid) -> pd.DataFrame:
    """A line a run: its last errors and losses, how long it took, how fast and where."""
    runs = grid.summary()
    table = pd.DataFrame({"seed": runs.seed, "status": runs.status,
                          "training error, %": 100 * runs.train_error.astype(float),
                          "validation error, %": 100 * runs.val_error.astype(float)})
    return table.assign(**{"seconds": runs.seconds, "images a second": runs.images_per_s, "device": runs.device})


def written(found: Mapping[str, Path | str]) -> html.Html:
    """Where the files lie and how large they are, or why there are none."""
    lines = [f"<li><code>{html.text(_here(what))}</code>, {what.stat().st_size / 1e6:.1f} MB</li>"
             if isinstance(what, Path) else f"<li>{html.text(what)}</li>" for what in found.values()]
    return html.Html(f"<ul>{''.join(lines)}</ul>")


def _here(path: Path) -> str:
    return str(path.relative_to(paths.ROOT)) if path.is_relative_to(paths.ROOT) else str(path)


def numbers(grid: Grid) -> dict[str, Any]:
    """The numbers that the page quotes."""
    runs, experiment = grid.summary(), grid.cells[0].experiment
    errors = runs.val_error.astype(float)
    return {"error": float(errors.mean()), "chance": 1 - 1 / (experiment.data.classes or 1),
            "train_error": float(runs.train_error.astype(float).mean()), "seconds": float(runs.seconds.mean()),
            "parameters": cost.parameters(experiment.network), "epochs": experiment.recipe.epochs,
            "finite": not any(map(math.isnan, errors))}
