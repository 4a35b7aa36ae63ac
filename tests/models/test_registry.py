"""The whole zoo: every network learns, and the list of them says what they are."""
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from waiting import HANG

from replication.errors import BadInput
from replication.models import cost, registry
from replication.models.build import build
from replication.models.ops import He

# Small enough for seconds on one core; other networks take FALLBACK. He's start where the published one, made for full
# width, is too small. Dropout would only slow this down.
V1 = {"classes": 10, "width": 0.25, "resolution": 32, "dropout": 0, "init": He()}
SLIM = {"classes": 10, "width": 0.125, "resolution": 32}
V3 = {"classes": 10, "width": 0.125, "resolution": 75, "dropout": 0}
FALLBACK = {"classes": 10}
SIZES = {
    "googlenet": V1, "googlenet_separable": V1, "googlenet_bn": V1,
    "googlenet_two_3x3": V1, "googlenet_asymmetric": V1, "googlenet_reshaped": V1,
    "googlenet_naive": {**V1, "width": 0.125, "aux": ("4a",)},
    "googlenet_torchvision": SLIM, "googlenet_slim": SLIM,
    "inception_v2": V3, "inception_v3": V3, "inception_v3_paper": V3, "bn_inception": {**V3, "resolution": 32},
    "alexnet": {"classes": 10, "width": 0.125, "resolution": 67, "init": He()},
    "alexnet_torchvision": {"classes": 10, "width": 0.125, "resolution": 63},
    # As published, ReLU on the class maps, a class whose map starts below zero for all images is lost for good.
    "nin": {"width": 0.25, "resolution": 16, "dropout": 0, "init": He(), "rectified": False},
}


@pytest.mark.parametrize("name", registry.NETWORKS)
def test_overfits_32_images(name):
    table = registry.NETWORKS[name](**SIZES.get(name, FALLBACK))
    net = build(table)
    x = F.interpolate(torch.randn(32, table.channels, 8, 8), cost.input_shape(table)[1:], mode="bilinear")
    y = torch.arange(32) % 10  # nothing but memory helps
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(20):
        for _ in range(10):
            # V1 §5: the heads' losses count 0.3.
            loss = sum((1 if head == "main" else 0.3) * F.cross_entropy(v, y) for head, v in net(x).items())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if errors(net, x, y) == 0:
            return
    raise AssertionError(f"{errors(net, x, y)} of 32 images are still wrong after 200 steps.")


@torch.no_grad()
def errors(net, x, y):
    """Without dropout, but with these images' own statistics: running ones lag behind for longer than this takes."""
    for layer in net.modules():
        if isinstance(layer, nn.Dropout):
            layer.eval()
    wrong = (net(x)["main"].argmax(1) != y).sum().item()
    net.train()
    return wrong


VERB = """
import sys
from replication.__main__ import main
code = main(["zoo"])
slow = {"torch", "pandas", "numpy", "scipy", "torchvision"} & set(sys.modules)
sys.exit(f"imported {sorted(slow)}" if slow else code)
"""


def test_zoo_verb():
    done = subprocess.run([sys.executable, "-c", VERB], capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line.split() for line in done.stdout.splitlines()[1:]}
    assert list(lines) == list(registry.NETWORKS)
    # Parameters without and with heads, multiply-adds in M, input, the least px without and with heads, depth.
    assert lines["googlenet"][1:9] == ["6,998,552", "13,378,280", "1,582.7", "M", "3×224×224", "31", "79", "22"]
    assert lines["inception_v3"][1:8] == ["23,834,568", "27,161,264", "5,713.2", "M", "3×299×299", "75", "299"]
    assert lines["alexnet"][1:3] == ["60,965,224"] * 2
    assert " ".join(lines["googlenet"][9:]) == "GoogLeNet as V1 Table 1 and Fig. 3 print it"
    assert " ".join(lines["nin"][9:]).startswith("Network in Network for CIFAR-10 (Lin et al., arXiv 1312.4400")
    assert all(len(line) > 12 for line in lines.values())


@pytest.mark.parametrize("name", registry.NETWORKS)
def test_every_network_takes_classes(name):
    if name == "lenet5":  # its output knows ten digits
        with pytest.raises(BadInput, match="bitmaps of the ten digits"):
            registry.NETWORKS[name](classes=7)
    else:
        assert cost.shapes(registry.NETWORKS[name](classes=7))[-1][1] == (7, 1, 1)
