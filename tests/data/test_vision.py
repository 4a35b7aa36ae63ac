"""torchvision's own sets, with torchvision's reading replaced: 170 MB are no test's business."""
from __future__ import annotations

import urllib.error

import numpy as np
import pytest
from torchvision import datasets

from replication.data import download, registry, spec
from replication.data.load import load
from replication.data.registry import resolve
from replication.errors import BadInput


class FakeCIFAR:
    """Image k of a split is (20 * label, k, 100 if train); labels as in the real set in no order."""

    base_folder, url, tgz_md5 = ".", "", ""  # it is there

    def __init__(self, root, train, download):
        self.targets = [(7 * k) % 10 for k in range(100 if train else 50)]
        self.classes = list("abcdefghij")
        self.data = np.zeros((len(self.targets), 32, 32, 3), np.uint8)
        self.data[...] = [[[[20 * label, k, 100 * train]]] for k, label in enumerate(self.targets)]


def test_cifar(monkeypatch):
    monkeypatch.setattr(datasets, "CIFAR10", FakeCIFAR)
    data = load(spec.Data("cifar10", 32, 5, 15, 10))
    assert data.classes == ("a", "c", "e", "g", "i")
    for part, blue in ((data.train, 100), (data.val, 0)):
        assert (part.images[:, 0, 0, 0] // 20).tolist() == [2 * c for c in part.labels.tolist()]
        assert set(part.images[:, 2].flatten().tolist()) == {blue}
        assert len(part.images.flatten(1).unique(dim=0)) == len(part.labels), "no image twice"
    assert data.train.labels.bincount().tolist() == [3] * 5
    assert load(spec.Data("cifar10", 16, 10, 10, 10)).train.images.shape == (10, 3, 16, 16)


def test_fewer_than_asked_for(monkeypatch):
    monkeypatch.setattr(datasets, "CIFAR10", FakeCIFAR)
    with pytest.raises(BadInput, match="holds 100 images where 50000 are asked for"):
        load(resolve("cifar10"))


@pytest.mark.parametrize("error", [urllib.error.URLError("no route"), RuntimeError("File not found or corrupted."),
                                   OSError(28, "No space left on device")])
@pytest.mark.parametrize(("name", "kind"), [("cifar10", "CIFAR10"), ("cifar100", "CIFAR100"),
                                            ("imagenette", "Imagenette")])
def test_no_network(monkeypatch, name, kind, error, root):
    def fail(*_, **__):
        raise error

    fail.base_folder, fail.url, fail.tgz_md5 = ".", "", ""
    fail._ARCHIVES = datasets.Imagenette._ARCHIVES
    monkeypatch.setattr(datasets, kind, fail)
    monkeypatch.setattr(download, "fetch", fail)
    with pytest.raises(BadInput, match=f"^{name}.* is neither in") as caught:
        load(resolve(name))
    assert str(root) in str(caught.value)


def test_imagenette_as_torchvision_reads_it(root, picture):
    """The folder is there, so that torchvision's own class reads it and nothing is downloaded."""
    wnids = sorted(datasets.Imagenette._WNID_TO_CLASS)
    for split, n in (("train", 3), ("val", 2)):
        for c, wnid in enumerate(wnids):
            for k in range(n):
                picture(root / "imagenette2-160" / split / wnid / f"{wnid}_{k}.JPEG", (25 * c, 0, 0), (200, 160))
    data = load(spec.Data("imagenette", 96, 10, 30, 20))
    assert data.classes[:3] == ("tench", "English springer", "cassette player")
    assert data.train.images.shape == (30, 3, 96, 96)
    for part in (data.train, data.val):
        assert (part.images[:, 0, 48, 48] / 25).round().long().tolist() == part.labels.tolist()


def test_the_table_matches_torchvision():
    assert len(registry.KNOWN["imagenette"].train) == len(datasets.Imagenette._WNID_TO_CLASS)


@pytest.mark.parametrize(("name", "kind"), [("cifar10", "CIFAR10"), ("cifar100", "CIFAR100"),
                                            ("imagenette", "Imagenette")])
def test_archives_are_fetched_as_those_of_other_sets(monkeypatch, name, kind, root):
    """Resumed where they were cut, given up where the server says nothing; torchvision then finds them."""
    asked = []

    def fetched(url, target, md5):
        asked.append((url, target, md5))
        raise BadInput("cannot be reached")

    monkeypatch.setattr(download, "fetch", fetched)
    with pytest.raises(BadInput, match=r"^cannot be reached$"):
        load(resolve(name))
    of = getattr(datasets, kind)
    url, md5 = of._ARCHIVES["160px"] if name == "imagenette" else (of.url, of.tgz_md5)
    assert asked == [(url, root / url.rsplit("/", 1)[-1], md5)]
