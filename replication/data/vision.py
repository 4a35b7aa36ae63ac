"""CIFAR-10, CIFAR-100 and Imagenette, as torchvision brings them."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from filelock import FileLock

from replication import paths
from replication.data import folder
from replication.data.listing import Listing
from replication.errors import BadInput


def cifar(name: str, train: bool) -> tuple[tuple[str, ...], list[list[np.ndarray[Any, Any]]]]:
    """Class names, and the images (32, 32, 3) of every class in the set's own order; `name` is cifar10 or cifar100."""
    from torchvision import datasets

    kind = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
    found = _fetched(name, lambda: kind(paths.data(), train=train, download=True))
    labels = np.asarray(found.targets)
    return tuple(found.classes), [[found.data[i] for i in np.flatnonzero(labels == c)]
                                  for c in range(len(found.classes))]


def imagenette(side: int) -> tuple[tuple[str, ...], Listing]:
    """Class names, and the files, of the smallest edition whose short side is at least `side` px."""
    from torchvision import datasets

    size, name = next(((f"{s}px", f"imagenette2-{s}") for s in (160, 320) if side <= s), ("full", "imagenette2"))
    root = paths.data() / name
    # Some versions of torchvision refuse `download` where the folder is there.
    found = _fetched(name, lambda: datasets.Imagenette(paths.data(), size=size, download=not root.exists()))
    listing = folder.read(root)
    return tuple(names[0] for names in found.classes), listing


def _fetched(name: str, make: Callable[[], Any]) -> Any:
    try:
        paths.data().mkdir(parents=True, exist_ok=True)
        with FileLock(paths.data() / f"{name}.lock"):
            return make()
    except Exception as error:  # torchvision lets through what urllib, tarfile, pickle and its own checks raise
        raise BadInput(f"{name} is neither in {paths.data()} nor can it be downloaded ({error}); try again with a "
                       f"network and some space, or unpack it there by hand.") from error
