"""What a profile, a notebook's parameters or a command fix for all runs of a study. No torch."""
from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from replication.errors import check, unknown
from replication.models import registry
from replication.runs.experiments import Recipe
from replication.studies.values import read

RECIPE = tuple(each.name for each in fields(Recipe))
SEEDS = 2 ** 32  # are all that there are


@dataclass(frozen=True)
class Setting:
    """None: the data set's own, or the study's. `lr` and `epochs` are for networks without batch normalisation, `lr_bn`
    and `epochs_bn` (None: as many) for those with. `part` is the data's, `first_seed` the least of `seeds` in a row.
    `set` overrides any field of the network, the data and the recipe by its path, e.g. "recipe.clip": it comes last,
    after what a study's arms set."""
    dataset: str = "shapes"
    classes: int | None = None
    images: int | None = None
    val_images: int | None = None
    resolution: int | None = None
    crop: int | None = None
    width: float = 0.25
    stem: int = 4
    epochs: int = 5
    epochs_bn: int | None = None
    batch: int = 32
    lr: float = 0.02
    lr_bn: float = 0.06
    seeds: int = 3
    first_seed: int = 0
    part: str | None = None
    precision: str = "fp32"
    network: str | None = None
    set: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check("dataset", self.dataset, str)
        for name in ("classes", "images", "val_images", "resolution", "crop", "epochs_bn"):
            if getattr(self, name) is not None:
                check(name, getattr(self, name), int, low=1)
        for name in ("epochs", "batch"):
            check(name, getattr(self, name), int, low=1)
        check("seeds", self.seeds, int, low=1, high=10_000)
        check("first_seed", self.first_seed, int, low=0, high=SEEDS - self.seeds)
        for name in ("lr", "lr_bn"):
            check(name, getattr(self, name), (int, float), low=0, high=10)
        check("width", self.width, (int, float), low=0.01, high=10)
        if type(self.stem) is not int or self.stem not in (2, 4, 8):
            raise unknown("stem", self.stem, (8, 4, 2))
        if self.precision not in ("fp32", "bf16"):
            raise unknown("precision", self.precision, ("fp32", "bf16"))
        if self.network is not None and self.network not in list(registry.NETWORKS):
            raise unknown("network", self.network, registry.NETWORKS)
        check("set", self.set, (dict, Mapping))
        for name in self.set:
            check("a name in set", name, str)


NAMES = tuple(each.name for each in fields(Setting))
NUMBERS = tuple(each.name for each in fields(Setting) if "int" in each.type or "float" in each.type)


def setting(**parameters: Any) -> Setting:
    """A Setting from parameters. A name that is none of its own and stands for a field of the recipe, or of some
    network, goes to `set`, unless it is None: `label_smoothing=0.1` is `set={"recipe.label_smoothing": 0.1}`. A
    path, "recipe.clip", goes there as it is, None too.

    Raises BadInput for a name that does not exist, with the near miss.
    """
    own, more, paths = {}, {}, {}
    arguments = sorted({name for network in registry.NETWORKS for name in registry.arguments(network)})
    for name, value in parameters.items():
        if name in NAMES:
            exponent = name in NUMBERS and "e" in str(value).lower()  # YAML 1.1, and so -y, takes 1e-3 for a text
            own[name] = read(value) if exponent else value
        elif "." in name:
            paths[name] = value
        elif name in RECIPE:
            more[f"recipe.{name}"] = value
        elif name in arguments:
            more[f"network.{name}"] = value
        else:
            raise unknown("parameter", name, (*NAMES, *RECIPE, *arguments))
    if more := {**{name: value for name, value in more.items() if value is not None}, **paths}:
        own["set"] = {**own.get("set", {}), **more}
    return Setting(**own)


def given(names: dict[str, Any]) -> dict[str, Any]:
    """A notebook's parameters out of its globals(), so that a mistyped `-p epoch 10` is refused and not ignored.

    Whatever is a plain value, not private, and was written down or declared counts; papermill itself takes any name
    without a word. What cells have computed and left there does not, so that all of them may be run again; but of a
    name that was declared it counts, whatever it is: `epochs = numpy.int64(3)` is refused and not ignored.
    """
    declared = names.get("__annotations__", ())
    plain = {name: value for name, value in names.items()
             if not name.startswith("_") and name not in ("In", "Out") and (
                 name in declared or value is None or isinstance(value, (str, int, float, list, tuple, dict)))}
    # where there is no kernel: what is there at first, and what is declared
    said = _said(names["In"]) if "In" in names else {*names.setdefault("_said", set(plain)), *declared}
    return {name: value for name, value in plain.items() if name in said}


def _said(cells: Iterable[str]) -> set[str]:
    """The names that a kernel's cells declare (`epochs: int = 3`) or set to what is written there (`epochs = 3`), and
    not to what was computed. A cell that declares what one before it did is that cell, run again, perhaps changed: what
    was said until then is past."""
    said: set[str] = set()
    declared: set[str] = set()
    for cell in cells:
        try:
            parts = ast.parse(cell).body
        except (SyntaxError, ValueError):
            continue
        here = {part.target.id for part in parts
                if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)}
        if here & declared:
            said, declared = set(), set()
        declared |= here
        said |= here | {name.id for part in parts if isinstance(part, ast.Assign) and _written(part.value)
                        for target in part.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return said


def _written(value: ast.expr) -> bool:
    """papermill writes float('nan')."""
    return not any(isinstance(part, ast.Attribute | ast.Subscript) or
                   (isinstance(part, ast.Call) and ast.unparse(part.func) != "float") for part in ast.walk(value))
