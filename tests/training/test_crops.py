"""Where the papers look, against rectangles worked out by hand."""
from __future__ import annotations

from collections import Counter

import pytest

from replication.errors import BadInput
from replication.training import crops
from replication.training.crops import View

BOTH = (False, True)

# V1 §7 on 640×480: the short side, the lefts of the three squares, and of the crops in a square the room and its half.
# 640/480 of 256, 288, 320, 352 are 341.3, 384, 426.7, 469.3.
LANDSCAPE = ((256, (0, 42, 85), 32, 16), (288, (0, 48, 96), 64, 32), (320, (0, 53, 107), 96, 48),
             (352, (0, 58, 117), 128, 64))


def by_hand(plan, crop, portrait=False):
    for short, squares, room, half in plan:
        for along in squares:
            x, y = (0, along) if portrait else (along, 0)
            for dx, dy in ((0, 0), (room, 0), (0, room), (room, room), (half, half)):
                yield from (View(short, x + dx, y + dy, crop, mirrored) for mirrored in BOTH)
            yield from (View(short, x, y, short, mirrored) for mirrored in BOTH)


def test_the_144_of_a_landscape() -> None:
    found = crops.views(144, 480, 640, 224)
    assert sorted(found, key=str) == sorted(by_hand(LANDSCAPE, 224), key=str)
    assert len(set(found)) == 144


def test_the_144_of_a_portrait_have_top_centre_and_bottom() -> None:
    found = crops.views(144, 640, 480, 224)
    assert sorted(found, key=str) == sorted(by_hand(LANDSCAPE, 224, portrait=True), key=str)


def test_the_144_of_a_square_are_48_thrice() -> None:
    """64 px as V1 would crop 56: short sides 64, 72, 80, 88."""
    plan = [(64, (0,), 8, 4), (72, (0,), 16, 8), (80, (0,), 24, 12), (88, (0,), 32, 16)]
    found = crops.views(144, 64, 64, 56)
    assert Counter(found) == dict.fromkeys(by_hand(plan, 56), 3)
    assert len(found) == 144
    assert sorted(crops.distinct(found), key=str) == sorted(by_hand(plan, 56), key=str)


def test_the_fewer_are_of_the_first_size_and_the_centre_square() -> None:
    centre = View(256, 42 + 16, 16, 224, False)
    corners = [View(256, 42 + x, y, 224, m) for x in (0, 32) for y in (0, 32) for m in BOTH]
    mirror = View(256, 58, 16, 224, True)
    assert crops.views(1, 480, 640, 224) == (centre,)
    assert crops.views(2, 480, 640, 224) == (centre, mirror)
    assert set(crops.views(10, 480, 640, 224)) == {centre, mirror, *corners}
    assert set(crops.views(12, 480, 640, 224)) == {centre, mirror, *corners,
                                                   *(View(256, 42, 0, 256, m) for m in BOTH)}


@pytest.mark.parametrize("number", crops.PLANS)
def test_as_many_as_asked_for_and_none_outside(number: int) -> None:
    for height, width, crop in ((480, 640, 224), (300, 299, 299), (64, 64, 56), (32, 32, 32), (33, 47, 30)):
        found = crops.views(number, height, width, crop)
        assert len(found) == number
        for view in found:
            tall, wide = crops.resized(height, width, view.short)
            assert min(tall, wide) == view.short
            assert min(view.left, view.top) >= 0
            assert view.left + view.side <= wide
            assert view.top + view.side <= tall
            assert view.side in (crop, view.short)


@pytest.mark.parametrize(("crop", "shorts"), [
    (224, [256, 288, 320, 352]), (56, [64, 72, 80, 88]), (299, [342, 384, 427, 470]), (112, [128, 144, 160, 176]),
    (7, [8, 9, 10, 11]), (28, [32, 36, 40, 44]), (21, [24, 27, 30, 33]), (3, [3, 4, 4, 5])])
def test_sizes_are_in_proportion_to_the_crop(crop: int, shorts: list[int]) -> None:
    """299 is torchvision's 342; of 3 px the exact ones are 3.43, 3.86, 4.29, 4.71."""
    assert list(dict.fromkeys(v.short for v in crops.views(144, 512, 512, crop))) == list(dict.fromkeys(shorts))


def test_halves_of_a_pixel_are_rounded_up() -> None:
    assert crops.resized(2, 5, 3) == (3, 8)  # 7.5
    assert crops.resized(5, 2, 3) == (8, 3)
    assert crops.views(1, 99, 99, 49)[0].short == 56  # 49 × 256/224 exactly
    assert {v.short for v in crops.views(144, 99, 99, 91)} == {104, 117, 130, 143}


def test_views_that_occur_unequally_often_all_stay() -> None:
    """Of 65×64 px the left square and the centre one are the same, the right one is not."""
    found = crops.views(144, 64, 65, 56)
    assert len(set(found)) < 144
    assert crops.distinct(found) == found
    assert crops.distinct(crops.views(10, 64, 64, 56)) == crops.views(10, 64, 64, 56)


@pytest.mark.parametrize(("asked", "says"), [
    ((144, 64, 48, 56), "A crop of 56 px does not fit images of 64×48 px"), ((1, 55, 99, 56), "does not fit"),
    ((11, 64, 64, 56), "Unknown number of views '11'"), ((10, 64, 64, 0), "crop=0"), ((10, 64, 64, 5.6), "crop=5.6")])
def test_what_cannot_be_is_refused(asked, says) -> None:
    with pytest.raises(BadInput, match=says):
        crops.views(*asked)
