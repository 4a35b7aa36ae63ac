"""Which classes and which images make a smaller set of a larger one."""
from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import TypeVar

T = TypeVar("T")


def evenly(n: int, k: int) -> list[int]:
    """k of the positions 0 … n-1, evenly spaced from 0: ten of 200 sorted wnids are not ten breeds of dog."""
    return [i * n // k for i in range(k)]


def pilot(train: Sequence[Sequence[T]]) -> tuple[list[Sequence[T]], list[Sequence[T]]]:
    """What a pilot trains on and judges by: of each class's training images the first four fifths, and the rest."""
    parted = [(group[:at], group[at:]) for group in train for at in (pilot_train(len(group)),)]
    return [first for first, _ in parted], [rest for _, rest in parted]


def pilot_train(n: int) -> int:
    """How many of a class's n training images a pilot trains on."""
    return n - n // 5


def interleave(groups: Sequence[Sequence[T]], n: int | None = None) -> tuple[list[T], list[int]]:
    """The first `n` images and their labels, taking the first of every class, then the second of every class, and on.

    `groups[c]` are the images of class c in their own order. Every class gives an equal share as long as it has one,
    and a smaller choice is the beginning of a larger one.
    """
    rounds = zip_longest(*([(image, label) for image in group] for label, group in enumerate(groups)))
    chosen = [pair for pair in chain.from_iterable(rounds) if pair is not None][:n]
    return [image for image, _ in chosen], [label for _, label in chosen]
