"""ILSVRC-2012 in its two layouts: one set, one order, one address."""
from __future__ import annotations

import io
import json
import os
import shutil
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from waiting import until

from replication.data import decode, imagenet, registry, spec
from replication.data.listing import Member
from replication.data.load import load
from replication.data.registry import resolve
from replication.errors import BadInput


def whole(data=None):
    """Of what is there at 32 px."""
    loaded = load(data or resolve("imagenet", 32))
    return [loaded.classes, *((split.images[:], split.labels) for split in (loaded.train, loaded.val))]


def same(a, b):
    return a[0] == b[0] and all(torch.equal(x, y) for one, two in zip(a[1:], b[1:], strict=True)
                                for x, y in zip(one, two, strict=True))


# -- folders ------------------------------------------------------------------------------------------------------
def test_classes_take_turns_sorted_by_name(ilsvrc, monkeypatch):
    top = ilsvrc()
    data = resolve("imagenet")
    assert (data.resolution, data.classes, data.train_images, data.val_images) == (256, 3, 12, 6)
    classes, (images, labels), (_, held) = whole()
    assert classes == ("n01440764", "n01441764", "n01442764")
    assert labels.tolist() == [0, 1, 2] * 4
    assert held.tolist() == [0, 1, 2] * 2
    files = [top / "train" / c / f"{c}_{37 * k}.JPEG" for k in (0, 3, 1, 2) for c in classes]  # "111" before "37"
    for image, path in zip(images, files, strict=True):
        with Image.open(path) as found:
            expected = found.resize((32, 32), Image.Resampling.BILINEAR, (10, 0, 70, 60))  # 60 of 80 px in the middle
        assert np.array_equal(image.permute(1, 2, 0), expected)


def test_files_that_come_later_are_seen(ilsvrc):
    top = ilsvrc(train=3)
    before = resolve("imagenet")
    written = max(path.stat().st_mtime_ns for path in top.rglob("*"))
    until(lambda: (top.with_name("clock").touch(), top.with_name("clock").stat().st_mtime_ns > written)[1])
    ilsvrc(train=4)
    after = resolve("imagenet")
    assert (before.train_images, after.train_images) == (9, 12)
    assert before.content != after.content
    with pytest.raises(BadInput, match="is not what this run names, which is other images"):
        load(before)
    with pytest.raises(BadInput, match=r"which is all of ILSVRC-2012: put that there"):
        load(spec.Data("imagenet", 32, 3, 9, 6))


def test_kinds_of_files_that_ilsvrc_has(ilsvrc):
    """A PNG whose name says JPEG, four inks for three colours as Adobe writes them, grey."""
    top = ilsvrc()
    red, gradient = (200, 40, 90), np.tile(np.arange(0, 240, 4, dtype=np.uint8)[:, None], (1, 80))
    [png, cmyk, grey] = sorted((top / "train/n01440764").iterdir())[:3]
    Image.new("RGB", (80, 60), red).save(png, "PNG")
    Image.new("RGB", (80, 60), red).convert("CMYK").save(cmyk, "JPEG", quality=95)
    Image.fromarray(gradient).save(grey, "JPEG", quality=95)
    with Image.open(cmyk) as found:
        assert found.mode == "CMYK"
    images = whole()[1][0][::3].permute(0, 2, 3, 1).double()
    assert (images[0] == torch.tensor(red)).all()
    assert (images[1] - torch.tensor(red)).abs().max() < 4
    assert (images[2] - images[2][..., :1]).abs().max() == 0
    assert images[2, 16, 16, 0] == pytest.approx(4 * 16.5 * 60 / 32 - 2, abs=3)


# -- shards -------------------------------------------------------------------------------------------------------
OFFICIAL = {
    "official": lambda wnid, stem, n: stem,
    "wnid behind": lambda wnid, stem, n: f"{stem}_{wnid}",
    "wnid before": lambda wnid, stem, n: stem if stem.startswith("n") else f"{wnid}_{stem}",
    "in folders": lambda wnid, stem, n: f"{wnid}/{stem}"}


@pytest.mark.parametrize("resident", ["no", "stream"])
@pytest.mark.parametrize("key", OFFICIAL)
def test_shards_are_the_folders(ilsvrc, shards, monkeypatch, key, resident):
    """The same value, hence the same addresses, the same order and pixels."""
    monkeypatch.setenv("REPLICATION_RESIDENT", "no")
    top = ilsvrc()
    data, before = resolve("imagenet", 32), whole()
    shutil.rmtree(top.parent / "cache")
    shards(top, OFFICIAL[key])
    monkeypatch.setenv("REPLICATION_RESIDENT", resident)
    assert resolve("imagenet", 32) == data
    assert same(whole(), before)


@pytest.mark.parametrize(("label", "image"), [
    (lambda c: ("cls", f"{c}\n"), "JPEG"), (lambda c: ("json", json.dumps({"label": c, "width": 80})), "jpeg"),
    (lambda c: ("cls", str(c + 1)), "png")])
def test_how_shards_tell_labels(ilsvrc, shards, label, image):
    """Counted from 1, too: their order is what counts."""
    top = ilsvrc()
    before = whole()
    shards(top, label=label, image=image)
    assert same(whole(), before)


def test_keys_of_their_own_are_another_order(ilsvrc, shards):
    """Of the same images, whose classes then have no names but numbers."""
    top = ilsvrc()
    data, (_, (images, labels), _) = resolve("imagenet"), whole()
    shards(top, lambda wnid, stem, n: f"{n:07d}")
    other, (classes, (found, marked), _) = resolve("imagenet"), whole()
    assert other.content != data.content
    assert classes == ("00000", "00001", "00002")
    assert marked.tolist() == labels.tolist()
    assert not torch.equal(found, images)
    for c in range(3):
        one, two = ({image.numpy().tobytes() for image in some[marked == c]} for some in (images, found))
        assert one == two


def test_headers_are_read_once_until_a_shard_changes(ilsvrc, shards, monkeypatch):
    top = ilsvrc()
    shards(top)
    opened = []
    before = tarfile.open
    monkeypatch.setattr(tarfile, "open", lambda path, mode: opened.append(path.name) or before(path, mode))
    first = imagenet.read()
    names = [path.name for path in sorted(top.glob("*.tar"))]
    assert sorted(opened) == names
    imagenet._from_shards.cache_clear()  # another process
    assert imagenet.read() == first
    assert sorted(opened) == names
    os.utime(top / names[0], ns=(1, 1))
    assert imagenet.read() == first
    assert sorted(opened) == sorted(2 * names)


@pytest.mark.parametrize("damage", [lambda held: held[:-1], lambda held: b"", lambda held: held.replace(b"0", b"1")])
def test_a_damaged_index_is_made_again(ilsvrc, shards, damage):
    top = ilsvrc()
    shards(top)
    first = imagenet.read()
    index, = (top.parent / "cache").glob("imagenet-*.json")
    whole = index.read_bytes()
    index.write_bytes(damage(whole))
    assert index.read_bytes() != whole
    imagenet._from_shards.cache_clear()  # another process
    assert imagenet.read() == first
    assert index.read_bytes() == whole


def test_an_index_that_cannot_be_kept_is_said(ilsvrc, shards):
    top = ilsvrc()
    shards(top)
    (top.parent / "cache").write_text("no folder")
    with pytest.raises(BadInput, match=r"cannot be kept in .*cache .*: set REPLICATION_DATA to a folder of yours"):
        resolve("imagenet", 32)


def test_an_image_is_read_from_where_it_lies(ilsvrc, shards):
    top = ilsvrc()
    path = next((top / "train").glob("*/*"))
    content, stem = path.read_bytes(), path.stem
    shards(top)
    item = next(item for group in imagenet.read().train for item in group if item.name.startswith(f"{stem}."))
    with open(item.tar, "rb") as file:
        assert file.read()[item.offset:][:item.size] == content
    assert str(item) == f"{stem}.jpg in {item.tar}"


# -- the whole set ------------------------------------------------------------------------------------------------
def test_without_images_the_whole_set_has_a_value():
    data = resolve("imagenet")
    assert data == spec.Data("imagenet", 256, 1000, 1_281_167, 50_000)
    assert sum(registry.KNOWN["imagenet"].train) == imagenet.TRAIN
    with pytest.raises(BadInput, match="How many images 10 classes of ImageNet have is known once"):
        resolve("imagenet", classes=10)
    with pytest.raises(BadInput, match=r"ILSVRC-2012 is not in .*lay it out there as train/<wnid>"):
        load(data)


def test_the_whole_set_is_told_by_number_names_and_bytes(ilsvrc, shards, monkeypatch):
    top = ilsvrc()
    padded = sum(512 + -(-path.stat().st_size // 512) * 512 for path in (top / "val").glob("*/*"))
    for name, value in (("CLASSES", 3), ("TRAIN", 12), ("VAL", 6), ("VAL_BYTES", padded)):
        monkeypatch.setattr(imagenet, name, value)
    imagenet._from_folders.cache_clear()
    assert resolve("imagenet").content is None
    imagenet._from_folders.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(imagenet, "VAL_BYTES", round(1.02 * padded))
        assert resolve("imagenet").content is not None
    shards(top)
    assert resolve("imagenet").content is None


def test_smaller_images_of_the_same_names_are_another_set(ilsvrc):
    ilsvrc(size=(80, 60))
    large = resolve("imagenet").content
    imagenet._from_folders.cache_clear()
    ilsvrc(size=(40, 30))
    assert resolve("imagenet").content not in (None, large)


# -- what cannot be -----------------------------------------------------------------------------------------------
def add(tar, **members):
    with tarfile.open(tar, "w") as file:
        for name, content in members.items():
            entry = tarfile.TarInfo(name.replace("__", "."))
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))


def flat(top):
    for path in list((top / "val").glob("*/*")):
        path.rename(top / "val" / path.name)
    for folder in [p for p in (top / "val").iterdir() if p.is_dir()]:
        folder.rmdir()


@pytest.mark.parametrize(("harm", "says"), [
    (flat, r"val holds no folders of images, one for each class: have torchvision\.datasets\.ImageNet"),
    (lambda top: shutil.rmtree(top / "val"), "val holds no folders of images"),
    (lambda top: shutil.rmtree(top / "val/n01441764"), "no training or no validation images of n01441764"),
    (lambda top: [p.unlink() for p in (top / "train/n01440764").iterdir()], "no training or no .* of n01440764"),
    (lambda top: [shutil.rmtree(top / p / c) for p in ("train", "val") for c in ("n01441764", "n01442764")],
     "fewer than two classes"),
    (lambda top: [shutil.rmtree(top / p) for p in ("train", "val")], "neither folders train/ and val/ nor, of train "
                                                                     "and val, uncompressed shards"),
])
def test_folders_that_cannot_be(ilsvrc, harm, says):
    top = ilsvrc()
    harm(top)
    with pytest.raises(BadInput, match=says) as problem:
        resolve("imagenet")
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize(("harm", "says"), [
    (lambda tar: os.truncate(tar, tar.stat().st_size // 2 + 100), "cannot be read as a tar that is not compressed"),
    (lambda tar: tar.write_bytes(b"\x1f\x8b" * 500), "cannot be read as a tar that is not compressed"),
    (lambda tar: add(tar, a__jpg=b"x"), "a.jpg in .* has no label beside it"),
    (lambda tar: add(tar, a__jpg=b"x", a__cls=b"dog"), "cannot be read"),
    (lambda tar: add(tar, a__jpg=b"x", a__json=b'{"width": 3}'), "a.jpg in .* has no label beside it"),
    (lambda tar: add(tar, n01440764__tar=b"x"), "holds no images .*torchvision"),
    (lambda tar: [other.unlink() for other in tar.parent.glob("*val*.tar")], "nor, of val, uncompressed shards"),
])
def test_shards_that_cannot_be(ilsvrc, shards, harm, says):
    top = ilsvrc()
    shards(top)
    harm(top / "imagenet-train-000000.tar")
    with pytest.raises(BadInput, match=says) as problem:
        resolve("imagenet")
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize("form", ["folders", "shards"])
def test_what_cannot_be_decoded_is_named(ilsvrc, shards, form):
    top = ilsvrc()
    bad = top / "train/n01441764/n01441764_37.JPEG"
    bad.write_bytes(b"no image")
    if form == "shards":
        shards(top)
    with pytest.raises(BadInput, match=r"n01441764_37\.(JPEG|jpg in .*tar) cannot be decoded \(it is no image"):
        whole()


def test_a_member_is_decoded_as_its_file(tmp_path, picture):
    path = picture(tmp_path / "a.jpg", np.random.RandomState(0).randint(256, size=(60, 80, 3)).astype(np.uint8))
    (tmp_path / "a.tar").write_bytes(b"before" + path.read_bytes() + b"behind")
    member = Member(str(tmp_path / "a.tar"), "a.jpg", 6, path.stat().st_size)
    assert np.array_equal(decode.one(member, 32), decode.one(path, 32))
