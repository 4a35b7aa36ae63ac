"""Photometric distortions of a batch, each image its own: Howard's (arXiv 1312.5402, §2.2), which V1 §6 took over."""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from replication.data.spec import Photometric

BRIGHTNESS, CONTRAST, SATURATION = range(3)
# Principal axes (columns) and variances of the RGB values, 0 … 1, of ImageNet's images, as fb.resnet.torch gives them.
AXES = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
VARIANCES = (0.2175, 0.0188, 0.0045)


class Distortion(NamedTuple):
    """`order` int64 (N, 3): what comes first, second and third; `factors` (N, 3): by how much, in that order;
    `light` (N, 3): added to the channels afterwards, in grey levels of 255."""
    order: Tensor
    factors: Tensor
    light: Tensor


def draw(n: int, value: Photometric, device: torch.device) -> Distortion:
    order = torch.rand(n, 3, device=device).argsort(1)
    factors = value.low + (value.high - value.low) * torch.rand(n, 3, device=device)
    along = torch.randn(n, 3, device=device).mul(255 * value.lighting).unbind(1)
    # Numbers and no tensor of them, which would have to be sent to the device and waited for.
    light = [sum(axis * variance * a for axis, variance, a in zip(row, VARIANCES, along, strict=True)) for row in AXES]
    return Distortion(order, factors, torch.stack(light, 1))  # type: ignore[arg-type]


def grey(images: Tensor) -> Tensor:
    """ITU-R 601 luma, as PIL's "L": (N, 3, H, W) to (N, 1, H, W)."""
    red, green, blue = images.split(1, dim=1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def distort(images: Tensor, distortion: Distortion) -> Tensor:
    """float (N, 3, H, W), 0 … 255, to the same: each factor is the way from what the image would be with none of it
    (black for brightness, its mean grey for contrast, its greys for colour) to what it is, and beyond above 1."""
    order, factors = (part[:, :, None, None, None] for part in (distortion.order, distortion.factors))
    for k in range(3):
        luma = grey(images)
        none = torch.where(order[:, k] == SATURATION, luma, luma.mean((2, 3), keepdim=True))
        none = torch.where(order[:, k] == BRIGHTNESS, 0, none)
        images = torch.lerp(none, images, factors[:, k]).clamp(0, 255)
    return (images + distortion.light[:, :, None, None]).clamp(0, 255)
