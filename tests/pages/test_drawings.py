"""What is drawn is what the papers' tables say."""
from __future__ import annotations

import re

from matplotlib.figure import Figure

from replication.models.googlenet import INCEPTION, googlenet, naive
from replication.pages import drawings


def words(figure: Figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.texts if text.get_text()]


def test_a_module() -> None:
    """3a: V1 Table 1's filters, and multiply-adds by hand on 28×28."""
    said = words(drawings.modules({"reduced": INCEPTION["3a"]}, 192, 28))
    for layer, seen, given, kernel in (("1×1 conv", 192, 64, 1), ("1×1 conv", 192, 96, 1), ("3×3 conv", 96, 128, 3),
                                       ("1×1 conv", 192, 16, 1), ("5×5 conv", 16, 32, 5), ("1×1 conv", 192, 32, 1)):
        price = seen * given * kernel ** 2 * 28 ** 2 / 1e6
        assert f"{layer}\n{seen} → {given}\n{price:.1f} M" in said
    assert "3×3 max pool\n192 → 192" in said
    assert "side by side: 256 maps" in said
    assert len(said) == 9


def test_a_naive_module_hands_on_what_it_pools() -> None:
    assert "side by side: 416 maps" in words(drawings.modules({"naive": naive(INCEPTION["3a"])}, 192, 28))


def test_a_network() -> None:
    """V1 Table 1: a bar a row, divided as its module's columns are, and the two classifiers where Fig. 3 has them."""
    axis = drawings.network(googlenet()).axes[0]
    names = [label.get_text().split() for label in axis.get_yticklabels()]
    assert [name for name, _ in names] == [
        "conv1", "pool1", "conv2_reduce", "conv2", "pool2", "3a", "3b", "pool3", "4a", "4b", "4c", "4d", "4e", "pool4",
        "5a", "5b", "avgpool", "linear"]
    assert dict(names)["4e"] == "14×14"
    y = [name for name, _ in names].index("4e")
    wide = [bar.get_width() for bar in axis.patches if round(bar.get_y() + bar.get_height() / 2) == y]
    assert wide == [256, 320, 128, 128]
    heads = [round(text.xy[1]) for text in axis.texts if "classifier" in text.get_text()]
    assert [names[y][0] for y in heads] == ["4a", "4d"]


def test_a_network_in_a_few_lines() -> None:
    """V1 Table 1: a line a size, each module in its own."""
    said = words(drawings.stack(googlenet()))
    sizes = [word for word in said if re.fullmatch(r"(\d+)×\1", word) and word not in ("7×7", "3×3", "1×1")]
    assert sizes == ["112×112", "56×56", "28×28", "14×14"]
    assert said[-2:] == ["average", "linear"]
    assert [word.split()[0] for word in said if re.match(r"[345][a-e]", word)] == [
        "3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"]
    assert [word.split("\n")[0] for word in said if "head" in word] == ["4a", "4d"]
