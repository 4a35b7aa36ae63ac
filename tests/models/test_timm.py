"""Equal logits with timm's Inception V3 on the same weights. Its layers have torchvision's names: port.NAMES_V3.

timm and torchvision average the padding's zeros too, as our `SMOOTH` does and slim does not; timm drops nothing out
by default, and with its auxiliary head gives a pair in evaluation too.
"""
import pytest
import timm
import torch
from stirred import stir
from torch import nn

from replication.models.build import build
from replication.models.inception_v3 import inception_v3
from replication.models.ops import Normalise
from replication.models.torchvision import NAMES_V3, from_torchvision, torchvision_inception_v3


def theirs(aux):
    net = timm.create_model("inception_v3", pretrained=False, num_classes=10, aux_logits=aux)
    for m in net.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.normal_(m.weight, std=(2 / m.weight[0].numel()) ** 0.5)
    return stir(net, (1.5, 2.5))


def ours(them, **options):
    net = build(inception_v3(classes=10, dropout=0.0, **options)).double()
    return torchvision_inception_v3(them.state_dict(), net)


def images(side, n=2):
    return torch.randn(n, 3, side, side, dtype=torch.float64)


@pytest.mark.parametrize("side", [299, 96])
def test_equal_logits(side):
    them = theirs(aux=False).eval()
    us, x = ours(them, aux=()).eval(), images(side, 1)
    with torch.no_grad():
        main = us(2 * x)  # what it takes as ±1 is ±2 here
        assert 1e-2 < main.std() < 1e2
        torch.testing.assert_close(main, them(x), rtol=1e-9, atol=1e-9)


def test_equal_logits_in_training():
    them = theirs(aux=True).train()
    us, x = ours(them).train(), images(299)
    with torch.no_grad():
        expected, got = them(x), us(2 * x)
    torch.testing.assert_close(got, {"main": expected[0], "6e": expected[1]}, rtol=1e-7, atol=1e-9)


def test_every_tensor_of_theirs_is_used():
    with torch.device("meta"):
        names = timm.create_model("inception_v3", pretrained=False, aux_logits=True).state_dict()
    assert sorted(names) == sorted(NAMES_V3.values())


def test_the_scale_is_what_timm_says():
    with torch.device("meta"):
        them = timm.create_model("inception_v3", pretrained=False, aux_logits=True)
        for mean, std in (((0.5,) * 3, (0.5,) * 3), ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))):
            them.pretrained_cfg = {"mean": mean, "std": std}
            assert from_torchvision(them).network.rows[0].op == Normalise(mean, std)
