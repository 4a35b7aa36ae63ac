"""Equal logits with torchvision's GoogLeNet on the same weights; torchvision's files as people have them."""
import argparse
import builtins
from pathlib import Path

import pytest
import torch
from torch import nn

from replication.errors import BadInput
from replication.models.build import build
from replication.models.googlenet import googlenet, googlenet_torchvision
from replication.models.torchvision import NAMES, NAMES_V3, from_torchvision, torchvision_googlenet

torchvision = pytest.importorskip("torchvision")


def theirs(classes=20, aux=True):
    net = torchvision.models.GoogLeNet(num_classes=classes, aux_logits=aux, init_weights=False)
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):  # nothing at a value that a missed tensor would have too
            nn.init.uniform_(m.weight, 1, 3)
            nn.init.normal_(m.bias, std=0.3)
            nn.init.normal_(m.running_mean, std=0.1)
            nn.init.uniform_(m.running_var, 0.05, 0.3)
    return without_dropout(net)


def without_dropout(net):
    for m in net.modules():
        if isinstance(m, nn.Dropout):
            m.p = 0.0
    return net.double()  # so that equal means equal, not close


@pytest.mark.parametrize("side", [224, 96])
def test_equal_logits(side):
    them = theirs()
    us = without_dropout(torchvision_googlenet(them.state_dict(), build(googlenet_torchvision(classes=20))
                                               .double()))
    x = torch.randn(2, 3, side, side, dtype=torch.float64)
    main = us.eval()(x)
    assert main.std() > 1e-3
    torch.testing.assert_close(main, them.eval()(x), rtol=1e-9, atol=1e-9)
    expected, got = them.train()(x), us.train()(x)
    torch.testing.assert_close(got, {"main": expected.logits, "4a": expected.aux_logits1, "4d": expected.aux_logits2},
                               rtol=1e-7, atol=1e-9)


def test_trunk_alone():
    with_heads, x = theirs(), torch.randn(1, 3, 96, 96, dtype=torch.float64)
    us = torchvision_googlenet(with_heads.state_dict(), build(googlenet_torchvision(classes=20, aux=()))
                               .double()).eval()
    torch.testing.assert_close(us(x), with_heads.eval()(x), rtol=1e-9, atol=1e-9)
    bare = theirs(aux=False)
    us = torchvision_googlenet(bare.state_dict(), us)
    torch.testing.assert_close(us(x), bare.eval()(x), rtol=1e-9, atol=1e-9)


def test_every_tensor_of_theirs_is_used():
    with torch.device("meta"):
        names = torchvision.models.GoogLeNet(init_weights=False).state_dict().keys()
    assert sorted(NAMES.values()) == sorted(names)


def test_the_first_mismatch_is_named():
    with torch.device("meta"):
        weights, bare = (torchvision.models.GoogLeNet(20, aux, init_weights=False).state_dict()
                         for aux in (True, False))
        narrow, heads, ours = (build(n) for n in (googlenet_torchvision(classes=10, aux=()),
                                                  googlenet_torchvision(classes=20), googlenet(classes=20)))
    with pytest.raises(BadInput, match=r"'fc.weight' is \(20, 1024\) and 'linear.weight' is \(10, 1024\)"):
        torchvision_googlenet(weights, narrow)
    with pytest.raises(BadInput, match=r"no 'aux1.conv.conv.weight'"):
        torchvision_googlenet(bare, heads)
    with pytest.raises(BadInput, match=r"'conv1.bias' and torchvision's"):
        torchvision_googlenet(weights, ours)


def test_torchvision_has_two_places():
    with pytest.raises(BadInput, match="Valid: 4a, 4d"):
        googlenet_torchvision(aux=("4a", "5a"))


# -- files ---------------------------------------------------------------------------------------------------------
def inception_v3(aux):
    net = torchvision.models.Inception3(num_classes=6, aux_logits=aux, init_weights=False)
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.running_var, 0.05, 0.3)
    return without_dropout(net)


@pytest.mark.parametrize("aux", [True, False], ids=["with heads", "without"])
@pytest.mark.parametrize(("make", "side", "heads"), [
    (lambda aux: theirs(6, aux), 96, ("4a", "4d")), (inception_v3, 96, ("6e",)),
], ids=["GoogLeNet", "Inception V3"])
def test_a_file_as_torchvision_saves_it(make, side, heads, aux, tmp_path):
    them = make(aux).float()
    torch.save(them.state_dict(), tmp_path / "x.pth")
    names = NAMES if "4a" in heads else NAMES_V3
    for given in (tmp_path / "x.pth", them.state_dict()):
        us = from_torchvision(given)
        assert us.training
        assert us.heads == ("main", *(heads if aux else ()))
        assert all(torch.equal(mine, them.state_dict()[names[name]]) for name, mine in us.state_dict().items())
    x = torch.randn(1, 3, side, side, dtype=torch.float64)
    main = us.double().eval()(x)
    assert main.std() > 1e-3
    torch.testing.assert_close(main, them.double().eval()(x), rtol=1e-9, atol=1e-9)


class Runs:
    def __reduce__(self):
        return builtins.exec, ("import pathlib; pathlib.Path('ran').touch()",)


@pytest.mark.parametrize(("content", "sentence"), [
    (Runs(), "more than tensors.*nothing in it was run"),
    ({"model": {}, "args": argparse.Namespace()}, "more than tensors.*state_dict.. alone"),
    ([torch.ones(1)], "holds a list; save the network's state_dict"),
    ({"model": {}}, "neither torchvision's googlenet nor its inception_v3.*their 1 names: 'model'"),
], ids=["malicious", "a trainer's", "list", "nested"])
def test_a_file_of_something_else(content, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(content, "x.pth")
    with pytest.raises(BadInput, match=sentence):
        from_torchvision("x.pth")
    assert not Path("ran").exists()


def test_another_network_s_file(tmp_path):
    with torch.device("meta"):
        resnet = torchvision.models.resnet18().state_dict()
    with pytest.raises(BadInput, match=r"neither torchvision's .*the first of their 122 names: 'conv1.weight', 'bn1"):
        from_torchvision(resnet)
    with torch.device("meta"):
        cut = torchvision.models.GoogLeNet(init_weights=False).state_dict()
    del cut["inception4c.branch2.0.conv.weight"]
    with pytest.raises(BadInput, match=r"have no 'inception4c.branch2.0.conv.weight', which '4c.3x3_reduce.weight'"):
        from_torchvision(cut)


def test_a_file_that_is_not_whole(tmp_path):
    path = tmp_path / "x.pth"
    with pytest.raises(BadInput, match=r"Could not read .*No such file"):
        from_torchvision(path)
    torch.save({"fc.weight": torch.ones(100, 100)}, path)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(BadInput, match=r"x\.pth is truncated"):
        from_torchvision(path)
    path.write_text("<html>Not found</html>")
    with pytest.raises(BadInput, match=r"or is no file of torch.save"):
        from_torchvision(path)
