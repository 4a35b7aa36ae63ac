"""Equal logits with torchvision's GoogLeNet on the same weights."""
import pytest
import torch
from torch import nn

from replication import port, zoo
from replication.errors import BadInput
from replication.inception import build

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
    us = without_dropout(port.torchvision_googlenet(them.state_dict(), build(zoo.googlenet_torchvision(classes=20))
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
    us = port.torchvision_googlenet(with_heads.state_dict(), build(zoo.googlenet_torchvision(classes=20, aux=()))
                                    .double()).eval()
    torch.testing.assert_close(us(x), with_heads.eval()(x), rtol=1e-9, atol=1e-9)
    bare = theirs(aux=False)
    us = port.torchvision_googlenet(bare.state_dict(), us)
    torch.testing.assert_close(us(x), bare.eval()(x), rtol=1e-9, atol=1e-9)


def test_every_tensor_of_theirs_is_used():
    with torch.device("meta"):
        names = torchvision.models.GoogLeNet(init_weights=False).state_dict().keys()
    assert sorted(port.NAMES.values()) == sorted(names)


def test_the_first_mismatch_is_named():
    with torch.device("meta"):
        weights, bare = (torchvision.models.GoogLeNet(20, aux, init_weights=False).state_dict()
                         for aux in (True, False))
        narrow, heads, ours = (build(n) for n in (zoo.googlenet_torchvision(classes=10, aux=()),
                                                  zoo.googlenet_torchvision(classes=20), zoo.googlenet(classes=20)))
    with pytest.raises(BadInput, match=r"'fc.weight' is \(20, 1024\) and 'linear.weight' is \(10, 1024\)"):
        port.torchvision_googlenet(weights, narrow)
    with pytest.raises(BadInput, match=r"no 'aux1.conv.conv.weight'"):
        port.torchvision_googlenet(bare, heads)
    with pytest.raises(BadInput, match=r"'conv1.bias' and torchvision's"):
        port.torchvision_googlenet(weights, ours)


def test_torchvision_has_two_places():
    with pytest.raises(BadInput, match="Valid: 4a, 4d"):
        zoo.googlenet_torchvision(aux=("4a", "5a"))
