"""What V3 varies: the stem, the input's side, the grid reduction, the side head; and its Tables 2 and 3."""
import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from replication.models import cost
from replication.models.bn_inception import SAME, bn_inception
from replication.models.build import build
from replication.models.inception_v3 import (
    HALVE,
    inception_v2,
    inception_v3,
    inception_v3_paper,
    reduced,
    side_head,
)
from replication.models.ops import AvgPool, BatchNorm, CaffeXavier, Conv, Network, Row, Split

ORDERS = ("parallel", "pool first", "convolution first")


def millions(network, resolution=None):
    return cost.multiply_adds(network, resolution) / 1e6


# -- stems ---------------------------------------------------------------------------------------------------------
def test_one_7x7_for_three_3x3():
    three, one = inception_v3(), inception_v3(stem="7x7")
    assert [r.name for r in one.rows] == [r.name for r in three.rows if r.name not in ("2a", "2b")]
    assert one.rows[1:] == three.rows[3:]
    assert one.aux == three.aux
    rows = {row["name"]: row for row in cost.table(one)}
    assert (rows["1a"]["output"], rows["1a"]["weights"]) == ((64, 147, 147), 49 * 3 * 64)
    assert rows["1a"]["multiply_adds"] == 147 ** 2 * 49 * 3 * 64  # 203 M
    assert millions(three) - millions(one) == pytest.approx(616.6 - 203.3, abs=0.1)


@pytest.mark.parametrize("make", [inception_v3, inception_v3_paper])
@pytest.mark.parametrize("strides", [(2, 2, 2), (1, 2, 2), (1, 1, 2), (2, 1, 1), (1, 1, 1)])
def test_stems_give_the_same_maps(make, strides):
    for side in (75, 80, 96, 299):
        one, three = (dict(cost.shapes(make(stem=stem, strides=strides, aux=(), resolution=side)))
                      for stem in ("7x7", "3x3"))
        assert one["1a"] == three["2b"]
        assert {name: three[name] for name in one if name != "1a"} == {n: s for n, s in one.items() if n != "1a"}


# -- low resolution, V3 §9 -------------------------------------------------------------------------------------------
def test_table_2():
    printed = {299: (2, 2, 2), 151: (1, 2, 2), 79: (1, 1, 2)}
    nets = {side: inception_v3(resolution=side, strides=strides) for side, strides in printed.items()}
    maps = {side: dict(cost.shapes(net)) for side, net in nets.items()}
    assert {side: millions(net) for side, net in nets.items()} == pytest.approx(
        {299: 5713.2, 151: 5713.2, 79: 5361.7}, abs=0.05)
    assert cost.multiply_adds(nets[151]) == cost.multiply_adds(nets[299])
    assert maps[151] == maps[299]
    assert [maps[side]["5b"][1:] for side in (299, 151, 79)] == [(35, 35), (35, 35), (36, 36)]
    assert "pool3" in maps[151]
    assert "pool3" not in maps[79]
    exact = inception_v3(resolution=77, strides=(1, 1, 2))
    assert millions(exact) == pytest.approx(5248.8, abs=0.05)
    assert dict(cost.shapes(exact))["5b"] == maps[299]["5b"]
    assert millions(nets[299], 79) == pytest.approx(212.1, abs=0.05)  # as it is: 27 times cheaper, not §9's 16
    assert len({cost.parameters(net) for net in nets.values()}) == 1


def test_the_analogue_for_a_small_network():
    nets = [inception_v3(classes=10, width=0.25, resolution=side, strides=strides)
            for side, strides in ((64, (2, 2, 1)), (33, (1, 2, 1)), (18, (1, 1, 1)))]
    assert nets[0].aux == nets[1].aux == nets[2].aux
    for net in nets:
        shapes = dict(cost.shapes(net))
        assert [shapes[row][1] for row in ("5b", "6b", "7b")] == [12, 5, 2]
    assert cost.multiply_adds(nets[0]) == cost.multiply_adds(nets[1]) > cost.multiply_adds(nets[2])


# -- the grid reduction, V3 §5 -----------------------------------------------------------------------------------------
def test_the_papers_arithmetic():
    # From d×d with k maps to d/2×d/2 with 2k: by a convolution to 2k, or as Fig. 10, half of them pooled.
    d, k = 34, 320
    costs = {}
    for filters in (2 * k, k):
        row = Row("r", Split(((Conv(filters, stride=2),), (SAME,))))
        for how in ORDERS:
            ops = tuple(r.op for r in reduced(row, how))
            total = cost.chain(ops, (k, d, d), None)
            assert total.shape == (filters + k, d // 2, d // 2)
            costs[filters, how] = total.multiply_adds
    assert costs[2 * k, "convolution first"] == 2 * d ** 2 * k ** 2
    assert costs[2 * k, "pool first"] == 2 * (d // 2) ** 2 * k ** 2  # to a quarter, where §5 says "by a quarter"
    assert costs[k, "parallel"] == (d // 2) ** 2 * k ** 2


def test_reductions_of_the_network():
    tables = {how: {r["name"]: r for r in cost.table(inception_v3(reduction=how))} for how in ORDERS}
    assert inception_v3(reduction="parallel") == inception_v3()
    for name, before, small, large in (("6a", "5d", 17, 35), ("7a", "6e", 8, 17)):
        rows = {how: table[name] for how, table in tables.items()}
        assert len({row["parameters"] for row in rows.values()}) == 1
        weights, channels = rows["parallel"]["weights"], rows["parallel"]["output"][0]
        assert rows["pool first"]["multiply_adds"] == weights * small ** 2
        assert rows["convolution first"]["multiply_adds"] == weights * large ** 2
        assert weights * small ** 2 < rows["parallel"]["multiply_adds"] < weights * large ** 2
        pools = {how: tables[how].get(f"{name}_pool", {}).get("output") for how in ORDERS}
        # The bottleneck: the grid halved before the maps have grown in number (V3 §2, principle 1).
        assert pools == {"parallel": None, "pool first": (tables["parallel"][before]["output"][0], small, small),
                         "convolution first": (channels, small, small)}
        assert rows["parallel"]["output"] == rows["pool first"]["output"] == (channels, small, small)
    for table in tables.values():
        assert [table[row]["output"] for row in ("6b", "7b", "aux 6e")] == [(768, 17, 17), (2048, 8, 8), (1000, 1, 1)]
    for make in (inception_v3, inception_v3_paper, inception_v2, bn_inception):
        names = [row.name for row in make(reduction="pool first").rows if row.name.endswith("_pool")]
        assert len(names) == 2  # and in no module that keeps its grid


@pytest.mark.parametrize("how", ORDERS)
def test_what_a_reduction_computes(how):
    row = Row("6a", Split(((Conv(8, 3, 2, pad=0),), (Conv(4), Conv(8, 3), Conv(8, 3, 2, pad=0)), (HALVE,))))
    net = build(Network("n", reduced(row, how), 11, init=CaffeXavier(0.2), channels=4)).eval()
    w = {name.removeprefix("6a."): v for name, v in net.named_parameters()}
    x = torch.randn(2, 4, 11, 11)

    def conv(x, name, stride=1, pad=0):
        return F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride, pad).relu()

    def convolved(x, stride):
        pad = 1 if stride == 1 else 0
        deep = conv(conv(x, "1_0"), "1_1", pad=1)
        return [conv(x, "0_0", stride, pad), conv(deep, "1_2", stride, pad)]

    pooled = F.max_pool2d(x, 3, 2)
    expected = {
        "parallel": lambda: torch.cat([*convolved(x, 2), pooled], 1),
        "pool first": lambda: torch.cat([*convolved(pooled, 1), pooled], 1),
        "convolution first": lambda: F.max_pool2d(torch.cat([*convolved(x, 1), x], 1), 3, 2),
    }[how]()
    torch.testing.assert_close(net(x), expected)


def test_reductions_start_from_the_same_weights():
    states = []
    for how in ORDERS:
        torch.manual_seed(7)
        states.append(build(inception_v3(classes=4, width=0.1, resolution=96, reduction=how)).state_dict())
    for other in states[1:]:
        assert other.keys() == states[0].keys()
        assert all(torch.equal(value, states[0][name]) for name, value in other.items())


# -- the side head, V3 §4 and Fig. 8 -----------------------------------------------------------------------------------
@pytest.mark.parametrize("grid", range(1, 41))
def test_side_head_at_every_grid(grid):
    ops = side_head(grid, 10, 1.0)
    side = min(grid, 5)
    first = cost.chain(ops[:-4], (768, grid, grid), BatchNorm())
    hidden = cost.chain(ops[:-2], (768, grid, grid), BatchNorm())
    assert (first.shape, hidden.shape) == ((768, side, side) if grid > 5 else (768, grid, grid), (768, 1, 1))
    assert cost.chain(ops, (768, grid, grid), BatchNorm()).weights == 768 * 128 + side ** 2 * 128 * 768 + 7680
    if grid == 17:
        assert ops[0] == AvgPool(5, 3)  # as printed


@pytest.mark.parametrize(("norm", "normed", "biased"), [("all", 128 + 768, 0), ("conv", 128, 768),
                                                        ("none", 0, 128 + 768)])
def test_what_of_the_head_is_normalised(norm, normed, biased):
    net = inception_v3(aux_norm=norm, aux_dropout=0.4)
    plain = inception_v3()
    assert net.rows == plain.rows
    head = next(row for row in cost.table(net) if row["head"] == "6e")
    assert (head["norm"], head["biases"]) == (2 * normed, biased + 1000)
    assert head["weights"] == next(row for row in cost.table(plain) if row["head"] == "6e")["weights"]
    with torch.device("meta"):
        built = list(build(net).aux["6e"])
    assert [type(m).__name__ for m in built] == ["AvgPool2d", "Conv", "Conv", "AdaptiveAvgPool2d", "Dropout", "Linear"]
    assert built[-2].p == 0.4
    assert [m.norm is not None for m in built[1:3]] == [norm != "none", norm == "all"]


# -- V3 Table 3 -------------------------------------------------------------------------------------------------------
def test_where_table_3_begins():
    v2, v3 = inception_v2(), inception_v3_paper()
    assert (v2.rows[1:], v2.rows[0]) == (v3.rows[3:], Row("1a", Conv(64, 7, stride=2, pad=0)))
    assert (v2.rows, v2.aux) == ((other := inception_v3_paper(stem="7x7", aux_norm="conv")).rows, other.aux)
    assert v2.aux != v3.aux
    assert millions(v3) - millions(v2) == pytest.approx(616.6 - 203.3, abs=0.1)  # printed: 1,000


# -- all of them, small ------------------------------------------------------------------------------------------------
SMALL = {"classes": 10, "width": 0.25}
BUILT = {
    "7×7, 32 px": inception_v3(stem="7x7", strides=(1, 1, 2), resolution=32, **SMALL),
    "7×7, stride 2, 75 px": inception_v3(stem="7x7", resolution=75, **SMALL),
    "18 px": inception_v3(strides=(1, 1, 1), resolution=18, **SMALL),
    "V2, 64 px": inception_v2(strides=(1, 1, 2), resolution=64, **SMALL),
    "paper, 64 px": inception_v3_paper(strides=(1, 1, 2), resolution=64, aux_norm="none", **SMALL),
    "pool first": inception_v3(strides=(1, 1, 2), resolution=48, reduction="pool first", aux_dropout=0.5,
                               aux=("6a", "7a"), **SMALL),
    "convolution first": inception_v3(strides=(1, 1, 2), resolution=48, reduction="convolution first",
                                      aux=("6a", "7a"), aux_norm="conv", **SMALL),
    "BN-Inception, convolution first": bn_inception(strides=(1, 1, 2), resolution=32, aux=("4e",),
                                                    reduction="convolution first", **SMALL),
    "BN-Inception, pool first": bn_inception(strides=(1, 2, 2), resolution=64, aux=("4e",), aux_norm="none",
                                             reduction="pool first", **SMALL),
}


@pytest.mark.parametrize("name", BUILT)
def test_counted_and_trained(name):
    table = BUILT[name]
    net = build(table)
    assert cost.parameters(table) == sum(p.numel() for p in net.parameters())
    x = torch.randn(4, 3, table.resolution, table.resolution)
    with FlopCounterMode(display=False) as counter:
        out = net(x)
    assert counter.get_total_flops() == 2 * 4 * cost.multiply_adds(table, aux=True)
    assert {k: tuple(v.shape) for k, v in out.items()} == dict.fromkeys(net.heads, (4, 10))
    sum(F.cross_entropy(v, torch.arange(4)) for v in out.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in net.parameters())


def test_smallest_sides():
    for strides, side in (((2, 2, 2), 75), ((1, 2, 2), 39), ((1, 1, 2), 21)):
        assert cost.smallest(inception_v3(strides=strides, aux=()), aux=False) == side
