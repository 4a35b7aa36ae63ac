from __future__ import annotations

import os
import shutil

import pytest

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
