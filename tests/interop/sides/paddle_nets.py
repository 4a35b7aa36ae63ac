"""Paddle's GoogLeNet, Inception V3 and AlexNet."""
from __future__ import annotations

import sys
from typing import Any

import numpy as np
import paddle
from exchange import Side, sides

nn = paddle.nn
NETWORKS = {"GoogLeNet": (paddle.vision.models.googlenet, 224, 58.0),
            "Inception V3": (paddle.vision.models.inception_v3, 299, 1.0),
            "AlexNet": (paddle.vision.models.alexnet, 224, 1.0)}


def put(parameter: Any, value: Any) -> None:
    parameter.set_value(paddle.to_tensor(value))


def trunk(net: Any) -> list[Any]:
    """All layers in their order, without GoogLeNet's side heads."""
    return [layer for name, layer in net.named_sublayers()
            if not any(part in name for part in ("_o1", "_o2", "_out1", "_out2"))]


def draw(side: Side, net: Any) -> None:
    for layer in trunk(net):
        if isinstance(layer, nn.Conv2D):
            found = side.layer("conv", weight=layer.weight.shape, bias=None if layer.bias is None else layer.bias.shape)
        elif isinstance(layer, nn.BatchNorm2D):
            width = layer.weight.shape
            found = side.layer("norm", weight=width, bias=width, mean=width, var=width)
            put(layer._mean, found["mean"])
            put(layer._variance, found["var"])
        elif isinstance(layer, nn.Linear):
            found = side.layer("linear", weight=layer.weight.shape[::-1], bias=layer.bias.shape)
            found["weight"] = found["weight"].T
        else:
            continue
        put(layer.weight, found["weight"])
        if "bias" in found:
            put(layer.bias, found["bias"])


for name, (make, resolution, scale) in NETWORKS.items():
    net = make()
    net.eval()
    side, shapes, pools, averages = Side(name, "Paddle", paddle.__version__, resolution, scale), [], [], []
    for layer in trunk(net):
        layer.register_forward_post_hook(lambda _, __, y, found=shapes: found.append(tuple(getattr(y, "shape", ()))))
        if isinstance(layer, nn.MaxPool2D):
            pools.append(layer)
        if isinstance(layer, nn.AvgPool2D):
            averages.append(layer)
    draw(side, net)
    with paddle.no_grad():
        given = net(paddle.to_tensor(side.images))
        logits = given[0] if isinstance(given, (list, tuple)) else given
        side.fact("maps", sides(shapes))
        strided = [pool for pool in pools if (pool.stride if isinstance(pool.stride, int) else pool.stride[0]) == 2]
        kinds = {pool(paddle.ones([1, 1, 8, 8])).shape[-1] for pool in strided}
        texts = {3: "round down", 4: "round up"}
        side.fact("max-pools of stride 2", " or ".join(texts[one] for one in sorted(kinds)))
        norms = {f"BN, ε {layer._epsilon:g}" for layer in net.sublayers() if isinstance(layer, nn.BatchNorm2D)}
        side.fact("normalisation", " or ".join(norms) or "none")
        padded = [pool for pool in averages if pool.padding not in (0, [0, 0])]
        corners = {round(float(pool(paddle.ones([1, 1, 5, 5]))[0, 0, 0, 0]), 3) for pool in padded}
        texts = {1.0: "left out", 0.444: "counts as zeros"}
        side.fact("padding of averages", " or ".join(texts[one] for one in corners) or "no such pool")
        side.fact("pixels", "not said")
        side.fact("parameters", f"{sum(int(np.prod(p.shape)) for p in net.parameters() if not p.stop_gradient):,}")
        if name == "GoogLeNet":
            x, pair = paddle.randn([1, 192, 14, 14]), net._ince3a
            odd = pair._conv3(pair._conv3r(-x)) + pair._conv3(pair._conv3r(x))
            assert float(odd.abs().max()) < 1e-3
            side.fact("activations", "none in the stem, none on reductions")
        side.write(sys.argv[1], logits.numpy())
