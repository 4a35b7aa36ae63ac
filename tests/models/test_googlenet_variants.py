"""What the variants of GoogLeNet compute, against torch's own functions on the same weights."""
from dataclasses import replace
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from replication.errors import BadInput
from replication.models import ops
from replication.models.build import build
from replication.models.googlenet import (
    INCEPTION,
    MODULES,
    googlenet,
    googlenet_bn,
    googlenet_naive,
    googlenet_separable,
    googlenet_slim,
    googlenet_torchvision,
)

SMALL = {"classes": 10, "width": 0.25, "stem": 4, "resolution": 64}
MODULE = ops.Inception(8, 6, 12, 4, 16, 10)  # V1 Table 1's columns


@pytest.mark.parametrize("form", MODULES)
def test_module(form):
    net = build(ops.Network("n", (ops.Row("m", MODULES[form](MODULE)),), 9, channels=5))
    layers, x = dict(net.m.named_children()), torch.randn(2, 5, 9, 9)

    def conv(name, kernel, filters, x):
        weight, bias = layers.pop(name).parameters()
        assert weight.shape == (filters, x.shape[1], kernel, kernel)
        return F.conv2d(x, weight, bias, padding=kernel // 2)

    pooled = F.max_pool2d(x, 3, 1, 1)
    if form in ("reduced", "linear"):
        small, large = conv("3x3_reduce", 1, 6, x), conv("5x5_reduce", 1, 4, x)
        assert (small < 0).any()
        assert (large < 0).any()
        if form == "reduced":
            small, large = small.relu(), large.relu()
        branches = [conv("1x1", 1, 8, x).relu(), conv("3x3", 3, 12, small).relu(), conv("5x5", 5, 16, large).relu(),
                    conv("pool_proj", 1, 10, pooled).relu()]
        layers.pop("pool")
    elif form.startswith("only"):  # 8 + 12 + 16 filters of one size, behind 6 + 4 where they are large
        side = int(form[-1])
        seen = x if side == 1 else conv("0_0", 1, 10, x).relu()
        branches = [conv("0_0" if side == 1 else "0_1", side, 36, seen).relu(), conv("1_1", 1, 10, pooled).relu()]
        layers.pop("1_0")
    else:
        branches = [conv("0_0", 1, 8, x).relu(), conv("1_0", 3, 12, x).relu(), conv("2_0", 5, 16, x).relu()]
        layers.pop("3_0")  # the pool; what comes out of it is concatenated as it is, negative numbers and all
        branches.append(pooled if form == "naive" else conv("3_1", 1, 10, pooled).relu())
    assert layers == {}
    torch.testing.assert_close(net(x)["main"], torch.cat(branches, 1), rtol=1e-4, atol=1e-5)


def test_linear_reductions_start_as_the_others():
    def made(module):
        torch.manual_seed(3)
        return build(googlenet(**SMALL, module=module))

    linear, reduced = made("linear"), made("reduced")
    ours, theirs = linear.state_dict(), reduced.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[k], theirs[k]) for k in ours)
    without = {name for name, m in linear.named_modules() if getattr(m, "relu", True) is False}
    last = {"linear", *(f"aux.{at}.linear" for at in ("4a", "4d"))}
    assert without - last == {"conv2_reduce", *(f"{row}.{n}x{n}_reduce" for row in INCEPTION for n in (3, 5))}
    assert {name for name, m in reduced.named_modules() if getattr(m, "relu", True) is False} <= last
    normed = build(googlenet_bn(**SMALL, module="linear"))
    assert getattr(normed, "3a").get_submodule("3x3_reduce").norm is not None


def test_no_dropout_is_the_identity():
    x = torch.randn(4, 3, 64, 64)
    for p, same in ((0, True), (0.4, False)):
        net = build(googlenet(**SMALL, dropout=p, aux=()))
        assert torch.equal(net.train()(x)["main"], net.eval()(x)) == same
    assert googlenet(dropout=0).row("dropout").op == ops.Dropout(0)


def test_class_maps_averaged_are_the_average_classified():
    # A linear map of an average is the average of the linear maps: V1 §5's "extra linear layer" changes nothing here.
    with_linear, class_maps = (build(googlenet(**SMALL, head=head, aux=())).eval() for head in ("average", "nin"))
    weights = with_linear.state_dict()
    weights["linear.bias"].uniform_(-1, 1)
    assert class_maps.linear.bias.abs().max() == 0  # a classifier starts at 0, as the linear one
    class_maps.load_state_dict({k: v.view(class_maps.state_dict()[k].shape) for k, v in weights.items()})
    x = torch.randn(2, 3, 64, 64)
    maps = class_maps.linear(torch.randn(2, 256, 2, 2))
    assert (maps < 0).any()
    assert (maps.shape, class_maps(x).shape) == ((2, 10, 2, 2), (2, 10))
    torch.testing.assert_close(class_maps(x), with_linear(x), rtol=1e-4, atol=1e-5)


def test_slim_and_torchvision_differ_by_heads_and_memory():
    slim, theirs = googlenet_slim(), googlenet_torchvision(aux=())
    assert slim == replace(theirs, name=slim.name, norm=slim.norm)
    assert slim.norm == ops.BatchNorm(0.001, pytest.approx(1 - 0.9997), scale=False)  # inception_arg_scope
    assert (slim.row("dropout").op.p, slim.row("pool4").op.kernel) == (pytest.approx(1 - 0.8), 2)
    assert slim.init == ops.TruncatedNormal(0.01)
    assert {slim.row(name).op.large for name in INCEPTION} == {3}


VARIANTS = {
    "naive": partial(googlenet_naive, aux=("3b", "4d")),
    "projections alone": partial(googlenet, module="unreduced"),
    "linear reductions": partial(googlenet, module="linear"),
    "separable": googlenet_separable,
    "separable, normalised": partial(googlenet_bn, separable=8),
    "fc": partial(googlenet, head="fc"),
    "class maps": partial(googlenet_bn, head="nin"),
    "one head": partial(googlenet, aux=("4a",)),
    "torchvision": googlenet_torchvision,
    "slim": googlenet_slim,
}
SIZES = [(56, 2, None), (64, 4, True), (32, 4, None), (32, 8, None)]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_trains_with_any_stem(name):
    for resolution, stem, pool1 in SIZES:
        table = VARIANTS[name](classes=7, width=0.125, resolution=resolution, stem=stem, pool1=pool1)
        net = build(replace(table, init=ops.He()))
        out = net(torch.randn(4, 3, resolution, resolution))
        assert {head: v.shape for head, v in out.items()} == dict.fromkeys(("main", *(a.at for a in table.aux)), (4, 7))
        sum(v.logsumexp(1).sum() for v in out.values()).backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
        assert net.conv1.get_parameter("depthwise.weight" if "sep" in name else "weight").grad.abs().max() > 0


def test_separable_first_convolution_is_depthwise_then_pointwise():
    net, x = build(googlenet_separable(**SMALL)), torch.randn(2, 3, 64, 64)
    deep, point = net.conv1.depthwise.weight, net.conv1.pointwise
    assert deep.shape == (3 * 8, 1, 7, 7)
    wide = torch.cat([F.conv2d(x[:, c:c + 1], deep[8 * c:8 * c + 8], stride=2, padding=3) for c in range(3)], 1)
    torch.testing.assert_close(net.conv1(x), F.conv2d(wide, point.weight, point.bias).relu(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("wrong", "says"), [
    ({"module": "naiv"}, "Did you mean 'naive'"), ({"head": "nim"}, "Did you mean 'nin'"),
    ({"separable": 0}, "at least 1"), ({"separable": True}, "separable"), ({"pool1": 1}, "pool1=1 is an int"),
    ({"stem": 2, "pool1": True}, "the 7×7 a stride of 0.5"), ({"stem": 8, "pool1": False}, "the 7×7 a stride of 4;"),
    ({"dropout": -0.1}, "between 0 and 0.99"),
])
def test_refusals(wrong, says):
    with pytest.raises(BadInput, match=says) as refused:
        googlenet(**wrong)
    assert "\n" not in str(refused.value)
