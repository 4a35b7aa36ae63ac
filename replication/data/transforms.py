"""Batches of uint8 images into what a network sees, on whatever device they lie and without a loop over images."""
from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from replication.data import boxes, colour
from replication.data.spec import AreaCrop, Augmentation, Flip, Photometric, RandomCrop, TimeShift
from replication.errors import BadInput
from replication.models.ops import MEAN, STD

CENTRE = 7 / 8  # V1 §7: 224 px of a short side of 256


def normalise(images: Tensor) -> Tensor:
    """uint8 (N, C, H, W) to float32, channels_last, (value / 255 - MEAN) / STD. Floats are no pixels but features made
    beforehand: they stay as they are."""
    out = images.to(torch.float32, memory_format=torch.channels_last)
    return out if images.is_floating_point() else out.mul_(1 / (255 * STD)).sub_(MEAN / STD)


def crop_at(images: Tensor, size: int, tops: Tensor, lefts: Tensor) -> Tensor:
    """The square of `size` px whose corner is (tops[i], lefts[i]) of image i: (N, C, H, W) to (N, C, size, size)."""
    # Every window there is, as a view: (N, tops, lefts, C, size, size).
    windows = images.permute(0, 2, 3, 1).unfold(1, size, 1).unfold(2, size, 1)
    each = torch.arange(len(images), device=images.device)
    return windows.permute(0, 1, 2, 4, 5, 3)[each, tops, lefts].permute(0, 3, 1, 2)


def flip_where(images: Tensor, mirrored: Tensor) -> Tensor:
    """Image i mirrored left to right where mirrored[i]."""
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def _padded(images: Tensor, crop: RandomCrop) -> Tensor:
    padded = F.pad(images, (crop.pad,) * 4) if crop.pad else images
    if crop.size > min(padded.shape[2:]):
        height, width = images.shape[2:]
        raise BadInput(f"A crop of {crop.size} px does not fit images of {height}×{width} px with {crop.pad} px of "
                       f"padding a side; take a smaller crop, more padding or a higher resolution.")
    return padded


def shift(images: Tensor, by: Tensor) -> Tensor:
    """Sound i later by by[i] frames, earlier where negative: (N, C, T, 1), zeros coming in."""
    frames = images.shape[2]
    at = torch.arange(frames, device=images.device) - by[:, None]
    moved = images.take_along_dim(at.clamp(0, frames - 1)[:, None, :, None], 2)
    return moved * ((at >= 0) & (at < frames))[:, None, :, None]


def _to_pixels(images: Tensor) -> Tensor:
    """To uint8 again, as image libraries do after every step."""
    return images.clamp(0, 255).round().to(torch.uint8, memory_format=torch.channels_last)


def _need_pixels(images: Tensor, op: AreaCrop | Photometric) -> None:
    if images.dtype != torch.uint8 or images.shape[1] != 3:
        raise BadInput(f"{type(op).__name__} needs uint8 images of 3 channels; these are {images.dtype} of "
                       f"{images.shape[1]}: leave it out of the recipe's augment.")


def augment(images: Tensor, ops: Iterable[Augmentation], rank: int = 0, world: int = 1) -> Tensor:
    """Random crops, flips, colours and shifts, each image its own, in the order given, then `normalise`.

    (N, 3, H, W) uint8 in, (N, 3, h, w) float32 channels_last out. Draws from torch's default generator of the device.
    Padding is black. Where these are every `world`-th image of a batch, from the one at `rank`, what is drawn is drawn
    for all of it, so that each image gets the same however many processes share it.
    Raises BadInput where a crop is larger than the padded image, or what needs pixels gets features.
    """
    n, mine, device = len(images) * world, slice(rank, None, world), images.device
    for op in ops:
        match op:
            case RandomCrop(size):
                images = _padded(images, op)
                tops, lefts = (torch.randint(side - size + 1, (n,), device=device)[mine] for side in images.shape[2:])
                images = crop_at(images, size, tops, lefts)
            case Flip():
                images = flip_where(images, torch.rand(n, device=device)[mine] < 0.5)
            case TimeShift(frames):
                images = shift(images, torch.randint(-frames, frames + 1, (n,), device=device)[mine])
            case AreaCrop(size, interpolation=names):
                _need_pixels(images, op)
                every = boxes.draw(n, images.shape[2], images.shape[3], op, device)
                drawn = boxes.Boxes(*(part[mine] for part in every))
                which = torch.randint(len(names), (n,), device=device)[mine]
                images = _to_pixels(boxes.resize(images, drawn, size, names, which))
            case Photometric():
                _need_pixels(images, op)
                each = colour.Distortion(*(part[mine] for part in colour.draw(n, op, device)))
                images = _to_pixels(colour.distort(images.float(), each))
    return normalise(images)


def evaluate_view(images: Tensor, ops: Iterable[Augmentation]) -> Tensor:
    """What `augment` shows, without chance: the centre square of every crop (of an AreaCrop: 7/8 of the short side,
    resized), nothing mirrored, no colour changed. Raises as `augment`."""
    for op in ops:
        match op:
            case RandomCrop(size):
                images = _centre(_padded(images, op), size)
            case AreaCrop(size):
                _need_pixels(images, op)
                images = _centre(images, round(CENTRE * min(images.shape[2:])))
                if images.shape[2] != size:
                    images = _to_pixels(F.interpolate(images.float(), size, mode="bilinear", align_corners=False))
    return normalise(images)


def _centre(images: Tensor, size: int) -> Tensor:
    top, left = ((side - size) // 2 for side in images.shape[2:])
    return images[:, :, top:top + size, left:left + size]


def order(n: int, seed: int, epoch: int) -> Tensor:
    """A permutation of 0 … n-1, int64: a function of (seed, epoch) alone, so that ranks and resumed runs agree on it.

    RandomState, because numpy promises never to change its streams.
    """
    return torch.from_numpy(np.random.RandomState([seed, epoch]).permutation(n).astype(np.int64))
