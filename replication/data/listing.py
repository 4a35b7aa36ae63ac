"""The images of a set, before anything is decoded."""
from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

# The names of the classes, and for each class the images to train on and those to validate: files, or uint8 (h, w, 3).
ByClass = tuple[Sequence[str], Sequence[Sequence[Any]], Sequence[Sequence[Any]]]


class Member(NamedTuple):
    """An image inside a tar that is not compressed: `size` bytes from byte `offset` on."""
    tar: str
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.name} in {self.tar}"


@dataclass(frozen=True)
class Listing:
    """`train[c]` and `val[c]` are the files of class c, in the order in which a smaller set takes them."""
    root: Path
    classes: tuple[str, ...]
    train: tuple[tuple[Path, ...], ...]
    val: tuple[tuple[Path, ...], ...]
    content: str

    @property
    def by_class(self) -> ByClass:
        return self.classes, self.train, self.val


def digest(lines: Iterable[str]) -> str:
    """Twelve hex digits of SHA-256 over the lines."""
    text = hashlib.sha256()
    for line in lines:
        text.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return text.hexdigest()[:12]
