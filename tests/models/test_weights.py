"""Weights out of a network and into another, whatever may be wrong with the file, and a linear fine-tune."""
import builtins
import json
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits
from torch import nn

from replication import files
from replication.errors import BadInput
from replication.models import baselines, cost, ops, weights
from replication.models.build import build
from replication.models.googlenet import googlenet
from replication.models.inception_v3 import inception_v3
from replication.models.kws import kws_inception

ROOT = Path(__file__).parents[2]
SMALL = {"classes": 10, "width": 0.125, "resolution": 32, "stem": 4}


def small(norm=None, **other):
    return build(googlenet(**{**SMALL, "norm": norm, **other}))


def normed(**other):
    """With batch normalisation at values that a tensor left out would not have."""
    net = small(ops.BatchNorm(), **other)
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.normal_(m.running_mean, std=0.1)
            nn.init.uniform_(m.running_var, 0.5, 2)
            m.num_batches_tracked += 3
    return net


def state(net):
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def same(net, before):
    return all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


# -- there and back ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("make", [
    small, normed, lambda: build(inception_v3(classes=10, width=0.125, resolution=96)),
    lambda: build(baselines.LENET5), lambda: build(kws_inception()),
], ids=["LRN", "BN", "V3", "LeNet-5", "of sound"])
def test_there_and_back(make, tmp_path):
    one, other = (make().to(memory_format=torch.channels_last) for _ in range(2))
    path = weights.save(one, tmp_path / "new folder" / "x.safetensors")
    assert os.listdir(path.parent) == ["x.safetensors"]
    assert weights.load(other, path) is other
    assert same(other, state(one))
    x = torch.randn(2, *cost.input_shape(one.network))
    assert torch.equal(one.eval()(x), other.eval()(x))


def test_any_reader_of_safetensors_reads_it(tmp_path):
    net = normed()
    read = load_file(weights.save(net, tmp_path / "x"))
    assert read.keys() == net.state_dict().keys()
    assert same(net, read)


def test_each_save_gives_the_same_bytes(tmp_path):
    """Of several keys of metadata, safetensors makes another order nearly every time."""
    net = build(baselines.LENET5)
    assert len({weights.save(net, tmp_path / str(n)).read_bytes() for n in range(8)}) == 1
    with safe_open(tmp_path / "0", framework="pt") as file:
        assert list(file.metadata()) == [weights.KEY]


def test_what_it_says_of_itself(tmp_path):
    net = small(classes=3)
    said = weights.about(weights.save(net, tmp_path / "x", classes=("cat", "dog", "axolotl")))
    assert said["network"] == files.plain(net.network)
    assert said["classes"] == ["cat", "dog", "axolotl"]
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    assert said["commit"] == (commit or os.environ.get("REPLICATION_COMMIT"))
    with pytest.raises(BadInput, match="2 names were given for the 3 classes of GoogLeNet"):
        weights.save(net, tmp_path / "x", classes=("cat", "dog"))


@pytest.mark.parametrize("text", ["[]", "{}", '{"network": "GoogLeNet"}', None])
def test_a_file_of_another_make_says_nothing(text, tmp_path):
    tensors = small().state_dict()
    save_file(tensors, tmp_path / "x", {"replication": text} if text else None)
    assert weights.about(tmp_path / "x") == {}
    assert same(weights.load(small(), tmp_path / "x"), tensors)


def test_heads_that_are_not_there_are_left_out(tmp_path):
    whole = small()
    path = weights.save(whole, tmp_path / "x")
    bare = weights.load(small(aux=()), path)
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(bare.eval()(x), whole.eval()(x))
    with pytest.raises(BadInput, match=r"no 'aux.4a.conv.weight', which GoogLeNet has as \(16, 64, 1, 1\).*aux=\(\)"):
        weights.load(small(), weights.save(bare, tmp_path / "bare"))


@pytest.mark.parametrize("change", [
    lambda name: f"module.{name}", lambda name: f"_orig_mod.{name}", lambda name: f"module._orig_mod.{name}",
    lambda name: None if name.endswith("num_batches_tracked") else name])
def test_what_wraps_a_network_and_what_is_older(change, tmp_path):
    net = normed()
    save_file({change(name): tensor for name, tensor in state(net).items() if change(name)}, tmp_path / "x")
    other = weights.load(normed(), tmp_path / "x")
    assert same(other, state(net))


# -- what may be wrong ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("left", [0, 4, 8, 500, -1])
def test_a_truncated_file(left, tmp_path):
    path = weights.save(small(), tmp_path / "x")
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(BadInput, match=r"x is truncated or no safetensors file \(.*fetch or save it again"):
        weights.load(small(), path)


@pytest.mark.parametrize("content", [b"<html>Not found</html>", b"\0" * 100, struct.pack("<Q", 2 ** 40) + b"{}"])
def test_no_safetensors_at_all(content, tmp_path):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(BadInput, match="no safetensors file"):
        weights.load(small(), tmp_path / "x")


class Runs:
    def __reduce__(self):
        return builtins.exec, ("import pathlib; pathlib.Path('ran').touch()",)


@pytest.mark.parametrize("how", ["torch.save", "torch.save, old", "pickle"])
def test_a_pickle_is_named_and_not_run(how, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.pt"
    if how == "pickle":
        path.write_bytes(pickle.dumps(Runs()))
    else:
        torch.save(Runs(), path, _use_new_zipfile_serialization=how == "torch.save")
    with pytest.raises(BadInput, match=r"x\.pt is a pickle.*convert it once.*weights_only=True.*from_torchvision"):
        weights.load(small(), path)
    assert not Path("ran").exists()
    torch.load(path, weights_only=False) if how != "pickle" else pickle.loads(path.read_bytes())
    assert Path("ran").exists()  # had it been read, it would have run


def test_the_way_the_sentence_tells_to_convert(tmp_path):
    net, other = small(), small()
    torch.save(net.state_dict(), tmp_path / "x.pt")
    other.load_state_dict(torch.load(tmp_path / "x.pt", weights_only=True))
    assert same(weights.load(small(), weights.save(other, tmp_path / "x")), state(net))


def test_a_header_that_starts_as_a_pickle_does(tmp_path):
    """The first byte is the header's length modulo 256; 0x80 begins a pickle, too."""
    net, tensors = small(), small().state_dict()
    for more in range(0, 256, 8):
        save_file(tensors, tmp_path / "x", {"note": "x" * more})
        if (tmp_path / "x").read_bytes()[0] == 0x80:
            break
    else:
        pytest.fail("no such header")
    assert same(weights.load(net, tmp_path / "x"), tensors)


@pytest.mark.parametrize("path", ["missing", "."])
def test_no_file(path, tmp_path):
    with pytest.raises(BadInput, match=r"Could not read .*give the path of a safetensors file"):
        weights.load(small(), tmp_path / path)


def refused(ours, theirs, tmp_path, sentence, **how):
    before, path = state(ours), weights.save(theirs, tmp_path / "x")
    with pytest.raises(BadInput, match=sentence):
        weights.load(ours, path, **how)
    assert same(ours, before)


def test_other_classes_are_named_with_the_way_out(tmp_path):
    refused(small(classes=5), small(), tmp_path,
            r"'linear.weight' is \(10, 128\) in .*x, of GoogLeNet, and \(5, 128\) in GoogLeNet: .*classifier=\"new\"")


def test_another_architecture_is_named(tmp_path):
    for how in ("keep", "new"):
        refused(small(), normed(name="Normed"), tmp_path, classifier=how,
                sentence=r"no 'conv1.bias', which GoogLeNet has as \(8,\); its weights are of Normed")
    refused(small(), small(width=0.25), tmp_path,
            r"'conv1.weight' is \(16, 3, 7, 7\) in .*and \(8, 3, 7, 7\) in GoogLeNet: build the network they were")
    refused(small(aux=()), small(aux=(), head="fc"), tmp_path, r"has 'fc.bias' as \(128,\), which GoogLeNet does not")
    refused(small(), small(stem=8), tmp_path, r"'aux.4a.fc.weight' is \(128, 64\).*\(128, 256\).*aux=\(\)")


def test_a_tensor_too_many(tmp_path):
    net = small()
    save_file({**net.state_dict(), "more": torch.ones(2, 3)}, tmp_path / "x")
    with pytest.raises(BadInput, match=r"x has 'more' as \(2, 3\), which GoogLeNet does not have.*another network"):
        weights.load(net, tmp_path / "x")


@pytest.mark.parametrize(("change", "says"), [
    (lambda held: held.to(torch.int8), "'linear.weight' is torch.int8 .* plain floats are wanted"),
    (lambda held: held * torch.inf, "'linear.weight' holds numbers that are not finite")])
def test_what_is_no_plain_number(change, says, tmp_path):
    net = small()
    save_file({**net.state_dict(), "linear.weight": change(net.state_dict()["linear.weight"])}, tmp_path / "x")
    with pytest.raises(BadInput, match=says):
        weights.load(net, tmp_path / "x")


def test_a_variance_below_zero(tmp_path):
    """Mean and variance that were interchanged give NaN in some channels, and no error."""
    net = normed()
    name = next(name for name in net.state_dict() if name.endswith("running_var"))
    save_file({**net.state_dict(), name: torch.full_like(net.state_dict()[name], -0.5)}, tmp_path / "x")
    with pytest.raises(BadInput, match=f"'{name}' is a variance and holds -0.5"):
        weights.load(net, tmp_path / "x")


def test_equal_tensors_of_another_table(tmp_path):
    """Pools, LRN and epsilon leave no tensor behind, and change every logit."""
    refused(normed(), small(ops.BatchNorm(eps=1e-5)), tmp_path, "other pools, LRN or normalisation")
    theirs = small()
    refused(small(stem=8, resolution=64, aux=()), theirs, tmp_path, "other pools, LRN or normalisation")
    weights.load(small(stem=8, resolution=64, aux=()), tmp_path / "x", classifier="new")
    weights.load(small(dropout=0.1, init=ops.He(), name="mine"), tmp_path / "x")  # these change none


def test_a_choice_that_is_none(tmp_path):
    with pytest.raises(BadInput, match="Valid: keep, new"):
        weights.load(small(), tmp_path / "x", classifier="reset")


@pytest.mark.parametrize("method", ["write_bytes", "replace"])
def test_a_full_disk_leaves_the_file_before(method, tmp_path, monkeypatch):
    net = small()
    path = weights.save(net, tmp_path / "x")
    before, real = path.read_bytes(), Path.write_bytes

    def full(self, *given):
        if method == "write_bytes":
            real(self, given[0][:100])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, method, full)
        with pytest.raises(BadInput, match=r"Could not write .*x \(No space left on device\): free some space"):
            weights.save(small(), path)
    assert os.listdir(tmp_path) == ["x"]
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "x"):
        with pytest.raises(BadInput, match=f"Could not write {path}"):
            weights.save(small(), path)


# -- other labels --------------------------------------------------------------------------------------------------
def test_a_new_classifier_in_the_trunk_and_in_every_head(tmp_path):
    old = normed()
    path = weights.save(old, tmp_path / "x")
    net = normed(classes=5)
    before = state(net)
    own = {f"{at}.{part}" for at in ("linear", "aux.4a.linear", "aux.4d.linear") for part in ("weight", "bias")}
    for name, tensor in weights.load(net, path, classifier="new").state_dict().items():
        assert torch.equal(tensor, (before if name in own else old.state_dict())[name]), name
    again = weights.load(normed(), path, classifier="new")  # also where it would have fitted
    assert not torch.equal(again.linear.weight, old.linear.weight)


def test_only_the_classifier_changes():
    net = weights.classifier_only(normed(classes=5))
    open_ = {name for name, p in net.named_parameters() if p.requires_grad}
    assert open_ == {f"{at}linear.{part}" for at in ("", "aux.4a.", "aux.4d.") for part in ("weight", "bias")}
    before, sgd = state(net), torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=1e-2)
    for _ in range(2):
        net.eval()
        net.train()
        out = net(torch.randn(8, 3, 32, 32))
        sgd.zero_grad()
        sum(F.cross_entropy(logits, torch.arange(8) % 5) for logits in out.values()).backward()
        sgd.step()
    changed = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == open_
    with pytest.raises(BadInput, match="LeNet-5 ends in fixed codes"):
        weights.classifier_only(build(baselines.LENET5))


def test_frozen_normalisation_keeps_its_statistics_in_training():
    net = normed(aux=(), dropout=0.0)
    before, x = state(net), torch.randn(4, 3, 32, 32)
    wanted = net.eval()(x)
    assert not torch.allclose(net.train()(x)["main"], wanted, atol=1e-3)
    net.load_state_dict(before)
    assert torch.equal(weights.classifier_only(net)(x)["main"], wanted)
    assert torch.equal(net.eval().train()(x)["main"], wanted)
    assert same(net, before)


def digits(classes):
    """Standardised 8×8 digits of these classes on 32 px, in training and validation halves; labels from 0."""
    held = load_digits()
    here = [i for i, label in enumerate(held.target) if label in classes]
    images = torch.tensor(held.images[here], dtype=torch.float32)[:, None].expand(-1, 3, -1, -1)
    x = F.interpolate((images - images.mean()) / images.std(), size=32, mode="bilinear")
    y = torch.tensor([classes.index(label) for label in held.target[here]])
    return x[::2], y[::2], x[1::2], y[1::2]


def fit(net, x, y, lr):
    adam = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr)
    for _ in range(60):
        some = torch.randint(len(y), (32,))
        adam.zero_grad()
        F.cross_entropy(net.train()(x[some])["main"], y[some]).backward()
        adam.step()
    return net


@torch.no_grad()
def accuracy(net, x, y):
    return (net.eval()(x).argmax(1) == y).float().mean().item()


def test_a_linear_fine_tune_to_labels_never_seen(tmp_path):
    def five():
        return small(ops.BatchNorm(), classes=5, aux=(), dropout=0.0)

    x, y, x_val, y_val = digits((0, 1, 2, 3, 4))
    net = fit(five(), x, y, lr=3e-3)
    assert accuracy(net, x_val, y_val) > 0.7
    path = weights.save(net, tmp_path / "x", classes="01234")

    x, y, x_val, y_val = digits((5, 6, 7, 8, 9))  # chance is 0.2, its standard error on the 448 images 0.02
    tuned = weights.load(five(), path, classifier="new")
    assert accuracy(tuned, x_val, y_val) < 0.35
    assert accuracy(fit(weights.classifier_only(tuned), x, y, lr=1e-2), x_val, y_val) > 0.45


FROM_HUB = """
import sys, torch
net = torch.hub.load(sys.argv[1], "googlenet", source="local", num_classes=10, width=0.125, resolution=32, stem=4)
from replication.models import weights
before = net.linear.weight.clone()
assert weights.load(net, "x.safetensors") is net
assert not torch.equal(net.linear.weight, before)
torch.save(net.eval()(torch.ones(1, 3, 32, 32)).detach(), "logits.pt")
"""


def test_through_torch_hub_from_another_folder(tmp_path):
    net = small()
    weights.save(net, tmp_path / "x.safetensors")
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"TORCH_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", FROM_HUB, str(ROOT)], cwd=tmp_path, env=env, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    torch.testing.assert_close(torch.load(tmp_path / "logits.pt"), net.eval()(torch.ones(1, 3, 32, 32)))


# -- built from the file alone ------------------------------------------------------------------------------------
@pytest.mark.parametrize("make", [
    lambda: googlenet(**SMALL), lambda: googlenet(**SMALL, norm=ops.BatchNorm(), separable=8, module="naive", aux=()),
    lambda: inception_v3(classes=3, width=0.125, resolution=75), lambda: kws_inception(), lambda: baselines.lenet5()])
def test_a_network_comes_out_of_its_file_alone(make, tmp_path):
    net = build(make())
    again = weights.rebuilt(weights.save(net, tmp_path / "x"))
    assert again.network == net.network
    assert same(again, state(net))


@pytest.mark.parametrize("table", [None, {"name": "x"}, {"is": "Popen", "args": "ls"}, {"is": "dataclass"},
                                   {"is": "Network", "name": "x", "rows": [], "later": 1}, {"is": "Conv", "out": 3}])
def test_a_file_that_names_no_network_is_told(table, tmp_path):
    said = {} if table is None else {weights.KEY: json.dumps({"network": table})}
    save_file(small().state_dict(), tmp_path / "x", said)
    with pytest.raises(BadInput, match="does not say which network"):
        weights.rebuilt(tmp_path / "x")
