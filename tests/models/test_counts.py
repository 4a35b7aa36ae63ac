"""Totals from the papers and from implementations that are not ours; our arithmetic against torch's own counting."""
import pytest
import torch
from table1 import MODULES
from torch.utils.flop_counter import FlopCounterMode

from replication.errors import BadInput
from replication.models import baselines, cost, registry
from replication.models.build import build
from replication.models.googlenet import (
    TABLE1_PRINTED,
    googlenet,
    googlenet_bn,
    googlenet_naive,
    googlenet_separable,
    googlenet_slim,
    googlenet_torchvision,
)
from replication.models.ops import LRN, RBF, BatchNorm, Subsample, TableConv


def test_googlenet_totals():
    net = googlenet()
    assert cost.parameters(net, aux=False) == 6_998_552  # as Caffe's bvlc_googlenet has without its heads
    assert cost.parameters(net, aux=True) == 13_378_280
    heads = {row["head"]: row["parameters"] for row in cost.table(net) if row["head"] != "main"}
    assert heads == {"4a": 3_188_840, "4d": 3_190_888}
    assert cost.multiply_adds(net) / 1e6 == pytest.approx(1582.7, abs=0.05)


def test_auxiliary_head_of_the_paper():
    # V1 §5: average pool to 4×4, 128 1×1, 1024, classes.
    for row, channels in (("4a", 512), ("4d", 528)):
        line = next(line for line in cost.table(googlenet()) if line["name"] == f"aux {row}")
        assert line["weights"] == channels * 128 + 4 * 4 * 128 * 1024 + 1024 * 1000
        assert line["biases"] == 128 + 1024 + 1000
        assert line["multiply_adds"] == 4 * 4 * channels * 128 + 4 * 4 * 128 * 1024 + 1024 * 1000


def test_depth_of_the_paper():
    assert cost.depth(googlenet()) == 22  # V1 §5
    assert cost.depth(googlenet(), pooling=True) == 27
    assert 84 == 57 + 1 + 13 + 1 + 9 + 2 + 1 == cost.blocks(googlenet(), aux=False)  # "about 100"
    assert cost.blocks(googlenet(), aux=True) == 84 + 2 * 5


def test_torchvision_totals():
    torchvision = pytest.importorskip("torchvision")
    assert cost.parameters(googlenet_torchvision(), aux=False) == 6_624_904  # the weights' own metadata
    assert cost.multiply_adds(googlenet_torchvision()) / 1e9 == pytest.approx(1.498, abs=5e-4)
    with torch.device("meta"):
        theirs = torchvision.models.GoogLeNet(num_classes=7, aux_logits=True, init_weights=False)
    assert cost.parameters(googlenet_torchvision(classes=7)) == sum(p.numel() for p in theirs.parameters())


def modules(table):
    """Their rows, checked against each other: weights count once a place."""
    rows = {row["name"]: row for row in cost.table(table) if row["name"] in MODULES}
    for name, module in MODULES.items():
        assert rows[name]["multiply_adds"] == rows[name]["weights"] * module.side ** 2
    return rows


def total(rows, what):
    return sum(row[what] for row in rows.values())


def test_slim_totals():
    # inception_v1_test.py counts all variables but those of the last layer, running statistics among them.
    table = googlenet_slim()
    with torch.device("meta"):
        net = build(table)
    running = sum(b.numel() for name, b in net.named_buffers() if "running" in name)
    assert cost.parameters(table) - 1_025_000 + running == 5_607_184


def test_naive_modules():
    # V1 §4: without reductions and projections, the pooled channels pile up. At 3a it costs 2.4 times as much.
    rows, reduced = modules(googlenet_naive()), modules(googlenet())
    channels = [192]
    for name, m in MODULES.items():
        assert rows[name]["weights"] == channels[-1] * (m.n1 + 9 * m.n3 + 25 * m.n5)
        channels.append(channels[-1] + m.n1 + m.n3 + m.n5)
        assert rows[name]["output"][0] == channels[-1]
    assert (channels[:3], channels[-1]) == ([192, 416, 832], 4944)
    assert total(rows, "multiply_adds") / 1e9 == pytest.approx(12.09, abs=0.005)
    assert total(rows, "weights") / 1e6 == pytest.approx(92.5, abs=0.05)
    assert total(reduced, "multiply_adds") / 1e9 == pytest.approx(1.104, abs=0.0005)
    assert total(reduced, "weights") / 1e6 == pytest.approx(5.84, abs=0.005)
    times = {name: row["multiply_adds"] / reduced[name]["multiply_adds"] for name, row in rows.items()}
    assert [round(times[name], 1) for name in ("3a", "3b", "4a")] == [2.4, 4.6, 7.2]
    assert times["5a"] == pytest.approx(20, abs=0.5)


def test_modules_without_reductions_but_with_projections():
    rows, channels = modules(googlenet(module="unreduced")), 192
    for name, m in MODULES.items():
        assert rows[name]["weights"] == channels * (m.n1 + 9 * m.n3 + 25 * m.n5 + m.pool)
        assert rows[name]["biases"] == (channels := m.n1 + m.n3 + m.n5 + m.pool) == rows[name]["output"][0]
    assert total(rows, "multiply_adds") / 1e9 == pytest.approx(3.95, abs=0.005)
    assert total(rows, "weights") / 1e6 == pytest.approx(24.2, abs=0.05)


def test_reductions_without_relu_cost_the_same():
    assert cost.table(googlenet(module="linear")) == cost.table(googlenet())


def test_separable_first_convolution():
    # V1 Table 1 prints 2.7 K and 34 M for the row, where a plain 7×7 has 9.2 K and 118 M.
    row = cost.table(googlenet_separable())[0]
    assert (row["weights"], row["output"]) == (7 * 7 * 3 * 8 + 3 * 8 * 64, (64, 112, 112))
    printed = TABLE1_PRINTED["conv1"]
    assert row["weights"] / 1024 == pytest.approx(printed.params_k, abs=0.06)
    assert row["multiply_adds"] / 1e6 == pytest.approx(printed.ops_m, abs=0.05)
    assert cost.multiply_adds(googlenet_separable()) / 1e6 == pytest.approx(1498.7, abs=0.05)
    assert googlenet(separable=8, width=0.5).rows[0].op.out == 32


# Input side, arguments: grids of the modules, and for 200 classes the multiply-adds in M of all but the heads.
STEMS = {
    (224, 8, None): ((28, 14, 7), 1582), (64, 8, None): ((8, 4, 2), 129), (64, 4, True): ((16, 8, 4), 517),
    (64, 4, None): ((16, 8, 4), 488), (64, 2, None): ((32, 16, 8), 1950), (56, 2, None): ((28, 14, 7), 1493),
    (32, 2, None): ((16, 8, 4), None), (32, 4, None): ((8, 4, 2), None), (32, 4, True): ((8, 4, 2), None),
    (32, 8, None): ((4, 2, 1), None),
}


@pytest.mark.parametrize(("resolution", "stem", "pool1"), STEMS)
def test_stems(resolution, stem, pool1):
    (grids, millions) = STEMS[resolution, stem, pool1]
    net = googlenet(resolution=resolution, stem=stem, pool1=pool1, classes=200, aux=tuple(MODULES))
    rows = {row["name"]: row for row in cost.table(net)}
    assert tuple(rows[name]["output"][1] for name in ("3a", "4a", "5a")) == grids
    conv1 = resolution // (1 if stem == 2 or pool1 else 2)
    by_hand = 9408 * conv1 ** 2 + 114_688 * (2 * grids[0]) ** 2 + 1024 * 200
    for name, module in MODULES.items():
        by_hand += rows[name]["weights"] * {28: grids[0], 14: grids[1], 7: grids[2]}[module.side] ** 2
    assert cost.multiply_adds(net) == by_hand
    other = googlenet_separable(resolution=resolution, stem=stem, pool1=pool1, classes=200)
    assert cost.shapes(other) == cost.shapes(net)
    if millions:
        assert by_hand / 1e6 == pytest.approx(millions, abs=0.5)
    # V1 §5's heads are 4×4×128 on a hidden 1024: so here, unless the map itself is smaller.
    for aux in net.aux:
        side = min(4, rows[aux.at]["output"][1])
        weights = rows[aux.at]["output"][0] * 128 + side * side * 128 * 1024 + 1024 * 200
        assert rows[f"aux {aux.at}"]["weights"] == weights


def test_heads():
    rows = {head: {row["name"]: row for row in cost.table(googlenet(head=head, aux=()))}
            for head in ("average", "fc", "nin")}
    assert rows["fc"]["fc"]["weights"] == 7 * 7 * 1024 * 1024
    for head, places in (("average", 1), ("fc", 1), ("nin", 49)):
        row = rows[head]["linear"]
        assert (row["weights"], row["biases"], row["norm"]) == (1_024_000, 1000, 0)
        assert row["multiply_adds"] == places * 1_024_000
    assert googlenet_bn(head="nin").row("linear").op.norm is False
    assert list(rows["nin"])[-3:] == ["dropout", "linear", "avgpool"]


def test_alexnet():
    assert cost.parameters(baselines.ALEXNET) == 60_965_224
    # Krizhevsky et al. 2012, §3.5: 253,440–186,624–64,896–64,896–43,264–4096–4096–1000 neurons.
    neurons = {name: c * h * w for name, (c, h, w) in cost.shapes(baselines.ALEXNET)}
    assert [neurons[n] for n in ("conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")] == \
        [186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]
    assert neurons["conv1"] == 55 * 55 * 96


def test_lenet5():
    # LeCun et al. 1998, §II.B, layer by layer; connections count the biases.
    rows = {row["name"]: row for row in cost.table(baselines.LENET5)}
    printed = {"C1": (156, (6, 28, 28)), "S2": (12, (6, 14, 14)), "C3": (1516, (16, 10, 10)), "S4": (32, (16, 5, 5)),
               "C5": (48_120, (120, 1, 1)), "F6": (10_164, (84, 1, 1)), "output": (0, (10, 1, 1))}
    assert {name: (rows[name]["parameters"], rows[name]["output"]) for name in printed} == printed
    assert cost.parameters(baselines.LENET5) == 60_000
    for name, connections in {"C1": 122_304, "C3": 151_600}.items():
        c, h, w = rows[name]["output"]
        assert rows[name]["multiply_adds"] + c * h * w == connections
    assert sum(p.numel() for p in build(baselines.LENET5).parameters()) == 60_000


VARIANTS = {
    "stem 4": googlenet(stem=4, resolution=96, width=0.5, classes=7, aux=("3b", "5a")),
    "stem 4, both pools": googlenet(stem=4, pool1=True, resolution=64, aux=("4a",)),
    "stem 2": googlenet(stem=2, resolution=56, classes=10),
    "fc head": googlenet(head="fc", resolution=96),
    "NIN's head": googlenet(head="nin", resolution=96),
    "3×3 for 5×5": googlenet(large=3, aux=("4a",), resolution=128),
    "naive with heads": googlenet_naive(aux=("4a", "5b"), width=0.25, stem=2, resolution=56),
    "projections alone": googlenet(module="unreduced", norm=BatchNorm()),
    "linear reductions": googlenet(module="linear"),
    "LeNet-5, average and tanh": registry.NETWORKS["lenet5_dense"](pool="average", squash="tanh", resolution=28),
    "NIN, fc": registry.NETWORKS["nin"](head="fc"),
}


def by_torch(row, op, channels):
    """What torch counts for a row of our table: two for a multiply-add, nothing that is no convolution or product of
    matrices, but LRN's sum, which is a convolution to it, and all connections of C3, the absent ones too."""
    out, height, width = row["output"]
    if isinstance(op, LRN):
        return 2 * channels * channels * height * width
    if isinstance(op, TableConv):
        return 2 * op.kernel ** 2 * channels * out * height * width
    return 0 if isinstance(op, (Subsample, RBF)) else 2 * row["multiply_adds"]


@pytest.mark.parametrize("name", [*registry.NETWORKS, *VARIANTS])
def test_arithmetic_agrees_with_torch(name):
    table = VARIANTS[name] if name in VARIANTS else registry.NETWORKS[name]()
    with torch.device("meta"):
        net = build(table)
        x = torch.randn(2, *cost.input_shape(table))
    rows = cost.table(table)
    assert cost.parameters(table) == sum(p.numel() for p in net.parameters())
    expected, channels = {}, table.channels
    for row in rows:
        op = table.row(row["name"]).op if row["head"] == "main" else None
        expected[row["name"].replace("aux ", "aux.")] = by_torch(row, op, channels)
        channels = row["output"][0]
    for training in (True, False):
        with FlopCounterMode(display=False) as counter:
            out = net.train(training)(x)
        seen = {where.removeprefix("Net."): sum(ops.values()) for where, ops in counter.get_flop_counts().items()}
        used = {where: n for where, n in expected.items() if training or not where.startswith("aux.")}
        assert {where: seen.get(where, 0) for where in used} == {where: 2 * n for where, n in used.items()}
        assert counter.get_total_flops() == 2 * sum(used.values())
    assert out.shape == (2, cost.shapes(table)[-1][1][0])


def test_rows_of_a_built_net_have_the_shapes_of_the_arithmetic():
    table = googlenet(stem=4, resolution=97, width=0.25)
    net, seen = build(table).eval(), {}
    for row in net.rows:
        getattr(net, row).register_forward_hook(lambda m, i, o, row=row: seen.update({row: tuple(o.shape[1:])}))
    net(torch.randn(1, 3, 97, 97))
    for name, shape in cost.shapes(table):
        assert seen[name] == shape[:len(seen[name])]


def test_activation_bytes_of_one_convolution():
    row = cost.table(googlenet())[0]
    assert row["activation_bytes"] == 4 * 64 * 112 * 112
    row = cost.table(googlenet(norm=BatchNorm()))[0]
    assert row["activation_bytes"] == 2 * 4 * 64 * 112 * 112
    assert (row["biases"], row["norm"]) == (0, 2 * 64)


@pytest.mark.parametrize("stem", [2, 4, 8])
def test_smallest_input_is_the_smallest(stem):
    table = googlenet(stem=stem, aux=())
    least = cost.smallest(table)
    net = build(table).eval()
    assert net(torch.randn(1, 3, least, least)).shape == (1, 1000)
    with pytest.raises(BadInput, match=rf"GoogLeNet at {least - 1} px: .* pool4 is 1×1.* at least {least} px"):
        cost.table(table, least - 1)
    with pytest.raises(BadInput, match=f"at least {least} px"):
        googlenet(stem=stem, resolution=least - 1)


def test_small_input_names_the_auxiliary_head():
    table = googlenet()
    least = cost.smallest(table)
    with pytest.raises(BadInput, match=rf"auxiliary head 4a is 4×4.*at least {least} px"):
        cost.table(table, 64)
    assert dict(cost.shapes(table, least))["4a"][1] == 5  # the 5×5 pool fits


@pytest.mark.parametrize(("wrong", "says"), [
    ({"head": "averge"}, "Did you mean 'average'"), ({"stem": 3}, "Valid: 8, 4, 2"), ({"aux": ("4f",)}, "3a, 3b, 4a"),
    ({"aux": "4a"}, "give a list"), ({"aux": 3}, "give a list"), ({"aux": ("4a", "4a")}, "twice"),
    ({"classes": 1}, "at least 2"), ({"classes": "10"}, "must be an int"), ({"width": 0}, "width"),
    ({"large": 4}, "odd"), ({"norm": True}, "norm"), ({"dropout": 1.0}, "between 0 and 0.99"),
    ({"resolution": 16}, "at least 31 px"),
])
def test_refusals(wrong, says):
    with pytest.raises(BadInput, match=says) as refused:
        googlenet(**wrong)
    assert "\n" not in str(refused.value)


def test_one_set_of_heads_is_one_network():
    assert googlenet(aux=["4d", "4a"]) == googlenet(aux=("4a", "4d"))


def test_names():
    assert {"googlenet", "googlenet_bn", "googlenet_torchvision", "alexnet", "lenet5"} <= set(registry.NETWORKS)
    for make in registry.NETWORKS.values():
        assert cost.parameters(make()) > 0
