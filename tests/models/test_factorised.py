"""V3 §3 by its own arithmetic, on V1's Table 1 as it is printed."""
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from replication.errors import BadInput
from replication.models import cost, factorised
from replication.models.build import build
from replication.models.googlenet import INCEPTION, googlenet_bn
from replication.models.ops import BatchNorm, Conv, Inception, MaxPool, Network, Row, Split

# V1 Table 1: 5×5 reduce, 5×5. V3 §3.1's α is the second over the first.
FIVE = {"3a": (16, 32), "3b": (32, 96), "4a": (16, 48), "4b": (24, 64), "4c": (24, 64), "4d": (32, 64),
        "4e": (32, 128), "5a": (32, 128), "5b": (48, 128)}


def large(split):
    """The branch of the 5×5 without its reduction."""
    return split.branches[2][1:]


def multiply_adds(ops, channels, side=14, norm=None):
    return cost.chain(ops, (channels, side, side), norm).multiply_adds


def saving(module, middle):
    before, after = (multiply_adds(large(factorised.two_3x3(module, m)), module.n5x5_reduce) for m in (None, middle))
    return 1 - after / before


def test_what_the_paper_prints():
    assert multiply_adds((Conv(64, 5),), 64) / multiply_adds((Conv(64, 3),), 64) == pytest.approx(2.78, abs=0.005)
    equal = Inception(64, 64, 64, 64, 64, 64)
    assert [saving(equal, m) for m in ("root", "full", "reduce")] == pytest.approx([0.28] * 3)  # V3 §3.1: α = 1
    three = multiply_adds((Conv(64, 3),), 64)
    assert 1 - multiply_adds((Conv(64, (3, 1)), Conv(64, (1, 3))), 64) / three == pytest.approx(0.33, abs=0.005)  # §3.2
    weights = [cost.chain(ops, (64, 14, 14), None).weights for ops in ((Conv(64, 3),), (Conv(64, 2, pad=0),) * 2)]
    assert 1 - weights[1] / weights[0] == pytest.approx(0.11, abs=0.005)
    seven = multiply_adds((Conv(64, (1, 7)), Conv(64, (7, 1))), 64) / multiply_adds((Conv(64, 7),), 64)
    assert 1 - seven == pytest.approx(0.714, abs=0.0005)
    # and so in the module: its 3×3 branch, of equal widths, and n = 7
    for n, area in ((3, 9), (7, 49)):
        pair = factorised.asymmetric(equal, n).branches[1][1:]
        assert multiply_adds(pair, 64) / multiply_adds((Conv(64, n),), 64) == pytest.approx(2 * n / area)


@pytest.mark.parametrize(("alpha", "percent"), [(1, 28), (2, 24), (3, 17), (4, 10)])
def test_savings_by_the_root_rule(alpha, percent):
    module = Inception(8, 8, 8, 1000, 1000 * alpha, 8)
    assert 100 * saving(module, "root") == pytest.approx(percent, abs=0.5)
    first, second = large(factorised.two_3x3(module, "root"))
    assert first.out / 1000 == pytest.approx(second.out / first.out, rel=2e-3)  # each layer grows by √α


def test_savings_in_googlenet():
    assert {row: (m.n5x5_reduce, m.n5x5) for row, m in INCEPTION.items()} == FIVE
    savings = {middle: [100 * saving(m, middle) for m in INCEPTION.values()] for middle in factorised.MIDDLE}
    alphas = [given / seen for seen, given in FIVE.values()]
    assert (min(alphas), max(alphas)) == (2, 4)
    assert sum(alphas) / 9 == pytest.approx(2.9, abs=0.05)
    assert savings["full"] == pytest.approx([100 * (1 - 9 * (1 + a) / 25) for a in alphas])
    assert savings["reduce"] == pytest.approx([100 * (1 - 9 * (1 + a) / (25 * a)) for a in alphas])
    assert savings["root"] == pytest.approx([100 * (1 - 9 * (1 + a) / (25 * a ** 0.5)) for a in alphas], abs=1.5)
    assert (max(savings["full"]), min(savings["full"])) == pytest.approx((-8, -80))  # dearer
    assert (min(savings["reduce"]), max(savings["reduce"])) == pytest.approx((46, 55))
    assert savings["root"][6] == pytest.approx(10)  # 4e: 32 to 64 to 128


def test_googlenet_factorised():
    plain = {row["name"]: row for row in cost.table(googlenet_bn())}
    for middle in (None, *factorised.MIDDLE):
        table = {row["name"]: row for row in cost.table(factorised.googlenet_two_3x3(middle=middle))}
        assert list(table) == list(plain)
        for name, row in table.items():
            assert row["output"] == plain[name]["output"]
            if name not in FIVE or middle is None:
                assert row["weights"] == plain[name]["weights"]
                continue
            seen, given = FIVE[name]
            between = {"root": round((seen * given) ** 0.5), "full": given, "reduce": seen}[middle]
            more = 9 * between * (seen + given) - 25 * seen * given
            assert row["weights"] - plain[name]["weights"] == more


def test_linear_layers():
    module = INCEPTION["3a"]
    for linear, flat in (((), []), (("middle",), ["2_1"]), (("reduce",), ["1_0", "2_0"]),
                         (["reduce", "middle"], ["1_0", "2_0", "2_1"])):
        net = build(Network("n", (Row("3a", factorised.two_3x3(module, linear=linear)),), 8, norm=BatchNorm()))
        layers = {name.split(".")[-1]: m for name, m in net.named_modules() if hasattr(m, "relu") and m is not net}
        assert [name for name, layer in layers.items() if not layer.relu] == flat
        assert all(layer.norm is not None for layer in layers.values())
    split = factorised.two_3x3(module, None, ("reduce",))
    assert [op.relu for branch in split.branches for op in branch if isinstance(op, Conv)] == \
        [True, False, True, False, True, True]


def field(ops):
    """(height, width) of what one number in the middle sees."""
    net = build(Network("n", tuple(Row(f"r{i}", op) for i, op in enumerate(ops)), 31, channels=2)).eval()
    x = torch.rand(1, 2, 31, 31, requires_grad=True)
    for p in net.parameters():
        p.data.fill_(0.1)  # so that no ReLU hides anything
    net(x)[0, 0, 15, 15].backward()
    seen = x.grad[0].sum(0) != 0
    return int(seen.any(1).sum()), int(seen.any(0).sum())


def test_receptive_fields():
    module = Inception(8, 8, 8, 8, 16, 8)
    assert field(module.split().branches[2]) == field(factorised.two_3x3(module).branches[2]) == (5, 5)
    for n in (3, 7):
        branches = factorised.asymmetric(module, n).branches
        assert [field(branches[1]), field(branches[2])] == [(n, n), (2 * n - 1, 2 * n - 1)]
        # n×1 before 1×n (V3 §3.2), every pair
        assert [op.kernel for op in branches[2][1:]] == [(n, 1), (1, n)] * 2


def test_n1_then_1n_is_an_nxn_of_rank_one():
    first, second = factorised.asymmetric(Inception(1, 1, 1, 1, 1, 1), 3).branches[1][1:]
    net = build(Network("n", (Row("a", first), Row("b", second)), 9, channels=1)).eval()
    for p in net.parameters():
        p.data.abs_() if p.ndim > 1 else p.data.zero_()
    x = torch.rand(2, 1, 9, 9)
    torch.testing.assert_close(net(x), F.conv2d(x, net.a.weight * net.b.weight, padding=1))


def test_one_grid_at_a_time():
    options = {"classes": 10, "width": 0.25, "resolution": 64, "stem": 2}
    base = factorised.googlenet_asymmetric(**options)
    sides = {32: ["3a", "3b"], 16: ["4a", "4b", "4c", "4d", "4e"], 8: ["5a", "5b"]}
    assert {row: s for row, (_, s, _) in cost.shapes(base) if row in FIVE} == {
        row: side for side, rows in sides.items() for row in rows}
    assert base.rows == factorised.googlenet_two_3x3(**options).rows
    for n in (3, 7):
        for side, rows in sides.items():
            net = factorised.googlenet_asymmetric(grid=side, n=n, **options)
            assert [a.name for a, b in zip(net.rows, base.rows, strict=True) if a != b] == rows
            assert cost.shapes(net) == cost.shapes(base)
            kernels = {op.kernel for row in rows for branch in net.row(row).op.branches for op in branch
                       if isinstance(op, Conv)}
            assert kernels == {1, (n, 1), (1, n)}
            assert (cost.multiply_adds(net) < cost.multiply_adds(base)) == (n == 3)
    with pytest.raises(BadInput, match=r"Unknown grid '17'\..*Valid: 32, 16, 8"):
        factorised.googlenet_asymmetric(grid=17, **options)


def test_grids_by_their_place():
    """V1 Table 1: 28, 14 and 7 positions a side at 224 px."""
    for word, side in (("first", 28), ("second", 14), ("third", 7)):
        assert factorised.googlenet_asymmetric(grid=word).rows == factorised.googlenet_asymmetric(grid=side).rows
    with pytest.raises(BadInput, match="fourth"):
        factorised.googlenet_asymmetric(grid="fourth")


def test_widths_inside_the_pairs():
    # As wide between n×1 and 1×n as what comes in; V3's own modules at 17×17 are (inception_v3.grid17).
    for n in (3, 7):
        row = factorised.asymmetric(INCEPTION["4e"], n).branches  # 160 to 320; 32 to 64 to 128
        assert [cost.chain(ops[1:], (ops[0].out, 16, 16), None).weights for ops in row[1:3]] == [
            n * 160 * (160 + 320), n * (32 * (32 + 64) + 64 * (64 + 128))]


def test_only_the_rows_named():
    net, form = googlenet_bn(), partial(factorised.two_3x3, middle="full")
    other = factorised.factorised(net, form, ["4a"])
    assert [a.name for a, b in zip(net.rows, other.rows, strict=True) if a != b] == ["4a"]
    assert other.row("4a").op == form(INCEPTION["4a"])
    everywhere = factorised.factorised(net, form)
    assert {row.name for row in everywhere.rows if isinstance(row.op, Split)} == set(FIVE)
    assert (everywhere.aux, MaxPool(3, 1, pad=1)) == (net.aux, everywhere.row("5b").op.branches[3][0])


@pytest.mark.parametrize("make", [
    *(partial(factorised.googlenet_two_3x3, middle=m) for m in (None, *factorised.MIDDLE)),
    partial(factorised.googlenet_two_3x3, linear=("middle", "reduce")),
    *(partial(factorised.googlenet_asymmetric, grid=8, n=n) for n in (3, 7)),
])
def test_counted_and_trained(make):
    table = make(classes=10, width=0.25, resolution=32, stem=2 if "grid" not in make.keywords else 4)
    net = build(table)
    assert cost.parameters(table) == sum(p.numel() for p in net.parameters())
    with FlopCounterMode(display=False) as counter:
        out = net(torch.randn(4, 3, 32, 32))
    assert counter.get_total_flops() == 2 * 4 * cost.multiply_adds(table, aux=True)
    sum(F.cross_entropy(v, torch.arange(4)) for v in out.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize(("form", "wrong", "says"), [
    (factorised.two_3x3, {"middle": "half"}, "Valid: root, full, reduce"),
    (factorised.two_3x3, {"linear": ("first",)}, "any of middle, reduce"),
    (factorised.two_3x3, {"linear": "middle"}, "give a list"),
    (factorised.two_3x3, {"middle": None, "linear": ("middle",)}, "any of reduce"),
    (factorised.asymmetric, {"n": 4}, "even"), (factorised.asymmetric, {"n": 1}, "at least 3"),
])
def test_refusals(form, wrong, says):
    with pytest.raises(BadInput, match=says) as refused:
        form(INCEPTION["3a"], **wrong)
    assert "\n" not in str(refused.value)
