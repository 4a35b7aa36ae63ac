"""Tiny-ImageNet-200 in its official layout, or in part of it.

    tiny-imagenet-200/train/<wnid>/images/<wnid>_<number>.JPEG
    tiny-imagenet-200/train/<wnid>/<wnid>_boxes.txt        <file> <x0> <y0> <x1> <y1>
    tiny-imagenet-200/val/images/val_<number>.JPEG
    tiny-imagenet-200/val/val_annotations.txt              <file> <wnid> <x0> <y0> <x1> <y1>

All val images lie in one folder: read as an image folder, the set has a single val class. Its labels and boxes are in
val_annotations.txt. The official test images have no labels and are not read.

The whole set has no digest in its value: its name says it all. What is called whole has the official pixels, labels and
boxes, however its files came here: they are decoded once and compared (`PIXELS`), half a minute, and their content is
noted. What was unpacked from the archive with the published checksum is noted without that.
"""
from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from replication import paths
from replication.data import content as held
from replication.data.listing import Listing, digest, tell_left, visible
from replication.errors import BadInput

NAME = "tiny-imagenet-200"
URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
MD5 = "90528d7ca1a48142e341f4ef8d21d0de"
PIXELS = "add3beb7f696"  # of `_pixels`
SIDE = 64
CLASSES, TRAIN, VAL = 200, 500, 50  # classes, images of each

Box = tuple[int, int, int, int]
NO_BOX: Box = (-1, -1, -1, -1)
IOU = 0.5  # of a box with the one known, from which it counts as found: ILSVRC's rule


def root() -> Path:
    return paths.data() / NAME


def obtain() -> None:
    """Downloads and unpacks the set if it is not there. Raises BadInput (see `download`)."""
    if not root().is_dir():
        from replication.data import download  # what follows is not needed to name a set

        download.obtain(URL, MD5, root())
        held.unpacked(NAME, read().content)


def read() -> Listing:
    """The files that are there, numbered order within each class; `content` is a digest of what they are called and
    hold, their labels and boxes among it.

    Raises BadInput where the layout is not the official one, or where a class has no images.
    """
    top = root()
    wnids = [Path(e.path) for e in _entries(top / "train")]
    folders = [top / "train", top / "val/images", *(wnid / "images" for wnid in wnids)]
    # A folder's time changes when a file comes or goes: listing 110,000 files for every experiment of a grid would not
    # be instant, and a set that is still being unpacked must not be remembered.
    labels = _labels(top)
    listing = _read(top, tuple(f.stat().st_mtime_ns if f.is_dir() else 0 for f in folders),
                    labels.read_bytes() if labels.is_file() else b"")
    beside = [table for table in (labels, *map(_table, wnids)) if table.is_file()]
    found = held.identity(top, (listing.train, listing.val), lambda file: file.name, beside)
    return replace(listing, content=digest([*listing.classes, found]))


@lru_cache(maxsize=2)
def _read(top: Path, stamp: tuple[int, ...], labelled: bytes) -> Listing:
    """Without its content."""
    left: list[str] = []
    classes = tuple(e.name for e in _entries(top / "train") if e.is_dir())
    train = tuple(tuple(_numbered(top / "train" / wnid / "images", left)) for wnid in classes)
    labels = {file: wnid for file, (wnid, _) in _annotations(top).items()}
    val: dict[str, list[Path]] = {wnid: [] for wnid in classes}
    for path in _numbered(top / "val/images", left):
        if labels.get(path.name) not in val:
            raise BadInput(f"{_labels(top)} names no class of train/ for {path.name}; unpack the "
                           f"archive from {URL} again.")
        val[labels[path.name]].append(path)
    empty = [wnid for wnid, group in zip(classes, train, strict=True) if not group or not val[wnid]]
    if empty or len(classes) < 2:
        what = f"no training or no validation images of {', '.join(empty[:3])}" if empty else "fewer than two classes"
        raise BadInput(f"{top} holds {what}; unpack from the archive at {URL} what is missing, and remove from "
                       f"{top / 'train'} what is no class of it.")
    tell_left(top, left)
    return Listing(top, classes, train, tuple(tuple(val[wnid]) for wnid in classes), "", len(left))


def content(listing: Listing) -> str | None:
    """None of the whole set, whose name says it all; of a part of it, or of another one, what is in it."""
    whole = (len(listing.classes) == CLASSES and {len(g) for g in listing.train} == {TRAIN}
             and {len(g) for g in listing.val} == {VAL})
    if whole:
        if held.official(NAME, listing.content, lambda: _pixels(listing) == PIXELS):
            return None
        held.tell_other(listing.root)
    return listing.content


def _pixels(listing: Listing) -> str:
    """A digest of every image's pixels, label and box, which are the same whichever way the JPEGs were packed; "" where
    one cannot be decoded."""
    from PIL import Image  # what follows is not needed to name a set
    from tqdm import tqdm

    def one(file: Path) -> str:
        with Image.open(file) as image:
            return hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()

    labelled = [(wnid, file) for groups in (listing.train, listing.val)
                for wnid, group in zip(listing.classes, groups, strict=True) for file in group]
    files = [file for _, file in labelled]
    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            seen = list(tqdm(pool.map(one, files), "comparing", len(files), unit="image", disable=None))
    except Exception:  # Pillow raises nearly any kind on broken files
        return ""
    return digest(f"{wnid} {file.name} {pixels} {box}"
                  for (wnid, file), pixels, box in zip(labelled, seen, boxes(files, SIDE), strict=True))


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
        path = _table(folder)
        return {file: _box(rest, path) for file, *rest in _lines(path)} if path.exists() else {}

    found = []
    for file in files:
        folder = file.parent.parent
        if folder not in tables:
            tables[folder] = table(folder)
        x0, y0, x1, y1 = tables[folder].get(file.name, NO_BOX)
        found.append(NO_BOX if x0 < 0 else (x0 * side // SIDE, y0 * side // SIDE, ((x1 + 1) * side - 1) // SIDE,
                                            ((y1 + 1) * side - 1) // SIDE))  # the last px that the box reaches into
    return found


def _labels(top: Path) -> Path:
    return top / "val/val_annotations.txt"


def _table(folder: Path) -> Path:
    return folder / f"{folder.name}_boxes.txt"


def _annotations(top: Path) -> dict[str, tuple[str, Box]]:
    path = _labels(top)
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
        return visible(folder)
    except OSError as error:
        raise BadInput(f"{folder} cannot be read ({error.strerror}); unpack the archive from {URL} into "
                       f"{paths.data()}.") from error


def _numbered(folder: Path, left: list[str]) -> list[Path]:
    """By number: val_10 after val_9. Names of one folder differ in the number alone, so a shorter one comes first. What
    is no .JPEG is added to `left`."""
    if not folder.is_dir():
        return []
    names = []
    for entry in _entries(folder):
        if entry.name.endswith(".JPEG"):
            names.append(entry.name)
        else:
            left.append(entry.path)
    return [folder / n for n in sorted(names, key=lambda n: (len(n), n))]
