from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from replication.data import digits, registry
from replication.data.load import load
from replication.data.registry import resolve


def test_images_and_labels_are_scikit_learns():
    bunch = load_digits()
    images, labels = digits.read(8)
    assert np.array_equal(labels, bunch.target)
    for channel in range(3):
        assert np.array_equal(images[..., channel], np.round(bunch.images * 255 / 16))


def test_the_split_is_fixed_stratified_and_complete():
    train, val = digits.halves(load_digits().target.astype(np.int64))
    assert tuple(map(len, train)) == registry.KNOWN["digits"].train
    assert tuple(map(len, val)) == registry.KNOWN["digits"].val
    everyone = [i for group in train + val for i in group]
    assert sorted(everyone) == list(range(1797))
    assert digits.halves(load_digits().target.astype(np.int64)) == (train, val)


def test_what_is_loaded():
    data = load(resolve("digits", classes=5, train_images=52))
    assert data.classes == ("0", "2", "4", "6", "8")
    assert data.train.images.shape == (52, 3, 32, 32)
    assert data.train.labels.bincount().tolist() == [11, 11, 10, 10, 10]
    assert data.val.labels.bincount().tolist() == [50] * 5
    assert data.train.images.permute(0, 2, 3, 1).is_contiguous()


def test_labels_go_with_their_images():
    bunch = load_digits()
    known = {np.round(image * 255 / 16).astype(np.uint8).tobytes(): label
             for image, label in zip(bunch.images, bunch.target, strict=True)}
    data = load(resolve("digits", 8))
    for part in (data.train, data.val):
        for image, label in zip(part.images[:, 0].numpy(), part.labels.tolist(), strict=True):
            assert known[image.tobytes()] == label
