"""The V3 family against slim's and torchvision's numbers, against torchvision itself, and against V3 Table 1."""
import pytest
import torch
import torch.nn.functional as F
from stirred import stir
from torch.utils.flop_counter import FlopCounterMode

from replication.errors import BadInput
from replication.models import cost, ops, registry
from replication.models import inception_v3 as v3
from replication.models.bn_inception import bn_inception
from replication.models.build import build
from replication.models.torchvision import NAMES_V3, torchvision_inception_v3

FAMILY = ("inception_v3", "inception_v3_paper", "inception_v2", "bn_inception")

# -- the arithmetic ------------------------------------------------------------------------------------------------
# Branches as (kernel area, filters), one convolution after the other; 1×3 beside 3×1 is one of area 3, twice as wide.
POOL = [(0, None)]


def grid35(pool, second=25):
    return [[(1, 64)], [(1, 48), (second, 64)], [(1, 64), (9, 96), (9, 96)], [(1, pool)]]


def grid17(n):
    return [[(1, 192)], [(1, n), (7, n), (7, 192)], [(1, n), (7, n), (7, n), (7, n), (7, 192)], [(1, 192)]]


TO_17 = [[(9, 384)], [(1, 64), (9, 96), (9, 96)], POOL]
TO_8 = [[(1, 192), (9, 320)], [(1, 192), (7, 192), (7, 192), (9, 192)], POOL]
GRID8 = [[(1, 320)], [(1, 384), (3, 768)], [(1, 448), (9, 384), (3, 768)], [(1, 192)]]

# Row: side and channels after it, multiply-adds in M, weights, and what the weights are made of.
CODE = {
    "1a": (149, 32, 19.2, 864, [[(9, 32)]]), "2a": (147, 32, 199.1, 9_216, [[(9, 32)]]),
    "2b": (147, 64, 398.3, 18_432, [[(9, 64)]]), "pool3": (73, 64, 0, 0, [POOL]),
    "3b": (73, 80, 27.3, 5_120, [[(1, 80)]]), "4a": (71, 192, 696.9, 138_240, [[(9, 192)]]),
    "pool5": (35, 192, 0, 0, [POOL]),
    "5b": (35, 256, 312.3, 254_976, grid35(32)), "5c": (35, 288, 338.7, 276_480, grid35(64)),
    "5d": (35, 288, 348.1, 284_160, grid35(64)),
    "6a": (17, 768, 401.9, 1_152_000, TO_17),
    "6b": (17, 768, 374.1, 1_294_336, grid17(128)), "6c": (17, 768, 487.7, 1_687_552, grid17(160)),
    "6d": (17, 768, 487.7, 1_687_552, grid17(160)), "6e": (17, 768, 617.9, 2_138_112, grid17(192)),
    "7a": (8, 1280, 291.0, 1_695_744, TO_8),
    "7b": (8, 2048, 322.4, 5_038_080, GRID8), "7c": (8, 2048, 388.5, 6_070_272, GRID8),
    "avgpool": (1, 2048, 0, 0, [POOL]), "dropout": (1, 2048, 0, 0, [POOL]),
    "linear": (1, 1000, 2.0, 2_048_000, [[(1, 1000)]]),
}
# V3 Table 1: its column "input size" is the output of the row before. Both reductions are between its rows.
PRINTED = {"1a": (149, 32), "2a": (147, 32), "2b": (147, 64), "pool3": (73, 64), "3b": (71, 80), "4a": (35, 192),
           "4b": (35, 288), "5d": (35, 288), "6a": (17, 768), "6f": (17, 768), "7a": (8, 1280), "7c": (8, 2048)}
PAPER = {
    "1a": [[(9, 32)]], "2a": [[(9, 32)]], "2b": [[(9, 64)]], "pool3": [POOL], "3b": [[(9, 80)]], "4a": [[(9, 192)]],
    "4b": [[(9, 288)]], **dict.fromkeys(("5b", "5c", "5d"), grid35(64, second=9)), "6a": TO_17, "6b": grid17(128),
    **dict.fromkeys(("6c", "6d", "6e"), grid17(160)), "6f": grid17(192), "7a": TO_8, "7b": GRID8, "7c": GRID8,
}


def double(n1, r3, n3, rd, nd, proj):
    return [[(1, n1)], [(1, r3), (9, n3)], [(1, rd), (9, nd), (9, nd)], [(1, proj)]]


BN = {  # slim's inception_v2.py; 7×7 depthwise to 24, then 1×1
    "1a": (112, 64, None), "pool2": (56, 64, [POOL]), "2b": (56, 64, [[(1, 64)]]), "2c": (56, 192, [[(9, 192)]]),
    "pool3": (28, 192, [POOL]),
    "3b": (28, 256, double(64, 64, 64, 64, 96, 32)), "3c": (28, 320, double(64, 64, 96, 64, 96, 64)),
    "4a": (14, 576, [[(1, 128), (9, 160)], [(1, 64), (9, 96), (9, 96)], POOL]),
    "4b": (14, 576, double(224, 64, 96, 96, 128, 128)), "4c": (14, 576, double(192, 96, 128, 96, 128, 128)),
    "4d": (14, 576, double(160, 128, 160, 128, 160, 96)), "4e": (14, 576, double(96, 128, 192, 160, 192, 96)),
    "5a": (7, 1024, [[(1, 128), (9, 192)], [(1, 192), (9, 256), (9, 256)], POOL]),
    "5b": (7, 1024, double(352, 192, 320, 160, 224, 128)), "5c": (7, 1024, double(352, 192, 320, 192, 224, 128)),
}


def made_of(branches, channels):
    """(weights, channels out)"""
    weights = width = 0
    for branch in branches:
        c = channels
        for area, filters in branch:
            weights += area * c * (filters or 0)
            c = filters or c
        width += c
    return weights, width


def test_v3_row_by_row():
    rows = {row["name"]: row for row in cost.table(v3.inception_v3(aux=()))}
    assert list(rows) == list(CODE)
    channels = 3
    for name, (side, out, macs, weights, branches) in CODE.items():
        assert made_of(branches, channels) == (weights, out)
        assert (rows[name]["weights"], rows[name]["output"]) == (weights, (out, side, side))
        assert rows[name]["multiply_adds"] / 1e6 == pytest.approx(macs, abs=0.05)
        channels = out


def test_v3_totals():
    net = v3.inception_v3()
    assert cost.parameters(net, aux=False) == 23_834_568
    assert cost.parameters(net) == 27_161_264  # torchvision's own metadata
    assert cost.multiply_adds(net) / 1e6 == pytest.approx(5713.2, abs=0.05)
    head = next(row for row in cost.table(net) if row["head"] == "6e")
    assert (head["weights"], head["biases"]) == (768 * 128 + 25 * 128 * 768 + 768 * 1000, 1000)
    assert head["multiply_adds"] == 25 * 768 * 128 + 25 * 128 * 768 + 768 * 1000
    assert cost.depth(net) == 5 + 9 + 3 + 20 + 4 + 6 + 1 == 48


def test_v3_of_the_paper():
    net = v3.inception_v3_paper()
    rows = {row["name"]: row for row in cost.table(net)}
    assert {name: rows[name]["output"] for name in PRINTED} == {n: (c, s, s) for n, (s, c) in PRINTED.items()}
    channels, modules = 3, {35: 0, 17: 0, 8: 0}
    for name, branches in PAPER.items():
        weights, out = made_of(branches, channels)
        assert (rows[name]["weights"], rows[name]["output"][0]) == (weights, out)
        if len(branches) == 4:
            modules[rows[name]["output"][1]] += 1
        channels = out
    assert modules == {35: 3, 17: 5, 8: 2}
    assert [*PAPER, "avgpool", "dropout", "linear", "aux 6f"] == list(rows)
    assert cost.depth(net) == 6 + 9 + 3 + 25 + 4 + 6 + 1  # not V3 §6's 42
    assert cost.multiply_adds(net) / 1e9 == pytest.approx(6.35, abs=0.005)  # nor Table 3's 4.8
    assert cost.parameters(net, aux=False) / 1e6 == pytest.approx(25.95, abs=0.005)  # nor the abstract's "less than 25"


def test_bn_inception():
    net = bn_inception()
    rows = {row["name"]: row for row in cost.table(net)}
    assert [*BN, "avgpool", "dropout", "linear"] == list(rows)
    channels = 3
    for name, (side, out, branches) in BN.items():
        weights = 49 * 24 + 24 * 64 if branches is None else made_of(branches, channels)[0]
        assert (rows[name]["weights"], rows[name]["output"]) == (weights, (out, side, side))
        channels = out
    assert rows["1a"]["weights"] / 1024 == pytest.approx(2.7, abs=0.06)  # V1 Table 1 prints 2.7 K and 34 M for its row
    assert rows["1a"]["multiply_adds"] / 1e6 == pytest.approx(34, abs=0.05)
    assert sum(row["weights"] for row in rows.values()) / 1e6 == pytest.approx(11.17, abs=0.005)
    assert cost.multiply_adds(net) / 1e6 == pytest.approx(1934.9, abs=0.05)


BUILT = {
    "V3": v3.inception_v3(),
    "V3, narrow and small": v3.inception_v3(width=0.25, resolution=96, classes=7, aux=("5b", "6c", "7c")),
    "paper": v3.inception_v3_paper(),
    "BN-Inception": bn_inception(aux=("4a", "4e")),
    "BN-Inception at half width": bn_inception(width=0.5, resolution=128),
}


@pytest.mark.parametrize("name", BUILT)
def test_arithmetic_agrees_with_torch(name):
    table = BUILT[name]
    with torch.device("meta"):
        net = build(table)
        x = torch.randn(2, table.channels, table.resolution, table.resolution)
    assert cost.parameters(table) == sum(p.numel() for p in net.parameters())
    seen = {}
    for row in net.rows:
        getattr(net, row).register_forward_hook(lambda m, i, o, row=row: seen.update({row: tuple(o.shape[1:])}))
    for training in (True, False):
        net.train(training)
        with FlopCounterMode(display=False) as counter:
            net(x)
        assert counter.get_total_flops() == 2 * 2 * cost.multiply_adds(table, aux=training)
    for row, shape in cost.shapes(table):
        assert seen[row] == shape[:len(seen[row])]


# -- torchvision -----------------------------------------------------------------------------------------------------
torchvision = pytest.importorskip("torchvision")


def theirs(classes=10, aux=True):
    net = torchvision.models.Inception3(classes, aux, transform_input=False, init_weights=False, dropout=0.0)
    return stir(net, (0.2, 0.3))


def ours(weights, **options):
    net = build(v3.inception_v3(classes=10, dropout=0.0, **options)).double()
    return torchvision_inception_v3(weights, net)


def images(side, n=2):
    return torch.randn(n, 3, side, side, dtype=torch.float64)


def test_equal_logits_and_gradients():
    them = theirs()
    us = ours(them.state_dict())
    with torch.no_grad():
        x = images(96)
        main = us.eval()(2 * x)  # what they take as ±1 is ±2 here
        assert 1e-2 < main.std() < 1e2
        torch.testing.assert_close(main, them.eval()(x), rtol=1e-9, atol=1e-9)
    x = images(299)
    expected, got = them.train()(x), us.train()(2 * x)
    torch.testing.assert_close(got, {"main": expected.logits, "6e": expected.aux_logits}, rtol=1e-7, atol=1e-9)
    target = torch.tensor([3, 7])
    (F.cross_entropy(expected.logits, target) + 0.4 * F.cross_entropy(expected.aux_logits, target)).backward()
    (F.cross_entropy(got["main"], target) + 0.4 * F.cross_entropy(got["6e"], target)).backward()
    mine, yours = dict(us.named_parameters()), dict(them.named_parameters())
    for name in ("1a.weight", "4a.norm.weight", "5b.1_1.weight", "6a.0_0.weight", "6c.2_3.weight", "7a.1_3.weight",
                 "7b.2_2.1_0.weight", "7c.3_1.norm.bias", "aux.6e.conv2.weight", "linear.weight"):
        gradient = yours[NAMES_V3[name]].grad
        assert gradient.abs().max() > 0
        torch.testing.assert_close(mine[name].grad, gradient, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(getattr(us, "7c").state_dict()["2_1.norm.running_var"],
                               them.Mixed_7c.branch3x3dbl_2.bn.running_var)


def test_trunk_alone():
    x, them = images(96, 1), theirs(aux=False).eval()
    us = ours(them.state_dict(), aux=()).eval()
    with torch.no_grad():
        torch.testing.assert_close(us(2 * x), them(x), rtol=1e-9, atol=1e-9)


def test_every_tensor_of_theirs_is_used():
    with torch.device("meta"):
        names = torchvision.models.Inception3(init_weights=False).state_dict().keys()
        mine = build(v3.inception_v3()).state_dict().keys()
    assert sorted(NAMES_V3.values()) == sorted(names)
    assert sorted(NAMES_V3) == sorted(mine)


def test_the_first_mismatch_is_named():
    with torch.device("meta"):
        weights, bare = (torchvision.models.Inception3(20, aux, init_weights=False).state_dict()
                         for aux in (True, False))
        narrow, heads, paper, elsewhere = map(build, (
            v3.inception_v3(classes=10, aux=()), v3.inception_v3(classes=20),
            v3.inception_v3_paper(classes=20), v3.inception_v3(classes=20, aux=("6c",))))
    for net, given, says in ((narrow, weights, r"'fc.weight' is \(20, 2048\) and 'linear.weight' is \(10, 2048\)"),
                             (heads, bare, r"no 'AuxLogits.conv0.conv.weight'"),
                             (paper, weights, r"'Conv2d_3b_1x1.conv.weight' is \(80, 64, 1, 1\)"),
                             (elsewhere, weights, r"'aux.6c.conv.weight' and torchvision's Inception V3")):
        with pytest.raises(BadInput, match=says):
            torchvision_inception_v3(given, net)


def test_smallest_inputs():
    table = v3.inception_v3()
    assert (cost.smallest(table, aux=False), cost.smallest(table, aux=True)) == (75, 299)
    with torch.device("meta"):
        us, them = build(table), torchvision.models.Inception3(init_weights=False)
        x = {side: torch.randn(2, 3, side, side) for side in (74, 75, 298, 299)}
    for training, enough, says in ((False, 75, "map that arrives at 7a is 2×2"),
                                   (True, 299, "map that arrives at auxiliary head 6e is 16×16")):
        us.train(training)
        them.train(training)
        us(x[enough])
        them(x[enough])
        with pytest.raises(BadInput, match=rf"^Inception V3 at {enough - 1} px: .*{says}.*at least {enough} px\.$"):
            us(x[enough - 1])
        with pytest.raises(RuntimeError):
            them(x[enough - 1])
    with pytest.raises(BadInput, match="at least 75 px"):
        v3.inception_v3(resolution=74)


# -- what has no reference elsewhere -----------------------------------------------------------------------------------
@pytest.mark.parametrize("norm", [ops.BatchNorm(), None])
def test_separable(norm):
    net = build(ops.Network("n", (ops.Row("a", ops.Separable(8, 7, 2, 4)),), 20, norm=norm)).eval()
    x = torch.randn(2, 3, 20, 20)
    deep, point = net.a.depthwise.weight, net.a.pointwise.weight
    assert [name for name, _ in net.named_parameters() if "depthwise" in name] == ["a.depthwise.weight"]
    # filter 4c + m sees channel c alone
    wide = torch.cat([F.conv2d(x[:, c:c + 1], deep[4 * c:4 * c + 4], stride=2, padding=3) for c in range(3)], 1)
    out = torch.einsum("nchw,oc->nohw", wide, point[:, :, 0, 0])
    out = out / (1 + 1e-3) ** 0.5 if norm else out + net.a.pointwise.bias[:, None, None]
    torch.testing.assert_close(net(x), out.relu(), rtol=1e-4, atol=1e-5)


def test_starts():
    net = build(v3.inception_v3(classes=200, width=0.5))
    net.requires_grad_(False)
    conv = getattr(net, "4a").weight  # slim: truncated, its variance 2 / fan_in
    fan_in = conv[0].numel()
    assert conv.var() * fan_in == pytest.approx(2.0, rel=0.03)
    assert 0.99 < conv.abs().max() / (2 * (1.3 * 2 / fan_in) ** 0.5) <= 1
    for layer, std in ((net.aux["6e"].conv2, 0.01), (net.aux["6e"].linear, 0.001)):
        assert 0.99 < layer.weight.abs().max() / (2 * std) <= 1
        assert layer.weight.std() == pytest.approx(0.88 * std, rel=0.02)  # what the cut leaves of it
    assert net.aux["6e"].linear.bias.abs().max() == 0
    assert net.aux["6e"].conv.weight.std() > 0.02  # only the two have a start of their own


@pytest.mark.parametrize("make", [registry.NETWORKS[name] for name in FAMILY], ids=FAMILY)
def test_every_module_can_carry_a_head_and_trains(make):
    rows = tuple(row.name for row in make().rows if isinstance(row.op, ops.Split))
    net = build(make(classes=10, width=0.25, resolution=96, aux=rows))
    out = net(torch.randn(4, 3, 96, 96))
    assert {name: tuple(v.shape) for name, v in out.items()} == dict.fromkeys(("main", *rows), (4, 10))
    sum(v.logsumexp(1).sum() for v in out.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize(("wrong", "says"), [
    ({"aux": ("6f",)}, "Valid: 5b, 5c, 5d, 6a"), ({"aux": "6e"}, r"e.g. aux=\('6b', '6e'\)"),
    ({"aux": ("6e", "6e")}, "twice"), ({"classes": 1}, "at least 2"), ({"width": 0}, "width"),
    ({"dropout": 1}, "between 0 and 0.99"), ({"init": 0.1}, "init"), ({"resolution": "299"}, "must be an int"),
    ({"aux_dropout": 1}, "aux_dropout"), ({"aux_norm": "batch", "aux": ()}, "Valid: all, conv, none"),
    ({"stem": "5x5"}, "Valid: 3x3, 7x7"), ({"strides": (2, 2)}, "three"), ({"strides": (1, 1, 3)}, "between 1 and 2"),
    ({"strides": 2}, "three"), ({"reduction": "pool"}, "Valid: parallel, pool first, convolution first"),
])
def test_refusals(wrong, says):
    with pytest.raises(BadInput, match=says) as refused:
        v3.inception_v3(**wrong)
    assert "\n" not in str(refused.value)


def test_names():
    assert set(FAMILY) <= set(registry.NETWORKS)
    assert v3.inception_v3(aux=("6e", "6b")) == v3.inception_v3(aux=("6b", "6e"))
    assert v3.inception_v3(width=1.0).row("6e").op == v3.grid17(192)
