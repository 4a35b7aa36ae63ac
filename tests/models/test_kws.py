"""The keyword network against google-research's sizes, written out again in torch's own layers."""
from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from replication import files
from replication.data import spec
from replication.errors import BadInput
from replication.models import cost, kws, layers, ops
from replication.models.build import build
from replication.models.googlenet import googlenet


class Reference(nn.Module):
    """kws_streaming/models/inception.py read line by line, in one dimension."""

    def __init__(self, features, classes, cnn1, filters1, filters2, kernels, strides):
        super().__init__()
        self.strides = strides
        self.convs = nn.ModuleDict()
        self.norms = nn.ModuleDict()
        self.add("cnn1", features, cnn1, 5, 0)
        channels = cnn1
        for i, (inside, out, k) in enumerate(zip(filters1, filters2, kernels, strict=True), 1):
            for branch in "012":
                self.add(f"module{i}_{branch}_0", channels, inside, 1)
            self.add(f"module{i}_1_1", inside, inside, k)
            self.add(f"module{i}_2_1", inside, inside, k)
            self.add(f"module{i}_2_2", inside, inside, k)
            self.add(f"reduce{i}", 3 * inside, out, 1)
            channels = out
        self.dense = nn.Linear(channels, classes)

    def add(self, name, channels, out, k, pad=None):
        self.convs[name] = nn.Conv1d(channels, out, k, padding=k // 2 if pad is None else pad, bias=False)
        self.norms[name] = nn.BatchNorm1d(out, eps=1e-3, momentum=0.01)
        self.norms[name].weight.requires_grad_(False)  # ones: no gamma

    def one(self, name, x):
        return torch.relu(self.norms[name](self.convs[name](x)))

    def forward(self, x):
        x = self.one("cnn1", x)
        for i, stride in enumerate(self.strides, 1):
            first = self.one(f"module{i}_0_0", x)
            second = self.one(f"module{i}_1_1", self.one(f"module{i}_1_0", x))
            third = self.one(f"module{i}_2_2", self.one(f"module{i}_2_1", self.one(f"module{i}_2_0", x)))
            x = self.one(f"reduce{i}", torch.cat([first, second, third], 1))
            if stride > 1:
                x = F.max_pool1d(x, 3, stride)
        return self.dense(x.mean(2))


ARGUMENTS = ("cnn1", "filters1", "filters2", "kernels", "strides")
SIZES = {name: dict(zip(ARGUMENTS, sizes, strict=True)) for name, sizes in {
    "30 K": (32, (16, 16, 16), (32, 64, 70), (3, 5, 5), (2, 2, 1)),
    "flags": (24, (10, 10, 16), (10, 10, 16), (5, 5, 5), (2, 2, 1)),
    "other": (8, (6, 4), (12, 9), (7, 3), (1, 3)),
}.items()}


def pair(size, features=30, classes=12):
    """Our network, with biases that are not 0, and the reference with its weights."""
    net = build(kws.kws_inception(classes=classes, features=features, **SIZES[size]))
    other = Reference(features, classes, **SIZES[size])
    with torch.no_grad():
        for name, conv in other.convs.items():
            row, _, place = name.partition("_")
            ours = getattr(net, row) if not place else getattr(getattr(net, row), place)
            ours.norm.bias.normal_()
            conv.weight.copy_(ours.weight.squeeze(3))
            other.norms[name].bias.copy_(ours.norm.bias)
        other.dense.load_state_dict(net.linear.state_dict())
    return net, other


def test_exactly_30_234_parameters():
    table = kws.kws_inception()
    net = build(table)
    assert cost.parameters(table) == sum(p.numel() for p in net.parameters()) == 30_234
    statistics = [b for name, b in net.named_buffers() if name.endswith(("running_mean", "running_var"))]
    assert sum(b.numel() for b in statistics) == 972
    # What a checkpoint holds: as many numbers as Keras's weights, and torch's counters.
    held = {name: v.numel() for name, v in net.state_dict().items() if not name.endswith("num_batches_tracked")}
    assert sum(held.values()) == 30_234 + 972


def test_the_arguments_defaults_are_the_30_k_experiment_and_the_flags_are_smaller():
    assert kws.kws_inception() == kws.kws_inception(**SIZES["30 K"], dropout=0.0)
    small = kws.kws_inception(**SIZES["flags"])
    trained = [p for p in Reference(30, 12, **SIZES["flags"]).parameters() if p.requires_grad]
    assert cost.parameters(small) == sum(p.numel() for p in trained)


@pytest.mark.parametrize("size", SIZES)
def test_equal_to_the_reference_in_evaluation(size):
    net, other = pair(size)
    with torch.no_grad():
        for name, norm in other.norms.items():
            row, _, place = name.partition("_")
            ours = (getattr(net, row) if not place else getattr(getattr(net, row), place)).norm
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            ours.running_mean.copy_(norm.running_mean)
            ours.running_var.copy_(norm.running_var)
    for frames in (49, 98):
        x = torch.randn(3, 30, frames)
        torch.testing.assert_close(net.eval()(x[..., None]), other.eval()(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_equal_to_the_reference_in_training(size):
    net, other = pair(size)
    x, labels = torch.randn(8, 30, 49), torch.arange(8)
    ours, theirs = net(x[..., None])["main"], other(x)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    for out in (ours, theirs):
        F.cross_entropy(out, labels).backward()
    for name, conv in other.convs.items():
        row, _, place = name.partition("_")
        module = getattr(net, row) if not place else getattr(getattr(net, row), place)
        torch.testing.assert_close(module.weight.grad.squeeze(3), conv.weight.grad, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(module.norm.bias.grad, other.norms[name].bias.grad, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(module.norm.running_mean, other.norms[name].running_mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(module.norm.running_var, other.norms[name].running_var, rtol=1e-4, atol=1e-5)


def test_arithmetic_agrees_with_torch():
    table = kws.kws_inception()
    net, x = build(table).eval(), torch.randn(1, 30, 49, 1)
    seen = {}
    for row in net.rows:
        getattr(net, row).register_forward_hook(lambda m, i, o, row=row: seen.update({row: tuple(o.shape[1:])}))
    with FlopCounterMode(display=False) as counter:
        net(x)
    assert counter.get_total_flops() == 2 * cost.multiply_adds(table)
    for name, shape in cost.shapes(table):
        assert seen[name] == shape[:len(seen[name])]
    longer = build(kws.kws_inception(frames=98))
    assert cost.multiply_adds(table, 98) == cost.multiply_adds(longer.network)


def test_smallest_input():
    table = kws.kws_inception()
    net, least = build(table).eval(), cost.smallest(table)
    assert net(torch.randn(2, 30, least, 1)).shape == (2, 12)
    with pytest.raises(BadInput, match=rf"{least - 1} frames: .* pool2 .* at least {least} frames"):
        net(torch.randn(2, 30, least - 1, 1))
    with pytest.raises(BadInput, match=f"at least {least} frames"):
        kws.kws_inception(frames=least - 1)


@pytest.mark.parametrize("shape", [(2, 3, 49, 1), (2, 30, 49, 2), (2, 30, 49), (2, 49, 30, 1)])
@pytest.mark.parametrize("training", [True, False])
def test_another_shape_is_refused(shape, training):
    net = build(kws.kws_inception()).train(training)
    with pytest.raises(BadInput, match=r"takes \(N, 30, frames, 1\) of sound; these are"):
        net(torch.zeros(shape))


@pytest.mark.parametrize(("wrong", "says"), [
    ({"kernels": (3, 4, 5)}, "4 is even"), ({"filters1": (16, 16)}, "hold 2, 3, 3, 3 numbers"),
    ({"strides": 2}, "strides=2 is .*list or tuple"), ({"filters2": (32, "64", 70)}, "must be an int"),
    ({"classes": 1}, "at least 2"), ({"dropout": 1.0}, "dropout"), ({"features": 0}, "features"),
    ({"strides": (2, 0, 1)}, "at least 1"),
])
def test_refusals(wrong, says):
    with pytest.raises(BadInput, match=says) as refused:
        kws.kws_inception(**wrong)
    assert "\n" not in str(refused.value)


def test_it_can_learn_a_batch_by_heart():
    net = build(kws.kws_inception())
    x, labels = torch.randn(24, 30, 49, 1), torch.arange(24) % 12
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    before = F.cross_entropy(net(x)["main"], labels).item()
    for _ in range(40):
        loss = F.cross_entropy(net(x)["main"], labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    out = net(x)["main"]
    assert before > 2
    assert F.cross_entropy(out, labels).item() < 0.05
    assert (out.argmax(1) == labels).all()


def test_the_normalisation_has_no_gamma_and_others_keep_theirs():
    without = layers.Conv(ops.Conv(4), 3, ops.BatchNorm(scale=False))
    assert [name for name, _ in without.named_parameters()] == ["weight", "norm.bias"]
    assert "norm.weight" not in without.state_dict()
    for norm in (ops.BatchNorm(), ops.BatchNorm(scale=True)):
        assert "norm.weight" in dict(layers.Conv(ops.Conv(4), 3, norm).named_parameters())


def test_the_new_fields_change_no_address_but_their_own():
    assert files.plain(ops.BatchNorm()) == {"is": "BatchNorm", "eps": 1e-3, "momentum": 0.1}
    assert files.plain(spec.Data("digits", 32)) == {"is": "Data", "name": "digits", "resolution": 32}
    assert files.plain(googlenet())["resolution"] == 224
    assert files.plain(kws.kws_inception())["resolution"] == [49, 1]
    assert files.plain(ops.BatchNorm(scale=False)) != files.plain(ops.BatchNorm())
