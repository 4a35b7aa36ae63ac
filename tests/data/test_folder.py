from __future__ import annotations

import os
import shutil
import warnings

import pytest
from PIL import Image

from replication.data import folder
from replication.data.load import load
from replication.data.registry import resolve
from replication.errors import BadInput


@pytest.fixture
def flowers(tmp_path, picture):
    """Two classes of ten images each; image k of class c is (100 * c, 20 * k, 0)."""
    for c, name in enumerate(("daisy", "rose")):
        for k in range(10):
            picture(tmp_path / "flowers" / name / f"{k}.png", (100 * c, 20 * k, 0), (40, 30))
    return tmp_path / "flowers"


def test_split_80_to_20_within_a_class(flowers):
    data = resolve(f"folder:{flowers}", 16)
    assert (data.name, data.resolution, data.classes, data.train_images, data.val_images) == ("folder", 16, 2, 16, 4)
    loaded = load(data)
    assert loaded.classes == ("daisy", "rose")
    assert loaded.val.labels.bincount().tolist() == [2, 2]
    for part in (loaded.train, loaded.val):
        assert (part.images[:, 0, 8, 8] // 100).tolist() == part.labels.tolist()
    greens = [set(p.images[p.labels == 0][:, 1, 0, 0].tolist()) for p in (loaded.train, loaded.val)]
    assert not greens[0] & greens[1]
    assert greens[0] | greens[1] == {20 * k for k in range(10)}


def test_train_and_val_folders(tmp_path, picture):
    for split, n in (("train", 3), ("val", 1)):
        for c, name in enumerate(("b", "a", "c")):
            for k in range(n):
                picture(tmp_path / "set" / split / name / f"{k}.jpg", (0, 60 * c, 0))
    data = load(resolve(f"folder:{tmp_path / 'set'}", 8))
    assert data.classes == ("a", "b", "c")
    assert data.train.images.shape == (9, 3, 8, 8)
    assert [round(v / 60) for v in data.val.images[:, 1, 4, 4].tolist()] == [1, 0, 2]


def test_short_side_then_centre_square(tmp_path, picture):
    import numpy as np

    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255
    for name in ("a", "b"):
        for k in range(2):
            picture(tmp_path / "wide" / name / f"{k}.png", wide)
            picture(tmp_path / "tall" / name / f"{k}.png", wide.transpose(1, 0, 2).copy())
    for name in ("wide", "tall"):
        images = load(resolve(f"folder:{tmp_path / name}", 10)).train.images
        assert images[:, :, 1:-1, 1:-1].min() == 255


def test_the_address_does_not_say_where_the_folder_lies(flowers, tmp_path):
    before = resolve(f"folder:{flowers}")
    moved = shutil.move(flowers, tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="There is no folder"):
        load(before)
    assert resolve(f"folder:{moved}") == before
    assert len(load(before).train.labels) == 16
    shutil.rmtree(moved)
    assert len(load(before).train.labels) == 16, "what is decoded needs the folder no longer"


def test_a_folder_that_changed_is_another(flowers, picture):
    before = resolve(f"folder:{flowers}")
    picture(flowers / "rose" / "new.png")
    assert resolve(f"folder:{flowers}").content != before.content
    with pytest.raises(BadInput, match="is not what it was"):
        load(before)


def test_never_seen_here(flowers, root):
    data = resolve(f"folder:{flowers}")
    shutil.rmtree(root / "folders")
    with pytest.raises(BadInput, match="ask once for folder:PATH"):
        load(data)


def test_relative_paths_and_other_files(flowers, monkeypatch):
    (flowers / "notes.txt").write_text("not a class")
    (flowers / "rose" / "Thumbs.db").write_bytes(b"not an image")
    (flowers / "rose" / ".hidden.png").write_bytes(b"not an image")
    monkeypatch.chdir(flowers.parent)
    assert resolve("folder:flowers") == resolve(f"folder:{flowers}")
    assert len(load(resolve("folder:flowers")).train.labels) == 16


@pytest.mark.parametrize(("make", "says"), [
    (lambda p: None, "There is no folder"),
    (lambda p: p.mkdir(), "holds no classes"),
    (lambda p: [(p / "a").mkdir(parents=True), (p / "a/1.png").touch(), (p / "a/2.png").touch()], "holds 1 class,"),
    (lambda p: [(p / "a").mkdir(parents=True), (p / "b").mkdir()], "holds no images"),
    (lambda p: [(p / "a").mkdir(parents=True), (p / "a/1.png").touch()], "at least two, one to train"),
    (lambda p: (p / "train/a").mkdir(parents=True), "holds no images"),
    (lambda p: [(p / "train/a").mkdir(parents=True), (p / "train/a/1.png").touch()], "needs both train/ and val/"),
    (lambda p: [((p / s / c).mkdir(parents=True), (p / s / c / "1.png").touch())
                for s, c in (("train", "a"), ("train", "b"), ("val", "a"))], "The class 'b' is in only one"),
    (lambda p: [(p / "a").mkdir(parents=True), os.symlink("/nowhere", p / "a/1.png")], "leads nowhere"),
])
def test_refused_in_a_sentence(tmp_path, make, says):
    make(tmp_path / "set")
    with pytest.raises(BadInput) as caught:
        resolve(f"folder:{tmp_path / 'set'}")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_path():
    with pytest.raises(BadInput, match="There is no folder"):
        resolve("folder:")


@pytest.mark.parametrize("content", [b"", b"not an image", None])
def test_an_undecodable_image_is_named_or_skipped(flowers, content, root, monkeypatch):
    bad = sorted(folder.read(flowers).train[1])[3]
    bad.write_bytes(bad.read_bytes()[:60] if content is None else content)
    data = resolve(f"folder:{flowers}")
    with pytest.raises(BadInput) as caught:
        load(data)
    assert str(bad) in str(caught.value)
    assert "REPLICATION_SKIP_BAD=1" in str(caught.value)
    monkeypatch.setenv("REPLICATION_SKIP_BAD", "1")
    for _ in range(2):  # decoded, then from the cache
        loaded = load(data)
        assert loaded.skipped == 1
        assert loaded.train.labels.bincount().tolist() == [8, 7]
        assert (loaded.train.images[:, 0, 8, 8] // 100).tolist() == loaded.train.labels.tolist()
    monkeypatch.delenv("REPLICATION_SKIP_BAD")
    with pytest.raises(BadInput, match="cannot be decoded"):
        load(data)
    assert not list((root / "cache").glob("*.partial"))


def test_nothing_decodable(flowers, monkeypatch):
    for path in flowers.rglob("*.png"):
        path.write_bytes(b"nothing")
    monkeypatch.setenv("REPLICATION_SKIP_BAD", "1")
    with pytest.raises(BadInput, match="None of the 16 train images"):
        load(resolve(f"folder:{flowers}"))


# -- what is in a class -------------------------------------------------------------------------------------------
def test_images_in_folders_of_a_class_are_its_own(flowers, picture):
    for k in range(40):
        picture(flowers / "daisy/more" / ("" if k < 30 else "deep") / f"{k}.png", (0, k, 50), (8, 8))
    (flowers / "daisy/more/again").symlink_to(flowers / "daisy", target_is_directory=True)
    data = resolve(f"folder:{flowers}", 8)
    assert (data.train_images, data.val_images) == (40 + 8, 10 + 2)
    loaded = load(data)
    assert (loaded.skipped, loaded.train.labels.bincount().tolist()) == (0, [40, 8])


def test_nested_images_of_two_names_are_two(tmp_path, picture):
    for name in "ab":
        for k in range(2):
            picture(tmp_path / "set" / name / f"{k}/same.png", (100 * k, 0, 0), (8, 8))
    loaded = load(resolve(f"folder:{tmp_path / 'set'}", 8))
    assert sorted(loaded.train.images[:, 0, 0, 0].tolist() + loaded.val.images[:, 0, 0, 0].tolist()) == [0, 0, 100, 100]


@pytest.mark.parametrize("suffix", [".jpe", ".jp2", ".avif", ".JPE", ".j2k", ".tga", ".pbm", ".qoi", ".ico", ".pcx"])
def test_every_kind_that_pillow_writes_is_read(tmp_path, suffix):
    for name in "ab":
        for k in range(2):
            path = tmp_path / "set" / name / f"{k}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("1" if suffix == ".pbm" else "RGB", (16, 16), 1).save(path)
        Image.new("RGB", (16, 16)).save(path.with_name("x.png"))
    assert resolve(f"folder:{tmp_path / 'set'}").train_images == 4


def test_the_kinds_are_pillows():
    """Whatever it opens is read, but for vectors, films and tables, and what no one has as a picture."""
    Image.init()
    opened = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    known = set(folder.SUFFIXES) | set(folder.OTHERS)
    assert opened - known <= {".bufr", ".grib", ".h5", ".hdf", ".iim", ".mpeg", ".mpg"}
    assert set(folder.SUFFIXES) - opened <= {".mpo", ".avif", ".avifs"}
    assert not set(folder.SUFFIXES) & set(folder.OTHERS)


def test_what_is_no_image_is_counted_and_said_in_a_sentence(flowers, root):
    for k in range(3):
        (flowers / "rose" / f"{k}.txt").write_text("a rose")
    (flowers / "daisy/sizes.csv").write_text("1,2")
    (flowers / "daisy/LICENSE").write_text("free")
    Image.new("RGB", (8, 8)).save(flowers / "nobodys.png")
    with pytest.warns(UserWarning, match=r"holds 6 files that are not read there, left out: 3 \.txt, 1 ") as told:
        data = resolve(f"folder:{flowers}")
    assert "\n" not in str(told[0].message)
    with warnings.catch_warnings(action="ignore"):
        assert [load(data).skipped for _ in range(2)] == [6, 6]  # decoded, then from the cache
    assert data.train_images == 16
    with warnings.catch_warnings(action="ignore"):
        (flowers / "rose/0.txt").unlink()
        assert resolve(f"folder:{flowers}") == data, "it is the same set without them"


def test_what_is_left_out_is_counted_of_streamed_images_too(flowers, monkeypatch):
    (flowers / "daisy/notes.txt").touch()
    monkeypatch.setenv("REPLICATION_RESIDENT", "stream")
    with pytest.warns(UserWarning, match="holds 1 file that is not read there"):
        assert load(resolve(f"folder:{flowers}")).skipped == 1


def test_a_third_part_is_left_out_and_said(picture, tmp_path):
    images(picture, tmp_path / "set", "train/a", "train/b", "val/a", "val/b", "test/a", "unlabelled/old")
    with pytest.warns(UserWarning, match=r"holds 10 files that are not read there, left out: 10 \.png; e\.g\. test/a/"):
        assert folder.read(tmp_path / "set").left == 10


def test_a_class_that_leads_nowhere_is_refused(flowers):
    (flowers / "tulip").symlink_to(flowers / "gone")
    with pytest.raises(BadInput, match=r"tulip leads nowhere; remove it, or mend it"):
        folder.read(flowers)


@pytest.mark.parametrize("name", ["1.heic", "1.SVG", "1.nef", "deep/1.jxl"])
def test_a_picture_of_another_kind_is_refused_by_name(flowers, name, monkeypatch):
    path = flowers / "rose" / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    with pytest.raises(BadInput, match=f"{name} is a picture of a kind that is not read; convert it"):
        resolve(f"folder:{flowers}")
    monkeypatch.setenv("REPLICATION_SKIP_BAD", "1")
    with pytest.warns(UserWarning, match="holds 1 file that is not read there"):
        assert load(resolve(f"folder:{flowers}")).skipped == 1


# -- parts and classes --------------------------------------------------------------------------------------------
def images(picture, top, *folders):
    for name in folders:
        for k in range(5):
            picture(top / name / f"{k}.png", (0, 0, k), (8, 8))


@pytest.mark.parametrize(("folders", "classes"), [
    (("train", "plane", "car"), "car plane train"), (("val", "plane"), "plane val"),
    (("train", "val", "plane"), "plane train val"), (("test", "train", "plane"), "plane test train"),
    (("train/steam", "train/diesel", "plane", "car"), "car plane train"),
    (("train", "plane/old", "plane/new"), "plane train"),
    (("train/a", "train/b", "val/a", "val/b"), "a b"), (("train/a", "train/b", "val/a", "val/b", "test"), "a b"),
    (("train/a", "train/b", "val/a", "val/b", "figures"), "a b"),
    (("train/train", "train/val", "val/train", "val/val"), "train val"),
])
def test_a_class_may_be_called_as_a_part_is(tmp_path, picture, folders, classes):
    images(picture, tmp_path / "set", *folders)
    assert sorted(load(resolve(f"folder:{tmp_path / 'set'}", 8)).classes) == classes.split()


@pytest.mark.parametrize(("folders", "says"), [
    (("train/a", "train/b"), "needs both train/ and val/, or neither"),
    (("train/a", "train/b", "test/a", "test/b"), "needs both train/ and val/, or neither"),
    (("training/a", "training/b", "validation/a", "validation/b"), "holds training/, validation/; a folder needs both"),
    (("Train/a", "Train/b", "Val/a", "Val/b"), "holds Train/, Val/; a folder needs both"),
    (("train", "val"), "holds no classes"),
    (("train/a", "train/b", "val"), "in only one of"),
])
def test_parts_are_not_taken_for_classes(tmp_path, picture, folders, says):
    images(picture, tmp_path / "set", *folders)
    with warnings.catch_warnings(action="ignore"), pytest.raises(BadInput, match=says):
        resolve(f"folder:{tmp_path / 'set'}")
