"""What is in a set besides what its name says, counted image by image and recording by recording.

Of Tiny-ImageNet: which images are grey, which are there twice, where the object is not in the picture. Of FSDD: who is
how loud, and what of a long recording is heard. Whatever is counted here, tests/data/counted.py counts again without
this package.
"""
from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from replication.data import speech, subset, tiny_imagenet
from replication.errors import BadInput

FORM = 1         # raised by hand when the same set would be counted otherwise
SIDE = tiny_imagenet.SIDE
FILE_GREY, PIXEL_GREY, COLOUR = "one channel", "three equal channels", "colour"
IOU = 0.5        # from which a box counts as found: ILSVRC's rule
JUDGED = 2000    # validation images, the first by number, whose nearest training image is looked for
CHUNK = 2000     # training images that are compared at a time
BLOCKS = 8       # an image is looked at in so many rows and columns of grey for near duplicates
ALIKE = 0.96     # correlation of these from which two images are looked at,
SURE = 0.94      # and that of twice as many in colour from which they are a pair
PLAIN = 8.0      # grey levels: the spread of an image of which any other plain one would be a near duplicate
FRAME = 0.02     # s, of which the quietest tell the noise floor

# What a pair is, of those that look alike as `alike` says it. NEAR is what eyes saw, who looked at each of them.
SAME, NEAR, OTHER = "identical pixels", "the same picture, changed", "another picture"
SEEN: frozenset[tuple[str, str]] = frozenset()

Images = NDArray[np.uint8]


# -- Tiny-ImageNet -------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Photographs:
    """`images`: a row an image: split, file, wnid, `stored`, the box x0 y0 x1 y1, `outside`, `whole` (the IoU of its box
    with the whole image). `pixels` are theirs, in this order, of training and validation."""
    images: pd.DataFrame
    pixels: Sequence[Images]

    def of(self, split: str) -> pd.DataFrame:
        return self.images[self.images.split == split]


def photographs() -> Photographs:
    """The Tiny-ImageNet that is here, whole or in part, as the loader gives it. Raises BadInput as `load.arrays` does,
    and where it leaves images out."""
    from replication.data import load  # torch

    kept, listing = load.arrays(load.resolve("tiny-imagenet-200")), tiny_imagenet.read()
    parts = []
    for split, groups, (pixels, labels, extra) in (("train", listing.train, kept.train), ("val", listing.val, kept.val)):
        files, own = subset.interleave(groups)
        if own != labels.tolist():
            raise BadInput(f"{listing.root} holds {len(own)} {split} images of which {len(labels)} could be decoded; "
                           f"unpack it from {tiny_imagenet.URL} again, since a set is examined as a whole.")
        parts.append(_looked_at(split, files, [listing.classes[label] for label in own], pixels, extra["box"]))
    return Photographs(pd.concat(parts, ignore_index=True), (kept.train[0], kept.val[0]))


def _looked_at(split: str, files: Sequence[Path], wnids: Sequence[str], pixels: Images,
               boxes: NDArray[np.int64]) -> pd.DataFrame:
    frame = pd.DataFrame({"split": split, "file": [file.name for file in files], "wnid": wnids})
    equal = np.concatenate([(part == part[..., :1]).all((1, 2, 3)) for part in _chunks(pixels)])
    frame["stored"] = [FILE_GREY if _one_channel(file) else PIXEL_GREY if grey else COLOUR
                       for file, grey in zip(files, equal, strict=True)]
    frame[["x0", "y0", "x1", "y1"]] = boxes
    frame["outside"], frame["whole"] = outside(boxes), whole(boxes)
    return frame


def _one_channel(file: Path) -> bool:
    with Image.open(file) as image:
        return image.mode == "L"


def _chunks(pixels: Images) -> list[Images]:
    return [pixels[start:start + CHUNK] for start in range(0, len(pixels), CHUNK)]


def outside(boxes: NDArray[np.int64], side: int = SIDE) -> NDArray[np.bool_]:
    """Whether a box (n, 4) is a line, or a point, on the border: what it stood around was cut away."""
    x0, y0, x1, y1 = boxes.T
    edge = (0, side - 1)
    return ((x0 == x1) & np.isin(x0, edge)) | ((y0 == y1) & np.isin(y0, edge))


def whole(boxes: NDArray[np.int64], side: int = SIDE) -> NDArray[np.float64]:
    """The IoU (n,) of each box with the whole image; nan where none is recorded."""
    x0, y0, x1, y1 = boxes.T
    return np.where(x0 < 0, np.nan, (x1 - x0 + 1) * (y1 - y0 + 1) / side ** 2)


def twins(of: Photographs) -> pd.DataFrame:
    """Every pair of images of which all pixels are equal: `a` and `b`, their positions."""
    groups: dict[bytes, list[int]] = {}
    for at, image in enumerate(image for pixels in of.pixels for image in pixels):
        groups.setdefault(hashlib.sha256(image.tobytes()).digest(), []).append(at)
    pairs = [pair for group in groups.values() for pair in combinations(group, 2)]
    return pd.DataFrame(sorted(pairs), columns=["a", "b"], dtype=np.int64)


def alike(of: Photographs) -> pd.DataFrame:
    """Pairs that look alike, as they are or with one of them mirrored: `a`, `b`, `mirrored` and `r`, the correlation of
    their colours in 16 by 16 blocks. Exact twins are among them, and pairs that are no near duplicates: it is for
    eyes to judge."""
    grey = np.concatenate([_seen(part, BLOCKS, False) for pixels in of.pixels for part in _chunks(pixels)])
    turned = np.ascontiguousarray(grey.reshape(-1, BLOCKS, BLOCKS)[:, :, ::-1]).reshape(grey.shape)
    found: list[tuple[int, int, bool]] = []
    for start in range(0, len(grey), CHUNK):
        for mirrored, other in ((False, grey), (True, turned)):
            near = grey[start:start + CHUNK] @ other[start:].T > ALIKE
            rows, columns = np.nonzero(near)
            found += [(start + int(a), start + int(b), mirrored) for a, b in zip(rows, columns, strict=True) if a < b]
    pixels = _Joined(of.pixels)
    rows = []
    for a, b, mirrored in found:
        one, two = (_seen(pixels[n][None], 2 * BLOCKS, True)[0] for n in (a, b))
        if mirrored:
            two = two.reshape(2 * BLOCKS, 2 * BLOCKS, 3)[:, ::-1].ravel()
        if (r := float(one @ two)) > SURE:
            rows.append({"a": a, "b": b, "mirrored": mirrored, "r": r})
    table = pd.DataFrame(rows, columns=["a", "b", "mirrored", "r"])
    return table.sort_values(["r", "a"], ascending=[False, True]).drop_duplicates(["a", "b"]).reset_index(drop=True)


class _Joined:
    """The arrays of both splits as one."""
    def __init__(self, parts: Sequence[Images]) -> None:
        self.parts = parts

    def __getitem__(self, at: int) -> Images:
        first = len(self.parts[0])
        return self.parts[0][at] if at < first else self.parts[1][at - first]


def _seen(pixels: Images, blocks: int, colour: bool) -> NDArray[np.float32]:
    """(n, H, W, 3) as the means of blocks² blocks, of each colour or of grey, about their mean and of length 1; 0 where
    there is nothing to be seen."""
    size = pixels.shape[1] // blocks
    means = pixels.reshape(len(pixels), blocks, size, blocks, size, 3).mean((2, 4), dtype=np.float32)
    flat = (means if colour else means.mean(3)).reshape(len(pixels), -1)
    flat -= flat.mean(1, keepdims=True)
    flat[flat.std(1) < PLAIN] = 0
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)


def nearest(train: Images, val: Images) -> NDArray[np.int64]:
    """Of each of `val` the position of the image of `train` whose pixels differ by the smallest sum of squares, the
    first of equals. Floats choose the three best parts of the training images, whole numbers among their best."""
    flat = val.reshape(len(val), -1).astype(np.float32) - 128
    first, least = [], []
    for start in range(0, len(train), CHUNK):
        part = train[start:start + CHUNK].reshape(-1, flat.shape[1]).astype(np.float32) - 128
        far = np.square(part).sum(1) - 2 * flat @ part.T  # without what is of the validation image alone
        first.append(start + far.argmin(1))
        least.append(far.min(1))
    candidates, order = np.stack(first, 1), np.stack(least, 1).argsort(1, kind="stable")[:, :3]
    found = []
    for image, own in zip(val, np.take_along_axis(candidates, order, 1), strict=True):
        own = np.sort(own)
        far = np.square(train[own].astype(np.int64) - image).sum((1, 2, 3))
        found.append(own[far.argmin()])
    return np.array(found, np.int64)


# -- FSDD ----------------------------------------------------------------------------------------------------------
def recordings() -> pd.DataFrame:
    """A row a recording of the FSDD that is here: file, digit, speaker, `seconds`; of its samples the `mean`, `step`
    (the largest number that divides all: 256 of what was 8 bit), `loud` and `floor` (dB below full scale: all of it,
    and the quietest twentieth of its frames); of its energy the shares that the `middle` and the `loudest` second
    hold. Raises BadInput as `sound.samples` does."""
    from replication.data import sound  # torch

    rate = speech.SETS["fsdd"].features.rate
    rows: list[dict[str, Any]] = []
    for file in speech.read("fsdd", (speech.MIXED,)).files:
        digit, speaker, _ = file.stem.split("_")
        samples = sound.samples(file, rate).astype(np.int64)
        energy = np.square(samples)
        frames = energy[:len(energy) // (frame := round(FRAME * rate)) * frame].reshape(-1, frame).mean(1)
        kept = {name: float(np.square(second.astype(np.int64)).sum() / max(1, energy.sum()))
                for name, second in (("middle", sound.middle(samples, rate)), ("loudest", sound.loudest(samples, rate)))}
        rows.append({"file": file.name, "digit": digit, "speaker": speaker, "seconds": len(samples) / rate,
                     "mean": samples.mean(), "step": int(np.gcd.reduce(samples)), "loud": _db(energy.mean()),
                     "floor": _db(float(np.quantile(frames, 0.05))), **kept})
    return pd.DataFrame(rows)


def _db(power: float) -> float:
    return float(10 * np.log10(max(power, 0.01) / 2 ** 30))


def told_apart(of: pd.DataFrame, columns: Sequence[str] = ("mean", "loud", "floor")) -> float:
    """The share of recordings whose nearest other one, by these numbers each over its spread, is of the same speaker."""
    values = of[list(columns)].to_numpy(float)
    values = (values - values.mean(0)) / np.maximum(values.std(0), 1e-9)
    far = np.square(values).sum(1)[:, None] + np.square(values).sum(1) - 2 * values @ values.T
    np.fill_diagonal(far, np.inf)
    speakers = of.speaker.to_numpy()
    return float((speakers[far.argmin(1)] == speakers).mean())
