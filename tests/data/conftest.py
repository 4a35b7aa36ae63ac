from __future__ import annotations

import io
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REAL = os.environ.get("REPLICATION_DATA")


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch) -> Path:
    """A place for data of the test's own: nothing here may read or fill the developer's."""
    place = tmp_path / "data"
    place.mkdir()
    monkeypatch.setenv("REPLICATION_DATA", str(place))
    monkeypatch.delenv("REPLICATION_SKIP_BAD", raising=False)
    return place


@pytest.fixture
def real_tiny(root, monkeypatch) -> Path | None:
    """Tiny-ImageNet where REPLICATION_DATA had it before the test; only linked, so that caches stay in `root`."""
    official = Path(REAL or "/nowhere") / "tiny-imagenet-200"
    if not official.is_dir():
        return None
    (root / "tiny-imagenet-200").symlink_to(official.resolve())
    if (notes := official.parent / "content/official.json").is_file():  # or its pixels are compared for every test
        (root / "content").mkdir()
        shutil.copy(notes, root / "content")
    return root / "tiny-imagenet-200"


@pytest.fixture
def picture():
    """picture(path, colour, size): a plain image of one colour, or of given pixels, written as the suffix says."""
    def write(path: Path, colour=(0, 0, 0), size=(64, 64), mode="RGB") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(colour) if isinstance(colour, np.ndarray) else Image.new(mode, size, colour)
        image.save(path, quality=95) if path.suffix.lower() in (".jpeg", ".jpg") else image.save(path)
        return path
    return write


@pytest.fixture
def tiny(root, picture):
    """tiny(train=…, val=…): Tiny-ImageNet's layout with three classes, whose images are (40 * class, 2 * number, 100).

    Val numbers run backwards through the classes, so that no order of files gives the labels away.
    """
    def build(train=range(12), val=range(12)) -> Path:
        top = root / "tiny-imagenet-200"
        wnids = ["n03", "n01", "n02"]  # as wnids.txt, not sorted
        for c, wnid in enumerate(sorted(wnids)):
            boxes = []
            for number in train:
                name = f"{wnid}_{number}.JPEG"
                picture(top / "train" / wnid / "images" / name, (40 * c, 2 * number, 100))
                boxes.append(f"{name}\t{number}\t{c}\t{40 + number}\t63")
            (top / "train" / wnid / f"{wnid}_boxes.txt").write_text("\n".join(boxes) + "\n")
        lines = []
        for number in val:
            c = 2 - number % 3
            picture(top / "val/images" / f"val_{number}.JPEG", (40 * c, 2 * number, 100))
            lines.append(f"val_{number}.JPEG\t{sorted(wnids)[c]}\t1\t2\t{30 + number}\t4")
        (top / "val/val_annotations.txt").write_text("\n".join(lines) + "\n")
        (top / "wnids.txt").write_text("\n".join(wnids) + "\n")
        return top
    return build


@pytest.fixture
def ilsvrc(root, picture):
    """ilsvrc(classes, train, val, size): ILSVRC-2012's layout in folders, of noise of which no two images are alike."""
    def build(classes=3, train=4, val=2, size=(80, 60)) -> Path:
        for c in range(classes):
            wnid = f"n0144{c}764"
            for k in range(train + val):
                part, name = ("train", f"{wnid}_{37 * k}") if k < train else (
                    "val", f"ILSVRC2012_val_{1 + classes * (k - train) + c:08d}")
                pixels = np.random.RandomState(100 * c + k).randint(256, size=(*size[::-1], 3)).astype(np.uint8)
                picture(root / "imagenet" / part / wnid / f"{name}.JPEG", pixels)
        return root / "imagenet"
    return build


@pytest.fixture
def shards():
    """shards(top): the same images as shards of WebDataset in place of the folders, in an order of their own, two
    shards a part. `key` names an image by its class, its file and its number, `label` says what lies beside it."""
    def build(top: Path, key=lambda wnid, stem, n: stem, label=lambda c: ("cls", str(c)), image="jpg") -> None:
        for part in ("train", "val"):
            paths = sorted((top / part).glob("*/*"))
            classes = sorted({path.parent.name for path in paths})
            for s in range(2):
                with tarfile.open(top / f"imagenet-{part}-{s:06d}.tar", "w") as tar:
                    for n, path in list(enumerate(sorted(paths, key=lambda path: path.read_bytes())))[s::2]:
                        name = key(path.parent.name, path.stem, n)
                        kind, text = label(classes.index(path.parent.name))
                        for last, content in ((kind, text.encode()), (image, path.read_bytes())):
                            entry = tarfile.TarInfo(f"{name}.{last}")
                            entry.size = len(content)
                            tar.addfile(entry, io.BytesIO(content))
            shutil.rmtree(top / part)
    return build
