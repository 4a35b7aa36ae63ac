"""torchvision's GoogLeNet weights in our network of the same table."""
from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from replication.errors import BadInput
from replication.inception import Net
from replication.zoo import INCEPTION

# Ours on the left. torchvision counts the reduction before the second convolution as a convolution of its own.
_LAYERS = {"conv1": "conv1", "conv2_reduce": "conv2", "conv2": "conv3"} | {
    f"{row}.{ours}": f"inception{row}.{theirs}"
    for row in INCEPTION
    for ours, theirs in {"1x1": "branch1", "3x3_reduce": "branch2.0", "3x3": "branch2.1", "5x5_reduce": "branch3.0",
                         "5x5": "branch3.1", "pool_proj": "branch4.1"}.items()
} | {"aux.4a.conv": "aux1.conv", "aux.4d.conv": "aux2.conv"}
_LINEAR = {"linear": "fc", "aux.4a.fc": "aux1.fc1", "aux.4a.linear": "aux1.fc2", "aux.4d.fc": "aux2.fc1",
           "aux.4d.linear": "aux2.fc2"}
_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")

NAMES = {f"{ours}.weight": f"{theirs}.conv.weight" for ours, theirs in _LAYERS.items()} | {
    f"{ours}.norm.{part}": f"{theirs}.bn.{part}" for ours, theirs in _LAYERS.items() for part in _NORM
} | {f"{ours}.{part}": f"{theirs}.{part}" for ours, theirs in _LINEAR.items() for part in ("weight", "bias")}


@torch.no_grad()
def torchvision_googlenet(weights: Mapping[str, Tensor], net: Net) -> Net:
    """Copy the `state_dict()` of torchvision.models.googlenet into `net`, a built `zoo.googlenet_torchvision`; give
    `net` back. Auxiliary heads that `net` lacks are left out.

    torchvision's published weights expect its `transform_input`; their auxiliary heads were never trained.
    Raises BadInput at the first tensor that is missing or of another shape; `net` is then unchanged.
    Source: torchvision/models/googlenet.py.
    """
    carried = {}
    for ours, mine in net.state_dict().items():
        theirs = NAMES.get(ours)
        if theirs is None:
            raise BadInput(f"{net.network.name} has '{ours}' and torchvision's GoogLeNet has nothing like it; "
                           f"build the network from zoo.googlenet_torchvision.")
        if theirs not in weights:
            raise BadInput(f"The weights have no '{theirs}', which '{ours}' needs; without auxiliary heads in the "
                           f"weights, build the network with aux=().")
        if weights[theirs].shape != mine.shape:
            raise BadInput(f"'{theirs}' is {tuple(weights[theirs].shape)} and '{ours}' is {tuple(mine.shape)}; "
                           f"build the network with the classes of the weights.")
        carried[ours] = weights[theirs]
    net.load_state_dict(carried)
    return net
