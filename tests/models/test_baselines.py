"""AlexNet, LeNet-5 and Network in Network against torchvision, torch and arithmetic by hand."""
import pytest
import torch
from torch import nn

from replication.errors import BadInput
from replication.models import baselines, cost, ops, registry
from replication.models.build import build


def carried(net, theirs):
    """`net` with the weights of `theirs`, in order, both in evaluation mode; in fp64, so that equal means equal."""
    mine = net.state_dict()
    weights = list(theirs.state_dict().values())
    assert len(mine) == len(weights)
    net.load_state_dict({k: w.view(mine[k].shape) for k, w in zip(mine, weights, strict=True)})
    return net.double().eval(), theirs.double().eval()


# -- AlexNet -----------------------------------------------------------------------------------------------------
def test_alexnet_is_torchvision_s():
    torchvision = pytest.importorskip("torchvision")
    them = torchvision.models.alexnet(num_classes=20)
    us = build(baselines.alexnet_torchvision(classes=20))
    assert sum(p.numel() for p in us.parameters()) == sum(p.numel() for p in them.parameters())
    us, them = carried(us, them)
    x = torch.randn(2, 3, 224, 224, dtype=torch.float64)
    expected = them(x)
    assert expected.std() > 1e-3
    torch.testing.assert_close(us(x), expected, rtol=1e-9, atol=1e-9)
    x = torch.randn(1, 3, 198, 170, dtype=torch.float64)  # the adaptive pool is at work, and rounding matters
    torch.testing.assert_close(us(x), them(x), rtol=1e-9, atol=1e-9)
    drops = [m.p for m in us.modules() if isinstance(m, nn.Dropout)]
    assert drops == [m.p for m in them.modules() if isinstance(m, nn.Dropout)]


def test_alexnet_of_the_paper():
    # Krizhevsky et al. 2012, §3.3 to §3.5: rectified, normalised, pooled; alpha 1e-4 for each of the 5 neighbours.
    norm, pool = nn.LocalResponseNorm(5, 5 * 1e-4, 0.75, 2.0), nn.MaxPool2d(3, 2)
    them = nn.Sequential(
        nn.Conv2d(3, 16, 11, 4), nn.ReLU(), norm, pool,
        nn.Conv2d(16, 32, 5, padding=2, groups=2), nn.ReLU(), norm, pool,
        nn.Conv2d(32, 48, 3, padding=1), nn.ReLU(), nn.Conv2d(48, 48, 3, padding=1, groups=2), nn.ReLU(),
        nn.Conv2d(48, 32, 3, padding=1, groups=2), nn.ReLU(), pool, nn.Flatten(), nn.Linear(32 * 6 * 6, 512), nn.ReLU(),
        nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    them[0].weight.data *= 50  # so that LRN has squares to divide by
    us, them = carried(build(baselines.alexnet(width=0.125, classes=10)), them)
    x = torch.randn(2, 3, 227, 227, dtype=torch.float64)
    torch.testing.assert_close(us(x), them(x), rtol=1e-6, atol=1e-9)


def test_alexnet_totals():
    one = baselines.alexnet_torchvision()
    assert cost.parameters(one) == 61_100_840  # torchvision's own metadata
    assert cost.multiply_adds(one) / 1e6 == pytest.approx(714.2, abs=0.05)
    # Krizhevsky et al. 2012, §3.5, layer by layer; each tower sees its own half where there are two.
    two = {row["name"]: row["weights"] for row in cost.table(baselines.ALEXNET)}
    by_hand = {"conv1": 96 * 11 * 11 * 3, "conv2": 256 * 5 * 5 * 48, "conv3": 384 * 3 * 3 * 256,
               "conv4": 384 * 3 * 3 * 192, "conv5": 256 * 3 * 3 * 192, "fc6": 4096 * 6 * 6 * 256,
               "fc7": 4096 * 4096, "fc8": 1000 * 4096}
    assert {name: n for name, n in two.items() if n} == by_hand
    linear = sum(n for name, n in by_hand.items() if name.startswith("fc")) + 2 * 4096 + 1000
    assert linear / cost.parameters(baselines.ALEXNET) == pytest.approx(0.96, abs=0.005)


# -- LeNet-5 -----------------------------------------------------------------------------------------------------
class ScaledTanh(nn.Module):
    def forward(self, x):
        return 1.7159 * torch.tanh(x * 2 / 3)


@pytest.mark.parametrize(("pool", "squash"), [("max", "relu"), ("average", "relu"), ("max", "tanh"),
                                              ("average", "tanh")])
def test_lenet5_dense(pool, squash):
    pooling = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}[pool]
    squashing = {"relu": nn.ReLU, "tanh": ScaledTanh}[squash]
    them = nn.Sequential(nn.Conv2d(1, 6, 5), squashing(), pooling(2), nn.Conv2d(6, 16, 5), squashing(), pooling(2),
                         nn.Flatten(), nn.Linear(400, 120), squashing(), nn.Linear(120, 84), squashing(),
                         nn.Linear(84, 10))
    us, them = carried(build(baselines.lenet5_dense(pool=pool, squash=squash)), them)
    x = torch.randn(3, 1, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(us(x), them(x), rtol=1e-9, atol=1e-9)


def test_lenet5_dense_totals():
    table = baselines.lenet5_dense()
    assert 156 + 2416 + 48_120 + 10_164 + 850 == 61_706 == cost.parameters(table)
    assert cost.shapes(baselines.lenet5_dense(classes=3, resolution=28))[-1] == ("output", (3, 1, 1))


# -- Network in Network --------------------------------------------------------------------------------------------
# The authors' cifar-10_def: filters, side and channels before, map after.
NIN = {"conv1": (192, 5, 3, 32), "cccp1": (160, 1, 192, 32), "cccp2": (96, 1, 160, 32), "conv2": (192, 5, 96, 16),
       "cccp3": (192, 1, 192, 16), "cccp4": (192, 1, 192, 16), "conv3": (192, 3, 192, 8), "cccp5": (192, 1, 192, 8),
       "cccp6": (10, 1, 192, 8)}


def test_nin_by_hand():
    rows = {row["name"]: row for row in cost.table(baselines.nin())}
    for name, (filters, side, channels, grid) in NIN.items():
        weights = filters * side * side * channels
        assert (rows[name]["weights"], rows[name]["biases"]) == (weights, filters)
        assert rows[name]["output"] == (filters, grid, grid)
        assert rows[name]["multiply_adds"] == weights * grid * grid
    assert cost.parameters(baselines.nin()) == 966_986  # as osmr/imgclsmob lists its own
    assert cost.parameters(baselines.nin(classes=100)) == 966_986 + 90 * 193
    fc = cost.parameters(baselines.nin(head="fc"))
    assert fc - 966_986 == 10 * 10 * 8 * 8 + 10 == cost.parameters(baselines.nin(head="fc+dropout")) - 966_986


@pytest.mark.parametrize("head", ["average", "fc", "fc+dropout"])
def test_nin_is_the_published_chain(head):
    def mlpconv(c, kernel, *widths):
        layers = []
        for width in widths:
            layers += [nn.Conv2d(c, width, kernel, padding=kernel // 2), nn.ReLU()]
            c, kernel = width, 1
        return layers

    end = [nn.AvgPool2d(8), nn.Flatten()] if head == "average" else [nn.Flatten(), nn.Linear(640, 10)]
    them = nn.Sequential(*mlpconv(3, 5, 192, 160, 96), nn.MaxPool2d(3, 2, ceil_mode=True),
                         *mlpconv(96, 5, 192, 192, 192), nn.MaxPool2d(3, 2, ceil_mode=True),
                         *mlpconv(192, 3, 192, 192, 10), *end)
    us, them = carried(build(baselines.nin(head=head)), them)
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(us(x), them(x), rtol=1e-9, atol=1e-9)
    places = [row.name for row in us.network.rows if isinstance(row.op, ops.Dropout)]
    assert places == ["dropout1", "dropout2", *(["dropout3"] if head == "fc+dropout" else [])]
    assert [row.name for row in us.network.rows].index("dropout1") == 4  # after the pool


def test_nin_class_maps_with_and_without_relu():
    x = torch.randn(2, 96, 8, 8)
    for rectified in (True, False):
        maps = build(baselines.nin(width=0.5, rectified=rectified)).cccp6(x)
        assert (maps < 0).any() != rectified
        assert maps.shape == (2, 10, 8, 8)


# -- all of them ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["alexnet", "alexnet_torchvision", "nin"])
def test_width_scales_everything_but_the_classes(name):
    full, half = (registry.NETWORKS[name](width=width, classes=7) for width in (1.0, 0.5))
    counts = [(row.op.out, other.op.out) for row, other in zip(full.rows, half.rows, strict=True)
              if isinstance(row.op, (ops.Conv, ops.Linear))]
    assert [pair for pair in counts if pair[0] == 7] == [(7, 7)]
    assert all(a == 2 * b for a, b in counts if a != 7)
    assert len(counts) in (8, 9)


@pytest.mark.parametrize(("name", "wrong", "says"), [
    ("alexnet", {"resolution": 30}, "at least 39 px"), ("alexnet", {"classes": 1}, "at least 2"),
    ("alexnet_torchvision", {"resolution": 62}, "at least 63 px"), ("alexnet", {"init": "He"}, "init"),
    ("lenet5", {"classes": 26}, "take lenet5_dense"), ("lenet5_dense", {"pool": "avarage"}, "mean 'average'"),
    ("lenet5_dense", {"squash": "tan"}, "mean 'tanh'"), ("lenet5_dense", {"resolution": 12}, "at least 13 px"),
    ("nin", {"head": "fc, dropout"}, r"mean 'fc\+dropout'"), ("nin", {"rectified": 1}, "must be a bool"),
    ("nin", {"dropout": 1}, "between 0 and 0.99"), ("nin", {"width": 0}, "width"),
])
def test_refusals(name, wrong, says):
    with pytest.raises(BadInput, match=says) as refused:
        build(registry.NETWORKS[name](**wrong))
    assert "\n" not in str(refused.value)
