"""The cells of *Differences* against the papers, torchvision and timm as installed, and their RMSProp."""
from __future__ import annotations

import math
import warnings
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from timm.optim import RMSpropTF
from torch import nn

from replication.models import cost
from replication.models.googlenet import INCEPTION, googlenet
from replication.models.inception_v3 import inception_v3, inception_v3_paper
from replication.models.ops import Aux, AvgPool, BatchNorm, Conv, He, Inception, Row, Split
from replication.pages import differences


def column(table: differences.Table, name: str) -> dict[str, str]:
    return {aspect: cells[name].text for aspect, cells in table.items()}


def differ(table: differences.Table, name: str) -> list[str]:
    """The aspects marked in this column."""
    return [aspect for aspect, cells in table.items() if any(cells[name].differs)]


# -- GoogLeNet ----------------------------------------------------------------------------------------------------
def test_the_paper_and_ours() -> None:
    """V1 Table 1, Fig. 3, §5; the counts are Caffe's."""
    table = differences.googlenet()
    assert column(table, differences.CAFFE) == {
        "“5×5” branch": "5×5", "normalisation": "LRN, 2 places", "last max-pool": "3×3, stride 2", "dropout": "0.4",
        "auxiliary heads": "on 4a and 4d; 5×5 average pool, stride 3", "initial weights": "uniform, ±√(3 / inputs)",
        "bias of convolutions": "yes, starts at 0.2", "parameters at inference": "6,998,552",
        "parameters with heads": "13,378,280", "multiply-adds at 224 px": "1.58 G"}
    assert differ(table, differences.CAFFE) == ["multiply-adds at 224 px"]  # the paper's 1.5 G


def test_torchvision_s_googlenet_is_read_right() -> None:
    """Every cell from torchvision's own modules."""
    with torch.device("meta"):
        net = torchvision.models.GoogLeNet(aux_logits=True, init_weights=False)
    cells = column(differences.googlenet(), "torchvision")
    convolution, norm = net.inception3a.branch3[1].conv, net.conv1.bn
    kernels = {m.branch3[1].conv.kernel_size for name, m in net.named_children() if name.startswith("inception")}
    assert kernels == {(3, 3)}
    assert cells["“5×5” branch"] == "3×3"
    assert not any(isinstance(m, nn.LocalResponseNorm) for m in net.modules())
    assert cells["normalisation"] == f"BN, ε {norm.eps:g}, momentum {norm.momentum:g}" == "BN, ε 0.001, momentum 0.1"
    assert norm.affine
    assert cells["last max-pool"] == f"{net.maxpool4.kernel_size}×{net.maxpool4.kernel_size}, stride 2" \
        == "2×2, stride 2"
    assert cells["dropout"] == f"{net.dropout.p:g}" == "0.2"
    assert (net.aux1.conv.conv.in_channels, net.aux2.conv.conv.in_channels) == (512, 528)  # 4a's and 4d's
    assert cells["auxiliary heads"] == "on 4a and 4d; adaptive pool to 4×4"
    assert net.aux1.fc1.in_features == 128 * 4 * 4
    assert convolution.bias is None
    assert cells["bias of convolutions"] == "no"
    with_heads = sum(p.numel() for p in net.parameters())
    heads = sum(p.numel() for head in (net.aux1, net.aux2) for p in head.parameters())
    assert cells["parameters at inference"] == f"{with_heads - heads:,}" == "6,624,904"
    assert cells["parameters with heads"] == f"{with_heads:,}" == "13,004,888"
    meta = torchvision.models.GoogLeNet_Weights.IMAGENET1K_V1.meta
    assert cells["multiply-adds at 224 px"] == f"{meta['_ops']:.3g} G" == "1.5 G"


def test_torchvision_s_initial_weights_are_not_cut() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a slow initialisation
        net = torchvision.models.GoogLeNet(num_classes=2, aux_logits=False, init_weights=True)
    weights = net.inception5b.branch2[1].conv.weight
    assert weights.std().item() == pytest.approx(0.01, rel=0.01)
    assert weights.abs().max().item() > 0.04  # four deviations; of 663,552 weights some are that large
    assert column(differences.googlenet(), "torchvision")["initial weights"] == "N(0, 0.01²), not cut"


def test_slim_s_googlenet() -> None:
    """slim/nets/inception_v1.py and its arg scope; parameters: 5,607,184 in its test, which counts the statistics of
    7,280 normalised channels and no classifier."""
    cells = column(differences.googlenet(), "slim")
    assert cells == {
        "“5×5” branch": "3×3", "normalisation": "BN, ε 0.001, momentum 0.0003, no γ", "last max-pool": "2×2, stride 2",
        "dropout": "0.2", "auxiliary heads": "none", "initial weights": "N(0, 0.01²), cut at ±2 deviations",
        "bias of convolutions": "no", "parameters at inference": f"{5_607_184 - 2 * 7_280 + 1_025_000:,}",
        "parameters with heads": "no head", "multiply-adds at 224 px": "1.5 G"}


def test_what_differs_is_marked() -> None:
    table = differences.googlenet()
    both = ["“5×5” branch", "normalisation", "last max-pool", "dropout", "auxiliary heads"]
    for name in ("slim", "torchvision"):
        assert differ(table, name) == both
    assert table["auxiliary heads"]["torchvision"].differs == (False, True)  # the places are the paper's
    silent = {aspect for aspect, cells in table.items() if cells["paper"].text == differences.SILENT}
    assert silent == {"initial weights", "bias of convolutions", "parameters at inference", "parameters with heads"}


def test_a_departure_shows_in_its_cell() -> None:
    """A changed network changes that cell and no other structural one."""
    aspects = [a for a in differences.GOOGLENET if not a.name.startswith(("parameters", "multiply"))]
    plain = column(differences.compare({"x": googlenet()}, aspects), "x")
    for options, aspect, text in (
            ({"large": 7}, "“5×5” branch", "7×7"), ({"dropout": 0.0}, "dropout", "none"),
            ({"init": He()}, "initial weights", "N(0, 2 / inputs)"),
            ({"resolution": 64, "aux": ("4b",)}, "auxiliary heads", "on 4b; no pool"),
            ({"aux": ("4b",)}, "auxiliary heads", "on 4b; 5×5 average pool, stride 3")):
        changed = column(differences.compare({"x": googlenet(**options)}, aspects), "x")
        assert changed[aspect] == text
        others = {name for name in plain if changed[name] != plain[name]} - {aspect}
        assert others <= ({"bias of convolutions"} if "init" in options else set())
    normed = differences.normalisation(googlenet(norm=BatchNorm(1e-5, 0.2, scale=False)))
    assert normed == "BN, ε 1e-05, momentum 0.2, no γ"


# -- codes for small images ---------------------------------------------------------------------------------------
def small_parameters(stem: int, classes: int) -> int:
    """Of a GoogLeNet whose 5×5 are two full 3×3, every convolution with a bias and a batch normalisation."""
    total, channels = stem, 192
    for n1, r3, n3, r5, n5, proj in ((m.n1x1, m.n3x3_reduce, m.n3x3, m.n5x5_reduce, m.n5x5, m.pool_proj)
                                     for m in INCEPTION.values()):
        weights = channels * (n1 + r3 + r5 + proj) + 9 * (r3 * n3 + r5 * n5 + n5 * n5)
        total += weights + 3 * (n1 + r3 + n3 + r5 + 2 * n5 + proj)
        channels = n1 + n3 + n5 + proj
    return total + channels * classes + classes


def test_parameters_of_the_small_codes() -> None:
    """By their layers: kuangliu's stem is one 3×3 with a bias, weiaicunzai's three without."""
    table = differences.small_codes()
    assert table["parameters"]["for CIFAR-10"].text == f"{small_parameters(27 * 192 + 3 * 192, 10):,}" == "6,166,250"
    three = 27 * 64 + 9 * 64 * 64 + 9 * 64 * 192 + 2 * (64 + 64 + 192)
    assert table["parameters"]["for CIFAR-100"].text == f"{small_parameters(three, 100):,}" == "6,402,564"
    assert "ε" in table["normalisation"]["for CIFAR-100"].text
    assert table["“5×5” branch"]["for CIFAR-10"].text != "5×5" == table["“5×5” branch"]["for Tiny-ImageNet"].text


def test_two_3x3_cost_more_than_the_5x5() -> None:
    """By torch: 4d's 5×5 branch takes 32 channels and gives 64, 5a's 32 and 128."""
    def weights(*layers: nn.Conv2d) -> int:
        return sum(layer.weight.numel() for layer in layers)

    ratios = [weights(nn.Conv2d(r, n, 3), nn.Conv2d(n, n, 3)) / weights(nn.Conv2d(r, n, 5))
              for r, n in ((16, 32), (32, 64), (24, 64), (32, 96), (16, 48), (48, 128), (32, 128))]
    assert differences.two_3x3() == pytest.approx({"least": min(ratios), "most": max(ratios)})
    # r + n over 25/9 r, for the modules' n / r of 2 to 4
    assert differences.two_3x3() == pytest.approx({"least": 1.08, "most": 1.80})


def test_what_an_epsilon_of_channels_leaves() -> None:
    torch.manual_seed(0)
    maps = torch.randn(256, 32, 8, 8, dtype=torch.float64)
    left = nn.BatchNorm2d(32, 32).double()(maps).std().item()
    assert differences.shrunk()["most"] == pytest.approx(left, rel=0.01)
    assert differences.shrunk()["least"] == pytest.approx(1 / math.sqrt(129))


# -- Inception V3 -------------------------------------------------------------------------------------------------
def test_v3_paper_and_code() -> None:
    """V3 Table 1, §6 and Table 3; the code's stem is slim's, its parameters torchvision's."""
    table = differences.inception_v3()
    assert column(table, "paper")["layers deep"] == "42"
    built, code = column(table, "Table 1, built"), column(table, "the code")
    assert built["stem"] == column(table, "paper")["stem"]
    assert code == {
        "stem": "3×3/2 to 32; 3×3 to 32; 3×3 to 64; max 3×3/2; 1×1 to 80; 3×3 to 192; max 3×3/2",
        "modules": "3 at 35×35; 4 at 17×17; 2 at 8×8", "largest kernel at 35×35": "5×5", "layers deep": "48",
        "multiply-adds at 299 px": "5.71 G", "parameters at inference": "23,834,568",
        "parameters with head": "27,161,264"}
    assert (built["modules"], built["largest kernel at 35×35"]) == ("3 at 35×35; 5 at 17×17; 2 at 8×8", "3×3")
    assert built["layers deep"] == "54"
    assert differ(table, "Table 1, built") == ["layers deep", "multiply-adds at 299 px"]
    assert differ(table, "the code") == ["stem", "modules", "largest kernel at 35×35", "layers deep",
                                         "multiply-adds at 299 px"]
    assert table["stem"]["the code"].differs == (False, False, False, False, True, True, True)
    assert table["modules"]["the code"].differs == (False, True, False)


def libraries() -> dict[str, nn.Module]:
    with torch.device("meta"):
        return {"torchvision": torchvision.models.inception_v3(init_weights=False),
                "timm": timm.create_model("inception_v3", pretrained=False)}


@pytest.mark.parametrize("name", ["torchvision", "timm"])
def test_v3_s_libraries_are_read_right(name: str) -> None:
    net, cells = libraries()[name], column(differences.inception_v3_codes(), name)
    norm = next(m for m in net.modules() if isinstance(m, nn.BatchNorm2d))
    assert cells["normalisation"] == f"BN, ε {norm.eps:g}, momentum {norm.momentum:g}"
    assert norm.affine
    drop = next((m.p for m in net.modules() if isinstance(m, nn.Dropout)), 0)
    assert cells["dropout"] == (f"{drop:g}" if drop else "none") == {"torchvision": "0.5", "timm": "none"}[name]
    head = getattr(net, "AuxLogits", None)
    assert (head is None) == (cells["parameters with head"] == "no head") == (name == "timm")
    trained = sum(p.numel() for p in net.parameters())
    if head is not None:
        assert cells["parameters with head"] == f"{trained:,}" == "27,161,264"
        trained -= sum(p.numel() for p in head.parameters())
    assert cells["parameters at inference"] == f"{trained:,}" == "23,834,568"


@pytest.mark.parametrize("name", ["torchvision", "timm"])
@pytest.mark.parametrize("training", [False, True])
def test_v3_s_smallest_images(name: str, training: bool) -> None:
    """The library itself takes that side and refuses one pixel less."""
    net = libraries()[name].train(training)
    row = "smallest image, trained" if training else "smallest image, evaluated"
    side = int(column(differences.inception_v3_codes(), name)[row].removesuffix(" px"))
    net(torch.empty(2, 3, side, side, device="meta"))
    with pytest.raises(RuntimeError, match=r"too small|greater than"):
        net(torch.empty(2, 3, side - 1, side - 1, device="meta"))


@pytest.mark.parametrize("name", ["torchvision", "timm"])
def test_padding_of_average_pools(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch's pool is called with; PyTorch's default counts the padding."""
    seen: list[bool] = []
    pool = nn.functional.avg_pool2d

    def record(x: torch.Tensor, kernel_size: int, stride: int, padding: int = 0, **more: Any) -> torch.Tensor:
        if padding:
            seen.append(more.get("count_include_pad", True))
        return pool(x, kernel_size, stride, padding, **more)

    monkeypatch.setattr(nn.functional, "avg_pool2d", record)
    libraries()[name].eval()(torch.empty(1, 3, 75, 75, device="meta"))
    assert seen == 9 * [True]
    assert column(differences.inception_v3_codes(), name)["padding of average pools"] == "counts as zeros"


def test_keras_and_slim_have_no_gamma() -> None:
    """Keras prints 23,851,784, which counts the statistics of 17,216 normalised channels; slim's base network, in its
    test, 21,802,784, the same without the classifier."""
    cells = column(differences.inception_v3_codes(), "Keras")
    assert cells["normalisation"] == "BN, ε 0.001, momentum 0.01, no γ"  # its default of 0.99
    assert cells["parameters at inference"] == f"{23_851_784 - 2 * 17_216:,}"
    assert cells["dropout"] == cells["auxiliary head"] == "none"
    slim = column(differences.inception_v3_codes(), "slim")
    assert slim["parameters at inference"] == f"{21_802_784 - 2 * 17_216 + 2_049_000:,}"
    assert slim["dropout"] == "0.2"
    assert slim["normalisation"] == "BN, ε 0.001, momentum 0.0003, no γ"


def test_slim_s_smallest_image_in_training() -> None:
    """Its head's first pool, 5×5 without padding, is all that does not shrink with the image."""
    pooled = replace(inception_v3(), aux=(Aux("6e", (AvgPool(5, 3),)),))
    assert column(differences.inception_v3_codes(), "slim")["smallest image, trained"] == f"{cost.smallest(pooled)} px"


def test_printed_costs() -> None:
    """V1 §1, BN §4.2, V3 Table 3 and abstract."""
    table = differences.totals().set_index("network")
    assert table.loc["GoogLeNet, ours and Caffe"].tolist() == pytest.approx([6.998552, 1.5827, 5, 1.5], abs=5e-5)
    assert table.loc["GoogLeNet, separable stem"].tolist()[:2] == pytest.approx([6.991856, 1.4987], abs=5e-5)
    assert table.loc["BN-Inception, slim"].tolist()[1:] == pytest.approx([1.935, 13.6, 2.0], abs=5e-4)
    assert table.loc["V3, the code"].tolist() == pytest.approx([23.834568, 5.7132, 25, 4.8], abs=5e-5)
    assert table["multiply-adds, G: printed"].tolist() == [1.5, 1.5, 1.5, 2.0, 3.8, 4.8, 4.8]


def test_numbers_of_the_prose() -> None:
    found = differences.numbers()
    assert found["saved_m"]["large"] == pytest.approx(84.3, abs=0.05)  # 5×5 to 3×3
    assert found["saved_m"]["separable"] == pytest.approx(118.01 - 34.02, abs=0.01)  # V1 Table 1's first row
    meta = torchvision.models.Inception_V3_Weights.IMAGENET1K_V1.meta["_metrics"]["ImageNet-1K"]
    assert found["same_weights"]["torchvision"] == meta["acc@1"]


# -- RMSProp ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("steps", [1, 3, 40])
@pytest.mark.parametrize("epsilon", [1.0, 1e-3])
@pytest.mark.parametrize("form", ["torch", "TensorFlow"])
def test_a_step_is_theirs(form: str, epsilon: float, steps: int) -> None:
    """torch's optimiser, and timm's, which is TensorFlow's, one gradient again and again, without momentum."""
    gradient = np.array([0.01, 0.5, 1.0, 7.0])
    weight = nn.Parameter(torch.zeros(4, dtype=torch.float64))
    made: torch.optim.Optimizer = (torch.optim.RMSprop([weight], lr=1.0, alpha=0.9, eps=epsilon) if form == "torch"
                                   else RMSpropTF([weight], lr=1.0, alpha=0.9, eps=epsilon, momentum=0.0))
    for _ in range(steps):
        before = weight.detach().clone()
        weight.grad = torch.tensor(gradient)
        made.step()
    went = (before - weight.detach()).numpy()
    assert differences.rmsprop(gradient, *differences.FORMS[form], epsilon, steps) == pytest.approx(went, rel=1e-6)


def test_how_far_they_are_apart() -> None:
    """By hand: √1.9 for the smallest gradients at the first step, 1/√2 at a gradient of one in the end."""
    found = differences.numbers()["rmsprop"]
    assert found["longest"] == pytest.approx(math.sqrt(1.9), rel=1e-3)
    assert found["many"] == pytest.approx(1 / math.sqrt(2))
    assert found["no_epsilon"] == pytest.approx(math.sqrt(0.9) / math.sqrt(0.1 * 1e-6), rel=1e-3)
    # the minimum of √(1.9 + g²/10) / (1 + g/√10) is at g = 1.9 √10
    assert found["shortest"] == pytest.approx(math.sqrt(1.9 + 1.9 ** 2) / 2.9, rel=1e-6)
    table = differences.first_steps()
    assert table["torch"].tolist()[2] == pytest.approx(1 / (1 + math.sqrt(0.1)))
    assert table["TensorFlow"].tolist()[2] == pytest.approx(1 / math.sqrt(2))
    many = differences.ratios().query("when == 'after many equal gradients'")
    assert many.ratio.min() == pytest.approx(1 / math.sqrt(2))
    first = differences.ratios().query("when == 'first step'")
    assert first.ratio.iloc[0] == pytest.approx(math.sqrt(1.9), rel=0.01)
    assert first.gradient.iloc[[0, -1]].tolist() == pytest.approx([0.01, 100])


# -- as HTML ------------------------------------------------------------------------------------------------------
class Read(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[tuple[str, str]] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = dict(attrs)
        if tag == "td":
            self.cells.append((has["data-label"] or "", ""))
        if tag == "a":
            self.links.append(has["href"] or "")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] = (self.cells[-1][0], self.cells[-1][1] + data)


def test_every_cell_is_shown_under_its_name() -> None:
    table = differences.inception_v3_codes()
    read = Read(differences.shown(table))
    assert [label for label, _ in read.cells] == ["aspect", "slim", "torchvision", "timm", "Keras"] * len(table)
    texts = [text.strip() for _, text in read.cells]
    assert texts[5:10] == ["dropout", "0.2", "0.5", "none", "none"]
    assert all(link.startswith("https://github.com/") for link in read.links)
    assert len(read.links) == 2  # a fact, a link


def test_marks_sources_and_escapes() -> None:
    aspect = differences.Aspect("a < b", differences.Cell("x & y", "§2"), lambda network: network.name)
    made = googlenet(name="<em>")
    shown = differences.shown(differences.compare({"n": made}, [aspect]))
    assert "x &amp; y <small>§2</small>" in shown
    assert "<strong>≠ &lt;em&gt;</strong>" in shown
    assert "a &lt; b" in shown
    assert "3×3 to 192<br>no pool" in differences.shown(differences.small_codes())
    assert "<strong>" not in differences.shown(differences.compare({"n": made}, [replace(aspect, compared=False)]))
    issue = differences.small_codes()["normalisation"]["for CIFAR-100"]
    assert ">issue</a>" in differences.shown({"x": {"y": issue}})


def test_only_the_first_grid_is_asked_for_its_widest_kernel() -> None:
    net = inception_v3_paper()
    wide = tuple(Row(r.name, Split(((Conv(768, 9),),))) if r.name == "6b" else r for r in net.rows)
    assert differences.widest(replace(net, rows=wide)) == "3×3"


def test_a_module_of_two_kernels_says_so() -> None:
    net = googlenet()
    rows = tuple(Row(r.name, replace(r.op, large=3)) if r.name == "3a" and isinstance(r.op, Inception) else r
                 for r in net.rows)
    assert differences.large(replace(net, rows=rows)) == "3×3 and 5×5"
