"""At what scale a trained network looks: how far a unit really sees, and how much of its first filters is waves."""
from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from replication.data.load import load
from replication.data.transforms import evaluate_view
from replication.models import receptive
from replication.models.build import Net, build
from replication.runs.experiments import Experiment
from replication.training import loop, members

HELD = 0.95  # of the gradient's energy lies in what we call the seen square

ANGLES = np.arange(12) * np.pi / 12           # of the wave, from upright stripes on
WAVES = (2.5, 3.0, 4.0, 5.0, 7.0, 10.0)       # px
WIDTHS = (1.2, 1.8, 2.7)                      # px, standard deviation of the window
OFFSETS = (-1.0, 0.0, 1.0)                    # px, of its middle, either way


@dataclass(frozen=True)
class Looked:
    """A network of a run, as trained and as untrained. `fields`: a row a row of its table, the side by arithmetic and
    those that hold 95 % of the gradient, in px. `waves`: a row a filter of the first layer; its pictures beside."""
    fields: pd.DataFrame
    waves: pd.DataFrame
    filters: dict[str, NDArray[np.float64]]
    drawn: dict[str, NDArray[np.float64]]


def look(experiment: Experiment, seed: int) -> Looked:
    """At a finished run whose weights are here. The images are validation images, nine to a canvas, for a unit may see
    more than one. *Untrained* is the same network drawn anew, its statistics taken from the same canvases."""
    val = load(experiment.data).val
    images = evaluate_view(val.images[torch.arange(9 * CANVASES) % len(val.labels)], experiment.recipe.augment)
    high, wide = images.shape[2:]
    canvases = nn.functional.fold(images.reshape(CANVASES, 9, -1).transpose(1, 2), (3 * high, 3 * wide), (high, wide),
                                  stride=(high, wide))
    networks = {"trained": members.network(experiment, seed), "untrained": _untrained(experiment, seed, canvases)}
    sides = {row: field for row, field in receptive.fields(networks["trained"].network).items() if row not in PLAIN}
    held = {name: seen(network, canvases, tuple(sides)) for name, network in networks.items()}
    fields = pd.DataFrame([{"row": row, "arithmetic": field.side, **{name: found[row] for name, found in held.items()}}
                           for row, field in sides.items()])
    kernels = {name: filters(network) for name, network in networks.items()}
    fits = {name: [fit(kernel) for kernel in of] for name, of in kernels.items()}
    waves = pd.DataFrame([{"network": name, "filter": n, "share": one.share, "angle": np.degrees(one.angle),
                           "wave": one.wave} for name, of in fits.items() for n, one in enumerate(of)])
    return Looked(fields, waves, kernels, {name: np.stack([one.drawn for one in of]) for name, of in fits.items()})


CANVASES = 16
PLAIN = ("norm1", "norm2", "conv2_reduce")  # rows that see what the row before them sees


def _untrained(experiment: Experiment, seed: int, images: Tensor) -> Net:
    torch.manual_seed(loop.stream(seed, "untrained"))
    network = build(experiment.network)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    with torch.no_grad():
        network.logits(images)  # in training mode, so that the statistics are those of these images
    return network.eval()


# -- how far a unit sees ------------------------------------------------------------------------------------------
def seen(network: Net, images: Tensor, rows: tuple[str, ...]) -> dict[str, int]:
    """By row, the side in px of the smallest square that holds 95 % of the energy of the gradient from the unit in the
    middle of the map, all its channels together, to the image. `images`: (N, C, H, W); a network in evaluation mode."""
    found = {}
    for row in rows:
        x = images.clone().requires_grad_()
        at = x
        for name in network.rows:
            at = getattr(network, name)(at)
            if name == row:
                break
        middle = at[:, :, at.shape[2] // 2, at.shape[3] // 2]
        gradient, = torch.autograd.grad(middle.pow(2).sum(), x)
        found[row] = side(gradient.pow(2).sum((0, 1)).double().numpy())
    return found


def side(energy: NDArray[np.float64]) -> int:
    """Of the smallest odd square, around where the energy has its middle, that holds 95 % of it."""
    rows, columns = (np.average(np.arange(n), weights=energy.sum(axis)) for n, axis in zip(energy.shape, (1, 0),
                                                                                           strict=True))
    y, x = round(rows), round(columns)
    for half in range(max(energy.shape)):
        square = energy[max(0, y - half):y + half + 1, max(0, x - half):x + half + 1]
        if square.sum() >= HELD * energy.sum():
            return 2 * half + 1
    return max(energy.shape)


# -- waves in filters ---------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Gabor:
    """A wave in a window: angle in radians (0: upright stripes), wave length and the window's standard deviation in px,
    its middle from the filter's, the share of the filter's energy that it explains, and what of it that is."""
    angle: float
    wave: float
    width: float
    middle: tuple[float, float]
    share: float
    drawn: NDArray[np.float64]


def fit(kernel: NDArray[np.floating]) -> Gabor:
    """The wave of a fixed bank that explains most of a (C, k, k) filter; phase and colour are fitted, each colour's
    own, which makes two numbers a colour of k × k. A mean counts as energy that no wave explains."""
    flat = kernel.reshape(kernel.shape[0], -1).astype(np.float64)
    best: tuple[float, int] = (-1.0, 0)
    parameters, carriers = _bank(kernel.shape[-1])
    for n, carrier in enumerate(carriers):
        explained = float(((flat @ carrier.T) ** 2).sum())
        best = max(best, (explained, n))
    n = best[1]
    angle, wave, width, y, x = parameters[n]
    drawn = (flat @ carriers[n].T @ carriers[n]).reshape(kernel.shape)
    return Gabor(angle, wave, width, (y, x), best[0] / float((flat ** 2).sum()), drawn)


@cache
def _bank(side: int) -> tuple[list[tuple[float, float, float, float, float]], list[NDArray[np.float64]]]:
    """Each entry's parameters, and an orthonormal pair (2, side²) that spans all its phases."""
    at = np.arange(side) - (side - 1) / 2
    parameters, carriers = [], []
    for angle, wave, width, y, x in itertools.product(ANGLES, WAVES, WIDTHS, OFFSETS, OFFSETS):
        down, right = at[:, None] - y, at[None] - x
        along = (right * np.cos(angle) + down * np.sin(angle)) * 2 * np.pi / wave
        window = np.exp(-(right ** 2 + down ** 2) / (2 * width ** 2))
        pair = np.stack([(window * np.cos(along)).ravel(), (window * np.sin(along)).ravel()])
        parameters.append((float(angle), wave, width, y, x))
        carriers.append(np.linalg.qr(pair.T)[0].T)
    return parameters, carriers


def filters(network: Net) -> NDArray[np.float64]:
    """The first convolution's, (n, C, k, k)."""
    weight = next(p for p in network.parameters() if p.ndim == 4)
    return weight.detach().double().numpy()
