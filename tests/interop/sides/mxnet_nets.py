"""The Inception V3 and AlexNet of MXNet's own model zoo, and gluoncv's GoogLeNet, which is one file of that package:
the whole of it asks for a dozen others."""
from __future__ import annotations

import importlib.util
import sys
from importlib.metadata import distribution
from typing import Any

import mxnet
import numpy as np
from exchange import Side, sides
from mxnet.gluon import nn
from mxnet.gluon.model_zoo import vision


def layers(block: Any) -> list[Any]:
    """In their order, each once."""
    inside = [one for child in block._children.values() for one in layers(child)]
    return list(dict.fromkeys([block, *inside]))


def gluoncv(module: str) -> Any:
    path = distribution("gluoncv").locate_file(f"gluoncv/model_zoo/{module}.py")
    spec = importlib.util.spec_from_file_location(module, path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def positions(net: Any, pool: Any, size: int) -> str:
    """Of the last map how many positions its average takes."""
    maps: list[Any] = []
    hook = pool.register_forward_pre_hook(lambda _, given: maps.append(given[0].shape))
    net(mxnet.nd.zeros((1, 3, size, size)))
    hook.detach()
    x = mxnet.nd.ones((1, 1, *maps[0][2:]))
    x.attach_grad()
    with mxnet.autograd.record():
        found = pool(x).sum()
    found.backward()
    return f"{int((x.grad != 0).sum().asscalar())} of {x.size} positions at {size} px"


VERSION = distribution("gluoncv").version
NETWORKS = (("Inception V3", "MXNet", mxnet.__version__, vision.inception_v3, 299),
            ("AlexNet", "MXNet", mxnet.__version__, vision.alexnet, 224),
            ("GoogLeNet", "gluoncv", VERSION, gluoncv("googlenet").googlenet, 224))

for name, library, version, make, resolution in NETWORKS:
    net = make()
    net.initialize()
    side, shapes = Side(name, library, version, resolution), []
    images = mxnet.nd.array(side.images)
    net(images)  # only now do the layers know their sizes
    for layer in layers(net):
        if isinstance(layer, nn.Conv2D):
            found = side.layer("conv", weight=layer.weight.shape, bias=None if layer.bias is None else layer.bias.shape)
        elif isinstance(layer, nn.BatchNorm):
            width = layer.gamma.shape
            found = side.layer("norm", weight=width, bias=width, mean=width, var=width)
            for parameter, part in ((layer.gamma, "weight"), (layer.beta, "bias"), (layer.running_mean, "mean"),
                                    (layer.running_var, "var")):
                parameter.set_data(mxnet.nd.array(found[part]))
            continue
        elif isinstance(layer, nn.Dense):
            found = side.layer("linear", weight=layer.weight.shape, bias=layer.bias.shape)
        else:
            layer.register_forward_hook(lambda _, __, y, shapes=shapes: shapes.append(y.shape))
            continue
        layer.weight.set_data(mxnet.nd.array(found["weight"]))
        if "bias" in found:
            layer.bias.set_data(mxnet.nd.array(found["bias"]))
    logits = net(images).asnumpy()
    side.fact("maps", sides(shapes))
    strided = [one for one in layers(net) if isinstance(one, nn.MaxPool2D)]
    texts = {3: "round down", 4: "round up"}
    side.fact("max-pools of stride 2", " or ".join(
        texts[n] for n in sorted({pool(mxnet.nd.ones((1, 1, 8, 8))).shape[-1] for pool in strided
                                  if pool._kwargs["kernel"] == (3, 3) and pool._kwargs["stride"] == (2, 2)})))
    norms = {f"BN, ε {one._kwargs['eps']:g}" for one in layers(net) if isinstance(one, nn.BatchNorm)}
    side.fact("normalisation", " or ".join(norms) or "none")
    averages = [one for one in layers(net) if isinstance(one, nn.AvgPool2D)]
    padded = [one for one in averages if one._kwargs["pad"] != (0, 0)]
    corners = {round(float(pool(mxnet.nd.ones((1, 1, 5, 5)))[0, 0, 0, 0].asscalar()), 3) for pool in padded}
    texts = {1.0: "left out", 0.444: "counts as zeros"}
    side.fact("padding of averages", " or ".join(texts[one] for one in corners) or "no such pool")
    if averages:
        larger = name == "Inception V3"  # where a larger image is answered, as others' is not
        side.fact("last average", f"{averages[-1]._kwargs['kernel'][0]}×{averages[-1]._kwargs['kernel'][1]}, whatever "
                                  f"the map" + (f"; {positions(net, averages[-1], 512)}" if larger else ""))
    side.fact("pixels", "not said")
    trained = [one for one in net.collect_params().values() if one.grad_req != "null"]
    side.fact("parameters", f"{sum(int(np.prod(one.shape)) for one in trained):,}")
    side.write(sys.argv[1], logits)
