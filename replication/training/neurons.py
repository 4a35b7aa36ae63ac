"""What the units of a trained network answer to, where in an image it sees a class, and what its heads say of one."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor

from replication.data import shapes
from replication.data.load import Loaded, Split, load
from replication.data.spec import Data
from replication.data.tiny_imagenet import IOU, Box
from replication.data.transforms import evaluate_view, normalise
from replication.errors import BadInput
from replication.models import ops, receptive
from replication.models.build import Net
from replication.runs.experiments import Experiment
from replication.training import correlation, inspect, localise, logits, members

UNITS = 2         # of a row are shown: the one that tells classes apart best, and the median one
STRONGEST = 4     # images of each
LOCATED = 600     # images whose boxes are asked for
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # of a map's maximum, of which the training images choose one
SHOWN = 8         # images of a sheet
WAYS = {"the class map": localise.mapped, "covering parts": localise.covered}

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Maxima:
    """Of every unit in every image: the largest value on its map, (N, K), and where it is, (N, K, 2), row and column as
    fractions of the map's sides."""
    values: NDArray[np.float32]
    places: NDArray[np.float32]


@dataclass(frozen=True)
class Patches:
    """What some units of a row answer to most, `STRONGEST` pictures a unit, the strongest first, and their classes."""
    units: list[int]
    told: list[float]
    pictures: Floats
    names: list[str]


@dataclass(frozen=True)
class Located:
    """Some validation images, once a way: (n, H, W, 3) from 0 to 1, where each one's class is seen (n, H, W), the box
    known and the box found, and the class by name and the way."""
    pictures: Floats
    maps: Floats
    known: list[Box]
    found: list[Box]
    names: list[str]


@dataclass(frozen=True)
class Looked:
    """A run's network. `told`: a row a unit, trained and untrained, what its class explains (`told_by`). `boxes`: a
    row a way to answer with a box (`answers`). `apart`: images of which the heads say different things, with the
    answers and probabilities of each head."""
    told: pd.DataFrame
    patches: dict[str, Patches]
    located: Located | None
    boxes: pd.DataFrame
    pictures: Floats
    apart: pd.DataFrame
    split: float


def look(experiment: Experiment, seed: int) -> Looked:
    """At a finished run whose weights are here. Boxes are asked for where the set knows them: Tiny-ImageNet, shapes."""
    data, network = load(experiment.data), members.network(experiment, seed)
    images = evaluate_view(data.val.images[:], experiment.recipe.augment)
    labels = data.val.labels.numpy()
    rows = modules(network)
    control = correlation.untrained(network, images[:LOCATED], correlation.CONTROL + seed)
    networks = {"trained": network, "untrained": control}
    tops = {name: maxima(one, images, rows) for name, one in networks.items()}
    told = pd.concat([pd.DataFrame({"network": name, "row": row, "told": told_by(top.values, labels)})
                      for name, by_row in tops.items() for row, top in by_row.items()], ignore_index=True)
    called = inspect.names(experiment.data, data.classes)
    fields = receptive.fields(network.network)
    patches = {row: strongest(top, images, labels, fields[row].side, called)
               for row, top in tops["trained"].items()}
    boxes, located = _located(network, experiment.data, data, called)
    said = members.member(experiment, seed)
    apart = disagreements(said)
    shown = apart.image.drop_duplicates().head(SHOWN)
    return Looked(told, patches, located, boxes, inspect.pictures(images[shown.to_numpy().copy()]),
                  apart[apart.image.isin(shown)].assign(
                      answer=lambda t: [called[c] for c in t.taken], name=lambda t: [called[c] for c in t.label]),
                  100 * apart.image.nunique() / len(labels))


# -- units --------------------------------------------------------------------------------------------------------
def modules(network: Net) -> list[str]:
    """The rows that are looked at: the first, and each module."""
    return [row.name for n, row in enumerate(network.network.rows)
            if n == 0 or isinstance(row.op, (ops.Inception, ops.Split))]


@torch.inference_mode()
def maxima(network: Net, images: Tensor, rows: Sequence[str], batch: int = 250) -> dict[str, Maxima]:
    """By row, of normalised images (N, C, H, W) and a network in eval mode."""
    found: dict[str, list[tuple[Tensor, Tensor]]] = {row: [] for row in rows}
    for part in images.split(batch):
        x = part
        for row in network.rows:
            x = getattr(network, row)(x)
            if row in rows:
                values, at = x.flatten(2).max(2)
                place = torch.stack([(at // x.shape[3] + 0.5) / x.shape[2], (at % x.shape[3] + 0.5) / x.shape[3]], 2)
                found[row].append((values, place))
            if row == rows[-1]:
                break
    return {row: Maxima(*(torch.cat(parts).numpy() for parts in zip(*held, strict=True)))
            for row, held in found.items()}


def told_by(values: Floats, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of each unit (N, K), the share of the variance over images that lies between the means of their classes: 0 where
    the class says nothing of it, 1 where it says all. 0 for a unit that never changes."""
    x = values.astype(np.float64) - values.mean(0, dtype=np.float64)
    between = np.zeros(x.shape[1])
    for label in np.unique(labels):
        of = x[labels == label]
        between += len(of) * of.mean(0) ** 2
    whole = (x ** 2).sum(0)
    return np.divide(between, whole, out=np.zeros_like(between), where=whole > 0)


def strongest(top: Maxima, images: Tensor, labels: NDArray[np.int64], side: int, names: Sequence[str],
              units: Sequence[int] | None = None) -> Patches:
    """The square of `side` px, what a unit can see, around where it is strongest, in the images in which it is so; all
    of the image where the square is no smaller. `units`: by default UNITS of them by what their class explains, the
    most and the median."""
    told = told_by(top.values, labels)
    if units is None:
        order = told.argsort(kind="stable")[::-1]
        units = [int(order[0]), int(order[len(order) // 2])][:UNITS]
    shown, called = [], []
    for unit in units:
        best = top.values[:, unit].argsort(kind="stable")[::-1][:STRONGEST]
        pictures = inspect.pictures(images[best.copy()])
        shown += [patch(picture, float(top.places[n, unit, 0]), float(top.places[n, unit, 1]), side)
                  for picture, n in zip(pictures, best, strict=True)]
        called += [names[labels[n]] for n in best]
    return Patches(list(units), [float(told[unit]) for unit in units], np.stack(shown), called)


def patch(picture: Floats, row: float, column: float, side: int) -> Floats:
    """The square of `side` px of (H, W, 3) around a place in fractions of its sides, grey beyond its edge; all of the
    picture where the square is no smaller."""
    height, width = picture.shape[:2]
    if side >= min(height, width):
        return picture
    grey = np.pad(picture, ((side, side), (side, side), (0, 0)), constant_values=0.5)
    top, left = (int(np.floor(at * n - side / 2 + 0.5)) + side for at, n in ((row, height), (column, width)))
    return grey[top:top + side, left:left + side]


# -- where --------------------------------------------------------------------------------------------------------
def boxes_of(data: Data, split: Split, training: bool = False) -> Split | None:
    """The first LOCATED images with their boxes, or None where the set knows none."""
    n = min(LOCATED, len(split.labels))
    few = Split(split.images[:n], split.labels[:n], {key: value[:n] for key, value in split.extra.items()})
    if data.name == "shapes":
        seed = shapes.SEEDS[data.part][0 if training else 1]
        few.extra["box"] = torch.from_numpy(shapes.boxes(n, seed, data.resolution, load(data).classes))
    return few if "box" in few.extra and bool((few.extra["box"][:, 0] >= 0).any()) else None


def _located(network: Net, data: Data, loaded: Loaded, names: Sequence[str]) -> tuple[pd.DataFrame, Located | None]:
    train, val = boxes_of(data, loaded.train, training=True), boxes_of(data, loaded.val)
    try:
        localise.ending(network)
    except BadInput:
        val = None
    if val is None:
        return pd.DataFrame(columns=["way", "share", "error", "error_box", "peak"]), None
    found = answers(network, train, val)
    few = SHOWN // len(WAYS)
    images, labels = normalise(val.images[:few]), val.labels[:few]
    large = np.concatenate([look(network, images, labels)[1].numpy() for look in WAYS.values()])
    shares = found.groupby("way")["share"].last()
    chosen = [float(shares[way]) for way in WAYS for _ in range(few)]
    return found, Located(
        np.concatenate([inspect.pictures(images)] * len(WAYS)), large,
        [tuple(one) for one in val.extra["box"][:few].tolist()] * len(WAYS),
        [localise.box(one, share) for one, share in zip(large, chosen, strict=True)],
        [f"{names[c]}:\n{way}" for way in WAYS for c in labels.tolist()])


def answers(network: Net, train: Split | None, val: Split) -> pd.DataFrame:
    """A row a way to say where an object is: `share` of the map's maximum, `error` (box or class wrong), `error_box`
    (box wrong, class told) and `peak` (the highest place lies in the box known), in per cent of the validation images.
    One is the whole image, and its middle. `share` is Zhou's, then the one with which the training images have the
    least error."""
    rows = []
    for way, look in WAYS.items():
        known = localise.localise(network, val, look=look, shares=SHARES)
        chosen = [localise.SHARE]
        if train is not None:
            tried = localise.localise(network, train, look=look, shares=SHARES)
            wrong = [localise.localisation_errors(tried[tried["share"] == share])["error_box"] for share in SHARES]
            chosen.append(SHARES[int(np.argmin(wrong))])
        for share in chosen:
            said = localise.localisation_errors(known[known["share"] == share])
            rows.append({"way": way, "share": share, "error": 100 * said["error"],
                         "error_box": 100 * said["error_box"], "peak": 100 * known.peak.mean()})
    of = known[known["share"] == localise.SHARE]
    missed = (of.iou_whole < IOU)
    rows.append({"way": "the whole image", "share": np.nan, "error": 100 * (missed | (of.predicted != of.label)).mean(),
                 "error_box": 100 * missed.mean(), "peak": 100 * of.middle.mean()})
    return pd.DataFrame(rows)


# -- heads --------------------------------------------------------------------------------------------------------
def disagreements(said: logits.Scores) -> pd.DataFrame:
    """A row an image and head where the heads do not all take an image for the same class: image, label, head, taken,
    chance (its probability). First the images in which the least sure head's answer is surest."""
    chances = {head: softmax(one.astype(float), axis=1) for head, one in said.logits.items()}
    taken = np.stack([one.argmax(1) for one in chances.values()], 1)
    sure = np.stack([one.max(1) for one in chances.values()], 1)
    apart = np.flatnonzero((taken != taken[:, :1]).any(1))
    apart = apart[sure[apart].min(1).argsort(kind="stable")[::-1]]
    return pd.DataFrame([{"image": int(n), "label": int(said.labels[n]), "head": head, "taken": int(taken[n, k]),
                          "chance": float(sure[n, k])} for n in apart for k, head in enumerate(chances)],
                        columns=["image", "label", "head", "taken", "chance"])
