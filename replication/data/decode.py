"""Image files into squares of uint8."""
from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from replication.data.listing import Member
from replication.errors import BadInput

BATCH = 256

Item = Path | Member | NDArray[np.uint8]


def square(image: Image.Image, side: int) -> NDArray[np.uint8]:
    """The centre square, bilinear, RGB: (side, side, 3). An image that has this form keeps its very pixels.

    Every pixel of the file is decoded. Pillow's `draft` would have libjpeg make large images smaller by 2, 4 or 8 while
    it decodes them, which is quicker and gives other pixels: 500×375 px are too few for it to do anything at 256, and
    of larger ones the result would depend on how much larger they are.
    """
    if image.mode != "RGB":
        image = image.convert("RGB")
    short = min(image.size)
    left, top = ((length - short) / 2 for length in image.size)
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, (left, top, left + short, top + short)))


def one(item: Item, side: int) -> NDArray[np.uint8] | Exception:
    """The square of one image, or why there is none. What a file is, its content says: some of ILSVRC's .JPEG is a PNG.
    """
    try:
        if isinstance(item, np.ndarray):
            return square(Image.fromarray(item), side)
        with Image.open(io.BytesIO(_content(item))) as image:
            return square(image, side)
    except Image.UnidentifiedImageError:
        return ValueError("it is no image of any known kind")
    except Exception as error:  # Pillow raises nearly any kind on broken files
        return error


def _content(item: Path | Member) -> bytes:
    """In one go, which Pillow would read in many."""
    path, offset, size = (item.tar, item.offset, item.size) if isinstance(item, Member) else (item, 0, -1)
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(size)


def squares(items: Sequence[Item], side: int, skip: bool) -> Iterator[
        tuple[NDArray[np.uint8], list[int]]]:
    """Batches of (images (n, side, side, 3), positions in `items`), in order; bad items are left out if `skip`.

    Raises BadInput, naming the file, at the first item that cannot be decoded otherwise. Threads, because Pillow lets
    go of the interpreter while it decodes, and because they work inside any kind of worker process.
    """
    bar = tqdm(total=len(items), unit="image", desc="decoding", disable=None if len(items) > 5000 else True)
    with bar, ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(items), BATCH):
            batch = items[start:start + BATCH]
            good, positions = [], []
            for position, image in enumerate(pool.map(one, batch, [side] * len(batch)), start):
                if isinstance(image, np.ndarray):
                    good.append(image)
                    positions.append(position)
                elif not skip:
                    raise BadInput(f"{items[position]} cannot be decoded ({image}); remove it, or set "
                                   f"REPLICATION_SKIP_BAD=1 to go on without such images.")
            bar.update(len(batch))
            if good:
                yield np.stack(good), positions
