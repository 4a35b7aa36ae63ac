"""Image files into squares of uint8: the pixels that a viewer shows.

Pillow opens nearly everything, but its `convert("RGB")` is no viewer: it cuts depths beyond 8 bits off at 255, lays
bare what transparency hides, and leaves photographs as the camera was held. Colour profiles are not applied, as nobody
does who trains on such sets; where one is not sRGB's, that is said once.
"""
from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageCms
from tqdm import tqdm

from replication.data.listing import Member
from replication.errors import BadInput

BATCH = 256

# By the number that EXIF gives what a camera saw: how it is turned upright.
UPRIGHT = dict(enumerate((Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM,
                          Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE,
                          Image.Transpose.ROTATE_90), 2))
DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")  # Pillow's modes of more than 8 bits
ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")
GROUNDS = (255, 0, 128)  # what transparent images may lie on: white, black, grey
NEAR, FEW = 32, 0.01  # a colour is seen on a ground that differs by so many levels; the share that need not be
# Of TIFF.
BITS, PHOTOMETRIC, COLOURS, FORMAT, LEAST, MOST = 258, 262, 320, 339, 340, 341
WHITE_IS_ZERO, SIGNED = 0, 2

Item = Path | Member | NDArray[np.uint8]


def square(image: Image.Image, side: int) -> NDArray[np.uint8]:
    """The centre square, bilinear, RGB: (side, side, 3). An image that has this form keeps its very pixels.

    Every pixel of the file is decoded. Pillow's `draft` would have libjpeg make large images smaller by 2, 4 or 8 while
    it decodes them, which is quicker and gives other pixels: 500×375 px are too few for it to do anything at 256, and
    of larger ones the result would depend on how much larger they are.
    """
    image = shown(image)
    short = min(image.size)
    left, top = ((length - short) / 2 for length in image.size)
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, (left, top, left + short, top + short)))


def shown(image: Image.Image) -> Image.Image:
    """RGB as a viewer shows it, upright; of several frames or pages the first, which is said once. RGB of 8 bits that
    is upright and opaque comes back as it is. Raises ValueError for what nobody can show faithfully."""
    with suppress(Exception):  # what follows the first frame may be broken
        if getattr(image, "is_animated", False):
            _say(f"Some {image.format} files hold several frames or pages; of each the first is taken.")
    deep = "16B" in str(getattr(image, "tile", ""))  # Pillow cuts such pixels to 8 bits, and not the key
    image.load()
    if deep and isinstance(key := image.info.get("transparency"), tuple):
        image.info["transparency"] = tuple(each >> 8 for each in key)
    if image.mode == "P" and COLOURS in (tags := getattr(image, "tag_v2", {})) and max(tags[COLOURS]) < 256:
        # old programs wrote 8 bits of 16
        image.putpalette(bytes(np.reshape(tags[COLOURS], (3, -1)).T.ravel().tolist()))
    _say_profile(image)
    turn = UPRIGHT.get(_orientation(image))
    if image.mode in DEEP:
        image = _of_8_bits(image)
    elif getattr(image, "tag_v2", {}).get(FORMAT, (1,))[0] == SIGNED:
        raise ValueError("its pixels are signed numbers, and nothing says which is black and which is white")
    if image.mode in ALPHA or "transparency" in image.info:
        image = _on_ground(image)
    elif image.mode == "LAB":
        image = _from_lab().apply(image)
    elif image.mode != "RGB":
        if image.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info:
            image = ImageChops.invert(image)  # Adobe writes inks inverted, and Pillow takes all for Adobe's
        image = image.convert("RGB")
    return image if turn is None else image.transpose(turn)


def _orientation(image: Image.Image) -> Any:
    with suppress(Exception):  # a viewer does not mind what else is wrong with it
        return image.getexif().get(274)


def _say_profile(image: Image.Image) -> None:
    with suppress(Exception):  # a viewer does not mind a broken one
        if held := image.info.get("icc_profile"):
            name = _profile(held)
            if "srgb" not in name.lower():
                _say(f"Some {image.format} files have the colours of the profile '{name}', and are taken as sRGB; "
                     f"convert them if that matters.")


@lru_cache
def _profile(held: bytes) -> str:
    return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(held))).strip()


@lru_cache
def _say(what: str) -> None:
    warnings.warn(what, stacklevel=3)


def _of_8_bits(image: Image.Image) -> Image.Image:
    """Grey of any depth to 8 bits, by the range of the depth, which alone is the same for all images: a file's own
    darkest and brightest pixel would make a faint picture look like a strong one."""
    values, tags = np.asarray(image), getattr(image, "tag_v2", {})
    low, high = 0.0, 65535.0  # Pillow's range of PNG, PNM and JPEG 2000
    if image.mode == "F":
        if LEAST not in tags or MOST not in tags:
            raise ValueError("its pixels are floats, and nothing says which is black and which is white")
        low, high = (float(np.ravel(tags[tag])[0]) for tag in (LEAST, MOST))
        if not (low < high and np.isfinite(values).all()):
            raise ValueError("its pixels are floats that are no shades of grey")
    elif tags.get(FORMAT, (1,))[0] == SIGNED or (image.mode == "I" and image.format not in ("PNG", "PPM", "TIFF")):
        raise ValueError("its pixels are signed numbers, and nothing says which is black and which is white")
    elif image.format == "TIFF":
        high = 2.0 ** tags[BITS][0] - 1
        values = values.view(np.uint32) if image.mode == "I" else values
    grey = np.rint((values.astype(np.float64) - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8)
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        grey = 255 - grey
    if (key := image.info.get("transparency")) is None:
        return Image.fromarray(grey)
    return Image.merge("LA", [Image.fromarray(grey), Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8))])


def _on_ground(image: Image.Image) -> Image.Image:
    """A transparent image on white, as viewers have it; on black or grey where more of it would be lost on white: white
    ink on nothing, or what is black here and white there."""
    if image.mode in ("La", "RGBa"):
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    image = image.convert("RGBA")
    pixels = np.asarray(image)
    alpha = pixels[..., 3]
    if alpha.min() == 255:
        return image.convert("RGB")
    if not alpha.any():
        raise ValueError("all of it is transparent")
    seen = alpha > 0
    colours, weights = pixels[seen][:, :3].astype(np.int16), alpha[seen].astype(np.float64)

    def lost(ground: int) -> float:
        return float(np.average(np.abs(colours - ground).max(1) < NEAR, weights=weights))

    ground = GROUNDS[0] if lost(GROUNDS[0]) <= FEW else min(GROUNDS, key=lost)
    return Image.alpha_composite(Image.new("RGBA", image.size, (ground,) * 3 + (255,)), image).convert("RGB")


@lru_cache
def _from_lab() -> ImageCms.ImageCmsTransform:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(lab, srgb, "LAB", "RGB")


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
