"""Experiments, pictures, archives and stores that take no time."""
from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from replication.data.load import load
from replication.data.registry import resolve
from replication.models.ops import BatchNorm
from replication.runs.experiments import Average, Experiment, RMSProp
from replication.studies import workers
from replication.studies.compose import compose
from replication.studies.setting import Setting
from replication.training import lanes

SETTING = Setting(images=40, val_images=20, resolution=32, width=0.125, stem=4, epochs=2, batch=20)
# As published, and all that carries a state: statistics, squares of gradients, a running average.
EXPERIMENTS: dict[str, Experiment] = {
    "SGD, LRN, two heads": compose("googlenet", SETTING),
    "RMSProp, BN, averaged": compose("googlenet", SETTING, {
        "network.norm": BatchNorm(), "network.aux": ("4a",), "recipe.optimiser": RMSProp(),
        "recipe.average": Average()})}
STEPS = SETTING.epochs * (SETTING.images or 0) // SETTING.batch


def train(name: str, seed: int) -> None:
    """As a worker does it, in this process."""
    lanes.finish(workers._one((name, EXPERIMENTS[name], seed), lambda _: None, float("inf"), lambda: False,
                              lambda: 0.0))


def pictures(top: Path, classes: tuple[str, ...] = ("bee", "cow", "dog"), each: int = 10, side: int = 40) -> Path:
    """A folder of images, a folder a class."""
    drawn = np.random.default_rng(0)
    for name in classes:
        (top / name).mkdir(parents=True, exist_ok=True)
        for n in range(each):
            Image.fromarray(drawn.integers(0, 256, (side, side, 3), np.uint8)).save(top / name / f"{n}.png")
    return top


def shards(top: Path, images: int = 12) -> Path:
    """ImageNet in WebDataset's form, two classes."""
    top.mkdir(parents=True)
    drawn = np.random.default_rng(1)
    for part in ("train", "val"):
        with tarfile.open(top / f"imagenet-{part}-000000.tar", "w") as tar:
            for n in range(images):
                held = io.BytesIO()
                Image.fromarray(drawn.integers(0, 256, (40, 40, 3), np.uint8)).save(held, "PNG")
                for suffix, content in ((".jpg", held.getvalue()), (".cls", str(n % 2).encode())):
                    entry = tarfile.TarInfo(f"{part}{n:04d}{suffix}")
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))
        os.utime(top / f"imagenet-{part}-000000.tar", (1e9, 1e9))  # its time names its index
    return top


def decode(dataset: str, resolution: int = 24) -> None:
    load(resolve(dataset, resolution=resolution))


def packed(names: dict[str, bytes], kind: str = "zip") -> bytes:
    """An archive with these files."""
    held = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(held, "w") as archive:
            for name, content in names.items():
                archive.writestr(zipfile.ZipInfo(name), content)  # of 1980: the same bytes each time
    else:
        with tarfile.open(fileobj=held, mode="w:gz") as tar:
            for name, content in names.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return held.getvalue()


# -- what lies in a folder ------------------------------------------------------------------------------------------
STAMPED = re.compile("imagenet-[0-9a-f]{12}")  # the times of shards, which copies do not share, name their index


def bits(place: Path, skip: Callable[[str], bool] = lambda name: False) -> dict[str, str]:
    """Every file below a folder, by name, with a digest of what is in it: of tensors and arrays the numbers, of an
    archive its entries; of provenance, which tells of time, that it is there."""
    found = {}
    for path in sorted(p for p in place.rglob("*") if not p.is_dir() or p.is_symlink()):
        name = STAMPED.sub("imagenet-index", path.relative_to(place).as_posix())
        if not skip(name):
            found[name] = _digest(path, place)
    return found


def _digest(path: Path, place: Path) -> str:
    if path.name == "provenance.json":
        return "there"
    try:
        return hashlib.sha256(_content(path, place)).hexdigest()[:16]
    except Exception as problem:
        return f"cannot be read: {problem}"


def _content(path: Path, place: Path) -> bytes:
    if path.suffix == ".pt":
        return _plain(torch.load(path, weights_only=True))
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as held:
            return b"".join(name.encode() + held[name].tobytes() for name in sorted(held.files))
    if path.suffix == ".tar" and path.name.startswith("bundle"):
        with tarfile.open(path, "r:gz") as tar:
            return b"".join(one.name.encode() + tar.extractfile(one).read()  # type: ignore[union-attr]
                            for one in sorted(tar, key=lambda one: one.name)
                            if not one.name.endswith("provenance.json"))
    return path.read_bytes().replace(str(place).encode(), b"PLACE")


def _plain(value: Any) -> bytes:
    """Of a checkpoint, all but how long it took."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().contiguous().numpy().tobytes()
    if isinstance(value, dict):
        return b"".join(repr(key).encode() + _plain(value[key]) for key in value if key != "seconds")
    if isinstance(value, (list, tuple)):
        return b"".join(map(_plain, value))
    return repr(value).encode()
