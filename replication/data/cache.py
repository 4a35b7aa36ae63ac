"""A set is decoded once, into `cache/<digest of the value>/` where `paths.kept` says, and mapped from there ever after.

The folder is written under another name and renamed when whole, under a lock: it is there entirely or not at all, and
two processes that want the same set decode it once. What is there is checked against the value and the checksums
of its own files before it is believed.
"""
from __future__ import annotations

import errno
import json
import shutil
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from replication import files, paths
from replication.data import decode, spec
from replication.data.listing import digest, skips
from replication.errors import BadInput

# Raised by hand when the same files would decode to other pixels, or lie otherwise on disk.
FORM = 4


@dataclass(frozen=True)
class Source:
    """One split of a set before decoding: files, or images (h, w, 3); extras have one row an image. `left` counts files
    that lie among them and are no images."""
    images: Sequence[decode.Item]
    labels: Sequence[int]
    extra: dict[str, NDArray[Any]] = field(default_factory=dict)
    left: int = 0


Part = tuple[NDArray[Any], NDArray[np.int64], dict[str, NDArray[Any]]]


@dataclass(frozen=True)
class Kept:
    """The parts are images (N, side, side, 3) mapped (see `_mapped`), labels (N,), extras."""
    classes: tuple[str, ...]
    train: Part
    val: Part
    skipped: int = 0


def keep(data: spec.Data, source: Callable[[spec.Data], tuple[tuple[str, ...], Source, Source]]) -> Kept:
    """The decoded set, from the cache or through `source(data)` -> (classes, train, val).

    Raises BadInput where the disk is full or not ours to write (nothing half-written is left), or, as `decode.squares`
    does, for an image that cannot be decoded.
    """
    skip = skips()
    value = {"form": FORM, **files.plain(data)}
    name = digest([json.dumps(value, sort_keys=True)])
    for place in paths.found("cache"):
        if kept := _open(place / name, value, skip):
            return kept
    folder = paths.kept("cache") / name
    partial = folder.with_suffix(".partial")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if kept := _open(folder, value, skip):
                return kept
            classes, train, val = source(data)
            try:
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir()
                skipped = sum(_write(partial, name, part, data.resolution, skip)
                              for name, part in (("train", train), ("val", val)))
                sums = {p.name: _sum(p) for p in partial.iterdir()}
                about = {"value": value, "classes": classes, "skipped": skipped, "left": train.left + val.left,
                         "sums": sums}
                (partial / "about.json").write_text(json.dumps(about))
                shutil.rmtree(folder, ignore_errors=True)
                partial.rename(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        why = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else str(error)
        raise BadInput(f"The decoded images cannot be kept in {folder.parent}: {why}; free some space, or set "
                       f"REPLICATION_DATA to a folder with more.") from error
    kept = _open(folder, value, skip)
    if not kept:
        raise BadInput(f"{folder} does not hold what was just written there; is another program changing it?")
    return kept


def _open(folder: Path, value: dict[str, Any], skip: bool) -> Kept | None:
    """What is kept there; None if it is not whole, not of this value, or lacks images that were not to be skipped."""
    try:
        about = json.loads((folder / "about.json").read_text())
        if about["value"] != value or (about["skipped"] and not skip):
            return None
        if any(_sum(folder / name) != known for name, known in about["sums"].items()):
            return None
        parts = [_part(folder, name) for name in ("train", "val")]
        side = value["resolution"]
        for images, labels, _ in parts:
            if images.dtype != np.uint8 or images.shape != (len(labels), side, side, 3):
                return None
        return Kept(tuple(about["classes"]), parts[0], parts[1], about["skipped"] + about.get("left", 0))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _sum(path: Path) -> int:
    """CRC-32, which tells a file from a damaged one and takes about a second a gigabyte."""
    found = 0
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            found = zlib.crc32(piece, found)
    return found


def _part(folder: Path, name: str) -> Part:
    images = _mapped(folder / f"{name}.npy")
    labels = np.load(folder / f"{name}.labels.npy", allow_pickle=False)
    extra = {p.name.split(".")[2]: np.load(p, allow_pickle=False) for p in folder.glob(f"{name}.extra.*.npy")}
    return images, labels, extra


def _mapped(path: Path) -> NDArray[Any]:
    """Copy-on-write, so that torch takes it and nobody can spoil the file; or read-only, where the file is larger than
    memory and the system does not promise so much for copies."""
    try:
        return np.load(path, mmap_mode="c", allow_pickle=False)
    except OSError as problem:
        if problem.errno != errno.ENOMEM:
            raise
        return np.load(path, mmap_mode="r", allow_pickle=False)


def _write(folder: Path, name: str, part: Source, side: int, skip: bool) -> int:
    """Returns how many images were skipped. Written as a stream, since a full disk kills a process that maps a file."""
    def header(n: int) -> dict[str, Any]:
        return {"descr": "|u1", "fortran_order": False, "shape": (n, side, side, 3)}

    kept: list[int] = []
    with open(folder / f"{name}.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, header(len(part.labels)))
        start = file.tell()
        for images, positions in decode.squares(part.images, side, skip):
            file.write(images.tobytes())
            kept += positions
        if not kept:
            raise BadInput(f"None of the {len(part.labels)} {name} images can be decoded.")
        if len(kept) < len(part.labels):
            file.seek(0)
            np.lib.format.write_array_header_1_0(file, header(len(kept)))
            assert file.tell() == start, "numpy leaves room in the header for any number of rows"
    np.save(folder / f"{name}.labels.npy", np.asarray(part.labels, np.int64)[kept])
    for key, rows in part.extra.items():
        np.save(folder / f"{name}.extra.{key}.npy", rows[kept])
    return len(part.labels) - len(kept)
