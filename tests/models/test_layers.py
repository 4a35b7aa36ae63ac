"""Layers against torch's own, a NumPy loop, scipy and the papers' formulas."""
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats

from replication.models import baselines, layers, ops
from replication.models.build import build
from replication.models.googlenet import googlenet
from replication.models.init import draw

LRNS = [ops.LRN(), ops.LRN(5, 5e-4, 0.75, 2.0), ops.LRN(3, 0.5, 0.6, 1.0), ops.LRN(4, 1.0, 0.75, 1.5)]


def lrn_loop(x, op):
    out = np.empty_like(x)
    channels = x.shape[1]
    for i in range(channels):
        near = range(max(0, i - op.size // 2), min(channels, i + (op.size - 1) // 2 + 1))
        total = sum(x[:, j] ** 2 for j in near)
        out[:, i] = x[:, i] * (op.k + op.alpha / op.size * total) ** -op.beta
    return out


@pytest.mark.parametrize("op", LRNS)
def test_lrn_value(op):
    x = 5 * torch.randn(2, 11, 4, 3)
    ours = layers.LRN(op, 11)(x)
    np.testing.assert_allclose(ours.numpy(), lrn_loop(x.double().numpy(), op), rtol=2e-6, atol=1e-6)
    if op.size % 2:  # torch and the loop place an even window alike, but only the odd one is Caffe's
        torch.testing.assert_close(ours, F.local_response_norm(x, op.size, op.alpha, op.beta, op.k))


@pytest.mark.parametrize("op", LRNS)
def test_lrn_gradient(op):
    x = (3 * torch.randn(2, 7, 3, 3, dtype=torch.float64)).requires_grad_()
    weight = torch.randn(2, 7, 3, 3, dtype=torch.float64)
    (ours,) = torch.autograd.grad((layers.LRN(op, 7)(x) * weight).sum(), x)
    (theirs,) = torch.autograd.grad((F.local_response_norm(x, op.size, op.alpha, op.beta, op.k) * weight).sum(), x)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
    # A central difference of the loop, at one place.
    at, eps, value = (1, 3, 0, 2), 1e-5, x.detach().numpy()
    up, down = value.copy(), value.copy()
    up[at] += eps
    down[at] -= eps
    slope = ((lrn_loop(up, op) - lrn_loop(down, op)) * weight.numpy()).sum() / (2 * eps)
    assert ours[at].item() == pytest.approx(slope, rel=1e-5)


def whole(op, channels, x):
    """LRN as it is compiled, exported and computed on a GPU: of whole maps, by a convolution."""
    lrn = layers.LRN(op, channels)
    return layers._ByBand.apply(x, lrn.band.to(x.dtype), lrn.ones.to(x.dtype), op.beta)


@pytest.mark.parametrize("op", LRNS)
@pytest.mark.parametrize("numbers", [1, 55, 1000])  # a pixel, five of 24, all at once
@pytest.mark.parametrize("format", [torch.contiguous_format, torch.channels_last])
def test_lrn_by_pixels_is_lrn_of_whole_maps(op, numbers, format, monkeypatch):
    """Values against the loop and gradients against autograd's own, wherever the pixels are cut apart."""
    monkeypatch.setattr(layers, "NUMBERS", numbers)
    x = (5 * torch.randn(2, 11, 4, 3, dtype=torch.float64)).to(memory_format=format).requires_grad_()
    weight = torch.randn(2, 11, 4, 3, dtype=torch.float64)
    kept = x.detach().clone()
    for ours in (layers.LRN(op, 11)(x), whole(op, 11, x)):
        np.testing.assert_allclose(ours.detach().numpy(), lrn_loop(kept.numpy(), op), rtol=1e-6)  # the band is fp32
        (gradient,) = torch.autograd.grad((ours * weight).sum(), x)
        near = torch.tensor([[-(op.size // 2) <= j - i <= (op.size - 1) // 2 for j in range(11)]
                             for i in range(11)], dtype=torch.float64)
        total = torch.einsum("ij,njhw->nihw", near, x.square())
        plain = x * (op.k + op.alpha / op.size * total) ** -op.beta
        torch.testing.assert_close(gradient, torch.autograd.grad((plain * weight).sum(), x)[0], rtol=1e-6, atol=1e-6)
    assert torch.equal(x, kept)  # nothing is written where it was read


def test_lrn_of_nothing():
    """The last batch of a set may be empty."""
    assert layers.LRN(ops.LRN(), 8)(torch.zeros(0, 8, 3, 3)).shape == (0, 8, 3, 3)


def test_lrn_is_fp32_under_autocast():
    lrn, x = layers.LRN(ops.LRN(alpha=1.0), 8), 300 * torch.randn(2, 8, 3, 3)  # squares beyond fp16
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(lrn(x), F.local_response_norm(x.float(), 5, 1.0, 0.75, 1.0))
        assert lrn(x.bfloat16()).dtype == torch.bfloat16


def test_table_convolution_is_a_masked_one():
    op = baselines.LENET5.row("C3").op
    layer = layers.TableConv(op, 6)
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(layer.bias)
    assert layer.weight.numel() + layer.bias.numel() == 1516  # LeCun et al. 1998, §II.B
    dense, n = torch.zeros(16, 6, 5, 5), 0
    for i, inputs in enumerate(op.table):
        for j in inputs:
            dense[i, j] = layer.weight[n]
            n += 1
    x = torch.randn(2, 6, 14, 14)
    torch.testing.assert_close(layer(x), F.conv2d(x, dense, layer.bias))
    layer(x).sum().backward()
    assert (layer.weight.grad != 0).all()


def test_c3_table_is_the_printed_one():
    # LeCun et al. 1998, Table I, by rows: the C3 maps that each S2 map feeds.
    printed = [(0, 4, 5, 6, 9, 10, 11, 12, 14, 15), (0, 1, 5, 6, 7, 10, 11, 12, 13, 15),
               (0, 1, 2, 6, 7, 8, 11, 13, 14, 15), (1, 2, 3, 6, 7, 8, 9, 12, 14, 15),
               (2, 3, 4, 7, 8, 9, 10, 12, 13, 15), (3, 4, 5, 8, 9, 10, 11, 13, 14, 15)]
    table = baselines.LENET5.row("C3").op.table
    assert [tuple(i for i, seen in enumerate(table) if s2 in seen) for s2 in range(6)] == printed


def test_subsampling_and_squashing():
    layer = layers.Subsample(ops.Subsample(2), 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([0.5, -1.0]))
        layer.bias.copy_(torch.tensor([1.0, 0.0]))
    x = torch.arange(8.0).reshape(1, 2, 2, 2)
    assert layer(x).flatten().tolist() == pytest.approx([0.5 * (0 + 1 + 2 + 3) + 1, -(4 + 5 + 6 + 7)])
    squashed = layers.ScaledTanh()(torch.tensor([-1.0, 0.0, 1.0, 100.0]))
    assert squashed.tolist() == pytest.approx([-1, 0, 1, 1.7159], abs=1e-4)  # "f(1) = 1 and f(-1) = -1"


def test_rbf_picks_the_nearest_bitmap():
    codes = layers.bitmaps()
    assert codes.shape == (10, 12, 7)
    assert set(codes.unique().tolist()) == {-1.0, 1.0}
    logits = layers.RBF(ops.RBF(), 84)(codes.flatten(1))
    assert torch.equal(logits.diagonal(), torch.zeros(10))
    assert torch.equal(logits.argmax(1), torch.arange(10))
    differ = (codes[3] != codes[8]).sum().item()
    assert logits[3, 8].item() == -4 * differ
    assert list(layers.RBF(ops.RBF(), 84).parameters()) == []


def drawn(init, fan_in=75):
    return draw(init, (4000, fan_in), fan_in, torch.Generator().manual_seed(1)).numpy().ravel()


def test_caffe_xavier():
    w, bound = drawn(ops.CaffeXavier()), math.sqrt(3 / 75)
    assert np.abs(w).max() <= bound * (1 + 1e-6)
    assert stats.kstest(w, stats.uniform(-bound, 2 * bound).cdf).pvalue > 0.01
    assert w.var() == pytest.approx(1 / 75, rel=0.01)


def test_he():
    assert stats.kstest(drawn(ops.He()), stats.norm(scale=math.sqrt(2 / 75)).cdf).pvalue > 0.01


def test_truncated_normal_is_truncated():
    w = drawn(ops.TruncatedNormal(0.01))
    assert np.abs(w).max() <= 0.02 * (1 + 1e-6)
    assert w.std() == pytest.approx(0.01 * stats.truncnorm(-2, 2).std(), rel=0.01)
    assert stats.kstest(w, stats.truncnorm(-2, 2, scale=0.01).cdf).pvalue > 0.01


def test_biases_of_the_caffe_model():
    # bvlc_googlenet/train_val.prototxt: 0.2 everywhere, 0 in the three classifiers.
    net = build(googlenet(classes=10, width=0.25))
    zero = {"linear.bias", "aux.4a.linear.bias", "aux.4d.linear.bias"}
    for name, p in net.named_parameters():
        if name.endswith("bias"):
            assert torch.equal(p, torch.full_like(p, 0.0 if name in zero else 0.2)), name
    for layer in net.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            bound = math.sqrt(3 / layer.weight[0].numel())
            assert 0.9 * bound < layer.weight.abs().max() <= bound * (1 + 1e-6), name


@pytest.mark.parametrize("init", [ops.He(), ops.TruncatedNormal(0.01)])
def test_other_starts_have_no_biases(init):
    net = build(googlenet(classes=10, width=0.25, init=init))
    assert all((p == 0).all() for name, p in net.named_parameters() if name.endswith("bias"))


@pytest.mark.parametrize("norm", [None, ops.BatchNorm()])
def test_sigmoids_stand_where_relus_stood(norm):
    """BN §4.2.2: "the network with sigmoid in place of ReLU". Each layer against torch's own functions."""
    net = build(googlenet(classes=10, width=0.25, resolution=64, norm=norm, activation="sigmoid", aux=())).eval()
    x, seen = torch.randn(2, 3, 64, 64), {}
    for layer in net.modules():
        if isinstance(layer, (layers.Conv, layers.Linear)):
            layer.register_forward_hook(lambda one, given, out: seen.update({one: (given[0], out)}))
    net(x)
    assert len(seen) == 58
    for layer, (given, out) in seen.items():
        if isinstance(layer, layers.Linear):  # the classifier
            assert torch.equal(out, F.linear(given.flatten(1), layer.weight, layer.bias))
            continue
        expected = F.conv2d(given, layer.weight, layer.bias, layer.stride, layer.padding)
        expected = expected if norm is None else F.batch_norm(
            expected, layer.norm.running_mean, layer.norm.running_var, layer.norm.weight, layer.norm.bias, eps=1e-3)
        torch.testing.assert_close(out, torch.sigmoid(expected), rtol=1e-4, atol=1e-5)
