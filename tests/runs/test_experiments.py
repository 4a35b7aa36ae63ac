"""Addresses: a function of everything that changes the mathematics, and of nothing else."""
from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, make_dataclass, replace
from typing import Any

import pytest

from replication import files
from replication.data import spec
from replication.models import ops
from replication.models.googlenet import googlenet
from replication.models.ops import (
    LRN,
    RBF,
    AdaptiveAvgPool,
    Aux,
    AvgPool,
    BatchNorm,
    CaffeXavier,
    Conv,
    Dropout,
    He,
    Inception,
    Linear,
    MaxPool,
    Network,
    Normalise,
    Row,
    Separable,
    Split,
    Start,
    Subsample,
    TableConv,
    Tanh,
    TruncatedNormal,
    VarianceScaling,
)
from replication.runs import experiments
from replication.runs.experiments import (
    SGD,
    Average,
    ClipValue,
    Constant,
    Cosine,
    OneCycle,
    Poly,
    Recipe,
    RMSProp,
    Step,
    TorchRMSProp,
)
from replication.studies import grid
from replication.studies.compose import compose
from replication.studies.setting import Setting, setting

CONTENTS = experiments.Experiment(
    Network("n", (
        Row("a", Conv(8, (1, 3), 2, 1, 2, False, False)), Row("b", TableConv(3, ((0, 1), (2,)))),
        Row("c", Subsample()), Row("d", MaxPool(3, 2)), Row("e", AvgPool(5, 3, 1)),
        Row("f", AdaptiveAvgPool(4)), Row("g", LRN()), Row("h", Dropout(0.4)),
        Row("i", Linear(10)), Row("j", RBF()), Row("k", Split(((Tanh(),), ()))),
        Row("l", Inception(1, 2, 3, 4, 5, 6)),
        Row("m", Start(Separable(8, 7, 2, 4), VarianceScaling())), Row("n", Normalise((0.5,), (0.25,))),
    ), 32, (Aux("a", (Linear(3),)),), BatchNorm(), CaffeXavier()),
    spec.Data("shapes", 32, 10, 100, 50, "digest", spec.LogMel(8000, mfcc=13), ("theo",)),
    Recipe(2, 10, 0.1, RMSProp(), Step(0.9, 8), clip=ClipValue(2.0), average=Average(),
           augment=(spec.RandomCrop(28, 2), spec.Flip(), spec.AreaCrop(28), spec.Photometric(), spec.TimeShift(5))))
ALTERNATIVES = [Constant(), Poly(), Cosine(), Step(0.96, 8), OneCycle()], [
    CaffeXavier(), He(), TruncatedNormal(), VarianceScaling()]


def changed(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    if value is None:
        return 1
    return (*value, value[0]) if value else (1,)


def variants(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The value with every single field of it, at any depth, changed; with None in its place; with parts removed."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            part = getattr(value, field.name)
            for where, other in variants(part, f"{path}.{field.name}"):
                yield where, replace(value, **{field.name: other})
            if part is not None:
                yield f"{path}.{field.name}=None", replace(value, **{field.name: None})
        return
    if isinstance(value, tuple):
        for i, part in enumerate(value):
            for where, other in variants(part, f"{path}[{i}]"):
                yield where, (*value[:i], other, *value[i + 1:])
            yield f"{path}-[{i}]", (*value[:i], *value[i + 1:])
    yield path, changed(value)


def classes(value: Any) -> set[type]:
    if dataclasses.is_dataclass(value):
        return {type(value)}.union(*(classes(getattr(value, f.name)) for f in dataclasses.fields(value)))
    return set().union(*map(classes, value)) if isinstance(value, tuple) else set()


def test_every_field_of_an_experiment_is_in_its_address() -> None:
    found = dict(variants(CONTENTS))
    addresses = {where: experiments.address(other, 0) for where, other in found.items()}
    addresses["as it is"], addresses["seed"] = experiments.address(CONTENTS, 0), experiments.address(CONTENTS, 1)
    by_address: dict[str, list[str]] = {}
    for where, address in addresses.items():
        by_address.setdefault(address, []).append(where)
    assert [same for same in by_address.values() if len(same) > 1] == []
    assert len(found) > 150


def test_the_walk_above_saw_the_whole_vocabulary() -> None:
    known = {value for module in (ops, spec, experiments) for value in vars(module).values()
             if isinstance(value, type) and dataclasses.is_dataclass(value)}
    assert known - classes(CONTENTS) == {Constant, Poly, Cosine, OneCycle, SGD, TorchRMSProp, He, TruncatedNormal}


@pytest.mark.parametrize(("field", "parts"), [("schedule", ALTERNATIVES[0]), ("init", ALTERNATIVES[1])])
def test_values_without_fields_are_told_apart_by_name(field: str, parts: list[Any]) -> None:
    def put(part: Any) -> experiments.Experiment:
        owner = "recipe" if field == "schedule" else "network"
        return replace(CONTENTS, **{owner: replace(getattr(CONTENTS, owner), **{field: part})})
    assert len({experiments.address(put(part), 0) for part in parts}) == len(parts)


def test_order_of_rows_and_branches_matters() -> None:
    rows = CONTENTS.network.rows
    turned = replace(CONTENTS, network=replace(CONTENTS.network, rows=(rows[1], rows[0], *rows[2:])))
    assert experiments.address(turned, 0) != experiments.address(CONTENTS, 0)
    ops = replace(CONTENTS.recipe, augment=CONTENTS.recipe.augment[::-1])
    assert experiments.address(replace(CONTENTS, recipe=ops), 0) != experiments.address(CONTENTS, 0)


def test_the_numerics_are_in_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    before = experiments.address(CONTENTS, 0)
    monkeypatch.setattr(experiments, "NUMERICS", experiments.NUMERICS + 1)
    assert experiments.address(CONTENTS, 0) != before


def test_an_address_is_a_dozen_hex_digits_of_the_record() -> None:
    record = experiments.record(CONTENTS, 4)
    assert re.fullmatch(r"[0-9a-f]{12}", files.digest(record))
    assert files.digest(record) == experiments.address(CONTENTS, 4)
    assert set(record) == {"numerics", "experiment", "seed"}
    assert files.digest(json.loads(json.dumps(record))) == experiments.address(CONTENTS, 4)  # as it is read back


def test_the_order_of_keys_does_not_matter() -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return [turned(part) for part in value] if isinstance(value, list) else value
    record = experiments.record(CONTENTS, 0)
    assert list(turned(record)) != list(record)
    assert files.digest(turned(record)) == files.digest(record)


def test_a_field_added_later_as_none_leaves_old_addresses() -> None:
    recipe = CONTENTS.recipe
    grown = make_dataclass("Recipe", [("mixup", float | None, None)], bases=(experiments.Recipe,), frozen=True)
    same = grown(**{f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe)})
    other = replace(same, mixup=0.2)
    assert experiments.address(replace(CONTENTS, recipe=same), 0) == experiments.address(CONTENTS, 0)
    assert experiments.address(replace(CONTENTS, recipe=other), 0) != experiments.address(CONTENTS, 0)


def test_a_class_s_name_counts_and_its_module_does_not() -> None:
    @dataclass(frozen=True)
    class Flip:
        pass

    @dataclass(frozen=True)
    class Flop:
        pass

    assert files.plain(Flip()) == files.plain(spec.Flip()) != files.plain(Flop())


ADDRESSES = """
from replication.runs.experiments import address
from replication.studies import grid
from replication.studies.setting import setting
given = setting(images=200, val_images=100, resolution=64)
print([address(e, s) for study in grid.STUDIES.values() for _, e in grid.experiments(study, given) for s in (0, 1)])
"""


def test_addresses_are_the_same_in_every_process_and_on_every_machine(python: Any) -> None:
    said = [python(ADDRESSES, PYTHONHASHSEED=seed, REPLICATION_DEVICE=device, REPLICATION_JOBS=jobs, REPLICATION_OUT=o)
            for seed, device, jobs, o in (("0", "cpu", "1", "/a"), ("123", "cuda", "7", "/b"))]
    assert [done.returncode for done in said] == [0, 0], said[0].stderr
    assert said[0].stdout == said[1].stdout
    found = json.loads(said[0].stdout.replace("'", '"'))
    # in the order of the grid: one network, how to train, the first paper, batch normalisation, the second, keywords
    assert len(found) == 2 * (1 + 18 + 9 + 12 + 2 + 6 + 8 + 12 + 18 + 4 + 3 + 4 + 7 + 6 + 4 + 3 + 6 + 4 + 3 + 6 + 2 + 5
                              + 5 + 4 + 1 + 7 + 6 + 8 + 4 + 5 + 3 + 2 + 3 + 5 + 4 + 4 + 6 + 7)
    # The one network has a name of its own. Twenty studies have the batch-normalised network with both heads, six the
    # published one; the fully connected head stands in four, and in two each: no dropout, no heads, naive modules,
    # RMSProp, area crops, v3.recipe's SGD as v3.reduction's first, and the published network at 0.02 without clipping.
    # Of the second paper's, Inception-v2 stands in three, and in two each: its RMSProp, the ladder's last, two 3×3 in
    # all modules; v3.recipe's SGD is v3.heads' late one, too.
    assert len(set(found)) == 2 * (217 - 19 - 5 - 3 - 7 - 2 - 1 - 1 - 1 - 1)


def test_where_it_is_trained_is_in_no_record() -> None:
    text = json.dumps(experiments.record(compose("googlenet", Setting()), 0)).lower()
    for word in ("cuda", "cpu", "jobs", "worker", "thread", "compile", "channels_last", "world", "path"):
        assert word not in text, word


def test_the_order_in_which_heads_are_named_does_not_matter() -> None:
    assert googlenet(aux=("4d", "4a")) == googlenet(aux=("4a", "4d"))


@pytest.mark.parametrize(("one", "other"), [({"lr": 1}, {"lr": 1.0}), ({"lr_bn": 1}, {"lr_bn": 1.0}),
                                            ({"width": 1}, {"width": 1.0})])
def test_a_whole_number_is_the_same_number(one: dict[str, Any], other: dict[str, Any]) -> None:
    """papermill -p lr 1"""
    addresses = [[experiments.address(e, 0) for _, e in grid.experiments(grid.named("v1.aux"), setting(**given))]
                 for given in (one, other)]
    assert addresses[0] == addresses[1]


def test_values_are_frozen_and_hashable() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        CONTENTS.recipe.lr = 1.0  # type: ignore[misc]
    assert hash(CONTENTS) == hash(replace(CONTENTS))
