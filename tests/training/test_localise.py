"""Class activation maps: the identity that defines them, boxes of drawn maps, and boxes counted px by px."""
from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from replication.data.load import Split
from replication.errors import BadInput
from replication.models import baselines, ops
from replication.models.build import Net, build
from replication.models.googlenet import googlenet
from replication.models.ops import AvgPool, Conv, Linear, Network, Row
from replication.training import localise

NETWORKS = {
    "GoogLeNet": lambda: googlenet(classes=10, width=0.125, stem=4, resolution=32),
    "BN": lambda: googlenet(classes=10, width=0.125, stem=4, resolution=32, norm=ops.BatchNorm()),
    "no dropout": lambda: Network("n", (Row("conv", Conv(6, 3)), Row("pool", AvgPool()), Row("fc", Linear(10))), 32),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_mean_of_a_map_and_the_bias_are_the_logit(name: str) -> None:
    torch.manual_seed(0)
    network = build(NETWORKS[name]()).double()
    linear = getattr(network, network.rows[-1])
    linear.bias.data = torch.randn(10, dtype=torch.float64)
    images = torch.randn(5, 3, 64, 48, dtype=torch.float64)
    with torch.no_grad():
        expected = network.eval()(images)
    for classes in (torch.tensor([0, 3, 9, 9, 1]), None):
        logits, maps = localise.maps(network.train(), images, classes)
        assert torch.equal(logits, expected)
        of = expected.argmax(1) if classes is None else classes
        assert maps.ndim == 3
        assert maps.shape[1] > maps.shape[2] > 1
        torch.testing.assert_close(maps.mean((1, 2)) + linear.bias[of], expected[range(5), of], rtol=1e-12, atol=1e-12)
    assert not any(m._forward_pre_hooks for m in network.modules())


def test_the_inception_v3_of_the_paper_has_maps() -> None:
    from replication.models.inception_v3 import inception_v3
    with torch.device("meta"):
        network = build(inception_v3()).eval()
        logits, maps = localise.maps(network, torch.empty(2, 3, 299, 299), torch.tensor([1, 2]))
    assert (tuple(logits.shape), tuple(maps.shape)) == ((2, 1000), (2, 8, 8))


@pytest.mark.parametrize("made", [
    lambda: googlenet(classes=10, width=0.125, stem=4, resolution=32, head="fc"),
    lambda: baselines.LENET5,
    lambda: Network("n", (Row("conv", Conv(6)), Row("pool", AvgPool(2, 2)), Row("linear", Linear(4))), 8),
    lambda: Network("n", (Row("conv", Conv(6)), Row("pool", AvgPool()), Row("a", Linear(4, relu=True))), 8),
    lambda: Network("n", (Row("c", Conv(6)), Row("pool", ops.AdaptiveAvgPool(2)), Row("linear", Linear(4))), 8),
    lambda: Network("n", (Row("linear", Linear(4)),), 8),
])
def test_another_ending_is_refused(made) -> None:
    with pytest.raises(BadInput, match="need a global average and then one linear layer"):
        localise.maps(build(made()), torch.zeros(1, 3, 32, 32))


# -- boxes --------------------------------------------------------------------------------------------------------
def drawn(picture: str) -> np.ndarray:
    """Digits are tenths, # is one."""
    return np.array([[1.0 if c == "#" else 0.0 if c == "." else int(c) / 10 for c in line] for line in picture.split()])


@pytest.mark.parametrize(("picture", "expected"), [
    ("...... .#33.. .333.. ......", (1, 1, 3, 2)),
    ("22222. .#33.. .333.. ......", (1, 1, 3, 2)),   # two tenths are not above two tenths
    ("#..... ...... ...333 ...333", (3, 2, 5, 3)),   # the larger part, though the maximum is elsewhere
    ("#..... .3.... ..3... ......", (0, 0, 0, 0)),   # corners do not hang together; of equals the first
    ("...... ...... ...... .....#", (5, 3, 5, 3)),
    ("###### ###### ###### ######", (0, 0, 5, 3)),
])
def test_box_of_a_drawn_map(picture: str, expected: tuple[int, ...]) -> None:
    assert localise.box(drawn(picture)) == expected
    assert localise.box(1000 * drawn(picture)) == expected


def test_another_share() -> None:
    assert localise.box(drawn(".#55 .555 .222 ...."), 0.1) == (1, 0, 3, 2)
    assert localise.box(drawn(".#55 .555 .222 ...."), 0.4) == (1, 0, 3, 1)
    assert localise.box(drawn(".#55 .555 .222 ...."), 0.6) == (1, 0, 1, 0)


def test_a_map_that_nowhere_speaks_for_the_class_has_no_box() -> None:
    assert localise.box(np.full((3, 4), -1.0)) == (-1, -1, -1, -1)
    assert localise.box(np.zeros((3, 4))) == (-1, -1, -1, -1)


def pixels(box: tuple[int, int, int, int]) -> set[tuple[int, int]]:
    return {(x, y) for x in range(box[0], box[2] + 1) for y in range(box[1], box[3] + 1)}


@pytest.mark.parametrize(("a", "b", "expected"), [
    ((0, 0, 9, 9), (0, 0, 9, 9), 1.0),
    ((0, 0, 9, 9), (5, 0, 14, 9), 50 / 150),
    ((0, 0, 9, 9), (9, 9, 10, 10), 1 / 103),  # corners are included: they share a px
    ((0, 0, 9, 9), (10, 0, 19, 9), 0.0),
    ((0, 0, 9, 9), (20, 20, 29, 29), 0.0),    # apart in both directions
    ((0, 0, 63, 63), (16, 16, 47, 47), 0.25),
    ((3, 4, 3, 4), (3, 4, 3, 4), 1.0),
    ((-1, -1, -1, -1), (0, 0, 9, 9), 0.0), ((-1, -1, -1, -1), (-1, -1, -1, -1), 0.0)])
def test_iou_by_hand(a, b, expected) -> None:
    assert localise.iou(a, b) == pytest.approx(expected)
    assert localise.iou(b, a) == pytest.approx(expected)


def test_iou_is_the_count_of_pixels() -> None:
    corners = np.random.default_rng(0).integers(0, 12, (2, 200, 2, 2))
    boxes = np.concatenate([corners.min(2), corners.max(2)], -1)
    expected = [len(pixels(tuple(a)) & pixels(tuple(b))) / len(pixels(tuple(a)) | pixels(tuple(b)))
                for a, b in zip(*boxes, strict=True)]
    np.testing.assert_allclose(localise.iou(*boxes), expected)
    np.testing.assert_allclose(localise.iou((0, 0, 11, 11), boxes[0]), [len(pixels(tuple(a))) / 144 for a in boxes[0]])


# -- localisation ----------------------------------------------------------------------------------------------------
def painted(*boxes: tuple[int, tuple[int, int, int, int]]) -> torch.Tensor:
    image = torch.zeros(3, 16, 20, dtype=torch.uint8)
    for channel, (x0, y0, x1, y1) in boxes:
        image[channel, y0:y1 + 1, x0:x1 + 1] = 255
    return image


def test_objects_are_found_where_they_were_painted(colours: Net) -> None:
    images = torch.stack([
        painted((0, (2, 3, 9, 12))),                           # red, labelled red
        painted((1, (11, 0, 19, 15)), (0, (0, 0, 3, 3))),      # mostly green, labelled red: its map is the small square
        painted((1, (5, 5, 14, 9))),                           # its box is told half as wide
        painted((1, (5, 5, 14, 9))),                           # its box is not known
        painted((0, (0, 0, 19, 15))),                          # all of the image
        painted((1, (0, 0, 4, 4))),                            # labelled red, of which there is none
    ])
    box = torch.tensor([[2, 3, 9, 12], [0, 0, 3, 3], [5, 5, 8, 9], [-1] * 4, [0, 0, 19, 15], [0, 0, 4, 4]])
    split = Split(images, torch.tensor([0, 0, 1, 1, 0, 0]), {"box": box})
    for batch in (2, 250):
        rows = localise.localise(colours, split, batch)
        assert rows.image.tolist() == [0, 1, 2, 4, 5]
        assert rows.label.tolist() == [0, 0, 1, 0, 0]
        assert rows.predicted.tolist() == [0, 1, 1, 0, 1]
        assert rows.iou.tolist() == pytest.approx([1, 1, 0.4, 1, 0])
        assert rows.peak.tolist() == [True, True, False, True, False]
        assert rows.middle.tolist() == [False, False, False, True, False]
        assert rows.iou_whole.tolist() == pytest.approx([80 / 320, 16 / 320, 20 / 320, 1, 25 / 320])
    found = localise.localisation_errors(rows)
    assert found == pytest.approx({"error": 3 / 5, "error_box": 2 / 5, "error_whole": 4 / 5})


def test_exactly_half_counts_as_found() -> None:
    rows = pd.DataFrame({"label": [0, 0], "predicted": [0, 0], "iou": [0.5, 0.499], "iou_whole": [0.5, 0.4]})
    assert localise.localisation_errors(rows) == {"error": 0.5, "error_box": 0.5, "error_whole": 0.5}


def test_maps_are_enlarged_without_being_moved() -> None:
    """A peak in the middle of a map stays in the middle, one in a corner in that corner."""
    maps = torch.zeros(2, 3, 5)
    maps[0, 1, 2] = maps[1, 2, 0] = 1
    large = localise.enlarged(maps, 18, 30)
    assert large.shape == (2, 18, 30)
    torch.testing.assert_close(large[0], large[0].flip(0).flip(1))
    assert large[1, 17, 0] == large[1].max() > 0
    assert large[1, :9].max() == large[1, :, 9:].max() == 0
    assert large.max() <= 1


def test_what_covering_a_part_does(colours: Net) -> None:
    """The logit is a mean over px, so a square that covers k px of a red object, worth 4 each, lowers it by 4k/256, and
    adds what its own mean colour is worth; by hand for a square clear of the object, one on it and one beside it."""
    image = torch.full((1, 3, 16, 16), -2.0)
    image[0, 0, 4:8, 4:8] = 2  # exactly one of the squares of 4 px, in steps of 2
    logits, fall = localise.covered(colours.train(), image, torch.tensor([0]))
    mean = 4 * 16 / 256  # red's, above black
    assert logits[0, 0].item() == pytest.approx(mean)
    clear, on = -16 * mean / 256, (64 - 16 * mean) / 256
    # px (15, 15) lies in one square, which is clear; (0, 4) in two, clear as well
    assert fall[0, 15, 15].item() == pytest.approx(clear)
    assert fall[0, 0, 4].item() == pytest.approx(clear)
    # px (5, 5) lies in four: on the object, two that cover half of it, one that covers a quarter
    assert fall[0, 5, 5].item() == pytest.approx((on + 2 * (32 - 16 * mean) / 256 + (16 - 16 * mean) / 256) / 4)
    x, y = localise.peak(fall[0].numpy())
    assert (x, y) == (5.5, 5.5)
    assert localise.box(fall[0].numpy(), 0.9) == (4, 4, 7, 7)


def test_a_peak_and_whether_it_lies_in_a_box() -> None:
    assert localise.peak(drawn("...... .3#... ...... ......")) == (2, 1)
    assert localise.peak(drawn("...... ..##.. ..##.. ......")) == (2.5, 1.5)
    boxes = np.array([[2, 1, 4, 4], [3, 1, 4, 4], [2, 2, 4, 4], [0, 0, 2, 1], [-1] * 4])
    assert localise.within((2, 1), boxes).tolist() == [True, False, False, True, False]
    assert localise.within([(2.0, 1), (3, 1), (1, 1), (3, 0), (0, 0)], boxes).tolist() == [True, True] + [False] * 3


def test_several_shares_of_one_look(colours: Net) -> None:
    split = Split(painted((0, (2, 3, 9, 12)))[None], torch.tensor([0]), {"box": torch.tensor([[2, 3, 9, 12]])})
    rows = localise.localise(colours, split, shares=(0.2, 0.9))
    assert rows["share"].tolist() == [0.2, 0.9]
    pd.testing.assert_frame_equal(rows[rows["share"] == 0.2], localise.localise(colours, split))


def test_images_without_boxes_are_refused(colours: Net) -> None:
    with pytest.raises(BadInput, match="no boxes; localisation needs tiny-imagenet-200"):
        localise.localise(colours, Split(painted()[None], torch.tensor([0])))
