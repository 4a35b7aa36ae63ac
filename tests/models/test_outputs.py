"""What a built network gives back, and what it refuses."""
import copy

import pytest
import torch

from replication.errors import BadInput
from replication.models import cost, registry, weights
from replication.models.bn_inception import bn_inception
from replication.models.build import build
from replication.models.googlenet import INCEPTION, googlenet, googlenet_bn
from replication.models.inception_v3 import inception_v3
from replication.models.kws import kws_inception
from replication.models.ops import BatchNorm

SMALL = {"classes": 10, "width": 0.25, "stem": 4, "resolution": 64}


def test_logits_by_name_in_training_main_alone_in_evaluation():
    net = build(googlenet(**SMALL))
    x = torch.randn(2, 3, 64, 64)
    out = net(x)
    assert list(out) == ["main", "4a", "4d"]
    assert {v.shape for v in out.values()} == {(2, 10)}
    calls = []
    net.aux["4a"].register_forward_hook(lambda *_: calls.append(1))
    main = net.eval()(x)
    assert main.shape == (2, 10)
    assert calls == []
    assert list(build(googlenet(**SMALL, aux=()))(x)) == ["main"]


def test_heads_by_name_in_evaluation():
    net, x = build(googlenet(**SMALL, aux=("3a", "5b"))).eval(), torch.randn(2, 3, 64, 64)
    out = net.logits(x, ["5b", "main"])
    assert list(out) == ["5b", "main"]
    assert torch.equal(out["main"], net(x))
    assert not torch.equal(out["5b"], out["main"])
    with pytest.raises(BadInput, match=r"Unknown head '4a'.*main, 3a, 5b"):
        net.logits(x, ["4a"])


@pytest.mark.parametrize("norm", [None, BatchNorm()])
@pytest.mark.parametrize("head", ["average", "fc"])
def test_every_row_can_carry_a_head_and_trains(norm, head):
    net = build(googlenet(**SMALL, norm=norm, head=head, aux=tuple(INCEPTION)))
    out = net(torch.randn(2, 3, 64, 64))
    assert list(out) == ["main", *INCEPTION]
    sum(v.square().sum() for v in out.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_names_read_like_the_paper():
    names = build(googlenet()).state_dict().keys()
    for name in ("conv1.weight", "conv2_reduce.bias", "3a.3x3_reduce.weight", "3a.5x5.weight", "5b.pool_proj.bias",
                 "linear.weight", "aux.4a.conv.weight", "aux.4d.fc.weight", "aux.4d.linear.bias"):
        assert name in names
    assert "3a.5x5.norm.running_mean" in build(googlenet_bn()).state_dict()
    assert len(names) == 2 * 64  # weights and biases of Caffe's 64 weight layers


@pytest.mark.parametrize("shape", [(2, 1, 64, 64), (2, 64, 64, 3), (3, 64, 64)])
@pytest.mark.parametrize("training", [True, False])
def test_wrong_channels(shape, training):
    net = build(googlenet(**SMALL)).train(training)
    with pytest.raises(BadInput, match=r"takes \(N, 3, height, width\)") as refused:
        net(torch.zeros(shape))
    assert str(shape) in str(refused.value)


def test_too_small():
    net = build(googlenet(classes=10, width=0.25))
    with pytest.raises(BadInput, match="auxiliary head 4a is 4×4, too small for it; use at least"):
        net(torch.zeros(1, 3, 224, 64))
    net.eval()
    assert net(torch.zeros(1, 3, 224, 64)).shape == (1, 10)
    with pytest.raises(BadInput, match="pool4 is 1×1, too small for it; use at least 31 px"):
        net(torch.zeros(1, 3, 30, 224))


def test_other_sizes_in_training_say_what_to_do():
    net = build(googlenet(classes=10, width=0.25))
    with pytest.raises(BadInput, match=r"auxiliary head 4a: takes 512 numbers .* 32 arrived; .*resolution="):
        net(torch.zeros(1, 3, 96, 96))
    fc = build(googlenet(classes=10, width=0.25, head="fc")).eval()
    with pytest.raises(BadInput, match="224 px, fc: takes"):
        fc(torch.zeros(1, 3, 96, 96))


def test_seed():
    def made(seed, **options):
        torch.manual_seed(seed)
        return build(googlenet(**SMALL, **options)).state_dict()

    a, b, other = made(1), made(1), made(2)
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not torch.equal(a["3a.3x3.weight"], other["3a.3x3.weight"])
    assert not torch.equal(a["aux.4a.fc.weight"], a["aux.4d.fc.weight"])
    torch.manual_seed(1)
    twice = [build(googlenet(**SMALL)).state_dict()["conv1.weight"] for _ in range(2)]
    assert not torch.equal(*twice)


@pytest.mark.parametrize("norm", [None, BatchNorm()])
def test_trunk_starts_the_same_whatever_the_heads(norm):
    nets, after = [], []
    for aux in ((), ("4a",), ("4d",), ("3b", "4a", "4d")):
        torch.manual_seed(5)
        nets.append(build(googlenet(**SMALL, norm=norm, aux=aux)).state_dict())
        after.append(torch.rand(3))
    for other in nets[1:]:
        assert all(torch.equal(nets[0][k], other[k]) for k in nets[0])
    assert torch.equal(nets[1]["aux.4a.fc.weight"], nets[3]["aux.4a.fc.weight"])
    assert all(torch.equal(after[0], rest) for rest in after[1:])


def test_channels_last_and_copies():
    net, x = build(googlenet(**SMALL)).eval(), torch.randn(2, 3, 64, 64)
    plain = net(x)
    twin = copy.deepcopy(net).to(memory_format=torch.channels_last)
    torch.testing.assert_close(twin(x.contiguous(memory_format=torch.channels_last)), plain, rtol=1e-4, atol=1e-5)
    module = getattr(twin, "3a")(twin.pool2(torch.randn(2, 48, 16, 16).to(
        memory_format=torch.channels_last)))
    assert module.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("norm", [None, BatchNorm()])
def test_compiles_without_a_graph_break(norm):
    net, x = build(googlenet(**SMALL, norm=norm)), torch.randn(2, 3, 64, 64)
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    assert list(compiled(x)) == ["main", "4a", "4d"]
    net.eval()
    torch.testing.assert_close(compiled(x), net(x))


@pytest.mark.parametrize("name", ["lenet5"])
def test_the_old_one_runs(name):
    net = build(registry.NETWORKS[name]())
    out = net(torch.randn(2, 1, 32, 32))
    assert out["main"].shape == (2, 10)
    out["main"].logsumexp(1).sum().backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize(("table", "at"), [
    (googlenet_bn(**{**SMALL, "resolution": 32}), None), (googlenet_bn(**{**SMALL, "resolution": 16, "aux": ()}), "5a"),
    (googlenet(**{**SMALL, "resolution": 16, "aux": ()}), None),
    (inception_v3(classes=7, width=0.125, resolution=75, aux=()), "7a"),
    (inception_v3(classes=7, width=0.125, resolution=139, aux=("5b",)), "aux 5b"),
    (bn_inception(classes=7, width=0.125, resolution=32), "5a"), (kws_inception(), None),
], ids=["BN", "BN, small", "LRN, small", "V3", "V3's head", "BN-Inception", "of sound"])
def test_one_image_where_normalisation_needs_two(table, at, monkeypatch):
    """A sentence wherever torch would raise, and only there."""
    net, x = build(table), torch.randn(2, *cost.input_shape(table))
    assert set(net(x)) == set(net.heads)
    assert net.eval()(x[:1]).shape[0] == 1
    net.train()
    if at is None:
        assert set(net(x[:1])) == set(net.heads)
        return
    with pytest.raises(BadInput, match=f"{net.network.name} cannot be trained on a batch of one image: {at} normalises "
                                       f"maps of 1×1.*at least two images") as said:
        net(x[:1])
    assert "\n" not in str(said.value)
    if table.aux:  # the trunk alone needs none
        assert set(net.logits(x[:1])) == {"main"}
    weights.classifier_only(net.train())
    net.train()(x[:1])
    monkeypatch.setattr(type(net), "need_two", lambda *_: None)
    fresh = build(table)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        fresh(x[:1])


def test_one_image_of_more_width_than_height():
    net = build(googlenet_bn(**{**SMALL, "resolution": 16, "aux": ()}))
    net(torch.randn(1, 3, 16, 32))


def test_images_of_bytes_are_refused_by_their_kind() -> None:
    network = build(registry.NETWORKS["googlenet"](classes=4, width=0.125, aux=(), resolution=32, stem=4)).eval()
    with pytest.raises(BadInput, match=r"of torch.uint8: make them floats"):
        network(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
