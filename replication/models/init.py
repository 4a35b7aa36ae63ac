"""How weights start."""
from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import torch
from torch import Tensor, nn

from replication.models import ops
from replication.models.layers import Conv, Linear, Subsample, TableConv


def draw(init: ops.Init, shape: Sequence[int], fan_in: float | Tensor, generator: torch.Generator) -> Tensor:
    """fp32 weights on the CPU, so that a seed starts the same on every device. `fan_in` broadcasts to `shape`."""
    w = torch.empty(tuple(shape), dtype=torch.float32, device="cpu")
    fan = torch.as_tensor(fan_in, dtype=torch.float32, device="cpu")
    match init:
        case ops.CaffeXavier():
            return w.uniform_(-1, 1, generator=generator) * (3 / fan).sqrt()
        case ops.He():
            return w.normal_(generator=generator) * (2 / fan).sqrt()
        case ops.TruncatedNormal(std=std):  # a and b are absolute
            return nn.init.trunc_normal_(w, std=std, a=-2 * std, b=2 * std, generator=generator)
        case ops.VarianceScaling(factor=factor):
            return nn.init.trunc_normal_(w, a=-2, b=2, generator=generator) * (1.3 * factor / fan).sqrt()


@torch.no_grad()
def initialise(net: nn.Module, init: ops.Init, classifiers: Sequence[nn.Module]) -> None:
    """Each layer from a generator of its own, seeded by one number of the global generator and by the layer's name.

    So networks built after the same `torch.manual_seed` share the weights of every layer they share, whichever
    auxiliary heads or stem they have, and the global generator is left in the same state. Biases are `init.bias` where
    it has one, in `classifiers` 0. A network on the meta device, made to be counted, has nothing to fill.
    """
    seed = int(torch.randint(2 ** 62, (1,), device="cpu"))
    bias = init.bias if isinstance(init, ops.CaffeXavier) else 0.0
    if any(p.is_meta for p in net.parameters()):
        return
    for name, layer in net.named_modules():
        if isinstance(layer, Subsample):  # starts as an average
            layer.weight.fill_(1 / layer.kernel ** 2)
            layer.bias.zero_()
        elif isinstance(layer, (Conv, Linear, TableConv)):
            digest = sha256(f"{seed} {name}".encode()).digest()
            generator = torch.Generator(device="cpu").manual_seed(int.from_bytes(digest[:4], "big"))
            fan_in = layer.fan_in if isinstance(layer, TableConv) else layer.weight[0].numel()
            start = None if isinstance(layer, TableConv) else layer.start
            layer.weight.copy_(draw(start or init, layer.weight.shape, fan_in, generator))
            if layer.bias is not None:
                layer.bias.fill_(0.0 if layer in classifiers else bias)
