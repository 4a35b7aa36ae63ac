from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from replication.data import registry, spec, tiny_imagenet
from replication.data.load import load
from replication.data.registry import resolve
from replication.errors import BadInput


def channels(part):
    """The red and green of every image's middle: 40 * class and 2 * number, up to JPEG's rounding."""
    middle = part.images[:, :2, 32, 32].double()
    return (middle[:, 0] / 40).round().long(), middle[:, 1] / 2


def test_val_labels_come_from_the_annotations(tiny):
    tiny()
    data = load(resolve("tiny-imagenet-200"))
    assert data.classes == ("n01", "n02", "n03")
    for part in (data.train, data.val):
        truth, _ = channels(part)
        assert part.labels.tolist() == truth.tolist()
        assert set(part.labels.tolist()) == {0, 1, 2}


def nearest(train, val):
    """A classifier of one line: the class whose mean colour, as it was trained, is nearest."""
    def colours(images):
        return images.double().mean((2, 3))

    means = torch.stack([colours(train.images[train.labels == c]).mean(0) for c in train.labels.unique()])
    return torch.cdist(colours(val.images), means).argmin(1)


def test_what_is_learned_from_train_holds_on_val(real_tiny, tiny):
    """Labels of val that belong to other images, or one label for its one folder, would leave it at chance."""
    if not real_tiny:
        tiny(val=range(60))
    data = load(resolve("tiny-imagenet-200", **({"classes": 20, "train_images": 2000} if real_tiny else {})))
    predicted, chance = nearest(data.train, data.val), 1 / len(data.classes)
    margin = 4 * (chance * (1 - chance) / len(predicted)) ** 0.5  # standard errors of guessing
    assert (predicted == data.val.labels).double().mean() > chance + margin
    shuffled = data.val.labels[torch.randperm(len(predicted), generator=torch.Generator().manual_seed(0))]
    for wrong in (torch.zeros_like(predicted), shuffled):
        assert abs((predicted == wrong).double().mean() - chance) < margin


def test_order_is_by_number_and_classes_take_turns(tiny):
    tiny()
    data = load(resolve("tiny-imagenet-200", train_images=33, val_images=6))
    assert data.train.labels.tolist() == [0, 1, 2] * 11
    _, number = channels(data.train)
    assert (number - torch.arange(11).repeat_interleave(3)).abs().max() <= 1  # 2 comes before 10
    _, number = channels(data.val)
    assert (number - torch.tensor([2, 1, 0, 5, 4, 3])).abs().max() <= 1


def test_boxes_of_train_and_val(tiny):
    tiny()
    data = load(resolve("tiny-imagenet-200", train_images=6, val_images=3))
    assert data.train.extra["box"].tolist() == [[k // 3, k % 3, 40 + k // 3, 63] for k in range(6)]
    assert data.val.extra["box"].tolist() == [[1, 2, 32, 4], [1, 2, 31, 4], [1, 2, 30, 4]]
    half = load(resolve("tiny-imagenet-200", 32, train_images=3, val_images=3))
    assert half.train.images.shape == (3, 3, 32, 32)
    assert half.train.extra["box"].tolist() == [[0, c // 2, 20, 31] for c in range(3)]


@pytest.mark.parametrize("side", [16, 32, 64, 100, 128, 224])
def test_a_box_grows_with_its_image(tiny, side):
    """It holds every px into which one of its own 64ths reaches: the whole image stays the whole image."""
    top = tiny(train=range(3))
    given = {"n01_0.JPEG": (0, 0, 63, 63), "n01_1.JPEG": (1, 2, 62, 31), "n01_2.JPEG": (63, 10, 63, 20)}
    (top / "train/n01/n01_boxes.txt").write_text("".join(
        "\t".join([name, *map(str, box)]) + "\n" for name, box in given.items()))
    found = tiny_imagenet.boxes([top / "train/n01/images" / name for name in given], side)
    for (x0, y0, x1, y1), box in zip(given.values(), found, strict=True):
        expected = [[n for n in range(side) if n * 64 < (high + 1) * side and (n + 1) * 64 > low * side]
                    for low, high in ((x0, x1), (y0, y1))]
        assert box == tuple(part[end] for end in (0, -1) for part in expected)
    assert found[0] == (0, 0, side - 1, side - 1)


def test_an_image_without_a_box(tiny):
    boxes = tiny() / "train/n02/n02_boxes.txt"
    boxes.write_text("\n".join(boxes.read_text().splitlines()[1:]) + "\n")
    assert load(resolve("tiny-imagenet-200", train_images=6)).train.extra["box"][1].tolist() == [-1] * 4


def test_part_of_the_set(tiny):
    top = tiny(train=range(0, 12, 3))
    some = resolve("tiny-imagenet-200")
    assert (some.classes, some.train_images, some.val_images) == (3, 12, 12)
    assert len(load(some).train.labels) == 12
    shutil.rmtree(top)
    tiny(train=range(1, 12, 3))
    others = resolve("tiny-imagenet-200")
    assert others.train_images == 12
    assert others.content != some.content, "other images must be another experiment"
    with pytest.raises(BadInput, match="not what this run names"):
        load(spec.Data("tiny-imagenet-200", 64, 3, 9, 9))


def test_files_that_arrive_later_are_seen(tiny):
    tiny(train=range(4))
    assert resolve("tiny-imagenet-200").train_images == 12
    tiny(train=range(6))
    assert resolve("tiny-imagenet-200").train_images == 18


def test_grey_images_become_rgb(tiny, picture):
    top = tiny()
    grey = picture(top / "train/n01/images/n01_0.JPEG", 77, mode="L")
    assert Image.open(grey).mode == "L"
    image = load(resolve("tiny-imagenet-200", train_images=3)).train.images[0]
    assert image.unique().tolist() == [77]


@pytest.mark.parametrize(("break_it", "says"), [
    (lambda top: (top / "val/val_annotations.txt").unlink(), "val_annotations.txt cannot be read"),
    (lambda top: (top / "val/val_annotations.txt").write_text("val_0.JPEG\tn09\t1\t2\t3\t4\n"), "names no class"),
    (lambda top: (top / "val/val_annotations.txt").write_text("val_0.JPEG n01 1 2 x 4\n"), "four numbers"),
    (lambda top: shutil.rmtree(top / "train"), "cannot be read"),
    (lambda top: shutil.rmtree(top / "train/n02/images"), "no training or no validation images of n02"),
])
def test_a_broken_layout_is_refused(tiny, break_it, says):
    break_it(tiny())
    with pytest.raises(BadInput) as caught:
        resolve("tiny-imagenet-200")
    assert says in str(caught.value)


def test_downloaded_where_it_is_not(root, tiny, monkeypatch):
    """The archive put there by hand is used; its layout is checked by everything above."""
    top = tiny()
    names_before = sorted(p.relative_to(top) for p in top.rglob("*"))
    archive = shutil.make_archive(str(root / "tiny-imagenet-200"), "zip", root, "tiny-imagenet-200")
    from replication.data import download
    monkeypatch.setattr(tiny_imagenet, "MD5", download.checksum(archive))
    shutil.rmtree(top)
    tiny_imagenet.obtain()
    assert sorted(p.relative_to(top) for p in top.rglob("*")) == names_before


def test_the_real_set(real_tiny, tiny):
    """Official where REPLICATION_DATA has it, else the small one above: what must hold of both."""
    top = real_tiny or tiny()
    listing = tiny_imagenet.read()
    assert list(listing.classes) == sorted((top / "wnids.txt").read_text().split())
    if real_tiny and tiny_imagenet.content(listing) is None:
        whole = resolve("tiny-imagenet-200")
        assert whole == spec.Data("tiny-imagenet-200", 64, 200, 100_000, 10_000)
    data = load(resolve("tiny-imagenet-200", classes=3, train_images=9, val_images=9))
    annotations = dict(line.split()[:2] for line in (top / "val/val_annotations.txt").read_text().splitlines())
    for position, label in enumerate(data.val.labels.tolist()):
        pixels = data.val.images[position].permute(1, 2, 0).numpy()
        mine = [f for f, wnid in annotations.items() if wnid == data.classes[label]]
        assert any(np.array_equal(np.asarray(Image.open(top / "val/images" / f).convert("RGB")), pixels) for f in mine)
    box = data.train.extra["box"]
    assert (box[:, 0] <= box[:, 2]).all()
    assert box.max() < 64


def test_official_numbers():
    known = registry.KNOWN["tiny-imagenet-200"]
    assert (sum(known.train), sum(known.val), len(known.train)) == (100_000, 10_000, 200)


def test_classes_are_called_by_their_first_word(tmp_path, monkeypatch):
    monkeypatch.setenv("REPLICATION_DATA", str(tmp_path))
    assert tiny_imagenet.words(["n1", "n2"]) == ("n1", "n2")
    tiny_imagenet.root().mkdir()
    (tiny_imagenet.root() / "words.txt").write_text("n1\tice lolly, lolly\nn2\tcrane\nn3\tcrane, bird\nn5\tsky\n")
    assert tiny_imagenet.words(iter(["n1", "n2", "n3", "n4"])) == ("ice lolly", "n2", "n3", "n4")
