"""Equal logits under onnxruntime, which shares no code with torch."""
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from replication import files, paths
from replication.errors import BadInput
from replication.models import ops
from replication.models.baselines import alexnet, alexnet_torchvision, lenet5
from replication.models.bn_inception import bn_inception
from replication.models.build import build
from replication.models.googlenet import googlenet, googlenet_bn
from replication.models.inception_v3 import inception_v3, inception_v3_fid
from replication.models.kws import kws_inception
from replication.models.onnx import rounded_down, save, write

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

# At 56 px every 3×3/2 pool of GoogLeNet but the last meets an even map, where rounding up (Caffe) adds a row.
SMALL = {"classes": 7, "width": 0.125, "stem": 4, "resolution": 56}
STRONG = ops.LRN(alpha=1.0)  # on maps as small as these the papers' 1e-4 is lost in rounding


def strong(network):
    rows = tuple(ops.Row(r.name, STRONG) if isinstance(r.op, ops.LRN) else r for r in network.rows)
    return ops.Network(network.name, rows, network.resolution, network.aux, network.norm, network.init)


AGAIN = {"GoogLeNet": ("3b", "4b", "4c", "4e", "5a"), "Inception V3": ("5c", "5d", "6c", "6d", "7c"),
         "BN-Inception": ("3c", "4b", "4c", "4d", "4e")}


def once(network):
    """Without the modules that are like one before them; each takes a second to export."""
    again, = (rows for name, rows in AGAIN.items() if network.name.startswith(name))
    assert set(again) <= {row.name for row in network.rows}
    return replace(network, rows=tuple(row for row in network.rows if row.name not in again),
                   aux=tuple(head for head in network.aux if head.at not in again))


def short(network):
    """A row of each kind of GoogLeNet's, and one head."""
    names = ("conv1", "pool2", "norm1", "4a", "avgpool", "linear")
    assert set(names) <= {row.name for row in network.rows}
    return replace(network, rows=tuple(row for row in network.rows if row.name in names),
                   aux=tuple(head for head in network.aux if head.at in names))


def started(network):
    net = build(network)
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):  # nothing at a value that leaving it out would give
            nn.init.normal_(m.bias, std=0.3)
            nn.init.normal_(m.running_mean, std=0.1)
            nn.init.uniform_(m.running_var, 0.5, 2)
    return net


def run(path, images):
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])


@pytest.mark.parametrize(("network", "side"), [
    (once(googlenet(**SMALL)), 56),
    (strong(once(googlenet(**SMALL))), 71),
    (ops.expecting(once(googlenet_bn(**SMALL)), ops.Normalise((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))), 71),
    (once(inception_v3(classes=7, width=0.125, resolution=96)), 75),
    (once(bn_inception(classes=7, width=0.125, resolution=64)), 71),
    (kws_inception(classes=7, features=30, frames=49), None),
], ids=["GoogLeNet", "strong LRN, odd", "BN, odd, of another scale", "V3, least", "BN-Inception, odd", "of sound"])
def test_equal_logits_at_any_batch(network, side, tmp_path):
    net = started(network)
    path = save(net, tmp_path / "x.onnx", resolution=side)
    assert os.listdir(tmp_path) == ["x.onnx"]  # weights included
    for n in (1, 3):
        images = torch.randn(n, 3, side, side) if side else torch.randn(n, 30, 49, 1)
        with torch.no_grad():
            wanted = net.eval()(images)
        assert wanted.std() > 1e-3
        torch.testing.assert_close(run(path, images), wanted, rtol=1e-4, atol=1e-5 * wanted.std().item())


# -- sizes that may change -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(("network", "sides"), [
    # maps of 56, 28, 14, 7 and of every other rounding, down to one on which a window is larger than the map
    (strong(once(googlenet(**SMALL))), [(56, 56), (57, 64), (31, 90), (0, 0)]),
    (once(inception_v3_fid(classes=7, width=0.125, resolution=96)), [(75, 75), (88, 101)]),
    (kws_inception(classes=7, features=30, frames=49), [(49, 1), (98, 1), (60, 1)]),
], ids=["GoogLeNet", "V3 of FID", "of sound"])
def test_equal_logits_at_any_size(network, sides, tmp_path):
    net = started(network).eval()
    path = save(net, tmp_path / "x.onnx", free=True)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for height, width in [*sides, sides[0]]:
        height, width = height or net.least, width or net.least
        images = torch.randn(2, network.channels, height, width)
        with torch.no_grad():
            wanted = net(images)
        got = torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5 * wanted.std().item())


def test_no_size_stands_in_the_nodes(tmp_path):
    """The same graph, whichever size it was traced at; the one of a single size says so."""
    def graph(side, free):
        model = onnx.load(save(net, tmp_path / "x.onnx", resolution=side, free=free))
        sides = [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
        return sides, model.graph.SerializeToString(deterministic=True)

    net = build(replace(short(googlenet(**SMALL)), aux=()))
    small, large = graph(56, True), graph(101, True)
    assert small[0] == large[0] == ["batch", 3, "height", "width"]
    assert small == large
    assert graph(56, False)[0] == ["batch", 3, 56, 56]


@pytest.mark.parametrize(("network", "row"), [
    (alexnet(classes=7, width=0.125, resolution=67), "fc6"),
    (alexnet_torchvision(classes=7, width=0.125, resolution=64), "avgpool"),
    (lenet5(), "F6"),
], ids=["AlexNet", "torchvision's", "LeNet-5"])
def test_a_network_of_one_size_is_never_exported_as_free(network, row, tmp_path):
    with pytest.raises(BadInput, match=f"takes images of one size, since {row} works on a map of one: leave free=True"):
        save(build(network), tmp_path / "x.onnx", free=True)
    assert os.listdir(tmp_path) == []


def pool(kernel, stride, pad, side):
    """A max-pool that rounds up, as torch writes it."""
    make, shape = onnx.helper.make_tensor_value_info, [1, 1, *side]
    node = onnx.helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=kernel, strides=[stride] * 2, pads=[pad] * 4,
                                 ceil_mode=1)
    return onnx.helper.make_model(
        onnx.helper.make_graph([node], "pool", [make("x", 1, shape)], [make("y", 1, [1, 1, None, None])]),
        opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)


@pytest.mark.parametrize(("kernel", "stride", "pad"), [
    ((3, 3), 2, 0), ((3, 3), 2, 1), ((2, 2), 2, 0), ((3, 3), 1, 1), ((5, 3), 3, 0), ((5, 5), 3, 2)])
def test_rounded_down_is_the_same_pool(kernel, stride, pad):
    """At every size that torch takes."""
    for side in range(max(1, max(kernel) - 2 * pad - stride + 1), 14):
        x = torch.randn(1, 1, side, side + 1) - 9  # padding as zeros would win
        model = pool(kernel, stride, pad, (side, side + 1))
        rounded_down(model.graph)
        assert not [a.i for a in model.graph.node[0].attribute if a.name == "ceil_mode" and a.i]
        session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        wanted = nn.functional.max_pool2d(x, kernel, stride, pad, ceil_mode=True)
        assert torch.equal(torch.from_numpy(session.run(None, {"x": x.numpy()})[0]), wanted)


def test_a_pool_with_windows_of_nothing_is_refused(tmp_path):
    table = ops.Network("Strided", (ops.Row("conv", ops.Conv(8, 3)), ops.Row("pool", ops.MaxPool(3, 3, pad=1)),
                                    ops.Row("avgpool", ops.AvgPool()), ops.Row("linear", ops.Linear(7))), 8)
    with pytest.raises(BadInput, match="window of 3, stride 3 and padding 1 that rounds up"):
        save(build(table), tmp_path / "x.onnx")
    assert os.listdir(tmp_path) == []
    rows = tuple(replace(row, op=replace(row.op, ceil=False)) if row.name == "pool" else row for row in table.rows)
    net = build(replace(table, rows=rows)).eval()
    images = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(run(save(net, tmp_path / "x.onnx"), images), net(images), rtol=1e-4, atol=1e-5)


def test_what_the_file_says(tmp_path):
    net = build(once(googlenet(**SMALL)))
    assert net.training
    path = save(net, tmp_path / "x.onnx", classes="abcdefg")
    assert net.training
    assert all(p.requires_grad for p in net.parameters())
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert {o.domain for o in model.opset_import} == {""}  # no operator that is torch's own, LRN's neither
    dims = [[d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
            for value in (*model.graph.input, *model.graph.output)]
    assert dims == [["batch", 3, 56, 56], ["batch", 7]]
    said = json.loads({p.key: p.value for p in model.metadata_props}["replication"])
    assert said["network"] == files.plain(net.network)
    assert said["classes"] == list("abcdefg")
    assert said["pixels"] == {"mean": 0.5, "std": 0.25}
    assert not any("aux" in tensor.name for tensor in model.graph.initializer)
    assert not model.graph.metadata_props
    content = Path(path).read_bytes()
    assert b".py" not in content  # where it was made is nobody's business
    assert os.fsencode(paths.ROOT / "replication") not in content


def test_weights_of_16_bits_are_half_the_file_and_nearly_the_same(tmp_path):
    """Several outputs by name; what is computed is computed in 32 bits."""
    from replication.training.in_page import Whole
    net = started(short(googlenet(**SMALL))).eval()
    assert net.heads == ("main", "4a")
    whole, images = Whole(net), torch.randn(3, 3, 56, 56)
    names = (*net.heads, "maps")
    paths_ = [write(whole, images[:2], names, {"run": "x"}, tmp_path / f"{half}.onnx", half) for half in (False, True)]
    sizes = [path.stat().st_size for path in paths_]
    assert 0.4 * sizes[0] < sizes[1] < 0.6 * sizes[0]
    with torch.no_grad():
        main, *_, maps = whole(images)
        torch.testing.assert_close(main, net(images))
        wanted = {**net.logits(images, net.heads), "maps": maps}
    bias = main - maps.mean((2, 3))
    torch.testing.assert_close(bias, net.linear.bias.detach().expand(3, -1), rtol=0, atol=1e-5)
    for path, close in zip(paths_, (1e-5, 2e-2), strict=True):
        session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
        found = dict(zip(names, session.run(names, {"images": images.numpy()}), strict=True))
        for name in names:
            far = (torch.from_numpy(found[name]) - wanted[name]).abs().max() / wanted[name].std()
            assert far < close, name
    onnx.checker.check_model(onnx.load(paths_[1]), full_check=True)


def test_bad_input(tmp_path, monkeypatch):
    net = build(googlenet(**SMALL))
    with pytest.raises(BadInput, match=r"GoogLeNet at 5 px.*use at least"):
        save(net, tmp_path / "x.onnx", resolution=5)
    with pytest.raises(BadInput, match="resolution='56' is a str; it must be an int"):
        save(net, tmp_path / "x.onnx", resolution="56")
    with pytest.raises(BadInput, match="2 names were given for the 7 classes"):
        save(net, tmp_path / "x.onnx", classes=("cat", "dog"))
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(BadInput, match="pip install onnx onnxscript"):
        save(net, tmp_path / "x.onnx")
    assert os.listdir(tmp_path) == []
