"""What several tests of training look at."""
from __future__ import annotations

import pytest
import torch

from replication.models.build import Net, build
from replication.models.ops import AvgPool, Conv, Linear, Network, Row


@pytest.fixture
def colours() -> Net:
    """Class 0 is red and class 1 is green: a 1×1 convolution sees each, and the classifier reads it."""
    network = build(Network("colours", (Row("conv", Conv(2)), Row("pool", AvgPool()), Row("linear", Linear(2))), 16))
    with torch.no_grad():
        network.conv.weight.copy_(torch.eye(3)[:2, :, None, None])
        network.conv.bias.fill_(2)  # black is -2
        network.linear.weight.copy_(torch.eye(2))
        network.linear.bias.zero_()
    return network
