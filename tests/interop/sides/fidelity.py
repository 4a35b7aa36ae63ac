"""The Inception V3 of FID, by torch-fidelity, which torchmetrics takes it from: it would fetch weights, and is given
drawn ones."""
from __future__ import annotations

import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import torch
from exchange import Side, sides
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

side = Side("Inception V3", "torch-fidelity", version("torch-fidelity"), 299)
side.images = side.random.integers(0, 256, side.images.shape).astype("float32")  # what it takes: bytes
load = FeatureExtractorInceptionV3.load_state_dict
FeatureExtractorInceptionV3.load_state_dict = lambda *_, **__: None
with tempfile.TemporaryDirectory() as folder:
    torch.save({}, Path(folder) / "none.pth")
    net = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(Path(folder) / "none.pth")).eval()
FeatureExtractorInceptionV3.load_state_dict = load
shapes: list[tuple[int, ...]] = []
seen: list[torch.Tensor] = []


def watch(_: nn.Module, given: tuple[torch.Tensor], found: torch.Tensor) -> None:
    shapes.append(tuple(found.shape))
    seen.append(given[0])


with torch.no_grad():
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            parts = side.layer("conv", weight=module.weight.shape)
            module.register_forward_hook(watch)
        elif isinstance(module, nn.BatchNorm2d):
            width = module.weight.shape
            parts = side.layer("norm", weight=width, bias=width, mean=width, var=width)
            module.running_mean.copy_(torch.from_numpy(parts["mean"]))
            module.running_var.copy_(torch.from_numpy(parts["var"]))
        elif isinstance(module, nn.Linear):
            parts = side.layer("linear", weight=module.weight.shape, bias=module.bias.shape)
        else:
            continue
        module.weight.copy_(torch.from_numpy(parts["weight"]))
        if "bias" in parts:
            module.bias.copy_(torch.from_numpy(parts["bias"]))
    features = net(torch.from_numpy(side.images).to(torch.uint8))[0]
    side.fact("maps", sides(shapes))
    net(torch.tensor([0, 255], dtype=torch.uint8)[:, None, None, None].expand(2, 3, 299, 299))
first = seen[len(seen) // 2]
side.fact("pixels", f"{first.min():g} to {first.max():.4g}")
norm = next(module for module in net.modules() if isinstance(module, nn.BatchNorm2d))
side.fact("normalisation", f"BN, ε {norm.eps:g}")
side.fact("max-pools of stride 2", "round down")
side.fact("parameters", f"{sum(p.numel() for p in net.parameters()):,}")
side.write(sys.argv[1], features.numpy())
