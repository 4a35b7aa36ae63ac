"""From a value to tensors: sets that the registry says how to read, and those that need a function of their own."""
from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from replication.data import (
    cache,
    content,
    digits,
    folder,
    imagenet,
    shapes,
    sound,
    spec,
    speech,
    streamed,
    subset,
    tiny_imagenet,
)
from replication.data.cache import Kept, Part, Source
from replication.data.listing import ByClass
from replication.data.registry import KNOWN, NAMES, VALID, resolve
from replication.data.streamed import Streamed
from replication.errors import BadInput, unknown

MADE = ("shapes", "digits", *speech.SETS)  # anew in every process: there are no files of theirs to be decoded


@dataclass(frozen=True)
class Split:
    """`images` is uint8 (N, 3, H, W), NHWC in memory (channels_last), perhaps mapped from a file, or decoded when asked
    for (`streamed`); `labels` int64 (N,). Of sound it is float32 (N, features, frames, 1) (see `spec.LogMel`).

    `extra` holds what a set knows besides, by name: `radius` float32 (N,) of shapes, in fractions of the side; `box`
    int64 (N, 4) of Tiny-ImageNet, x0 y0 x1 y1 in px of these images, corners included, -1 where unknown.
    """
    images: torch.Tensor | Streamed
    labels: torch.Tensor
    extra: dict[str, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Loaded:
    """`skipped` counts files that lie among the images of a folder and are none, and images that could not be decoded,
    where REPLICATION_SKIP_BAD=1 asked to go on without them."""
    classes: tuple[str, ...]
    train: Split
    val: Split
    skipped: int = 0


def load(data: spec.Data) -> Loaded:
    """The images of a resolved value, downloaded and decoded first where they are not here yet.

    Images are resized to `data.resolution` px a side, and grey ones become RGB: once, where decoded sets are kept,
    memory-mapped, under `paths.kept("cache")`, or each time they are asked for, where they would be too many
    (`streamed.wanted`). Shapes, digits and sound are made anew in every process. Treat the tensors as read-only. Raises
    BadInput with one sentence for whatever cannot be had.
    """
    if data.name not in NAMES:
        raise unknown("data set", data.name, VALID)
    content.forget()
    if None in (data.classes, data.train_images, data.val_images):
        data = resolve(data.name, data.resolution, data.classes, data.train_images, data.val_images, data.features,
                       data.held, data.part)

    if data.name not in MADE and streamed.wanted(data):
        classes, *sources = _source(data)(data)
        train, val = (Split(Streamed(source.images, data.resolution), torch.tensor(source.labels), {
            name: torch.from_numpy(rows) for name, rows in source.extra.items()}) for source in sources)
        return Loaded(classes, train, val, sum(source.left for source in sources))

    def split(part: Part) -> Split:
        images, labels, extra = part
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # an array that is not writable
            return Split(torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels),
                         {name: torch.from_numpy(rows) for name, rows in extra.items()})

    kept = arrays(data)
    return Loaded(kept.classes, split(kept.train), split(kept.val), kept.skipped)


def arrays(data: spec.Data) -> Kept:
    """The arrays of a resolved value. Raises BadInput as what reads it does."""
    if data.name == "shapes":
        return _shapes(data)
    if data.name == "digits":
        return _digits(data)
    if data.name in speech.SETS:
        return _speech(data, speech.root(data.name))
    return cache.keep(data, _source(data))


def _source(data: spec.Data) -> Callable[[spec.Data], tuple[tuple[str, ...], Source, Source]]:
    return {"tiny-imagenet-200": _tiny, "imagenet": _imagenet, "folder": _folder}.get(data.name, _known)


def _known(data: spec.Data) -> tuple[tuple[str, ...], Source, Source]:
    read = KNOWN[data.name].read
    assert read is not None, f"{data.name} is made or read above"
    return _by_class(data, read(data))


def _shapes(data: spec.Data) -> Kept:
    names = tuple(shapes.SHAPES)
    classes = tuple(names[c] for c in _chosen(data, len(names)))

    def part(n: int, seed: int) -> Part:
        images, labels, radius = shapes.split(n, seed, data.resolution, classes)
        return images, labels, {"radius": radius}

    train, val = shapes.SEEDS[data.part]
    return Kept(classes, part(data.train_images or 0, train), part(data.val_images or 0, val))


def _digits(data: spec.Data) -> Kept:
    images, labels = digits.read(data.resolution)
    chosen = _chosen(data, 10)

    def part(groups: Sequence[Sequence[int]], n: int | None) -> Part:
        positions, relabelled = _shared(data, [groups[c] for c in chosen], n)
        return images[positions], np.asarray(relabelled, np.int64), {}

    train, val = _parted(data, *digits.halves(labels))
    return Kept(tuple(str(c) for c in chosen), part(train, data.train_images), part(val, data.val_images))


@lru_cache(maxsize=1)
def _speech(data: spec.Data, root: Path) -> Kept:
    assert data.features is not None  # resolved
    assert data.held is not None
    of = data.features
    speech.obtain(data.name)
    found = speech.read(data.name, data.held)
    if found.content != data.content:
        raise BadInput(f"{root} is not what this run names, which is {'a part' if data.content else 'all'} of it; "
                       f"unpack {speech.SETS[data.name].url} there, or ask for {data.name} anew.")
    chosen = _chosen(data, len(found.classes))

    def part(groups: Sequence[Sequence[speech.Clip]], n: int | None) -> Part:
        clips, labels = _shared(data, [groups[c] for c in chosen], n)
        return sound.features(sound.seconds(clips, of), of), np.asarray(labels, np.int64), {}

    train, val = _parted(data, found.train, found.val)
    return Kept(tuple(found.classes[c] for c in chosen), part(train, data.train_images), part(val, data.val_images))


def _tiny(data: spec.Data) -> tuple[tuple[str, ...], Source, Source]:
    tiny_imagenet.obtain()
    listing = tiny_imagenet.read()
    if tiny_imagenet.content(listing) != data.content:
        raise BadInput(f"{listing.root} is not what this run names, which is {'a part' if data.content else 'all'} "
                       f"of it; unpack the rest of {tiny_imagenet.URL}, or ask for tiny-imagenet-200 anew.")
    classes, train, val = _by_class(data, listing.by_class)

    def boxed(source: Source) -> Source:
        boxes = tiny_imagenet.boxes([f for f in source.images if isinstance(f, Path)], data.resolution)
        return replace(source, extra={"box": np.asarray(boxes, np.int64)})

    return classes, replace(boxed(train), left=listing.left), boxed(val)


def _imagenet(data: spec.Data) -> tuple[tuple[str, ...], Source, Source]:
    found = imagenet.read()
    if found.content != data.content:
        wanted = "other images" if data.content else "all of ILSVRC-2012"
        raise BadInput(f"{imagenet.root()} is not what this run names, which is {wanted}: put that there, or ask for "
                       f"imagenet anew.")
    return _by_class(data, found.by_class)


def _folder(data: spec.Data) -> tuple[tuple[str, ...], Source, Source]:
    listing = folder.find(data.content or "")
    classes, train, val = _by_class(data, listing.by_class)
    return classes, replace(train, left=listing.left), val


def _by_class(data: spec.Data, whole: ByClass) -> tuple[tuple[str, ...], Source, Source]:
    """As many classes and images of a set as are asked for."""
    classes, train, val = whole[0], *_parted(data, *whole[1:])
    chosen = _chosen(data, len(classes))
    return (tuple(classes[c] for c in chosen), Source(*_shared(data, [train[c] for c in chosen], data.train_images)),
            Source(*_shared(data, [val[c] for c in chosen], data.val_images)))


def _parted(data: spec.Data, train: Sequence[Sequence[subset.T]], val: Sequence[Sequence[subset.T]],
            ) -> tuple[Sequence[Sequence[subset.T]], Sequence[Sequence[subset.T]]]:
    return subset.pilot(train) if data.part else (train, val)


def _chosen(data: spec.Data, n: int) -> list[int]:
    return subset.evenly(n, data.classes or n)


def _shared(data: spec.Data, groups: Sequence[Sequence[subset.T]], n: int | None) -> tuple[list[subset.T], list[int]]:
    images, labels = subset.interleave(groups, n)
    if n is not None and len(images) < n:
        raise BadInput(f"{data.name} holds {len(images)} images where {n} are asked for; ask for fewer, or unpack "
                       f"the set again.")
    return images, labels
