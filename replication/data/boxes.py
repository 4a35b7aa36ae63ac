"""Boxes of a batch of images, each image its own, resized to squares: V1 §6's crops without a loop over images.

A matrix of weights says what each row of a result takes from the rows of its image, another the same of columns; the
result is two products. What lies outside the box weighs nothing, as if the box had been cut out first.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from replication.data.spec import AreaCrop
from replication.errors import unknown


class Boxes(NamedTuple):
    """In px, int64 (N,) each."""
    tops: Tensor
    lefts: Tensor
    heights: Tensor
    widths: Tensor


def draw(n: int, height: int, width: int, crop: AreaCrop, device: torch.device) -> Boxes:
    """n boxes as `crop` says, for images of height×width px.

    The aspect is drawn from those at which the area fits, where others draw both again: that would make large areas,
    which fit almost none, rare, and V1 §6 has areas evenly. An image longer than `crop.aspect` cuts its largest boxes.
    """
    u = torch.rand(4, n, device=device)
    area = (crop.area[0] + (crop.area[1] - crop.area[0]) * u[0]) * (height * width)
    low, high = (aspect.clamp(*crop.aspect).log() for aspect in (area / height ** 2, width ** 2 / area))
    aspect = (low + (high - low) * u[1]).exp()
    heights = (area / aspect).sqrt().round().long().clamp(1, height)
    widths = (area * aspect).sqrt().round().long().clamp(1, width)
    tops, lefts = ((v * (free + 1)).long().minimum(free)
                   for v, free in ((u[2], height - heights), (u[3], width - widths)))
    return Boxes(tops, lefts, heights, widths)


# Each gives the weights (N, size, side) of pixel j of a side, counted from the box's edge (N, 1, side), in result i,
# counted (size, 1), for boxes of `length` px (N, 1, 1).
def _bilinear(i: Tensor, j: Tensor, length: Tensor, size: int) -> Tensor:
    centre = ((i + 0.5) * (length / size) - 0.5).clamp(min=0).minimum(length - 1)
    return (1 - (j - centre).abs()).clamp(min=0)


def _area(i: Tensor, j: Tensor, length: Tensor, size: int) -> Tensor:
    first, end = i * length // size, ((i + 1) * length + size - 1) // size
    return ((j >= first) & (j < end)) / (end - first)


def _nearest(i: Tensor, j: Tensor, length: Tensor, size: int) -> Tensor:
    return (j == (2 * i + 1) * length // (2 * size)).float()


def _cubic(i: Tensor, j: Tensor, length: Tensor, size: int) -> Tensor:
    """Keys's kernel with a = -0.75, torch's and OpenCV's; beyond the edge lies the edge's pixel again."""
    a = -0.75
    centre = (i + 0.5) * (length / size) - 0.5
    before = centre.floor()
    weights = torch.zeros_like(j + centre)
    for step in (-1, 0, 1, 2):
        d = (before + step - centre).abs()
        near, far = ((a + 2) * d - (a + 3)) * d * d + 1, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        pixel = (before + step).clamp(min=0).minimum(length - 1)
        weights = weights + torch.where(j == pixel, torch.where(d <= 1, near, far), 0)
    return weights


WEIGHTS: dict[str, Callable[[Tensor, Tensor, Tensor, int], Tensor]] = {
    "bilinear": _bilinear, "area": _area, "nearest": _nearest, "cubic": _cubic}


def _weights(starts: Tensor, lengths: Tensor, side: int, size: int, names: tuple[str, ...], which: Tensor) -> Tensor:
    i = torch.arange(size, device=starts.device)[:, None]
    j = torch.arange(side, device=starts.device) - starts[:, None, None]
    first, *others = (WEIGHTS[name](i, j, lengths[:, None, None], size) for name in names)
    for k, other in enumerate(others, start=1):
        first = torch.where(which[:, None, None] == k, other, first)
    return first


def resize(images: Tensor, boxes: Boxes, size: int, names: tuple[str, ...], which: Tensor) -> Tensor:
    """Box i of image i, resized by the interpolation names[which[i]]: (N, C, H, W) to float32 (N, C, size, size).

    Raises BadInput for an interpolation that is not known.
    """
    for name in names:
        if name not in WEIGHTS:
            raise unknown("interpolation", name, WEIGHTS)
    n, channels, height, width = images.shape
    rows = _weights(boxes.tops, boxes.heights, height, size, names, which)
    columns = _weights(boxes.lefts, boxes.widths, width, size, names, which)
    pixels = images.permute(0, 2, 3, 1).reshape(n, height, width * channels).float()
    pixels = (rows @ pixels).view(n, size, width, channels).transpose(1, 2).reshape(n, width, size * channels)
    return (columns @ pixels).view(n, size, size, channels).permute(0, 3, 2, 1)
