"""Which units of a network correlate, and at which offset: a unit is a channel at a position, samples are images.

Maps of small images have few positions, so the network looks at canvases of 3×3 images; pairs start in the middle one.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from torch import Tensor, nn

from replication.models.build import Net, build

STRONG = 0.3    # |r| of two units that are said to correlate
CANVASES = 400  # at most: by chance r scatters by 0.05 then
CHANNELS, POSITIONS = 64, 16  # of a map, drawn by chance where it has more
RINGS = 3       # positions apart, the larger of rows and columns, at most
CONTROL = 1_000_000  # added to a run's seed: the untrained network starts otherwise than the run did
NORM = 1e-6     # of a unit, its mean taken off: what has less is always the same
WINDOW = 5      # side of the window whose units are clustered: a 5×5 covers it

Map = NDArray[np.float32]


# -- activations --------------------------------------------------------------------------------------------------
def canvases(images: Tensor, most: int = CANVASES) -> Tensor:
    """Nine images to a canvas, (N, 3, 3H, 3W), from (9N or more, 3, H, W)."""
    number = min(most, len(images) // 9)
    tiles = images[:9 * number].unflatten(0, (number, 3, 3))
    return tiles.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)


def untrained(trained: Net, images: Tensor, seed: int) -> Net:
    """The same network as it starts, in eval mode, the statistics of its normalisation taken from these images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found = build(trained.network)
    for module in found.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean over all batches
    found.train()
    with torch.no_grad():
        for part in images.split(50):
            found.logits(part)
    return found.eval()


@torch.inference_mode()
def maps(network: Net, images: Tensor) -> Iterator[tuple[str, Map]]:
    """What each row gives that still has a map, (N, C, H, W), by its name; of a network in eval mode."""
    for row in network.rows:
        images = torch.cat([getattr(network, row)(part) for part in images.split(50)])
        if images.ndim < 4 or images.shape[2] == 1:
            return
        yield row, images.numpy()


# -- correlations -------------------------------------------------------------------------------------------------
def standardised(units: Map) -> Map:
    """Along the first axis mean 0 and squares that sum to 1, so that products sum to correlations; a unit that is
    always the same is not a number."""
    centred = units - units.mean(0)
    norm = np.sqrt(np.square(centred).sum(0))
    return np.asarray(centred / np.where(norm > NORM, norm, np.nan), dtype=np.float32)


def by_ring(of: Map, rng: np.random.Generator) -> list[dict[str, Any]]:
    """By how many positions two units are apart: `pairs`, the share of them with |r| above STRONG, and `own`, the mean
    correlation of a channel with itself there. Of a map of canvases (N, C, 3S, 3S)."""
    side = of.shape[2] // 3
    reach = min(RINGS, side)
    near = slice(side - reach, 2 * side + reach)
    z = standardised(of[:, _some(of.shape[1], CHANNELS, rng), near, near]).transpose(2, 3, 1, 0).copy()
    y, x = (place + reach for place in np.divmod(_some(side ** 2, POSITIONS, rng), side))
    found = []
    for ring in range(reach + 1):
        pairs = strong = 0
        own: list[Any] = []
        for dy in range(-ring, ring + 1):
            for dx in range(-ring, ring + 1):
                if max(abs(dy), abs(dx)) != ring:
                    continue
                r = z[y, x] @ z[y + dy, x + dx].swapaxes(1, 2)
                same = r.diagonal(axis1=1, axis2=2)
                own += [np.nanmean(each) for each in same if np.isfinite(each).any()]
                if not ring:
                    r[:, range(r.shape[1]), range(r.shape[1])] = np.nan  # a unit with itself
                pairs += int(np.isfinite(r).sum())
                strong += int((np.abs(r) > STRONG).sum())
        found.append({"ring": ring, "pairs": pairs, "strong": strong / pairs if pairs else np.nan,
                      "own": float(np.mean(own, dtype=float)) if own else np.nan})
    return found


# -- clusters -----------------------------------------------------------------------------------------------------
def clusters(r: NDArray[Any], **cut: Any) -> NDArray[np.intp]:
    """The cluster of each unit, from 1 on, by average linkage over 1 − |r|; `cut` as for scipy's fcluster. `r` are the
    correlations of each two, numbers all: units that are always the same have none."""
    apart = np.clip(1 - np.abs(r), 0, None).astype(float)
    np.fill_diagonal(apart, 0)
    return np.asarray(fcluster(linkage(squareform(apart, checks=False), "average"), **cut))


def branches_found(of: Map, branch: NDArray[np.intp]) -> float:
    """The adjusted Rand index of the branches of a module, the number of each channel's, and of as many clusters of its
    channels; positions are samples too. Not a number where fewer than two channels ever change."""
    units = of.transpose(1, 0, 2, 3).copy().reshape(of.shape[1], -1)
    units -= units.mean(1, keepdims=True)
    products = units @ units.T
    norm = np.sqrt(products.diagonal())
    alive = norm > NORM
    if alive.sum() < 2:
        return np.nan
    r = products[np.ix_(alive, alive)] / np.outer(norm[alive], norm[alive])
    return rand_index(clusters(r, t=len(np.unique(branch)), criterion="maxclust"), branch[alive])


def rand_index(a: NDArray[np.intp], b: NDArray[np.intp]) -> float:
    """Hubert and Arabie's adjusted Rand index: 1 for equal partitions, 0 on average for those made by chance."""
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), 1)
    both, one, other, every = ((n * (n - 1) / 2).sum() for n in (table, table.sum(1), table.sum(0), np.array(len(a))))
    chance = one * other / every
    most = (one + other) / 2
    return float((both - chance) / (most - chance)) if most != chance else 1.0


def groups(of: Map, rng: np.random.Generator) -> dict[int, int]:
    """How many groups of units correlate, by the side of the square of positions that holds one: 1, 3 or 5. Clusters of
    two units or more whose mean |r| is above STRONG, in a window in the middle. Of a map of canvases (N, C, 3S, 3S)."""
    first = (of.shape[2] - WINDOW) // 2
    part = of[:, _some(of.shape[1], CHANNELS, rng), first:first + WINDOW, first:first + WINDOW]
    z = standardised(part.reshape(len(of), -1))
    place = np.indices(part.shape[1:]).reshape(3, -1)
    alive = np.isfinite(z).all(0)
    found = {1: 0, 3: 0, 5: 0}
    if alive.sum() < 2:
        return found
    z = z[:, alive]
    label, (_, rows, columns) = clusters(z.T @ z, t=1 - STRONG, criterion="distance"), place[:, alive]
    for one in np.flatnonzero(np.bincount(label) > 1):
        extent = 1 + max(np.ptp(axis[label == one]) for axis in (rows, columns))
        found[1 if extent == 1 else 3 if extent <= 3 else 5] += 1
    return found


def _some(of: int, most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    return np.sort(rng.choice(of, min(of, most), replace=False))
