"""An experiment put together by name: a network of the registry, a setting, and what overrides single fields. No torch.

A field is named by its path: `network.<argument>` of the network's function, `data.<argument>` of `data.registry`'s
`resolve`, `recipe.<field>` of `Recipe`; `network` alone is the network's name. Texts are read as `values.read` does.
"""
from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from replication.data import registry as sets_of_data
from replication.data.spec import AreaCrop, Augmentation, Data, Flip, LogMel, Photometric, RandomCrop, TimeShift
from replication.errors import BadInput, check, unknown
from replication.models import cost, registry
from replication.models.ops import Network
from replication.runs.experiments import SGD, Experiment, Recipe
from replication.studies.setting import RECIPE, SEEDS, Setting
from replication.studies.values import fits, listed, read

DATA = tuple(inspect.signature(sets_of_data.resolve).parameters)
TYPES = typing.get_type_hints(Recipe)
LEAST = 1e-12  # of what may not be 0
RANGES: dict[str, tuple[float, float | None]] = {
    "epochs": (0, None), "batch": (1, None), "lr": (0, 10), "warmup": (0, 1), "clip": (LEAST, None),
    "aux_weight": (0, None), "label_smoothing": (0, 0.999), "init_seed": (0, SEEDS - 1),
    "order_seed": (0, SEEDS - 1)}
# Of what a recipe's and a network's parts are made of, by the names of their fields.
PARTS: dict[str, tuple[float, float | None]] = {
    "momentum": (0, 1), "weight_decay": (0, None), "bias_rate": (0, None), "decay": (0, 1), "epsilon": (0, None),
    "limit": (LEAST, None), "power": (0, None), "gamma": (0, None), "epochs": (LEAST, None), "rise": (0, 1),
    "start": (1, None), "end": (1, None), "size": (1, None), "pad": (0, None), "frames": (0, None), "low": (0, None),
    "high": (0, None), "lighting": (0, None), "eps": (LEAST, None), "std": (LEAST, None), "factor": (LEAST, None)}
STRIDES = {8: (2, 2, 2), 4: (1, 2, 2), 2: (1, 1, 2)}  # of an Inception V3, by the total stride of its stem


@dataclass(frozen=True)
class Times:
    """For a field that is a number: what it would be, times `factor`."""
    factor: float


@dataclass(frozen=True)
class AtLeast:
    """For data.resolution: this many px where a set's own are fewer and no other resolution is asked for."""
    px: int


@dataclass(frozen=True)
class SameCost:
    """For network.width: the one whose multiply-adds are nearest to those the network has without its study's and
    arm's overrides, as near as multiples of eight channels allow."""


@dataclass(frozen=True)
class Trained:
    """For recipe.start: what the network is trained to under the setting with these overrides alone. Those of its study
    and arm do not hold for it, and of the setting's `set` only those of the network do."""
    sets: Mapping[str, Any]


def compose(network: str, setting: Setting, *layers: Mapping[str, Any]) -> Experiment:
    """What a network is trained to under a setting, each layer overriding fields of those before it.

    Raises BadInput for an unknown network, field or value, with the near miss, and for what cannot be trained.
    """
    sets: dict[str, Any] = {}
    for layer in (*layers, setting.set):
        sets |= layer
    name = setting.network or sets.pop("network", network)
    sets.pop("network", None)
    if name not in list(registry.NETWORKS):  # also what has no hash
        raise unknown("network", name, registry.NETWORKS)
    known = {"network": registry.arguments(name), "data": DATA, "recipe": RECIPE}
    asked: dict[str, dict[str, Any]] = {part: {} for part in known}
    for path, value in sets.items():
        part, _, field = path.partition(".")
        if part not in known or field not in known[part]:
            raise unknown("field", path, [f"{p}.{f}" for p, names in known.items() for f in names])
        if any(isinstance(one, Mapping) for one in (value if isinstance(value, list | tuple) else [value])):
            raise BadInput(f"{path}={value!r} holds names with values, as no field does: write a value, a list, or a "
                           f"call like Step(gamma=0.96, epochs=8).")
        asked[part][field] = value
    data = _data(setting, asked["data"])
    crop = setting.crop if data.features is None else None  # sound has no crops
    if crop and isinstance(share := asked["data"].get("resolution"), Times):
        crop = _scaled(crop, share, "crop")
    side = crop or data.resolution
    if side > data.resolution:
        raise BadInput(f"crop={side} is larger than the images' {data.resolution} px: use a smaller crop.")
    table = _network(name, setting, data, side, asked["network"])
    if isinstance(start := asked["recipe"].get("start"), Trained):
        of_network = {path: value for path, value in setting.set.items() if path.startswith("network.")}
        asked["recipe"]["start"] = compose(name, replace(setting, set=of_network), start.sets)
    return Experiment(table, data, _recipe(setting, table, data, side, asked["recipe"]))


def _data(setting: Setting, asked: dict[str, Any]) -> Data:
    own: dict[str, Any] = {"name": setting.dataset, "resolution": setting.resolution, "classes": setting.classes,
           "train_images": setting.images, "val_images": setting.val_images, "part": setting.part}
    given = {name: listed(value) if name == "held" else read(value) for name, value in asked.items()}
    match given.get("resolution"):
        case AtLeast(px):
            del given["resolution"]
            if setting.resolution is None:
                own["resolution"] = max(px, sets_of_data.resolve(**own).resolution)
        case Times() as share:
            given["resolution"] = _scaled(sets_of_data.resolve(**own).resolution, share, "data.resolution")
    return sets_of_data.resolve(**{**own, **given})


def _network(name: str, setting: Setting, data: Data, side: int, asked: dict[str, Any]) -> Network:
    """What the data and the setting say of the arguments that this network has, and what is asked of others."""
    known = registry.arguments(name)
    if data.features is not None:
        if "frames" not in known:
            raise BadInput(f"{name} takes images and {data.name} is sound: use the network kws_inception.")
        own: dict[str, Any] = {"features": data.features.features, "frames": data.resolution}
    elif "frames" in known:
        raise BadInput(f"{name} takes sound and {data.name} is images: use the data set fsdd or speech-commands.")
    else:
        own = {"resolution": side, "width": setting.width, "strides": STRIDES[setting.stem]}
        own |= {"stem": setting.stem} if "strides" not in known else {}
    own |= {"classes": data.classes, "init": registry.START.get(name)}
    own = {field: value for field, value in own.items() if field in known and value is not None}
    given: dict[str, Any] = {}
    for field, value in asked.items():
        if isinstance(value, SameCost):
            continue
        value = _scaled(own.get(field, known[field]), value, f"network.{field}")
        given[field] = listed(value) if isinstance(known[field], (tuple, list)) else read(value)
        if type(given[field]) is int and isinstance(known[field], float):
            given[field] = float(given[field])  # 1 is 1.0, and the same run
        _parts(given[field])
        if field in ("classes", "resolution", "features", "frames") and given[field] != own.get(field, given[field]):
            raise BadInput(f"network.{field}={given[field]!r} does not fit the data, whose network has {own[field]}: "
                           f"leave it out, or change the data.")
    if isinstance(asked.get("width"), SameCost):
        given["width"] = _as_costly(name, own, given)
    table = registry.NETWORKS[name](**{**own, **given})
    cost.costs(table, None, aux=True)  # raises where it is too small, before anything is trained
    if data.features is None and table.channels != 3:
        raise BadInput(f"{name} takes images of one channel, and the images of every set here have three colours: use "
                       f"another network.")
    return table


def _as_costly(name: str, own: dict[str, Any], given: dict[str, Any]) -> float:
    """The width for SameCost, in steps of a fortieth, at least 0.01."""
    def work(**arguments: Any) -> int:
        return cost.multiply_adds(registry.NETWORKS[name](**{**own, **arguments}))

    def width(step: int) -> float:
        return float(max(0.01, own["width"] * step / 40))

    wanted, low, high = work(), 0, 80  # its multiply-adds grow with it
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if work(**{**given, "width": width(middle)}) <= wanted else (low, middle)
    return min(map(width, (low, high)), key=lambda found: abs(work(**{**given, "width": found}) - wanted))


def _recipe(setting: Setting, table: Network, data: Data, side: int, asked: dict[str, Any]) -> Recipe:
    own: dict[str, Any] = {
        "epochs": setting.epochs if table.norm is None else setting.epochs_bn or setting.epochs, "batch": setting.batch,
        "precision": setting.precision, "warmup": 0.15,
        "lr": float(setting.lr if table.norm is None else setting.lr_bn),
        "augment": usual(data, side)}
    defaults = {field.name: field.default for field in fields(Recipe)}
    for field, value in asked.items():
        value = _scaled(own.get(field, defaults[field]), value, f"recipe.{field}")
        if field == "augment":
            own[field] = tuple(_augmentation(part, data, side) for part in listed(value))
            for part in own[field]:
                _parts(part)
            continue
        own[field] = read(value) if field != "trained" or value is None else _rows(table, listed(value))
        own[field] = _fits(field, own[field])
    if own["precision"] not in ("fp32", "bf16"):
        raise unknown("recipe.precision", own["precision"], ("fp32", "bf16"))
    return Recipe(**own)


def _rows(table: Network, named: tuple[str, ...]) -> tuple[str, ...]:
    """The rows that are to learn. Raises BadInput for one that the network has not, and where none has weights."""
    known = {row: of.parameters for head, row, of in cost.costs(table, None, aux=False)}
    for row in named:
        if row not in known:
            raise unknown("row in recipe.trained", row, known)
    if not any(known[row] for row in named):
        raise BadInput(f"recipe.trained={named!r}: these rows have no weights, so that nothing would learn; name one "
                       f"that has, the last of which is {[row for row in known if known[row]][-1]}.")
    return named


def usual(data: Data, side: int) -> tuple[Augmentation, ...]:
    """What is done to a set's training examples unless a study says otherwise. A mirrored digit is another sign, and
    sound is moved by up to a tenth of a second, as kws_streaming does."""
    if data.features is not None:
        return (_shift(data.features),)
    mirrors = data.name not in sets_of_data.KNOWN or sets_of_data.KNOWN[data.name].mirrors
    return (*((RandomCrop(side),) if side < data.resolution else ()), *((Flip(),) if mirrors else ()))


def _shift(of: LogMel) -> TimeShift:
    return TimeShift(max(1, 100 // of.hop))


def _augmentation(asked: Any, data: Data, side: int) -> Augmentation:
    """By its word, of those that the data can take and with the sizes of the setting, or as it is."""
    made: dict[str, Augmentation] = {"shift": _shift(data.features)} if data.features is not None else {
        "crop": RandomCrop(side), "flip": Flip(), "area": AreaCrop(side), "photometric": Photometric(),
        "area in four ways": AreaCrop(side, interpolation=("bilinear", "area", "nearest", "cubic"))}
    asked = read(asked)
    if isinstance(asked, (RandomCrop, Flip, AreaCrop, Photometric, TimeShift)):
        return asked
    if asked not in made:
        raise unknown("augmentation", asked, made)
    return made[asked]


def _scaled(before: Any, value: Any, path: str) -> Any:
    """`value`, but for Times. What is counted stays a whole number."""
    if not isinstance(value, Times):
        return value
    if isinstance(before, bool) or not isinstance(before, (int, float)):
        raise BadInput(f"{path} is {before!r}, which cannot be multiplied by {value.factor:g}.")
    product = before * value.factor
    return int(product) if isinstance(before, int) and float(product).is_integer() else product


def _fits(field: str, value: Any) -> Any:
    """The value; 1 where it is a float is 1.0, and the same run. Raises BadInput where it is of no kind that the
    recipe's field has, or out of range."""
    fits(f"recipe.{field}", value, TYPES[field])
    if isinstance(value, (int, float)) and field in RANGES:
        check(f"recipe.{field}", value, (int, float), *RANGES[field])
    _parts(value)
    kinds = typing.get_args(TYPES[field]) or (TYPES[field],)
    return float(value) if isinstance(value, int) and int not in kinds and float in kinds else value


def _parts(value: Any) -> None:
    """Raises BadInput where a part of a recipe or a network has a number out of range."""
    for each in fields(value) if is_dataclass(value) else ():
        number = getattr(value, each.name)
        if each.name in PARTS and isinstance(number, (int, float)):
            check(f"{type(value).__name__}({each.name}=...): {each.name}", number, (int, float), *PARTS[each.name])
    if isinstance(value, SGD) and value.nesterov and not value.momentum:
        raise BadInput("SGD(nesterov=True, momentum=0): Nesterov's step is one of momentum; give it some.")
    low, high = getattr(value, "low", None), getattr(value, "high", None)
    if low is not None and high is not None and low > high:
        raise BadInput(f"{type(value).__name__}: low={low!r} is more than high={high!r}; give the lower one as low.")
