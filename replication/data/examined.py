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
JUDGED = 2000    # validation images, the first by number, whose nearest training image is looked for
CHUNK = 2000     # training images that are compared at a time
BLOCKS = 8       # an image is looked at in so many rows and columns of grey for near duplicates
ALIKE = 0.8      # correlation of their edges from which two images are compared,
SURE = 0.8       # and that of twice as many in colour from which eyes look at them
PLAIN = 4.0      # grey levels: the spread of the edges of an image that has none
FRAME = 0.02     # s, of which the quietest tell the noise floor

# What a pair is, of those that look alike as `alike` says it. NEAR is what eyes saw, who looked at each of them.
SAME, NEAR, OTHER = "identical pixels", "the same picture, changed", "another picture"
SEEN = (
    ("n02669723_186.JPEG", "n04532106_293.JPEG"),  # a gown, mirrored
    ("n02395406_146.JPEG", "n02395406_211.JPEG"),  # a hog, mirrored and recoloured
    ("n02129165_223.JPEG", "n02129165_487.JPEG"),  # a lion, sharpened
    ("n01644900_54.JPEG", "n01644900_483.JPEG"),   # a frog, mirrored and recoloured
    ("n01784675_89.JPEG", "n01784675_464.JPEG"),   # a centipede, before another ground
    ("n03796401_68.JPEG", "n03796401_259.JPEG"),   # a van, mirrored, its lettering gone
    ("n02815834_38.JPEG", "n02815834_142.JPEG"),   # beakers, mirrored and cut otherwise
    ("n02125311_194.JPEG", "n02125311_215.JPEG"),  # a cougar, mirrored
    ("n02099712_247.JPEG", "n02099712_377.JPEG"),  # a dog, cut a little otherwise
    ("n07747607_140.JPEG", "n07747607_204.JPEG"),  # an orange, cut a little otherwise
    ("n02106662_63.JPEG", "n02106662_485.JPEG"),   # two dogs, mirrored
    ("n01443537_319.JPEG", "val_7281.JPEG"),       # a goldfish, mirrored, before another ground
    ("n03706229_410.JPEG", "val_4625.JPEG"),       # a compass on a cover, recoloured
    ("n07753592_100.JPEG", "val_3730.JPEG"),       # a hand with a banana, before another ground
)

Images = NDArray[np.uint8]


# -- Tiny-ImageNet -------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Photographs:
    """`images`: a row an image: split, file, wnid, `stored`, the box x0 y0 x1 y1, `outside`, `whole` (the IoU of its
    box with the whole image). `pixels` are theirs, in this order, of training and validation."""
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
    for split, groups, part in (("train", listing.train, kept.train), ("val", listing.val, kept.val)):
        pixels, labels, extra = part
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


def outside(boxes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether a box (n, 4) is a line, or a point, on the border: what it stood around was cut away."""
    x0, y0, x1, y1 = boxes.T
    edge = (0, SIDE - 1)
    return ((x0 == x1) & np.isin(x0, edge)) | ((y0 == y1) & np.isin(y0, edge))


def whole(boxes: NDArray[np.int64]) -> NDArray[np.float64]:
    """The IoU (n,) of each box with the whole image; nan where none is recorded."""
    x0, y0, x1, y1 = boxes.T
    return np.where(x0 < 0, np.nan, (x1 - x0 + 1) * (y1 - y0 + 1) / SIDE ** 2)


def twins(of: Photographs) -> pd.DataFrame:
    """Every pair of images of which all pixels are equal: `a` and `b`, their positions."""
    groups: dict[bytes, list[int]] = {}
    for at, image in enumerate(image for pixels in of.pixels for image in pixels):
        groups.setdefault(hashlib.sha256(image.tobytes()).digest(), []).append(at)
    pairs = [pair for group in groups.values() for pair in combinations(group, 2)]
    return pd.DataFrame(sorted(pairs), columns=["a", "b"], dtype=np.int64)


def alike(of: Photographs) -> pd.DataFrame:
    """Pairs with edges at the same places, as they are or with one of them mirrored: `a`, `b`, `mirrored` and `r`, the
    correlation of the edges of their colours between 16 by 16 blocks. Every image is compared with every validation
    image, and training images with those of their class. Exact twins are among what is found, and pairs that are no
    near duplicates: it is for eyes to judge."""
    straight, turned = (tuple(np.concatenate([
        _edges(part[:, :, ::step], blocks, coloured) for pixels in of.pixels for part in _chunks(pixels)])
        for blocks, coloured in ((BLOCKS, False), (2 * BLOCKS, True))) for step in (1, -1))
    tables = []
    for mirrored, (grey, colour) in ((False, straight), (True, turned)):
        for those, others in _compared(of):
            near, with_ = np.nonzero(straight[0][those] @ grey[others].T > ALIKE)
            a, b = np.arange(len(grey))[those][near], np.arange(len(grey))[others][with_]
            a, b = a[a < b], b[a < b]
            r = np.concatenate([np.einsum("nk,nk->n", straight[1][a[at:at + CHUNK]], colour[b[at:at + CHUNK]])
                                for at in range(0, len(a) + 1, CHUNK)])
            tables.append(pd.DataFrame({"a": a, "b": b, "mirrored": mirrored, "r": r})[r > SURE])
    return (pd.concat(tables).sort_values(["r", "a", "b"], ascending=[False, True, True])
            .drop_duplicates(["a", "b"]).reset_index(drop=True))


def _compared(of: Photographs) -> list[tuple[Any, Any]]:
    """Positions, and those that they are compared with."""
    train = of.of("train")
    val = slice(len(train), None)
    across = [(slice(start, start + CHUNK), val) for start in range(0, len(of.images), CHUNK)]
    return across + [(own, own) for own in train.groupby("wnid").indices.values()]


def _edges(pixels: Images, blocks: int, coloured: bool) -> NDArray[np.float32]:
    """Of (n, H, W, 3) the differences between neighbouring ones of blocks² blocks, in each colour or in grey, as rows
    of length 1; 0 where there are none to be seen."""
    n, size = len(pixels), pixels.shape[1] // blocks
    means = pixels.reshape(n, blocks, size, blocks, size, 3).mean((2, 4), dtype=np.float32)
    means = means if coloured else means.mean(3, keepdims=True)
    flat = np.concatenate([np.diff(means, axis=axis).reshape(n, -1) for axis in (1, 2)], 1)
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
                for name, second in (("middle", sound.middle(samples, rate)),
                                     ("loudest", sound.loudest(samples, rate)))}
        rows.append({"file": file.name, "digit": digit, "speaker": speaker, "seconds": len(samples) / rate,
                     "mean": samples.mean(), "step": int(np.gcd.reduce(samples)), "loud": _db(energy.mean()),
                     "floor": _db(float(np.quantile(frames, 0.05))), **kept})
    return pd.DataFrame(rows)


def _db(power: float) -> float:
    return float(10 * np.log10(max(power, 0.01) / 2 ** 30))


def told_apart(of: pd.DataFrame, columns: Sequence[str] = ("mean", "loud", "floor")) -> float:
    """The share of recordings whose nearest other one, by these numbers each over its spread, has the same speaker."""
    values = of[list(columns)].to_numpy(float)
    values = (values - values.mean(0)) / np.maximum(values.std(0), 1e-9)
    far = np.square(values).sum(1)[:, None] + np.square(values).sum(1) - 2 * values @ values.T
    np.fill_diagonal(far, np.inf)
    speakers = of.speaker.to_numpy()
    return float((speakers[far.argmin(1)] == speakers).mean())
