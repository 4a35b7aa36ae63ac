"""Networks of others, with nothing at a value that a tensor forgotten on the way would have too."""
from __future__ import annotations

from torch import nn


def stir(net: nn.Module, spread: tuple[float, float]) -> nn.Module:
    """In double, so that equal means equal and not close. `spread`: the range of the running variances, for which the
    maps neither grow nor vanish over V3's 48 layers."""
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.weight, 1, 1.5)
            nn.init.normal_(m.bias, std=0.3)
            nn.init.normal_(m.running_mean, std=0.1)
            nn.init.uniform_(m.running_var, *spread)
    return net.double()
