"""The images of a set, before anything is decoded."""
from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from replication.errors import word

# The names of the classes, and for each class the images to train on and those to validate: files, or uint8 (h, w, 3).
ByClass = tuple[Sequence[str], Sequence[Sequence[Any]], Sequence[Sequence[Any]]]

# What desktops, archives and file servers leave in folders, besides what begins with a dot.
LITTER = frozenset(("$recycle.bin", "@eadir", "__macosx", "desktop.ini", "ehthumbs.db", "icon\r", "lost+found",
                    "thumbs.db"))


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
    """`train[c]` and `val[c]` are the files of class c, in the order in which a smaller set takes them. `content` says
    which files, and what is in them. `left` counts what lies among them and is no image."""
    root: Path
    classes: tuple[str, ...]
    train: tuple[tuple[Path, ...], ...]
    val: tuple[tuple[Path, ...], ...]
    content: str
    left: int = 0

    @property
    def by_class(self) -> ByClass:
        return self.classes, self.train, self.val


def hidden(name: str) -> bool:
    """Whether a file or folder of this name is nobody's image or class, and is passed over in every set."""
    return name.startswith(".") or name.lower() in LITTER


def visible(folder: str | Path) -> list[os.DirEntry[str]]:
    """What lies in a folder and is not hidden, by name. Raises OSError."""
    return sorted((e for e in os.scandir(folder) if not hidden(e.name)), key=lambda e: e.name)


def below(folder: str | Path, way: tuple[str, ...] = ()) -> Iterator[os.DirEntry[str]]:
    """Every visible entry of a folder and of the folders in it that is no folder. A link back to a folder on the `way`
    is not followed. Raises OSError."""
    way = (*way, os.path.realpath(folder))
    for entry in visible(folder):
        if not entry.is_dir():
            yield entry
        elif os.path.realpath(entry) not in way:
            yield from below(entry.path, way)


def skips() -> bool:
    """Whether pictures that cannot be read are passed over, as REPLICATION_SKIP_BAD=1 asks, and not refused."""
    return word("REPLICATION_SKIP_BAD", "0", "1") == "1"


def tell_left(root: Path, left: Sequence[str]) -> None:
    """One sentence about files of a set that are not read, so that nobody is left to think that they are."""
    if left:
        kinds = Counter(os.path.splitext(path)[1].lower() or "without a suffix" for path in left)
        said = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common(5))
        number = f"{len(left)} files that are" if len(left) > 1 else "1 file that is"
        warnings.warn(f"{root} holds {number} not read there, left out: {said}; e.g. "
                      f"{os.path.relpath(left[0], root)}.", stacklevel=2)


def digest(lines: Iterable[str]) -> str:
    """Twelve hex digits of SHA-256 over the lines."""
    text = hashlib.sha256()
    for line in lines:
        text.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return text.hexdigest()[:12]
