"""BN-Inception as pretrainedmodels and pytorchcv have it, and the AlexNet of the latter."""
from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any

import pretrainedmodels
import torch
from exchange import Side, sides
from pytorchcv.models.alexnet import alexnet
from pytorchcv.models.bninception import bninception
from torch import nn

NETWORKS = (("BN-Inception", "pretrainedmodels", lambda: pretrainedmodels.bninception(pretrained=None), 1.0),
            ("BN-Inception", "pytorchcv", bninception, 1.0),
            ("AlexNet", "pytorchcv", alexnet, 58.0))


@torch.no_grad()
def draw(side: Side, net: nn.Module) -> None:
    """Biases before a normalisation, which takes them off again, are zero."""
    found = [module for module in net.modules() if isinstance(module, (nn.Conv2d, nn.BatchNorm2d, nn.Linear))]
    for module, after in zip(found, [*found[1:], None], strict=True):
        width = module.weight.shape[:1]
        if isinstance(module, nn.BatchNorm2d):
            parts = side.layer("norm", weight=width, bias=width, mean=width, var=width)
            module.running_mean.copy_(torch.from_numpy(parts["mean"]))
            module.running_var.copy_(torch.from_numpy(parts["var"]))
        elif isinstance(after, nn.BatchNorm2d):
            parts = side.layer("conv", weight=module.weight.shape)
            module.bias.zero_()
        else:
            parts = side.layer("linear" if isinstance(module, nn.Linear) else "conv", weight=module.weight.shape,
                               bias=width)
        module.weight.copy_(torch.from_numpy(parts["weight"]))
        if "bias" in parts:
            module.bias.copy_(torch.from_numpy(parts["bias"]))


def normalisations(net: nn.Module, images: Any) -> str:
    """Of batch normalisation its ε, of LRN what it is called with."""
    found = {f"BN, ε {module.eps:g}" for module in net.modules() if isinstance(module, nn.BatchNorm2d)}
    lrn = nn.functional.local_response_norm

    def seen(x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Any:
        found.add(f"LRN, k {k:g}, α {alpha:g}")
        return lrn(x, size, alpha, beta, k)

    nn.functional.local_response_norm = seen
    net(images)
    nn.functional.local_response_norm = lrn
    return "; ".join(sorted(found))


def strides(module: nn.Module) -> bool:
    return isinstance(module, nn.MaxPool2d) and module.stride in (2, (2, 2))


def over(pool: nn.Module) -> float:
    """What the corner of a map of ones is after it."""
    return round(float(pool(torch.ones(1, 1, 5, 5))[0, 0, 0, 0]), 3)


for name, library, make, scale in NETWORKS:
    net = make().eval()
    side, shapes = Side(name, library, version(library), 224, scale), []
    draw(side, net)
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.MaxPool2d)):
            module.register_forward_hook(lambda _, __, y, shapes=shapes: shapes.append(tuple(y.shape)))
    images = torch.from_numpy(side.images)
    with torch.no_grad():
        logits = net(images)
        side.fact("maps", sides(shapes))
        side.fact("normalisation", normalisations(net, images))
        strided = {pool(torch.ones(1, 1, 8, 8)).shape[-1] for pool in net.modules()
                   if strides(pool)}
        side.fact("max-pools of stride 2", " or ".join({3: "round down", 4: "round up"}[one] for one in strided))
        padded = {over(pool) for pool in net.modules() if isinstance(pool, nn.AvgPool2d) and pool.padding}
        side.fact("padding of averages", " or ".join({1.0: "left out", 0.444: "counts as zeros"}[one] for one in padded)
                  or "no such pool")
    side.fact("pixels", "not said")
    side.fact("parameters", f"{sum(p.numel() for p in net.parameters()):,}")
    for module in net.modules():
        if strides(module) and name == "BN-Inception":
            module.padding, module.ceil_mode = 1, False
    with torch.no_grad():
        side.write(sys.argv[1], logits.numpy(), mended=net(images).numpy())
