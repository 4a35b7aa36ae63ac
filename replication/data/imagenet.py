"""ILSVRC-2012, which its terms forbid to pass on: in folders or in tar shards, whichever is there.

    imagenet/train/<wnid>/<wnid>_<number>.JPEG           as torchvision's ImageNet unpacks the official archives
    imagenet/val/<wnid>/ILSVRC2012_val_<number>.JPEG
    imagenet/*train*.tar, imagenet/*val*.tar             WebDataset's shards: <key>.jpg with <key>.cls, the label, or
                                                         <key>.json, which has a "label"

A tar that is not compressed is read anywhere at once, so shards are not read in a row and shuffled in a buffer: their
headers are read once and kept, and what comes of it is what a folder gives, images by class, sorted by their official
names. The order of a run is then the same, and so are its address and its result, whichever way the images lie. Keys
that have no official name in them, plain numbers say, are another order, hence another content.

Whatever is not all of ILSVRC-2012 is told by what its images hold, each of which is read once (see `content`). Of all
of it, 150 GB, that would be an epoch's reading before the first word, and nobody publishes what its files hold. It is
told by the numbers and names of its images and by the bytes of the validation images, as long as the first image of
every class, in both parts, holds what it held when the set was first read here. So a copy that was made smaller or
cleaned is another set, but a single image of the whole set that was put in another's place is not noticed.
"""
from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from replication import files, paths
from replication.data import content
from replication.data.folder import SUFFIXES
from replication.data.listing import ByClass, Member, digest, hidden, tell_left, visible
from replication.errors import BadInput

CLASSES, TRAIN, VAL = 1000, 1_281_167, 50_000
# Of the official archive of validation images, whose entries are padded to blocks of 512: others of these names, made
# smaller say, are other images. A hundredth more or less is let through; the training images are too many to ask each.
VAL_BYTES = 6_744_924_160
NAME = re.compile(r"ILSVRC2012_val_\d{8}|(n\d{8})_\d+")
# Raised by hand when the same shards would give another index.
FORM = 1

Groups = tuple[tuple[Path | Member, ...], ...]


class Found(NamedTuple):
    """`train[c]` and `val[c]` are the images of class c. `whole`: whether by number, names and bytes they are all there
    are. `content` is None of the whole set, whose name says it all; of a part of it, or of others, what is in it."""
    classes: tuple[str, ...]
    train: Groups
    val: Groups
    whole: bool
    content: str | None = None

    @property
    def by_class(self) -> ByClass:
        return self.classes, self.train, self.val


def root() -> Path:
    return paths.data() / "imagenet"


def here() -> bool:
    return root().is_dir()


def read() -> Found:
    """What is there. Raises BadInput, saying what is expected, where it is not laid out as above."""
    top = root()
    if not here():
        raise BadInput(f"ILSVRC-2012 is not in {top}, and nobody may pass it on: get it from image-net.org and lay it "
                       f"out there as train/<wnid>/*.JPEG and val/<wnid>/*.JPEG, or as shards of WebDataset.")
    if any((top / part).is_dir() for part in ("train", "val")):
        # A folder's time changes when a file comes or goes: see `tiny_imagenet.read`.
        return _told(top, _from_folders(top, tuple((f"{folder}", folder.stat().st_mtime_ns)
                                                   for part in ("train", "val") for folder in _folders(top / part))))
    shards = {part: [path for path in sorted(top.glob(f"*{part}*.tar")) if not hidden(path.name)]
              for part in ("train", "val")}
    missing = [part for part, found in shards.items() if not found]
    if missing:
        raise BadInput(f"{top} holds neither folders train/ and val/ nor, of {' and '.join(missing)}, uncompressed "
                       f"shards like imagenet-{missing[0]}-000000.tar.")
    stamps = tuple((path.name, part, of.st_size, of.st_mtime_ns, of.st_ctime_ns)
                   for part, found in shards.items() for path in found for of in (path.stat(),))
    return _told(top, _from_shards(top, stamps))


def _told(top: Path, found: Found) -> Found:
    def identity(train: Groups, val: Groups) -> str:
        return digest([*found.classes, content.identity(top, (train, val), _name)])

    if found.whole:
        first = identity(*(tuple(group[:1] for group in part) for part in (found.train, found.val)))
        if content.official("imagenet", first):
            return found
        content.tell_other(top)
    return found._replace(content=identity(found.train, found.val))


@lru_cache(maxsize=1)
def _from_folders(top: Path, stamp: tuple[tuple[str, int], ...]) -> Found:
    parts: dict[str, dict[str, list[Path | Member]]] = {"train": {}, "val": {}}
    left: list[str] = []
    for part, classes in parts.items():
        for folder in _folders(top / part):
            entries = visible(folder)
            classes[folder.name] = [folder / e.name for e in entries if e.name.lower().endswith(SUFFIXES)]
            left += [e.path for e in entries if not e.name.lower().endswith(SUFFIXES)]
        if not classes:
            raise BadInput(f"{top / part} holds no folders of images, one for each class: have torchvision.datasets."
                           f"ImageNet('{top}', '{part}') unpack the official archives and sort their images.")
    tell_left(top, left)
    return _found(top, parts["train"], parts["val"])


def _folders(part: Path) -> list[Path]:
    if not part.is_dir():
        return []
    return [Path(e.path) for e in visible(part) if e.is_dir()]


@lru_cache(maxsize=1)
def _from_shards(top: Path, stamps: tuple[tuple[str, str, int, int, int], ...]) -> Found:
    """From the index that is kept, or, as long as shards have come, gone or changed in size or time, from a new one."""
    from filelock import FileLock  # what follows is not needed to name a set
    from tqdm import tqdm

    known = digest([str(FORM), *(f"{stamp}" for stamp in stamps)])
    index = next((there for place in paths.found("cache") if (there := place / f"imagenet-{known}.json").exists()),
                 paths.kept("cache") / f"imagenet-{known}.json")
    try:
        if not index.exists():
            index.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(index.with_suffix(".lock")):
                if not index.exists():
                    bar = tqdm(stamps, unit="shard", desc="indexing", disable=None if len(stamps) > 10 else True)
                    files.write(index, json.dumps([[name, part, list(_members(top / name))] for name, part, *_ in bar]))
    except OSError as problem:
        raise BadInput(f"Where the images of {top} lie in its shards cannot be kept in {index.parent} "
                       f"({problem.strerror}): set REPLICATION_DATA to a folder of yours with a link to {top} in it."
                       ) from problem
    parts: dict[str, dict[int, list[Path | Member]]] = {"train": {}, "val": {}}
    for name, part, members in json.loads(index.read_text(encoding="utf-8")):
        for label, *member in members:
            parts[part].setdefault(label, []).append(Member(str(top / name), *member))
    names = {label: _class(label, some) for label, some in parts["train"].items()}
    train, val = ({names.get(label, f"{label:05}"): some for label, some in classes.items()}
                  for classes in parts.values())
    return _found(top, train, val)


def _class(label: int, members: Iterable[Path | Member]) -> str:
    """The wnid that begins the names of all its training images, or else its number."""
    found = {(match := NAME.search(_stem(member))) and match[1] for member in members}
    return found.pop() or f"{label:05}" if len(found) == 1 else f"{label:05}"


def _members(tar: Path) -> Iterator[tuple[int, str, int, int]]:
    """Of each image in a shard its label, name, offset and size. WebDataset's key is a path up to the first dot of its
    last part. Raises BadInput for a tar that cannot be read, and for an image without a label."""
    images: dict[str, tuple[str, int, int]] = {}
    labels: dict[str, int] = {}
    try:
        with tarfile.open(tar, "r:") as entries:
            for entry in entries:
                if not entry.isfile() or any(map(hidden, entry.name.removeprefix("./").split("/"))):
                    continue
                folder, _, last = entry.name.rpartition("/")
                stem, _, kind = last.partition(".")
                key = f"{folder}/{stem}"
                if f".{kind.lower()}" in SUFFIXES:
                    images[key] = last, entry.offset_data, entry.size
                elif kind in ("cls", "json"):
                    text = entries.extractfile(entry).read()  # type: ignore[union-attr]
                    value = json.loads(text)
                    value = value.get("label") if isinstance(value, dict) else value
                    if isinstance(value, int):
                        labels[key] = value
    except (OSError, EOFError, ValueError, tarfile.TarError) as problem:
        raise BadInput(f"{tar} cannot be read as a tar that is not compressed ({problem}); fetch it again, or remove "
                       f"it.") from problem
    for key, (name, offset, size) in images.items():
        if key not in labels:
            raise BadInput(f"{name} in {tar} has no label beside it, a number in a .cls or the \"label\" of a .json: "
                           f"that is no shard of WebDataset. torchvision.datasets.ImageNet unpacks the official "
                           f"archives.")
        yield labels[key], name, offset, size
    if not images:
        raise BadInput(f"{tar} holds no images ({', '.join(SUFFIXES)}): that is no shard of WebDataset. torchvision."
                       f"datasets.ImageNet unpacks the official archives.")


def _found(top: Path, train: dict[str, Any], val: dict[str, Any]) -> Found:
    """Raises BadInput for a class that is not in both, and for fewer than two."""
    classes = tuple(sorted(train))
    odd = sorted(name for name in train.keys() | val.keys() if not train.get(name) or not val.get(name))
    if odd or len(classes) < 2:
        what = f"no training or no validation images of {', '.join(odd[:3])}" if odd else "fewer than two classes"
        raise BadInput(f"{top} holds {what}: each class must be in both parts.")
    groups, held = (tuple(tuple(sorted(part[name], key=_order)) for name in classes) for part in (train, val))
    return Found(classes, groups, held, _whole(groups, held))


def _whole(train: Groups, val: Groups) -> bool:
    sizes = [[item.size if isinstance(item, Member) else item.stat().st_size for item in group] for group in val]
    padded = sum(512 + -(-size // 512) * 512 for group in sizes for size in group)
    return (len(train) == CLASSES and sum(map(len, train)) == TRAIN and {len(g) for g in val} == {VAL // CLASSES}
            and abs(padded / VAL_BYTES - 1) < 0.01
            and all(NAME.search(_stem(item)) for part in (train, val) for group in part for item in group))


def _stem(item: Path | Member) -> str:
    return item.name.partition(".")[0]


def _name(item: Path | Member) -> str:
    """The official one if it is in there: some shards have the wnid before it or behind it."""
    found = NAME.search(stem := _stem(item))
    return found[0] if found else stem


def _order(item: Path | Member) -> tuple[str, str]:
    return _name(item), str(item)
