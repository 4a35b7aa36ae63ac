"""The whole grid on one screen: every study, what it varies, and what a profile fixes for all of its runs. No torch."""
from __future__ import annotations

import itertools
from dataclasses import dataclass, fields
from typing import Any

from replication.data import spec
from replication.data.registry import resolve
from replication.errors import BadInput, check, unknown
from replication.models import ops
from replication.models.googlenet import googlenet
from replication.runs import experiments

NORMS = {"LRN": None, "BN": ops.BatchNorm()}  # as published; the BN form has no LRN
INITS: dict[str, ops.He | ops.CaffeXavier | ops.TruncatedNormal] = {
    "He": ops.He(), "Xavier (Caffe)": ops.CaffeXavier(), "N(0, 0.01)": ops.TruncatedNormal(0.01)}
HEADS: tuple[tuple[str, ...], ...] = ((), ("4a",), ("4d",), ("4a", "4d"))


@dataclass(frozen=True)
class Study:
    """A few experiments that differ in what `vary` lists. `fixed` holds for all of them, whatever the profile says."""
    name: str
    question: str
    vary: dict[str, tuple[Any, ...]]
    fixed: dict[str, Any]


STUDIES = {study.name: study for study in (
    Study("v1.long", "How good does the network become, as published and with batch normalisation?",
          vary={"norm": ("BN", "LRN")}, fixed={}),
    Study("v1.gradient", "How strong is the gradient that reaches the first layer before training?",
          vary={"norm": tuple(NORMS), "init": tuple(INITS)}, fixed={"epochs": 0}),
    Study("v1.aux", "Do auxiliary heads help?",
          vary={"norm": tuple(NORMS), "aux": HEADS}, fixed={}),
    Study("v1.head", "Does average pooling do better than a fully connected layer, and is dropout needed?",
          vary={"norm": tuple(NORMS), "head": ("average", "fc"), "dropout": (0.4, 0.0)}, fixed={}),
)}


@dataclass(frozen=True)
class Setting:
    """What a profile or a notebook's parameters fix. None: the data set's own. `lr` without, `lr_bn` with BN."""
    dataset: str = "shapes"
    classes: int | None = None
    images: int | None = None
    val_images: int | None = None
    resolution: int | None = None
    crop: int | None = None
    width: float = 0.25
    stem: int = 4
    epochs: int = 5
    batch: int = 32
    lr: float = 0.02
    lr_bn: float = 0.06
    seeds: int = 3
    precision: str = "fp32"

    def __post_init__(self) -> None:
        check("dataset", self.dataset, str)
        for name in ("classes", "images", "val_images", "resolution", "crop"):
            if getattr(self, name) is not None:
                check(name, getattr(self, name), int, low=1)
        for name in ("epochs", "batch", "seeds"):
            check(name, getattr(self, name), int, low=1)
        for name in ("lr", "lr_bn"):
            check(name, getattr(self, name), (int, float), low=0, high=10)
        if self.precision not in ("fp32", "bf16"):
            raise unknown("precision", self.precision, ("fp32", "bf16"))


def setting(**parameters: Any) -> Setting:
    """A Setting from a notebook's or a profile's parameters. Raises BadInput for a name that does not exist."""
    known = [f.name for f in fields(Setting)]
    for name in parameters:
        if name not in known:
            raise unknown("parameter", name, known)
    return Setting(**parameters)


def given(names: dict[str, Any]) -> dict[str, Any]:
    """A notebook's parameters out of its globals(), so that a mistyped `-p epoch 10` is refused and not ignored.

    Whatever is a plain value and not private counts as a parameter; papermill itself takes any name without a word.
    """
    return {name: value for name, value in names.items()
            if not name.startswith("_") and (value is None or isinstance(value, (str, int, float, list, tuple, dict)))
            and name not in ("In", "Out")}


def experiment(setting: Setting, norm: str = "LRN", aux: tuple[str, ...] = ("4a", "4d"), init: str = "He",
               head: str = "average", dropout: float = 0.4, epochs: int | None = None) -> experiments.Experiment:
    """GoogLeNet and its recipe under a setting. He's initialisation and clipping at 2.0: the paper names neither, and
    without them the published network does not start (book: Do auxiliary heads help?)."""
    data = resolve(setting.dataset, resolution=setting.resolution, classes=setting.classes,
                   train_images=setting.images, val_images=setting.val_images)
    assert data.classes is not None  # resolved
    crop = setting.crop or data.resolution
    if crop > data.resolution:
        raise BadInput(f"crop={crop} is larger than the images' {data.resolution} px: use a smaller crop.")
    network = googlenet(classes=data.classes, width=setting.width, stem=setting.stem, norm=NORMS[norm], aux=aux,
                        init=INITS[init], head=head, dropout=dropout, resolution=crop)
    recipe = experiments.Recipe(
        epochs=setting.epochs if epochs is None else epochs, batch=setting.batch,
        lr=float(setting.lr_bn if norm == "BN" else setting.lr), warmup=0.15, precision=setting.precision,
        augment=((spec.RandomCrop(crop),) if crop < data.resolution else ()) + (spec.Flip(),))
    return experiments.Experiment(network, data, recipe)


def cells(name: str, setting: Setting) -> list[tuple[dict[str, str], experiments.Experiment]]:
    """The experiments of a study, each with its labels ({"norm": "LRN", "aux": "4a + 4d"}), in the order declared."""
    if name not in STUDIES:
        raise unknown("study", name, STUDIES)
    study = STUDIES[name]
    found = []
    for values in itertools.product(*study.vary.values()):
        knobs = dict(zip(study.vary, values, strict=True))
        found.append(({k: label(v) for k, v in knobs.items()}, experiment(setting, **knobs, **study.fixed)))
    return found


def label(value: Any) -> str:
    """A knob's value as figures and tables name it."""
    return (" + ".join(value) or "none") if isinstance(value, tuple) else str(value)
