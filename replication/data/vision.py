"""CIFAR-10, CIFAR-100 and Imagenette, as torchvision brings them, which is imported only once they are wanted."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from replication import paths
from replication.data import content, folder
from replication.data.listing import ByClass
from replication.data.spec import Data
from replication.errors import BadInput


def cifar(data: Data) -> ByClass:
    """The images (32, 32, 3) of every class in the set's own order."""
    from torchvision import datasets

    kind = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[data.name]

    def part(train: bool) -> tuple[tuple[str, ...], list[list[Any]]]:
        found = _fetched(data.name, lambda: _with(kind.base_folder, kind.url, kind.tgz_md5,
                                                  lambda: kind(paths.data(), train=train, download=True)))
        groups: list[list[Any]] = [[] for _ in found.classes]
        for image, label in zip(found.data, found.targets, strict=True):
            groups[label].append(image)
        return tuple(found.classes), groups

    classes, train = part(train=True)
    return classes, train, part(train=False)[1]


# Of each class, in training and validation.
IMAGENETTE = ((963, 955, 993, 858, 941, 956, 961, 931, 951, 960), (387, 395, 357, 386, 409, 394, 389, 419, 399, 390))


def imagenette(data: Data) -> ByClass:
    """The files of the smallest edition whose short side is at least the resolution. What they hold nobody publishes:
    the whole set is what it was when it was first read here, or is refused."""
    from torchvision import datasets

    side = data.resolution
    size, name = next(((f"{s}px", f"imagenette2-{s}") for s in (160, 320) if side <= s), ("full", "imagenette2"))
    root = paths.data() / name
    # Some versions of torchvision refuse `download` where the folder is there, and take a hidden one for a class.
    if not root.exists():
        url, md5 = datasets.Imagenette._ARCHIVES[size]
        _fetched(data.name, lambda: _with(name, url, md5, lambda: datasets.Imagenette(paths.data(), size=size,
                                                                                      download=True)))
        content.unpacked(name, folder.read(root).content)
    listing = folder.read(root)
    names = datasets.Imagenette._WNID_TO_CLASS
    if odd := [wnid for wnid in listing.classes if wnid not in names]:
        raise BadInput(f"{root} holds {odd[0]}/, which is no class of Imagenette; move it elsewhere, or ask for "
                       f"folder:{root}.")
    counts = tuple(tuple(map(len, part)) for part in (listing.train, listing.val))
    if counts == IMAGENETTE and not content.official(name, listing.content):
        raise BadInput(f"{root} is not what it was when it was first read here; unpack {name}.tgz again, or ask for "
                       f"folder:{root}, as another set.")
    return tuple(names[wnid][0] for wnid in listing.classes), listing.train, listing.val


def _with(folder: str, url: str, md5: str, make: Callable[[], Any]) -> Any:
    """What torchvision makes of an archive that is fetched as those of other sets are: its own download begins anew
    where it was cut, and waits for a server that says nothing."""
    from replication.data import download  # what follows is not needed to name a set

    if not (paths.data() / folder).exists():
        download.fetch(url, paths.data() / url.rsplit("/", 1)[-1], md5)
    return make()


def _fetched(name: str, make: Callable[[], Any]) -> Any:
    from filelock import FileLock

    try:
        locks = paths.kept("locks")
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / f"{name}.lock"):
            return make()
    except BadInput:
        raise
    except Exception as error:  # torchvision lets through what urllib, tarfile, pickle and its own checks raise
        raise BadInput(f"{name} is neither in {paths.data()} nor can it be downloaded ({error}); try again with a "
                       f"network and some space, or unpack it there by hand.") from error
