"""Receptive fields against a column worked out by hand from V1's Table 1."""
from __future__ import annotations

import torch

from replication.models import receptive
from replication.models.build import build
from replication.models.googlenet import googlenet
from replication.training import scales

# side and step after each row: side += (kernel − 1) · step, then step ·= stride; a module's largest kernel is 5×5
BY_HAND = {"conv1": (7, 2), "pool1": (11, 4), "conv2_reduce": (11, 4), "conv2": (19, 4), "pool2": (27, 8),
           "3a": (59, 8), "3b": (91, 8), "pool3": (107, 16), "4a": (171, 16), "4b": (235, 16), "4c": (299, 16),
           "4d": (363, 16), "4e": (427, 16), "pool4": (459, 32), "5a": (587, 32), "5b": (715, 32)}


def test_googlenet_by_hand() -> None:
    found = receptive.fields(googlenet())
    assert {row: tuple(field) for row, field in found.items() if row in BY_HAND} == BY_HAND
    assert "linear" not in found
    assert "avgpool" not in found


def test_no_unit_sees_farther_than_arithmetic_says() -> None:
    """A pixel beyond the square changes nothing; all that are within it and are seen at all lie in the square."""
    torch.manual_seed(0)
    net = build(googlenet(width=0.125, stem=4, resolution=32, aux=())).eval()
    fields = receptive.fields(net.network)
    images = torch.randn(4, 3, 96, 96)
    x = images.clone().requires_grad_()
    at = x
    for row in ("conv1", "norm1", "conv2_reduce", "conv2", "norm2", "pool2", "3a"):
        at = getattr(net, row)(at)
    y = at.shape[2] // 2
    gradient, = torch.autograd.grad(at[:, :, y, y].pow(2).sum(), x)
    touched = gradient.abs().sum((0, 1)).nonzero()
    extent = touched.max(0).values - touched.min(0).values + 1
    assert (extent <= fields["3a"].side).all()
    assert (extent > fields["conv2"].side).all()
    found = scales.seen(net, images, ("conv1", "3a"))
    assert found["conv1"] <= 7
    assert found["conv1"] < found["3a"] <= fields["3a"].side
