"""A pilot's images: none by which a verdict is reached, whatever the set."""
from __future__ import annotations

import numpy as np
import pytest

from replication.data import subset
from replication.data.load import arrays
from replication.data.registry import resolve
from replication.errors import BadInput


def images(part: str | None, name: str, which: int, **more: int) -> list[bytes]:
    kept = arrays(resolve(name, 16, part=part, **more))
    return [image.tobytes() for image in (kept.train, kept.val)[which][0]]


def test_shapes_of_a_pilot_are_drawn_for_it_alone() -> None:
    drawn = [set(images(part, "shapes", which, train_images=100, val_images=100)) for part in (None, "pilot")
             for which in (0, 1)]
    assert [len(each) for each in drawn] == [100] * 4
    assert len(set.union(*drawn)) == 400


def test_digits_of_a_pilot_are_training_images_parted() -> None:
    """1,297 digits are there to train on; a fifth of each class, rounded down, is kept to judge the pilot."""
    counts = [128, 132, 127, 133, 131, 132, 131, 129, 124, 130]
    judge = sum(n // 5 for n in counts)
    found = resolve("digits", part="pilot")
    assert (found.train_images, found.val_images) == (1297 - judge, judge)
    train, val = images("pilot", "digits", 0), images("pilot", "digits", 1)
    assert not set(val) & set(images(None, "digits", 1))
    assert sorted(train + val) == sorted(images(None, "digits", 0))
    labels = arrays(found).val[1]
    assert np.bincount(labels).tolist() == [n // 5 for n in counts]


def test_four_fifths_and_the_rest() -> None:
    assert subset.pilot(["abcdefghij", "xyz"]) == (["abcdefgh", "xyz"], ["ij", ""])


def test_a_pilot_has_no_more_images_than_it_may_use() -> None:
    with pytest.raises(BadInput, match="between 10 and 1042"):
        resolve("digits", part="pilot", train_images=1043)
    with pytest.raises(BadInput, match="Did you mean 'pilot'"):
        resolve("shapes", part="pilots")
