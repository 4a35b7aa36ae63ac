"""Chainer's GoogLeNet, which was made for Caffe's weights."""
from __future__ import annotations

import sys
from typing import Any

import chainer
import numpy as np
from chainer.links.model.vision import googlenet
from exchange import Side, sides

INSIDE = ("conv1", "proj3", "conv3", "proj5", "conv5", "projp")
STEM = ("conv1", "conv2_reduce", "conv2")
HEADS = ("/loss1", "/loss2")

net = googlenet.GoogLeNet(pretrained_model=None)
side = Side("GoogLeNet", "Chainer", chainer.__version__, 224, 58.0)


def draw(kind: str, link: Any) -> None:
    found = side.layer(kind, weight=link.W.shape, bias=link.b.shape)
    link.W.array[...], link.b.array[...] = found["weight"], found["bias"]


for name in STEM:
    draw("conv", net[name])
for link in net.children():
    if link.name.startswith("inc"):
        for name in INSIDE:
            draw("conv", link[name])
draw("linear", net["loss3_fc"])

def normalisation() -> str:
    """What LRN divides a map of `size` in five channels by, (k + α size²)^0.75, at two sizes; α is that of the mean."""
    small, large = (size / float(googlenet._local_response_normalization(
        np.full((1, 5, 1, 1), size, np.float32)).array[0, 2, 0, 0]) for size in (1e-3, 1e3))
    k = small ** (4 / 3)
    return f"LRN, k {k:.3g}, α {(large ** (4 / 3) - k) / 1e6:.3g}"


places = [name for name in net.available_layers if "loss" not in name and name != "prob"]
with chainer.using_config("train", False), chainer.no_backprop_mode():
    found = net(chainer.Variable(side.images), layers=[*places, "loss3_fc"])
    pool = googlenet._max_pooling_2d(np.ones((1, 1, 8, 8), np.float32)).shape[-1]
side.fact("maps", sides([found[name].shape for name in places]))
side.fact("max-pools of stride 2", {3: "round down", 4: "round up"}[pool])
side.fact("normalisation", normalisation())
side.fact("padding of averages", "no such pool")
side.fact("last average", "7×7, whatever the map")
red, green, blue = googlenet.prepare(np.full((8, 8, 3), 255, np.uint8), None)[::-1, 0, 0]
side.fact("pixels", f"0 to 255 less {255 - red:g}, {255 - green:g}, {255 - blue:g}; blue first")
side.fact("parameters", f"{sum(p.size for name, p in net.namedparams() if not name.startswith(HEADS)):,}")
side.write(sys.argv[1], found["loss3_fc"].array)
