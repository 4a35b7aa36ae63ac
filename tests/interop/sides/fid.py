"""The Inception V3 of FID, by pytorch-fid: it would fetch weights, and is given drawn ones."""
from __future__ import annotations

import sys
from importlib.metadata import version

import torch
from exchange import Side, sides
from pytorch_fid import inception

side = Side("Inception V3", "pytorch-fid", version("pytorch-fid"), 299)
side.images = side.random.uniform(0, 1, side.images.shape).astype("float32")  # what it takes: 0 to 1
bare = inception._inception_v3(num_classes=1008, aux_logits=False, weights=None)
found = dict(bare.state_dict())
for name, module in bare.named_modules():
    if isinstance(module, torch.nn.Conv2d):
        parts = side.layer("conv", weight=module.weight.shape)
    elif isinstance(module, torch.nn.BatchNorm2d):
        width = module.weight.shape
        parts = side.layer("norm", weight=width, bias=width, mean=width, var=width)
        parts |= {"running_mean": parts.pop("mean"), "running_var": parts.pop("var")}
    elif isinstance(module, torch.nn.Linear):
        parts = side.layer("linear", weight=module.weight.shape, bias=module.bias.shape)
    else:
        continue
    found |= {f"{name}.{part}": torch.from_numpy(value) for part, value in parts.items()}
inception.load_state_dict_from_url = lambda *_, **__: found
net = inception.InceptionV3([3], resize_input=False).eval()
shapes: list[tuple[int, ...]] = []
seen: list[torch.Tensor] = []


def watch(_: torch.nn.Module, given: tuple[torch.Tensor], found: torch.Tensor) -> None:
    shapes.append(tuple(found.shape))
    seen.append(given[0])


for module in net.modules():
    if isinstance(module, torch.nn.Conv2d):
        module.register_forward_hook(watch)
with torch.no_grad():
    features = net(torch.from_numpy(side.images))[0].flatten(1)
    edges = net(torch.stack([torch.zeros(3, 299, 299), torch.ones(3, 299, 299)])) and seen[len(seen) // 2]
side.fact("maps", sides(shapes))
side.fact("max-pools of stride 2", "round down")
norm = next(m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d))
side.fact("normalisation", f"BN, ε {norm.eps:g}")
side.fact("pixels", f"{edges.min():g} to {edges.max():g}")
with torch.no_grad():
    pooled: list[torch.Tensor] = []
    average = torch.nn.functional.avg_pool2d
    torch.nn.functional.avg_pool2d = lambda x, *a, **k: pooled.append(average(torch.ones_like(x), *a, **k)) or average(
        x, *a, **k)
    net(torch.from_numpy(side.images[:1]))
corners = {round(one[0, 0, 0, 0].item(), 3) for one in pooled}
side.fact("padding of averages", " or ".join({1.0: "left out", 0.444: "counts as zeros"}[one] for one in corners))
side.fact("last module", f"max-pool ({len(pooled)} of 9 modules average)")
side.fact("parameters", f"{sum(p.numel() for p in bare.parameters()):,}")
side.write(sys.argv[1], features)
