"""Image files into squares of uint8."""
from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from replication.errors import BadInput

BATCH = 256


def square(image: Image.Image, side: int) -> NDArray[np.uint8]:
    """The centre square, bilinear, RGB: (side, side, 3). An image that has this form keeps its very pixels."""
    image = image.convert("RGB")
    short = min(image.size)
    left, top = ((length - short) / 2 for length in image.size)
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, (left, top, left + short, top + short)))


def _one(item: Path | NDArray[np.uint8], side: int) -> NDArray[np.uint8] | Exception:
    try:
        if isinstance(item, Path):
            with Image.open(item) as image:
                return square(image, side)
        return square(Image.fromarray(item), side)
    except Exception as error:  # Pillow raises nearly any kind on broken files
        return error


def squares(items: Sequence[Path | NDArray[np.uint8]], side: int, skip: bool) -> Iterator[
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
            for position, image in enumerate(pool.map(_one, batch, [side] * len(batch)), start):
                if isinstance(image, np.ndarray):
                    good.append(image)
                    positions.append(position)
                elif not skip:
                    raise BadInput(f"{items[position]} cannot be decoded ({image}); remove it, or set "
                                   f"REPLICATION_SKIP_BAD=1 to go on without such images.")
            bar.update(len(batch))
            if good:
                yield np.stack(good), positions
