"""The cache of decoded sets: there entirely or not at all, and believed only if it is what it should be."""
from __future__ import annotations

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from waiting import HANG

from replication.data import cache, decode
from replication.data.load import load
from replication.data.registry import resolve
from replication.errors import BadInput


@pytest.fixture
def data(tiny):
    tiny()
    return resolve("tiny-imagenet-200")


@pytest.fixture
def decoded(monkeypatch):
    """Counts how often images are decoded."""
    calls = []
    real = decode.squares
    monkeypatch.setattr(decode, "squares", lambda *a: calls.append(1) or real(*a))
    return calls


def kept(root):
    [folder] = [p for p in (root / "cache").iterdir() if p.is_dir()]
    return folder


def test_decoded_once_and_equal_ever_after(data, decoded):
    first, second = load(data), load(data)
    assert len(decoded) == 2  # train and val
    assert torch.equal(first.train.images, second.train.images)
    assert torch.equal(first.val.extra["box"], second.val.extra["box"])
    assert second.train.images.permute(0, 2, 3, 1).is_contiguous()
    assert (second.train.images.dtype, second.train.labels.dtype) == (torch.uint8, torch.int64)


def test_mapped_not_read_and_not_to_be_spoiled(data, root):
    images = cache.keep(data, None).train[0] if load(data) else None
    assert isinstance(images, np.memmap)
    before = (kept(root) / "train.npy").read_bytes()
    load(data).train.images.fill_(0)
    assert (kept(root) / "train.npy").read_bytes() == before


@pytest.mark.parametrize("name", ["train.npy", "val.labels.npy", "about.json", "val.extra.box.npy"])
@pytest.mark.parametrize("harm", ["cut", "longer", "gone", "foreign", "a bit"])
def test_what_is_not_whole_is_made_again(data, root, decoded, name, harm):
    whole = load(data).train.images.clone()
    path = kept(root) / name
    if harm == "cut":
        os.truncate(path, path.stat().st_size - 1)
    elif harm == "longer":
        path.write_bytes(path.read_bytes() + b" x")
    elif harm == "gone":
        path.unlink()
    elif harm == "a bit":
        held = bytearray(path.read_bytes())
        held[len(held) // 2] ^= 1
        path.write_bytes(held)
    else:
        path.write_bytes(b"{}" * 50)
    assert torch.equal(load(data).train.images, whole)
    assert len(decoded) == 4


def test_another_value_in_the_same_place_is_not_believed(data, root, decoded):
    load(data)
    about = kept(root) / "about.json"
    about.write_text(about.read_text().replace('"train_images": 36', '"train_images": 30'))
    assert len(load(data).train.labels) == 36
    assert len(decoded) == 4


def test_disk_full_leaves_nothing_half_written(data, root, monkeypatch):
    class Full:
        def __init__(self, path, mode):
            self.file = path.open(mode)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, content):
            if len(content) > 1000:
                self.file.write(content[:1000])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self.file.write(content)

        def __getattr__(self, name):
            return getattr(self.file, name)

    with monkeypatch.context() as patch:
        patch.setattr(cache, "open", Full, raising=False)
        with pytest.raises(BadInput, match="the disk is full; free some space"):
            load(data)
    assert [p.suffix for p in (root / "cache").iterdir()] in ([], [".lock"])
    assert len(load(data).train.labels) == 36


def test_a_place_that_cannot_be_written(data, root):
    (root / "cache").write_text("a file where the folder should be")
    with pytest.raises(BadInput, match="set REPLICATION_DATA"):
        load(data)


def test_two_processes_at_once(data, root):
    code = """if True:
        from replication.data import decode
        from replication.data.load import load
        from replication.data.registry import resolve
        real = decode.squares
        def loud(*a):
            print("decodes")
            return real(*a)
        decode.squares = loud
        loaded = load(resolve("tiny-imagenet-200"))
        print(int(loaded.train.images.long().sum()))
    """
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    words = [p.communicate(timeout=HANG)[0].split() for p in both]
    assert [p.returncode for p in both] == [0, 0]
    assert words[0][-1] == words[1][-1]
    assert sum(w.count("decodes") for w in words) == 2, "train and val, by one of them only"


def test_batches_keep_the_order(tmp_path, picture, monkeypatch):
    monkeypatch.setattr(decode, "BATCH", 4)
    files = [picture(tmp_path / f"{k}.png", (k, 0, 0), (8, 8)) for k in range(10)]
    files[5].write_bytes(b"bad")
    batches = list(decode.squares(files, 8, skip=True))
    assert [p for _, positions in batches for p in positions] == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert [int(image[0, 0, 0]) for images, _ in batches for image in images] == [0, 1, 2, 3, 4, 6, 7, 8, 9]
