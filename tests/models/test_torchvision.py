"""Equal logits with torchvision's GoogLeNet on the same weights; torchvision's files as people have them."""
import argparse
import builtins
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from replication.data.transforms import normalise
from replication.errors import BadInput
from replication.models import weights
from replication.models.build import build
from replication.models.googlenet import googlenet, googlenet_torchvision
from replication.models.torchvision import NAMES, NAMES_V3, PUBLISHED, from_torchvision, torchvision_googlenet

torchvision = pytest.importorskip("torchvision")
transforms = pytest.importorskip("torchvision.transforms")


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
    main = us.eval()(2 * x)  # what they take as ±1 is ±2 here
    assert main.std() > 1e-3
    torch.testing.assert_close(main, them.eval()(x), rtol=1e-9, atol=1e-9)
    expected, got = them.train()(x), us.train()(2 * x)
    torch.testing.assert_close(got, {"main": expected.logits, "4a": expected.aux_logits1, "4d": expected.aux_logits2},
                               rtol=1e-7, atol=1e-9)


def test_trunk_alone():
    with_heads, x = theirs(), torch.randn(1, 3, 96, 96, dtype=torch.float64)
    us = torchvision_googlenet(with_heads.state_dict(), build(googlenet_torchvision(classes=20, aux=()))
                               .double()).eval()
    torch.testing.assert_close(us(2 * x), with_heads.eval()(x), rtol=1e-9, atol=1e-9)
    bare = theirs(aux=False)
    us = torchvision_googlenet(bare.state_dict(), us)
    torch.testing.assert_close(us(2 * x), bare.eval()(x), rtol=1e-9, atol=1e-9)


def test_every_tensor_of_theirs_is_used():
    with torch.device("meta"):
        names = torchvision.models.GoogLeNet(init_weights=False).state_dict().keys()
    assert sorted(NAMES.values()) == sorted(names)


def test_the_first_mismatch_is_named():
    with torch.device("meta"):
        whole, bare = (torchvision.models.GoogLeNet(20, aux, init_weights=False).state_dict()
                         for aux in (True, False))
        narrow, heads, ours = (build(n) for n in (googlenet_torchvision(classes=10, aux=()),
                                                  googlenet_torchvision(classes=20), googlenet(classes=20)))
    with pytest.raises(BadInput, match=r"'fc.weight' is \(20, 1024\) and 'linear.weight' is \(10, 1024\)"):
        torchvision_googlenet(whole, narrow)
    with pytest.raises(BadInput, match=r"no 'aux1.conv.conv.weight'"):
        torchvision_googlenet(bare, heads)
    with pytest.raises(BadInput, match=r"'conv1.bias' and torchvision's"):
        torchvision_googlenet(whole, ours)


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
    main = us.double().eval()(2 * x)
    assert main.std() > 1e-3
    torch.testing.assert_close(main, them.double().eval()(x), rtol=1e-9, atol=1e-9)


# -- scale ---------------------------------------------------------------------------------------------------------
def as_torchvision_sees(pictures):
    return transforms.functional.normalize(pictures.double() / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


@pytest.mark.parametrize("transform_input", [True, False])
@pytest.mark.parametrize("given", ["network", "wrapped", "weights"])
def test_the_same_picture_gives_the_same_logits(transform_input, given, tmp_path):
    """Each by its own loader's normalisation; also once the weights have been in a file of ours."""
    them = theirs(6, aux=False).eval()
    them.transform_input = transform_input
    said = {"transform_input": transform_input} if given == "weights" else {}
    us = from_torchvision({"network": them, "wrapped": nn.DataParallel(them), "weights": them.state_dict()}[given],
                          **said).double().eval()
    pictures = torch.randint(256, (2, 3, 96, 96), dtype=torch.uint8)
    with torch.no_grad():
        expected = them(as_torchvision_sees(pictures))
        assert expected.std() > 1e-3
        torch.testing.assert_close(us(normalise(pictures).double()), expected, rtol=1e-4, atol=1e-4)
        if given == "network":
            path = weights.save(us, tmp_path / "x.safetensors")
            plain = weights.load(build(googlenet_torchvision(classes=6, aux=())), path)
            for again in (plain, weights.rebuilt(path)):
                got = again.double().eval()(normalise(pictures).double())
                torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)
            for classes in (6, 3):
                other = build(googlenet_torchvision(classes=classes, aux=()))
                assert weights.load(other, path, classifier="new").network.rows[0] == us.network.rows[0]
            ours = weights.save(build(googlenet_torchvision(classes=6, aux=())), tmp_path / "ours")
            assert weights.load(plain, ours).rows == build(googlenet_torchvision(classes=6, aux=())).rows


def test_published_weights_are_taken_to_expect_what_they_do():
    with torch.device("meta"):
        us = from_torchvision(torchvision.models.Inception3(num_classes=6, init_weights=False).state_dict())
    assert us.network.rows[0].op == PUBLISHED
    with pytest.raises(BadInput, match="transform_input='yes' is a str"):
        from_torchvision(us.state_dict(), "yes")


# -- what trainers put around them -----------------------------------------------------------------------------------
def small():
    with torch.device("meta"):
        return torchvision.models.GoogLeNet(6, aux_logits=False, init_weights=False).state_dict()


def prefixed(prefix, state):
    return {f"{prefix}{name}": value for name, value in state.items()}


@pytest.mark.parametrize("wrap", [
    lambda s: {"epoch": 90, "arch": "googlenet", "state_dict": prefixed("module.", s), "best_acc1": torch.ones(()),
               "optimizer": {"state": {0: {"momentum_buffer": torch.ones(1)}}, "param_groups": [{"lr": 0.1}]}},
    lambda s: {"model": s, "epoch": 3}, lambda s: prefixed("module.", s), lambda s: prefixed("_orig_mod.", s),
    lambda s: prefixed("module._orig_mod.", s), lambda s: prefixed("_orig_mod.module.", s),
    lambda s: {name.replace("inception4a.", "inception4a._orig_mod."): value for name, value in s.items()},
    lambda s: {"state_dict": {**prefixed("model.net.", s), "loss.weight": torch.ones(6)}, "hyper_parameters": {}},
    lambda s: {name: value for name, value in s.items() if "num_batches_tracked" not in name},
    lambda s: {"checkpoint": {"net": {"state_dict": prefixed("module.", s)}}, "n": 1},
], ids=["pytorch/examples", "model", "DataParallel", "compiled", "both", "both, the other way", "compiled in part",
        "Lightning", "older than counters", "deep"])
def test_the_network_is_found_in_it(wrap):
    state = small()
    with torch.device("meta"):
        us = from_torchvision(wrap(state))
    assert us.heads == ("main",)
    assert us.network.rows[-1].op.out == 6


def test_a_checkpoint_in_a_file_is_the_network(tmp_path):
    them = theirs(6, aux=False).float()
    state = {name: value for name, value in them.state_dict().items() if "num_batches_tracked" not in name}
    torch.save({"epoch": 1, "arch": "googlenet", "state_dict": prefixed("module.", state), "optimizer": {}},
               tmp_path / "checkpoint.pth.tar")
    save_file({name: value.contiguous() for name, value in state.items()}, tmp_path / "model.safetensors")
    for name in ("checkpoint.pth.tar", "model.safetensors"):
        us = from_torchvision(tmp_path / name).state_dict()
        assert all(torch.equal(us[ours], state[name]) for ours, name in NAMES.items() if ours in us and name in state)
        assert all(us[ours] == 0 for ours in us if ours.endswith("num_batches_tracked"))


@pytest.mark.parametrize(("wrap", "sentence"), [
    (lambda s: {"state_dict": s, "state_dict_ema": s}, "There are 2 networks in these weights, 'state_dict' and"),
    (lambda s: prefixed("student.", s) | prefixed("teacher.", s), "2 networks .*, 'student' and 'teacher': give"),
    (lambda s: s | {"conv2.bn.bias": None}, "'conv2.bn.bias' is a NoneType and no tensor"),
    (lambda s: s | {"fc.weight": s["fc.weight"].to(torch.int8)}, "'fc.weight' is torch.int8 .* floats are wanted"),
    (lambda s: s | {"fc.weight": s["fc.weight"].to(torch.complex64)}, "'fc.weight' is torch.complex64 .* are wanted"),
    (lambda s: s | {"fc.weight": torch.ones(6, 1024, device="cpu")}, "'fc.weight' is .* on cpu, .* wanted"),
    (lambda s: s | {"inception3a.branch5.conv.weight": torch.ones(1)}, "have 'inception3a.branch5.conv.weight', and"),
    (lambda s: None, "weights=None is a NoneType; it must be"),
])
def test_what_is_not_one_network_is_told(wrap, sentence):
    with pytest.raises(BadInput, match=sentence), torch.device("meta"):
        from_torchvision(wrap(small()))


def test_what_is_no_number_is_named():
    with pytest.raises(BadInput, match=r"'fc\.bias' holds numbers that are not finite"):
        from_torchvision(theirs(6, aux=False).float().state_dict() | {"fc.bias": torch.full((6,), torch.nan)})
    with pytest.raises(BadInput, match=r"'conv1\.bn\.running_var' is a variance and holds -1"):
        from_torchvision(theirs(6, aux=False).float().state_dict() | {"conv1.bn.running_var": -torch.ones(64)})


def test_another_bit_in_a_file_is_seen(tmp_path):
    """torch's reader asks for no checksum."""
    torch.save({name: torch.zeros(value.shape) for name, value in small().items()}, tmp_path / "x.pth")
    held = bytearray((tmp_path / "x.pth").read_bytes())
    held[len(held) // 2] ^= 64
    (tmp_path / "x.pth").write_bytes(held)
    with pytest.raises(BadInput, match=r"x\.pth is truncated or damaged, by its own checksums: fetch it again"):
        from_torchvision(tmp_path / "x.pth")


def test_a_file_written_without_checksums_is_read(tmp_path):
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(theirs(6, aux=False).state_dict(), tmp_path / "x.pth")
    finally:
        torch.serialization.set_crc32_options(before)
    assert from_torchvision(tmp_path / "x.pth")


def test_a_program_is_named(tmp_path):
    torch.jit.script(nn.Linear(2, 2)).save(f"{tmp_path / 'x.pt'}")
    with pytest.raises(BadInput, match=r"x\.pt is a TorchScript program; nothing in it was run"):
        from_torchvision(tmp_path / "x.pt")


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


# -- the Inception V3 of FID ---------------------------------------------------------------------------------------
def fid_s():
    """What pytorch-fid 0.3.0 makes of torchvision's: averages without their padding, a max-pool in the last module."""
    them = torchvision.models.Inception3(num_classes=1008, aux_logits=False, init_weights=False)
    for m in them.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.running_var, 0.05, 0.3)
    return without_dropout(them).eval()


def by_fid(them, x, monkeypatch):
    average = nn.functional.avg_pool2d
    pools = iter([*8 * [lambda x, **at: average(x, count_include_pad=False, **at)], nn.functional.max_pool2d])
    with monkeypatch.context() as patch:
        patch.setattr(nn.functional, "avg_pool2d", lambda x, **at: next(pools)(x, **at))
        found = them(x)
    assert next(pools, None) is None
    return found


def test_fid_s_weights_are_never_taken_for_torchvision_s(tmp_path, monkeypatch):
    """They have torchvision's names and shapes, and 1,008 classes."""
    them, x = fid_s(), torch.randn(2, 3, 96, 96, dtype=torch.float64)
    torch.save(them.float().state_dict(), tmp_path / "x.pth")
    for given in (tmp_path / "x.pth", them, {"state_dict": them.state_dict()}):
        with pytest.raises(BadInput, match=r"1,008 classes, as FID .* Give fid=True for that network, or fid=False"):
            from_torchvision(given)
    them.double()
    with torch.no_grad():
        plain, theirs = them(x), by_fid(them, x, monkeypatch)
        for fid, expected in ((True, theirs), (False, plain)):
            us = from_torchvision(tmp_path / "x.pth", fid=fid).double().eval()
            torch.testing.assert_close(us(2 * x), expected, rtol=1e-9, atol=1e-9)
            again = weights.rebuilt(weights.save(us.float(), tmp_path / "x.safetensors")).double().eval()
            torch.testing.assert_close(again(2 * x), expected, rtol=1e-4, atol=1e-4)
    assert (plain - theirs).std() > 0.05 * plain.std()  # what it would be off by


def test_fid_says_so_of_other_classes_too():
    """A classifier that was put on later; and nonsense is refused."""
    with torch.device("meta"):
        held = torchvision.models.Inception3(num_classes=6, aux_logits=False, init_weights=False)
    held = {name: torch.zeros(tensor.shape) for name, tensor in held.state_dict().items()}
    assert from_torchvision(held, fid=True).network.name == "Inception V3 of FID"
    assert from_torchvision(held).network.name == "Inception V3"
    with pytest.raises(BadInput, match="fid='yes' is a str"):
        from_torchvision(held, fid="yes")
