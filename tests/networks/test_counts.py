"""Totals from the papers and from implementations that are not ours; our arithmetic against torch's own counting."""
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from replication import cost, zoo
from replication.errors import BadInput
from replication.inception import build
from replication.spec import BatchNorm


def test_googlenet_totals():
    net = zoo.googlenet()
    assert cost.parameters(net, aux=False) == 6_998_552  # as Caffe's bvlc_googlenet has without its heads
    assert cost.parameters(net, aux=True) == 13_378_280
    heads = {row["head"]: row["parameters"] for row in cost.table(net) if row["head"] != "main"}
    assert heads == {"4a": 3_188_840, "4d": 3_190_888}
    assert cost.multiply_adds(net) / 1e6 == pytest.approx(1582.7, abs=0.05)


def test_auxiliary_head_of_the_paper():
    # V1 §5: average pool to 4×4, 128 1×1, 1024, classes.
    for row, channels in (("4a", 512), ("4d", 528)):
        line = next(line for line in cost.table(zoo.googlenet()) if line["name"] == f"aux {row}")
        assert line["weights"] == channels * 128 + 4 * 4 * 128 * 1024 + 1024 * 1000
        assert line["biases"] == 128 + 1024 + 1000
        assert line["multiply_adds"] == 4 * 4 * channels * 128 + 4 * 4 * 128 * 1024 + 1024 * 1000


def test_depth_of_the_paper():
    assert cost.depth(zoo.googlenet()) == 22  # V1 §5
    assert cost.depth(zoo.googlenet(), pooling=True) == 27
    assert 84 == 57 + 1 + 13 + 1 + 9 + 2 + 1 == cost.blocks(zoo.googlenet(), aux=False)  # "about 100"
    assert cost.blocks(zoo.googlenet(), aux=True) == 84 + 2 * 5


def test_torchvision_totals():
    torchvision = pytest.importorskip("torchvision")
    assert cost.parameters(zoo.googlenet_torchvision(), aux=False) == 6_624_904  # the weights' own metadata
    assert cost.multiply_adds(zoo.googlenet_torchvision()) / 1e9 == pytest.approx(1.498, abs=5e-4)
    with torch.device("meta"):
        theirs = torchvision.models.GoogLeNet(num_classes=7, aux_logits=True, init_weights=False)
    assert cost.parameters(zoo.googlenet_torchvision(classes=7)) == sum(p.numel() for p in theirs.parameters())


def test_naive_modules():
    # V1 §4: without reductions and projections, the pooled channels pile up.
    filters = {"3a": (64, 128, 32), "3b": (128, 192, 96), "4a": (192, 208, 48), "4b": (160, 224, 64),
               "4c": (128, 256, 64), "4d": (112, 288, 64), "4e": (256, 320, 128), "5a": (256, 320, 128),
               "5b": (384, 384, 128)}
    rows = {row["name"]: row for row in cost.table(zoo.googlenet_naive())}
    channels = 192
    for name, (n1, n3, n5) in filters.items():
        assert rows[name]["weights"] == channels * (n1 + 9 * n3 + 25 * n5)
        channels += n1 + n3 + n5
        assert rows[name]["output"][0] == channels
    assert channels == 4944


def test_alexnet():
    assert cost.parameters(zoo.ALEXNET) == 60_965_224
    # Krizhevsky et al. 2012, §3.5: 253,440–186,624–64,896–64,896–43,264–4096–4096–1000 neurons.
    neurons = {name: c * h * w for name, (c, h, w) in cost.shapes(zoo.ALEXNET)}
    assert [neurons[n] for n in ("conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")] == \
        [186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]
    assert neurons["conv1"] == 55 * 55 * 96


def test_lenet5():
    # LeCun et al. 1998, §II.B, layer by layer; connections count the biases.
    rows = {row["name"]: row for row in cost.table(zoo.LENET5)}
    printed = {"C1": (156, (6, 28, 28)), "S2": (12, (6, 14, 14)), "C3": (1516, (16, 10, 10)), "S4": (32, (16, 5, 5)),
               "C5": (48_120, (120, 1, 1)), "F6": (10_164, (84, 1, 1)), "output": (0, (10, 1, 1))}
    assert {name: (rows[name]["parameters"], rows[name]["output"]) for name in printed} == printed
    assert cost.parameters(zoo.LENET5) == 60_000
    for name, connections in {"C1": 122_304, "C3": 151_600}.items():
        c, h, w = rows[name]["output"]
        assert rows[name]["multiply_adds"] + c * h * w == connections
    assert sum(p.numel() for p in build(zoo.LENET5).parameters()) == 60_000


BUILT = {
    "published": zoo.googlenet(),
    "stem 4": zoo.googlenet(stem=4, resolution=96, width=0.5, classes=7, aux=("3b", "5a")),
    "stem 2": zoo.googlenet(stem=2, resolution=56, classes=10),
    "batch norm": zoo.googlenet(norm=BatchNorm(), classes=5),
    "fc head": zoo.googlenet(head="fc", resolution=96),
    "3×3 for 5×5": zoo.googlenet(large=3, aux=("4a",), resolution=128),
    "torchvision": zoo.googlenet_torchvision(),
    "naive": zoo.googlenet_naive(),
    "AlexNet": zoo.ALEXNET,
}


@pytest.mark.parametrize("name", BUILT)
def test_arithmetic_agrees_with_torch(name):
    table = BUILT[name]
    with torch.device("meta"):
        net = build(table)
        x = torch.randn(1, table.channels, table.resolution, table.resolution)
    assert cost.parameters(table) == sum(p.numel() for p in net.parameters())
    for training in (True, False):
        net.train(training)
        with FlopCounterMode(display=False) as counter:
            out = net(x)
        # LRN's sum is a convolution to torch; the papers count nothing for it.
        lrn = sum(sum(counter.get_flop_counts()[f"Net.{row.name}"].values())
                  for row in table.rows if row.name.startswith("norm"))
        assert counter.get_total_flops() - lrn == 2 * cost.multiply_adds(table, aux=training)
    assert out.shape == (1, cost.shapes(table)[-1][1][0])


def test_rows_of_a_built_net_have_the_shapes_of_the_arithmetic():
    table = zoo.googlenet(stem=4, resolution=97, width=0.25)
    net, seen = build(table).eval(), {}
    for row in net.rows:
        getattr(net, row).register_forward_hook(lambda m, i, o, row=row: seen.update({row: tuple(o.shape[1:])}))
    net(torch.randn(1, 3, 97, 97))
    for name, shape in cost.shapes(table):
        assert seen[name] == shape[:len(seen[name])]


def test_activation_bytes_of_one_convolution():
    row = cost.table(zoo.googlenet())[0]
    assert row["activation_bytes"] == 4 * 64 * 112 * 112
    row = cost.table(zoo.googlenet(norm=BatchNorm()))[0]
    assert row["activation_bytes"] == 2 * 4 * 64 * 112 * 112
    assert (row["biases"], row["norm"]) == (0, 2 * 64)


@pytest.mark.parametrize("stem", [2, 4, 8])
def test_smallest_input_is_the_smallest(stem):
    table = zoo.googlenet(stem=stem, aux=())
    least = cost.smallest(table)
    net = build(table).eval()
    assert net(torch.randn(1, 3, least, least)).shape == (1, 1000)
    with pytest.raises(BadInput, match=rf"GoogLeNet at {least - 1} px: .* pool4 is 1×1.* at least {least} px"):
        cost.table(table, least - 1)
    with pytest.raises(BadInput, match=f"at least {least} px"):
        zoo.googlenet(stem=stem, resolution=least - 1)


def test_small_input_names_the_auxiliary_head():
    table = zoo.googlenet()
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
        zoo.googlenet(**wrong)
    assert "\n" not in str(refused.value)


def test_one_set_of_heads_is_one_network():
    assert zoo.googlenet(aux=["4d", "4a"]) == zoo.googlenet(aux=("4a", "4d"))


def test_names():
    assert {"googlenet", "googlenet_bn", "googlenet_torchvision", "alexnet", "lenet5"} <= set(zoo.NETWORKS)
    for make in zoo.NETWORKS.values():
        assert cost.parameters(make()) > 0
