"""Made-up photographs as large as ILSVRC's: 500×375 px in about 110 kB of JPEG, and sets of them in its layout."""
from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image


def photograph(seed: int) -> bytes:
    """Colour noise whose octaves are each 0.7 times as strong as the next coarser one, as in pictures of things, and a
    little grain: the quality makes the size."""
    random, width, height = np.random.RandomState(seed), 500, 375
    whole = 0.05 * random.randn(height, width, 1)
    for octave in range(1, 9):
        coarse = random.rand(2 ** octave * height // width + 1, 2 ** octave, 3).astype(np.float32)
        fine = [Image.fromarray(coarse[..., c]).resize((width, height), Image.Resampling.BICUBIC) for c in range(3)]
        whole = whole + 0.7 ** octave * np.stack([np.asarray(one) for one in fine], 2)
    low, high = np.percentile(whole, (1, 99))
    file = io.BytesIO()
    pixels = ((whole - low) / (high - low)).clip(0, 1) * 255
    Image.fromarray(pixels.astype(np.uint8)).save(file, "JPEG", quality=95)
    return file.getvalue()


def folders(top: Path, classes: int, train: int, val: int) -> None:
    """So many of each class, below top/train and top/val."""
    for c in range(classes):
        wnid = f"n{1440764 + 1000 * c:08d}"
        for k in range(train + val):
            part, name = ("train", f"{wnid}_{k}") if k < train else (
                "val", f"ILSVRC2012_val_{1 + c * val + k - train:08d}")
            (top / part / wnid).mkdir(parents=True, exist_ok=True)
            (top / part / wnid / f"{name}.JPEG").write_bytes(photograph((train + val) * c + k))


def shards(folders: Path, top: Path) -> None:
    """The same images as WebDataset's shards, two a part."""
    top.mkdir(parents=True)
    for part in ("train", "val"):
        wnids = sorted(path.name for path in (folders / part).iterdir())
        files = sorted((folders / part).glob("*/*"), key=lambda path: path.name[::-1])
        for s in range(2):
            with tarfile.open(top / f"imagenet-{part}-{s:06d}.tar", "w") as tar:
                for path in files[s::2]:
                    label = f"{wnids.index(path.parent.name)}".encode()
                    for kind, content in (("cls", label), ("jpg", path.read_bytes())):
                        entry = tarfile.TarInfo(f"{path.stem}.{kind}")
                        entry.size = len(content)
                        tar.addfile(entry, io.BytesIO(content))
