from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from replication.data import shapes
from replication.data.load import load
from replication.data.registry import resolve


def grid(side: int, reach: float = 1.25):
    """Object coordinates of a square of `side` px that shows the object out to `reach`, and px per object unit."""
    axis = ((np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1) * reach
    return *np.meshgrid(axis, axis), side / (2 * reach)


@pytest.mark.parametrize(("n", "longer"), [(1, 64), (63, 65), (64, 200), (100, 150)])
def test_a_shorter_set_is_the_beginning_of_a_longer_one(n, longer):
    for short, long in zip(shapes.generate(n, 5, 16), shapes.generate(longer, 5, 16), strict=True):
        assert np.array_equal(short, long[:n])
        assert len(short) == n


def test_the_same_in_another_process():
    code = ("import hashlib; from replication.data import shapes;"
            "print(hashlib.sha256(shapes.generate(130, 1000, 32)[0].tobytes()).hexdigest())")
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert other == hashlib.sha256(shapes.generate(130, 1000, 32)[0].tobytes()).hexdigest()


def test_every_image_is_another_and_the_splits_do_not_overlap():
    data = load(resolve("shapes"))
    seen = {row.tobytes() for part in (data.train, data.val) for row in part.images.permute(0, 2, 3, 1).numpy()}
    assert len(seen) == len(data.train.labels) + len(data.val.labels)


def test_what_is_loaded():
    data = load(resolve("shapes", 16, classes=4, train_images=80, val_images=40))
    assert data.classes == ("disc", "square", "star", "stripes")  # every 2.5th
    assert data.train.images.shape == (80, 3, 16, 16)
    assert str(data.train.images.dtype) == "torch.uint8"
    assert data.train.images.permute(0, 2, 3, 1).is_contiguous()
    assert data.train.labels.bincount().tolist() == [20] * 4
    assert data.val.labels.bincount().tolist() == [10] * 4


def test_radii_fill_their_range_evenly_in_the_logarithm():
    _, labels, radius = shapes.generate(2000, 7, 8)
    low, high = shapes.DIFFICULTY.radius
    assert radius.dtype == np.float32
    assert low <= radius.min() < low * 1.01
    assert high * 0.99 < radius.max() <= high
    middle = np.sqrt(low * high)  # the median of a log-uniform law
    assert abs((radius < middle).mean() - 0.5) < 0.04
    assert all(abs(radius[labels == c].mean() - radius.mean()) < 0.02 for c in range(10))


@pytest.mark.parametrize(("shape", "area"), [
    ("disc", np.pi), ("ring", np.pi * (1 - 0.56**2)), ("square", 1.5**2), ("triangle", 3 * np.sqrt(3) / 4),
    ("plus", 4 * 0.3 * 0.95 * 2 - 0.6**2), ("star", 10 * 0.5 * 0.42 * np.sin(np.pi / 5)),
    ("checker", 8 * 0.4**2), ("bullseye", np.pi * (0.36**2 + 1 - 0.66**2)),
])
def test_areas_are_those_of_school_geometry(shape, area):
    u, v, scale = grid(200)
    assert shapes.coverage(shape, u, v, scale).sum() / scale**2 == pytest.approx(area, rel=0.01)


def test_crescent_and_stripes_against_counting_points():
    u, v, scale = grid(400)
    inside = u * u + v * v < 1
    crescent = inside & ((u - 0.45) ** 2 + v * v > 0.8**2)
    stripes = inside & (np.abs((u + 0.32) % 0.64 - 0.32) < 0.16)
    for shape, points in (("crescent", crescent), ("stripes", stripes)):
        assert shapes.coverage(shape, u, v, scale).sum() == pytest.approx(points.sum(), rel=0.01)


def test_the_radius_told_is_the_radius_drawn():
    plain = shapes.Difficulty((0.2, 0.45), (0, 0), (0.5, 0.5), clutter=0, background=0)
    images, _, radius = shapes.generate(64, 3, 64, ("disc",), plain)
    for image, r in zip(images.astype(float), radius, strict=True):
        share = np.abs(image - image[0, 0]).sum(axis=2)  # a corner never lies in a disc that fits the image
        assert (share / share.max()).sum() == pytest.approx(np.pi * (64 * r) ** 2, rel=0.03)


def test_float32_all_through():
    u, v, scale = grid(8)
    assert {shape: shapes.coverage(shape, u, v, scale).dtype.name for shape in shapes.SHAPES} == dict.fromkeys(
        shapes.SHAPES, "float32")


def test_classes_look_different_and_pixels_do_not_give_them_away():
    data = load(resolve("shapes", 16, train_images=2000, val_images=1000))
    train, val = (p.images.float().flatten(1).numpy() / 255 for p in (data.train, data.val))
    right = RidgeClassifier(alpha=100.0).fit(train, data.train.labels).score(val, data.val.labels)
    assert right < 0.30
    clean = [shapes.coverage(s, *grid(32)) for s in shapes.SHAPES]
    apart = [np.abs(a - b).mean() for i, a in enumerate(clean) for b in clean[:i]]
    assert min(apart) > 0.05


def test_difficulty_does_what_it_says():
    def spread(**change):
        hard = {"radius": (0.2, 0.3), "noise": (0, 0), "contrast": (0.4, 0.4), "clutter": 0, "background": 0.0} | change
        images = shapes.generate(64, 11, 32, ("disc",), shapes.Difficulty(**hard))[0].astype(float)
        return images[:, :3, :3].std(axis=(1, 2, 3)).mean(), images.std()

    plain = spread()
    assert spread(noise=(0.1, 0.1))[0] > plain[0] + 15
    assert spread(background=0.2)[0] > plain[0]
    assert spread(contrast=(0.8, 0.8))[1] > plain[1]
    assert spread(clutter=3)[0] > plain[0]


def test_a_box_is_around_what_differs_from_an_even_ground() -> None:
    """On images with nothing but the object: the pixels that are nearer to its colour than to the ground's."""
    plain = shapes.Difficulty((0.17, 0.47), noise=(0, 0), contrast=(0.8, 0.8), clutter=0, background=0)
    n, side = 70, 48
    images, labels, radius = shapes.generate(n, 5, side, difficulty=plain)
    boxes = shapes.boxes(n, 5, side, difficulty=plain)
    for image, (x0, y0, x1, y1), label in zip(images.astype(float), boxes, labels, strict=True):
        away = np.abs(image - np.median(image[[0, 0, -1, -1], [0, -1, 0, -1]], 0)).sum(2)
        inside = away > away.max() / 2
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        found = np.array([columns[0], rows[0], columns[-1], rows[-1]])
        assert np.abs(found - (x0, y0, x1, y1)).max() <= 1, tuple(shapes.SHAPES)[label]
    discs = labels == 0
    np.testing.assert_allclose((boxes[discs, 2] - boxes[discs, 0] + 1) / side, 2 * radius[discs], atol=1.5 / side)
    assert (boxes >= 0).all()
    assert (boxes < side).all()
