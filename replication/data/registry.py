"""What a set is called, and what it is then: every default filled in. No torch, no numpy: `list` must be instant."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from replication.data import folder, imagenet, spec, speech, subset, tiny_imagenet, vision
from replication.data.listing import ByClass
from replication.errors import BadInput, check, unknown


@dataclass(frozen=True)
class Known:
    """A set's default resolution in px, its images of every class, how many are taken unless said otherwise, and what
    reads it; None where `load` has a function of its own for it. `mirrors`: whether an image mirrored left to right is
    still of its class. To add a set, add a line with a `read`, which may import whatever it needs when it is called."""
    resolution: int
    train: tuple[int, ...]
    val: tuple[int, ...]
    default: tuple[int, int] | None = None
    content: str | None = None
    read: Callable[[spec.Data], ByClass] | None = None
    mirrors: bool = True


KNOWN = {
    "shapes": Known(32, (50_000,) * 10, (50_000,) * 10, default=(3000, 2000)),
    "digits": Known(32, (128, 132, 127, 133, 131, 132, 131, 129, 124, 130), (50,) * 10, mirrors=False),
    "tiny-imagenet-200": Known(64, (tiny_imagenet.TRAIN,) * 200, (tiny_imagenet.VAL,) * 200),
    "cifar10": Known(32, (5000,) * 10, (1000,) * 10, read=vision.cifar),
    "cifar100": Known(32, (500,) * 100, (100,) * 100, read=vision.cifar),
    "imagenette": Known(160, *vision.IMAGENETTE, read=vision.imagenette),
    # Its classes have 732 to 1,300 training images; how many each, the images say once they are here.
    "imagenet": Known(256, (1282,) * 167 + (1281,) * 833, (imagenet.VAL // imagenet.CLASSES,) * imagenet.CLASSES),
}
FOLDER = "folder:"
PILOT = "pilot"
NAMES = (*KNOWN, *speech.SETS, "folder")  # as a value has them
VALID = (*KNOWN, *speech.SETS, "folder:PATH")  # as a person gives them


def resolve(name: str, resolution: int | None = None, classes: int | None = None, train_images: int | None = None,
            val_images: int | None = None, features: spec.LogMel | None = None,
            held: Sequence[str] | None = None, part: str | None = None) -> spec.Data:
    """The value that says which images: `None` becomes what it stands for, so that an address says everything.

    `classes` are evenly spaced in the sorted list; images are an equal share of every class. Of a Tiny-ImageNet or an
    ImageNet that is only partly there, `None` is what is there, and `content` tells it from the whole. Of
    `folder:PATH`, `content` is a digest of what its images are called and hold, and the path itself is remembered
    beside the data, not in the value (see `folder.remember`). Of sound, `features` say what is heard, and the frames
    they give are the resolution; `held` is what is held out for validation: speakers of fsdd, or "mixed", recordings of
    every one of them; "validation" or "testing" of speech-commands. `part="pilot"` is training images alone, to choose
    settings by; of shapes it is others than are ever drawn without it.
    Raises BadInput for unknown names and for numbers of the wrong type or out of range.
    """
    check("dataset", name, str)
    if part not in (None, PILOT):
        raise unknown("part", part, (PILOT,))
    if name in speech.SETS:
        features, held = _heard(name, features, held)
        known = _speech(name, features, held, resolution)
    elif features is not None or held is not None:
        raise BadInput(f"features and held are of sound, and {name} is none ({', '.join(speech.SETS)} are).")
    elif name.startswith(FOLDER):
        known, name = _folder(name.removeprefix(FOLDER)), "folder"
    elif name == "tiny-imagenet-200":
        known = _tiny()
    elif name == "imagenet":
        known = _imagenet(classes)
    elif name in KNOWN:
        known = KNOWN[name]
    else:
        raise unknown("data set", name, VALID)

    if part and name != "shapes":
        train = tuple(subset.pilot_train(n) for n in known.train)
        known = replace(known, train=train, val=tuple(n - k for n, k in zip(known.train, train, strict=True)))
    resolution = known.resolution if resolution is None else resolution
    check("resolution", resolution, int, 8, 1024)
    classes = len(known.train) if classes is None else classes
    check("classes", classes, int, 2, len(known.train))
    chosen = subset.evenly(len(known.train), classes)
    there = sum(known.train[c] for c in chosen), sum(known.val[c] for c in chosen)
    some, few = known.default or there
    train_images = some if train_images is None else train_images
    val_images = few if val_images is None else val_images
    check("train_images", train_images, int, classes, there[0])
    check("val_images", val_images, int, classes, there[1])
    return spec.Data(name, resolution, classes, train_images, val_images, known.content, features,
                     None if held is None else tuple(held), part)


def _folder(path: str) -> Known:
    listing = folder.read(path)
    folder.remember(listing)
    counts = tuple(len(g) for g in listing.train), tuple(len(g) for g in listing.val)
    return Known(64, *counts, content=listing.content)


def _tiny() -> Known:
    known = KNOWN["tiny-imagenet-200"]
    if not tiny_imagenet.root().is_dir():
        return known
    listing = tiny_imagenet.read()
    train, val = tuple(len(g) for g in listing.train), tuple(len(g) for g in listing.val)
    return Known(known.resolution, train, val, content=tiny_imagenet.content(listing))


def _imagenet(classes: int | None) -> Known:
    if not imagenet.here():
        known = KNOWN["imagenet"]
        if classes not in (None, len(known.train)):
            raise BadInput(f"How many images {classes} classes of ImageNet have is known once they are in "
                           f"{imagenet.root()}, which is not there: ask for all {len(known.train)}.")
        return known
    found = imagenet.read()
    return Known(KNOWN["imagenet"].resolution, tuple(map(len, found.train)), tuple(map(len, found.val)),
                 content=found.content)


def _heard(name: str, features: spec.LogMel | None,
           held: Sequence[str] | None) -> tuple[spec.LogMel, tuple[str, ...]]:
    """What was asked for or the set's own, checked; `held` sorted, so that one choice is one value."""
    of = speech.SETS[name]
    features = of.features if features is None else features
    check("features", features, spec.LogMel)
    check("features.rate", features.rate, int, of.features.rate, of.features.rate)
    check("features.window", features.window, int, 1, 1000)
    check("features.hop", features.hop, int, 1, 1000)
    check("features.mels", features.mels, int, 1)
    check("features.mfcc", features.features, int, 1, features.mels)
    check("features.low", features.low, (int, float), 0)
    check("features.high", features.high, (int, float), features.low + 1, features.rate / 2)
    check("features.floor", features.floor, float, 1e-30)
    held = of.held if held is None else held
    if isinstance(held, str) or not isinstance(held, Sequence) or not held:
        raise BadInput(f"held={held!r} is no list of names; give e.g. held={of.held}.")
    return features, tuple(sorted(set(held)))


def _speech(name: str, features: spec.LogMel, held: tuple[str, ...], resolution: int | None) -> Known:
    if resolution not in (None, features.frames):
        raise BadInput(f"resolution={resolution}: a second of sound has {features.frames} frames of these "
                       f"features; leave the resolution out, or change features.hop.")
    (train, val), content = speech.numbers(name, held)
    return Known(features.frames, train, val, content=content)
