"""Tiny-ImageNet-200 in its official layout, or in part of it.

    tiny-imagenet-200/train/<wnid>/images/<wnid>_<number>.JPEG
    tiny-imagenet-200/train/<wnid>/<wnid>_boxes.txt        <file> <x0> <y0> <x1> <y1>
    tiny-imagenet-200/val/images/val_<number>.JPEG
    tiny-imagenet-200/val/val_annotations.txt              <file> <wnid> <x0> <y0> <x1> <y1>

All val images lie in one folder: read as an image folder, the set has a single val class. Its labels and boxes are in
val_annotations.txt. The official test images have no labels and are not read.
"""
from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from replication import paths
from replication.data.listing import Listing, digest
from replication.errors import BadInput

URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
MD5 = "90528d7ca1a48142e341f4ef8d21d0de"
SIDE = 64
CLASSES, TRAIN, VAL = 200, 500, 50  # classes, images of each

Box = tuple[int, int, int, int]
NO_BOX: Box = (-1, -1, -1, -1)


def root() -> Path:
    return paths.data() / "tiny-imagenet-200"


def obtain() -> None:
    """Downloads and unpacks the set if it is not there. Raises BadInput (see `download`)."""
    if not root().is_dir():
        from replication.data import download  # what follows is not needed to name a set

        download.obtain(URL, MD5, root())


def read() -> Listing:
    """The files that are there, numbered order within each class; `content` is a digest of their names.

    Raises BadInput where the layout is not the official one, or where a class has no images.
    """
    folders = [root() / "val/images", *(Path(e.path) / "images" for e in _entries(root() / "train"))]
    # A folder's time changes when a file comes or goes: listing 110,000 files for every experiment of a grid would not
    # be instant, and a set that is still being unpacked must not be remembered.
    return _read(root(), tuple(f.stat().st_mtime_ns if f.is_dir() else 0 for f in folders))


@lru_cache(maxsize=2)
def _read(top: Path, stamp: tuple[int, ...]) -> Listing:
    classes = tuple(sorted(e.name for e in _entries(top / "train") if e.is_dir()))
    train = tuple(tuple(_numbered(top / "train" / wnid / "images")) for wnid in classes)
    labels = {file: wnid for file, (wnid, _) in _annotations(top).items()}
    val: dict[str, list[Path]] = {wnid: [] for wnid in classes}
    for path in _numbered(top / "val/images"):
        if labels.get(path.name) not in val:
            raise BadInput(f"{top / 'val/val_annotations.txt'} names no class of train/ for {path.name}; unpack the "
                           f"archive from {URL} again.")
        val[labels[path.name]].append(path)
    empty = [wnid for wnid, group in zip(classes, train, strict=True) if not group or not val[wnid]]
    if empty or len(classes) < 2:
        what = f"no training or no validation images of {', '.join(empty[:3])}" if empty else "fewer than two classes"
        raise BadInput(f"{top} holds {what}; unpack the archive from {URL} there, or remove the folder to have it "
                       f"downloaded.")
    held = tuple(tuple(val[wnid]) for wnid in classes)
    return Listing(top, classes, train, held, digest(p.name for groups in (train, held) for g in groups for p in g))


def content(listing: Listing) -> str | None:
    """None of the whole set, whose name says it all; of a part of it, which part."""
    whole = (len(listing.classes) == CLASSES and {len(g) for g in listing.train} == {TRAIN}
             and {len(g) for g in listing.val} == {VAL})
    return None if whole else listing.content


def words(wnids: Iterable[str]) -> tuple[str, ...]:
    """What people call these classes: the first of the words that the set gives each. What it has none for, or the same
    as for another, stays a wnid."""
    wnids = list(wnids)
    try:
        lines = (root() / "words.txt").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    wanted = set(wnids)
    called = {wnid: said.split(",")[0] for wnid, _, said in (line.partition("\t") for line in lines) if wnid in wanted}
    names = [called.get(wnid) or wnid for wnid in wnids]
    return tuple(name if names.count(name) == 1 else wnid for wnid, name in zip(wnids, names, strict=True))


def boxes(files: Iterable[Path], side: int) -> list[Box]:
    """The object's box (x0, y0, x1, y1) in px of an image of `side` px, corners included; -1 where none is recorded."""
    tables: dict[Path, dict[str, Box]] = {}

    def table(folder: Path) -> dict[str, Box]:
        if folder.name == "val":
            return {file: box for file, (_, box) in _annotations(folder.parent).items()}
        path = folder / f"{folder.name}_boxes.txt"
        return {file: _box(rest, path) for file, *rest in _lines(path)} if path.exists() else {}

    found = []
    for file in files:
        folder = file.parent.parent
        if folder not in tables:
            tables[folder] = table(folder)
        x0, y0, x1, y1 = tables[folder].get(file.name, NO_BOX)
        found.append(NO_BOX if x0 < 0 else (x0 * side // SIDE, y0 * side // SIDE, x1 * side // SIDE, y1 * side // SIDE))
    return found


def _annotations(top: Path) -> dict[str, tuple[str, Box]]:
    path = top / "val/val_annotations.txt"
    try:
        return {file: (wnid, _box(rest, path)) for file, wnid, *rest in _lines(path)}
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read ({error}); unpack the archive from {URL} again.") from error


def _lines(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines() if line.strip()]


def _box(words: list[str], path: Path) -> Box:
    if len(words) != 4 or not all(w.isdigit() for w in words):
        raise BadInput(f"{path} holds {' '.join(words)!r} where four numbers are expected; unpack the archive again.")
    x0, y0, x1, y1 = map(int, words)
    return x0, y0, x1, y1


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return sorted(os.scandir(folder), key=lambda e: e.name)
    except OSError as error:
        raise BadInput(f"{folder} cannot be read ({error.strerror}); unpack the archive from {URL} into "
                       f"{paths.data()}.") from error


def _numbered(folder: Path) -> list[Path]:
    """By number: val_10 after val_9. Names of one folder differ in the number alone, so a shorter one comes first."""
    if not folder.is_dir():
        return []
    names = [n for n in os.listdir(folder) if n.endswith(".JPEG")]
    return [folder / n for n in sorted(names, key=lambda n: (len(n), n))]
