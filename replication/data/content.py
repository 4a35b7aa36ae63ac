"""What files hold, which is what a set is: names, sizes and times stay as they were when two files swap their contents.

So every file is read once, and its digest is kept in `content/` beside the data, with the file's size, times and place
on the disk. As long as these are the same it is not read again: 110,000 files are then looked at in a second or two. A
program can set back a file's time of writing, but not that of its last change of any kind (ctime), which is among them.

Reading a set for the first time costs what one epoch of it costs to read. Where even that is too much (ImageNet), or
where nobody publishes what a set's files hold, its own module says what is compared instead.
"""
from __future__ import annotations

import hashlib
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from replication import files, paths
from replication.data.listing import Member, digest
from replication.errors import BadInput

T = TypeVar("T", bound="Path | Member")
Groups = Sequence[Sequence[T]]  # items of each class

# Two writes within a tick of the clock leave the same times. What was changed so shortly before it was read is read
# again next time, in nanoseconds; some file systems count in steps of two seconds.
YOUNG = 2_000_000_000
# A grid asks for the same set for each of its experiments: of more files than so many, a look lasts so many seconds.
MANY, LATELY = 10_000, 60.0

_last: dict[Path, tuple[float, Any, str]] = {}


def forget() -> None:
    """Whoever is about to read the files wants to know what is in them now."""
    _last.clear()


def identity(top: Path, parts: Sequence[Groups[T]], name: Callable[[T], str], beside: Sequence[Path] = ()) -> str:
    """A digest of what a set is: for each part and class what its items are called and what they hold, and what the
    files `beside` hold, boxes say. Raises BadInput where one cannot be read."""
    last = _last.get(top)
    if last and time.monotonic() - last[0] < LATELY and last[1] == (parts, beside):
        return last[2]
    items = [item for groups in parts for group in groups for item in group]
    held = iter(hashes(top, [*items, *beside]))
    found = digest((*(f"{p} {c} {name(item)} {next(held)}" for p, groups in enumerate(parts)
                      for c, group in enumerate(groups) for item in group), *held))
    if len(items) > MANY:
        _last[top] = time.monotonic(), (parts, beside), found
    return found


def hashes(top: Path, items: Sequence[Path | Member]) -> list[str]:
    """What each holds, as 32 hex digits of SHA-256; what has not changed since it was last read is not read."""
    index = _folder() / f"{digest([str(top)])}.json"
    known, began = _read(index), time.time_ns()
    names = [f"{item.tar}:{item.offset}:{item.size}" if isinstance(item, Member) else str(item) for item in items]
    found: list[str] = []
    new: dict[str, str] = {}
    try:
        stamps, young = _stamps(items, began)
        entries = [known.get(name) for name in names]
        found = [entry[len(stamp):] if isinstance(entry, str) and entry.startswith(stamp) else ""
                 for entry, stamp in zip(entries, stamps, strict=True)]
        unread = [at for at, held in enumerate(found) if not held]
        try:
            for at, held in zip(unread, _hashed(top, [items[at] for at in unread]), strict=True):
                found[at] = held
                if stamps[at] not in young:
                    new[names[at]] = stamps[at] + held
        finally:  # whoever is stopped goes on from there
            if new:
                _write(index, known | new)
    except OSError as error:
        raise BadInput(f"{error.filename or top} cannot be read ({error.strerror or error}).") from error
    return found


def official(name: str, found: str, check: Callable[[], bool] | None = None) -> bool:
    """Whether what has this identity is the set that everybody means by the name: as `check` says, which is asked once;
    without it, whether it is what was first called so here."""
    notes = _read(path := _folder() / "official.json")
    known = notes.get(name)
    known = known if isinstance(known, dict) else {}
    if found not in known:
        known[found] = check() if check else not any(known.values())
        _write(path, notes | {name: known})
    return bool(known[found])


def tell_other(top: Path) -> None:
    """One sentence about a set that its numbers would have passed off as the official one."""
    warnings.warn(f"{top} has the official numbers and holds something else, or no longer what it held when first read "
                  f"here: it counts as another set, whose runs have addresses of their own.", stacklevel=2)


def unpacked(name: str, found: str) -> None:
    """Notes that what has this identity came from the archive whose checksum is published."""
    path = _folder() / "official.json"
    _write(path, _read(path) | {name: {found: True}})


def _folder() -> Path:
    return paths.kept("content")


def _read(path: Path) -> dict[str, Any]:
    """Empty where there is none, or it is damaged: what it says can be found out again."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, value: dict[str, Any]) -> None:
    with suppress(OSError):  # notes save time; whoever keeps decoded images in that place will say what is wrong
        files.write(path, json.dumps(value))


def _stamps(items: Sequence[Path | Member], now: int) -> tuple[list[str], set[str]]:
    """Of each item's file its size, times and place; and which of these are too young to be relied on."""
    seen: dict[str, str] = {}
    stamps, young = [], set()
    for item in items:
        path = item.tar if isinstance(item, Member) else str(item)
        if path not in seen:
            of = os.stat(path)
            seen[path] = f"{of.st_size} {of.st_mtime_ns} {of.st_ctime_ns} {of.st_ino} "
            if of.st_ctime_ns >= now - YOUNG:
                young.add(seen[path])
        stamps.append(seen[path])
    return stamps, young


def _hashed(top: Path, items: Sequence[Path | Member]) -> Iterator[str]:
    """In order; several at once, since a file server answers each after a while."""
    if len(items) > MANY:
        from tqdm import tqdm  # nothing else here needs it

        bar = tqdm(items, unit="file", desc=f"reading {top.name}", disable=None)
    else:
        bar = items
    with ThreadPoolExecutor(8) as pool:
        waiting = []
        for item in bar:
            waiting.append(pool.submit(_hash, item))
            if len(waiting) == 256:
                yield from (future.result() for future in waiting)
                waiting = []
        yield from (future.result() for future in waiting)


def _hash(item: Path | Member) -> str:
    with open(item.tar if isinstance(item, Member) else item, "rb") as file:
        if isinstance(item, Member):
            file.seek(item.offset)
            found = hashlib.sha256(file.read(item.size))
        else:
            found = hashlib.file_digest(file, "sha256")
    return found.hexdigest()[:32]
