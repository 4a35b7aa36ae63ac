"""Where the papers look: the views of an image over which an evaluation averages, as plain rectangles. No torch.

V1 §7, for crops of 224 px: resize to a short side of 256, 288, 320 or 352; of each size take three squares (left,
centre and right, of a portrait top, centre and bottom); of each square its four corners, its centre and all of it,
resized; and the mirror image of each: 4 × 3 × 6 × 2 = 144. For crops of another side c the short sides are 256/224 c
and so on, to the nearest px, halves up: 64, 72, 80, 88 for 56 px and 342, 384, 427, 470 for 299 px.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from replication.errors import BadInput, check, unknown

PRINTED = 224  # px of V1's crops, to which SHORT belongs
SHORT = (256, 288, 320, 352)

# Positions are counted in halves of the room there is: 0 is left or top, 1 the centre, 2 right or bottom.
CENTRE = (1, 1)
CORNERS = ((0, 0), (2, 0), (0, 2), (2, 2))
WHOLE = None  # the square itself, resized to the crop
Place = tuple[int, int] | None

# By number of views: short sides, squares, places in a square, mirrored or not. V1 prints 1, 10 and 144; its 10 are
# Krizhevsky et al.'s (2012, §4.1), of the centre square. V3's 12 are nowhere described: we read them as V1's six of
# the centre square.
PLANS: dict[int, tuple[tuple[int, ...], tuple[int, ...], tuple[Place, ...], tuple[bool, ...]]] = {
    1: (SHORT[:1], (1,), (CENTRE,), (False,)),
    2: (SHORT[:1], (1,), (CENTRE,), (False, True)),
    10: (SHORT[:1], (1,), (*CORNERS, CENTRE), (False, True)),
    12: (SHORT[:1], (1,), (*CORNERS, CENTRE, WHOLE), (False, True)),
    144: (SHORT, (0, 1, 2), (*CORNERS, CENTRE, WHOLE), (False, True)),
}


@dataclass(frozen=True)
class View:
    """The square of `side` px at (left, top) of the image resized to a short side of `short` px. Where `side` is not
    the crop's it is resized to it; mirrored left to right last."""
    short: int
    left: int
    top: int
    side: int
    mirrored: bool


def views(number: int, height: int, width: int, crop: int) -> tuple[View, ...]:
    """The 1, 2, 10, 12 or 144 views of an image of height × width px, for a network that sees `crop` px.

    Of a square image the three squares are one, so that its 144 views are 48, each three times (see `distinct`).
    Raises BadInput for another number and for a crop larger than the image.
    """
    if number not in PLANS:
        raise unknown("number of views", number, PLANS)
    check("crop", crop, int, 1)
    if crop > min(height, width):
        raise BadInput(f"A crop of {crop} px does not fit images of {height}×{width} px; take a smaller crop or a "
                       f"higher resolution.")
    found = []
    for printed, square, place, mirrored in product(*PLANS[number]):
        short = _nearest(printed * crop, PRINTED)
        tall, wide = resized(height, width, short)
        left, top = (wide - short) * square // 2, (tall - short) * square // 2
        if place is None:
            found.append(View(short, left, top, short, mirrored))
        else:
            x, y = ((short - crop) * at // 2 for at in place)
            found.append(View(short, left + x, top + y, crop, mirrored))
    return tuple(found)


def resized(height: int, width: int, short: int) -> tuple[int, int]:
    """(height, width) with a short side of `short` px, the long one to the nearest px, halves up."""
    least = min(height, width)
    return _nearest(height * short, least), _nearest(width * short, least)


def distinct(views: Sequence[View]) -> tuple[View, ...]:
    """Each view once, where all occur equally often, so that no mean or maximum over them changes; else all."""
    times = Counter(views)
    return tuple(times) if len(set(times.values())) == 1 else tuple(views)


def _nearest(a: int, b: int) -> int:
    return (2 * a + b) // (2 * b)
