"""At what scale a trained network looks: how far a unit really sees, and how much of its first filters is waves."""
from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from replication.models.build import Net

HELD = 0.95  # of the gradient's energy lies in what we call the seen square

ANGLES = np.arange(12) * np.pi / 12           # of the wave, from upright stripes on
WAVES = (2.5, 3.0, 4.0, 5.0, 7.0, 10.0)       # px
WIDTHS = (1.2, 1.8, 2.7)                      # px, standard deviation of the window
OFFSETS = (-1.0, 0.0, 1.0)                    # px, of its middle, either way


# -- how far a unit sees ------------------------------------------------------------------------------------------
def seen(network: Net, images: Tensor, rows: tuple[str, ...]) -> dict[str, int]:
    """By row, the side in px of the smallest square that holds 95 % of the energy of the gradient from the unit in the
    middle of the map, all its channels together, to the image. `images`: (N, C, H, W). In evaluation mode."""
    network.eval()
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
    """A wave in a window: angle in radians (0: upright stripes), wave length and standard deviation of the window in px,
    its middle from the filter's, and the share of the filter's energy that it explains."""
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


_BANKS: dict[int, tuple[list[tuple[float, ...]], list[NDArray[np.float64]]]] = {}


def _bank(side: int) -> tuple[list[tuple[float, ...]], list[NDArray[np.float64]]]:
    """Each entry's parameters, and an orthonormal pair (2, side²) that spans all its phases."""
    if side not in _BANKS:
        at = np.arange(side) - (side - 1) / 2
        parameters, carriers = [], []
        for angle, wave, width, y, x in itertools.product(ANGLES, WAVES, WIDTHS, OFFSETS, OFFSETS):
            down, right = at[:, None] - y, at[None] - x
            along = (right * np.cos(angle) + down * np.sin(angle)) * 2 * np.pi / wave
            window = np.exp(-(right ** 2 + down ** 2) / (2 * width ** 2))
            pair = np.stack([(window * np.cos(along)).ravel(), (window * np.sin(along)).ravel()])
            orthonormal, _ = np.linalg.qr(pair.T)
            parameters.append((float(angle), wave, width, y, x))
            carriers.append(orthonormal.T)
        _BANKS[side] = parameters, carriers
    return _BANKS[side]


def filters(network: Net) -> NDArray[np.float64]:
    """The first convolution's, (n, C, k, k)."""
    weight = next(p for p in network.parameters() if p.ndim == 4)
    return weight.detach().double().numpy()
