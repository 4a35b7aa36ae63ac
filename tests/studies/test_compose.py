"""Whatever the registry holds is trained by naming it; what cannot be is one sentence with the near miss."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spoken
import torch

from replication.data import spec
from replication.data.transforms import augment
from replication.errors import BadInput
from replication.models import cost, ops, registry
from replication.models.googlenet import googlenet
from replication.models.ops import BatchNorm
from replication.runs import experiments
from replication.runs.experiments import Average, ClipValue, RMSProp
from replication.studies import grid, profiles, study
from replication.studies.compose import AtLeast, SameCost, Times, compose
from replication.studies.grid import Arm, Study
from replication.studies.setting import Setting, setting
from replication.training import loop

pytestmark = pytest.mark.usefixtures("out")
SMALL: dict[str, Any] = {"images": 60, "val_images": 20, "resolution": 32, "width": 0.125, "epochs": 1, "batch": 20,
                         "seeds": 1}
SOUND, GRAY = {"kws_inception"}, {"lenet5", "lenet5_dense"}
COLOUR = sorted(set(registry.NETWORKS) - SOUND - GRAY)


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No data set is here; those of sound are then known by what their papers say."""
    monkeypatch.setenv("REPLICATION_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def made(network: str = "googlenet", **parameters: Any) -> experiments.Experiment:
    cell, = study.single(network, **{**SMALL, **parameters}).cells
    return cell.experiment


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(BadInput) as problem:
        call()
    said = str(problem.value)
    assert "\n" not in said
    assert said.endswith(".")
    return said


# -- every network ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dataset", ["shapes", "digits"])
@pytest.mark.parametrize("name", COLOUR)
def test_every_network_of_colour_takes_images(name: str, dataset: str) -> None:
    found = made(name, dataset=dataset, resolution=96, classes=7, stem=8, width=0.25)
    shapes = dict(cost.shapes(found.network))
    assert (found.network.channels, found.network.resolution) == (3, 96)
    assert list(shapes.values())[-1][0] == found.data.classes == 7
    assert cost.parameters(found.network) < cost.parameters(registry.NETWORKS[name]())  # thinner, too
    assert found.recipe.lr == (0.02 if found.network.norm is None else 0.06)
    assert found.recipe.augment == (() if dataset == "digits" else (spec.Flip(),))
    if name in registry.START:
        assert found.network.init == ops.He()


@pytest.mark.parametrize("name", sorted(GRAY))
def test_what_takes_one_channel_is_refused(name: str) -> None:
    for dataset in ("shapes", "digits"):
        assert "takes images of one channel" in refused(lambda d=dataset: made(name, dataset=d))


@pytest.mark.parametrize("name", SOUND)
def test_a_network_of_sound_takes_sound_alone(name: str) -> None:
    sound: dict[str, Any] = {**SMALL, "resolution": None}
    for dataset, classes in (("fsdd", 10), ("speech-commands", 12)):
        cell, = study.single(name, **{**sound, "dataset": dataset}).cells
        found, features = cell.experiment, cell.experiment.data.features
        assert features is not None
        assert (found.network.channels, found.network.resolution) == (features.features, (features.frames, 1))
        assert found.data.classes == classes
        assert isinstance(found.recipe.augment[0], spec.TimeShift)
    for dataset in ("shapes", "digits", "cifar10", "imagenette"):
        assert "takes sound and" in refused(lambda d=dataset: made(name, dataset=d))


@pytest.mark.parametrize("name", sorted(set(registry.NETWORKS) - SOUND))
@pytest.mark.parametrize("dataset", ["fsdd", "speech-commands"])
def test_networks_of_images_refuse_sound(name: str, dataset: str) -> None:
    assert "use the network kws_inception" in refused(lambda: made(name, dataset=dataset, resolution=None))


@pytest.mark.parametrize(("name", "resolution"), [("inception_v3", 16), ("inception_v3_paper", 16), ("alexnet", 35),
                                                  ("alexnet_torchvision", 56)])
def test_too_small_an_image_is_refused_before_anything_is_trained(name: str, resolution: int) -> None:
    assert "small" in refused(lambda: made(name, resolution=resolution, stem=8))


@pytest.mark.parametrize("stem", [8, 4, 2])
def test_a_total_stride_is_that_of_any_stem(stem: int) -> None:
    """Sides of the first module's map: 64 px over the stem's stride."""
    for name, first in (("googlenet", "3a"), ("bn_inception", "3b")):
        assert dict(cost.shapes(made(name, resolution=64, stem=stem).network))[first][1] == 64 // stem


# -- layers -------------------------------------------------------------------------------------------------------
def test_later_layers_win_and_the_setting_comes_last() -> None:
    given = Setting(**{**SMALL, "set": {"recipe.clip": 0.5}})
    found = compose("googlenet", given, {"recipe.clip": 3.0, "recipe.lr": 1.0, "network.dropout": 0.1},
                    {"recipe.lr": 2.0, "network.aux": "4a"})
    assert (found.recipe.clip, found.recipe.lr) == (0.5, 2.0)
    assert [head.at for head in found.network.aux] == ["4a"]
    assert next(row.op for row in found.network.rows if isinstance(row.op, ops.Dropout)) == ops.Dropout(0.1)


def test_a_network_is_named_by_a_layer_or_by_the_setting() -> None:
    assert compose("googlenet", Setting(**SMALL), {"network": "nin"}).network.name == "Network in Network"
    assert compose("googlenet", Setting(**SMALL, network="nin"), {"network": "alexnet"}).network.name == (
        "Network in Network")


def test_times_multiplies_what_the_field_would_be() -> None:
    for norm, lr in (("lrn", 0.02), ("bn", 0.06)):
        assert compose("googlenet", Setting(**SMALL), grid.NORM[norm].sets,
                       {"recipe.lr": Times(5)}).recipe.lr == pytest.approx(5 * lr)
    found = compose("googlenet", Setting(**SMALL), {"recipe.label_smoothing": 0.1, "network.dropout": Times(0.5),
                                                    "recipe.aux_weight": Times(2)})
    assert found.recipe.aux_weight == pytest.approx(0.6)
    assert next(row.op for row in found.network.rows if isinstance(row.op, ops.Dropout)) == ops.Dropout(0.2)
    for path in ("recipe.optimiser", "recipe.augment", "network.aux", "network.norm", "network.head"):
        assert f"{path} is " in refused(lambda p=path: compose("googlenet", Setting(**SMALL), {p: Times(2)}))
    assert "recipe.lr=" in refused(lambda: compose("googlenet", Setting(**SMALL), {"recipe.lr": Times(501)}))


def test_texts_are_read_where_a_person_writes_them() -> None:
    found = made(set={"recipe.optimiser": "RMSProp(epsilon=0.1)", "recipe.augment": "area,flip", "recipe.clip": "None",
                      "network.aux": "4a,4d", "recipe.average": "Average", "network.norm": "BatchNorm"}, crop=28)
    assert found.recipe.optimiser == RMSProp(epsilon=0.1)
    assert found.recipe.augment == (spec.AreaCrop(28), spec.Flip())
    assert (found.recipe.clip, found.recipe.average) == (None, Average())
    assert [head.at for head in found.network.aux] == ["4a", "4d"]
    assert found.network.norm == ops.BatchNorm()
    assert made(set={"network.aux": "none"}).network.aux == ()
    assert made(set={"recipe.augment": "none"}).recipe.augment == ()
    assert made(set={"recipe.clip": "ClipValue(limit=2.0)"}).recipe.clip == ClipValue(2.0)


def test_half_the_side_is_half_of_images_and_crops() -> None:
    half = {"data.resolution": Times(0.5), "network.stem": Times(0.5)}
    for given, side, crop in (({}, 16, 16), ({"resolution": 64}, 32, 32), ({"resolution": 64, "crop": 56}, 32, 28)):
        found = compose("googlenet", Setting(dataset="shapes", **given), half)
        assert (found.data.resolution, found.network.resolution) == (side, crop)
        assert type(found.data.resolution) is type(found.network.resolution) is int
        # V3 §9: every map behind the stem has the side that it had.
        whole = compose("googlenet", Setting(dataset="shapes", **given))
        assert cost.multiply_adds(found.network) == cost.multiply_adds(whole.network)
        assert [row.op for row in found.network.rows[1:]] == [row.op for row in whole.network.rows[1:]]


def test_a_network_for_larger_images_gets_them_unless_another_size_is_asked_for() -> None:
    sets, v3 = {"data.resolution": AtLeast(40)}, "inception_v3"
    assert compose(v3, Setting(dataset="shapes"), sets).data.resolution == 40
    assert compose(v3, Setting(dataset="tiny-imagenet-200"), sets).data.resolution == 64
    assert compose(v3, Setting(dataset="shapes", resolution=48), sets).data.resolution == 48
    assert "use at least 39 px" in refused(lambda: compose(v3, Setting(dataset="shapes", resolution=32), sets))


# -- what cannot be -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("sets", "says"), [
    ({"recipe.label_smoothin": 0.1}, "Unknown field 'recipe.label_smoothin'. Did you mean 'recipe.label_smoothing'?"),
    ({"recipes.clip": 1.0}, "Unknown field 'recipes.clip'. Did you mean 'recipe.clip'?"),
    ({"network.dropuot": 0.1}, "Unknown field 'network.dropuot'. Did you mean 'network.dropout'?"),
    ({"network.stern": 4}, "Did you mean 'network.stem'?"),
    ({"data.class": 4}, "Did you mean 'data.classes'?"),
    ({"clip": 1.0}, "Unknown field 'clip'."),
    ({"network": "googlenets"}, "Unknown network 'googlenets'. Did you mean 'googlenet'?"),
    ({"recipe.label_smoothing": 2}, "recipe.label_smoothing=2 is out of range; it must be between 0 and 0.999."),
    ({"recipe.label_smoothing": -0.1}, "out of range"),
    ({"recipe.optimiser": "Adam"}, "recipe.optimiser='Adam' is a str; it must be one of SGD, RMSProp, TorchRMSProp."),
    ({"recipe.optimiser": "Adam()"}, "Unknown value 'Adam'."),
    ({"recipe.clip": "x"}, "recipe.clip='x' is a str; it must be one of float, ClipValue, int."),
    ({"recipe.clip": -1}, "recipe.clip=-1 is out of range; it must be at least 1e-12."),
    ({"recipe.clip": True}, "recipe.clip=True is a bool"),
    ({"recipe.schedule": experiments.SGD()}, "recipe.schedule=SGD"),
    ({"recipe.augment": "aera"}, "Unknown augmentation 'aera'. Did you mean 'area'?"),
    ({"recipe.augment": "flip,corp"}, "Unknown augmentation 'corp'. Did you mean 'crop'?"),
    ({"recipe.augment": 3}, "Unknown augmentation '3'."),
    ({"recipe.precision": "bf61"}, "Unknown recipe.precision 'bf61'. Did you mean 'bf16'?"),
    ({"recipe.epochs": 1.5}, "recipe.epochs=1.5 is a float; it must be one of int."),
    ({"recipe.epochs": -1}, "recipe.epochs=-1 is out of range"),
    ({"recipe.batch": 0}, "recipe.batch=0 is out of range"),
    ({"recipe.lr": 11}, "recipe.lr=11 is out of range; it must be between 0 and 10."),
    ({"recipe.lr": float("nan")}, "recipe.lr=nan is no finite number"),
    ({"recipe.warmup": 1.1}, "recipe.warmup=1.1 is out of range"),
    ({"recipe.average": 0.9}, "recipe.average=0.9 is a float; it must be one of Average."),
    ({"network.dropout": 2}, "dropout=2"),
    ({"network.aux": "4f"}, "Unknown row for an auxiliary head '4f'."),
    ({"network.head": "avarage"}, "Did you mean 'average'?"),
    ({"network.classes": 5}, "network.classes=5 does not fit the data, whose network has 10: leave it out"),
    ({"network.resolution": 64}, "network.resolution=64 does not fit the data, whose network has 32"),
    ({"data.name": "shape"}, "Unknown data set 'shape'. Did you mean 'shapes'?"),
    ({"data.held": "theo"}, "features and held are of sound, and shapes is none"),
])
def test_one_sentence_with_the_near_miss(sets: dict[str, Any], says: str) -> None:
    assert says in refused(lambda: compose("googlenet", Setting(**SMALL), sets))
    assert says in refused(lambda: made(set=sets)) or "network" in sets  # `single` names its own


@pytest.mark.parametrize(("parameters", "says"), [
    ({"label_smoothin": 0.1}, "Unknown parameter 'label_smoothin'. Did you mean 'label_smoothing'?"),
    ({"network": "inception_v33"}, "Unknown network 'inception_v33'. Did you mean 'inception_v3'?"),
    ({"dataset": "digit"}, "Unknown data set 'digit'. Did you mean 'digits'?"),
    ({"dropuot": 0.1}, "Did you mean 'dropout'?"),
    ({"set": 3}, "set=3 is an int"),
    ({"recipe.epoch": 3}, "Did you mean 'recipe.epochs'?"),
])
def test_parameters_that_there_are_not(parameters: dict[str, Any], says: str) -> None:
    assert says in refused(lambda: study.study("v1.aux", **{**SMALL, **parameters}))


def test_a_field_of_a_recipe_or_a_network_is_a_parameter_too() -> None:
    given = setting(label_smoothing=0.1, dropout=0.2, lr=0.5, **{"recipe.clip": None, "data.resolution": 32})
    assert given.set == {"recipe.label_smoothing": 0.1, "network.dropout": 0.2, "data.resolution": 32,
                         "recipe.clip": None}
    assert given.lr == 0.5  # the setting's own
    assert setting(label_smoothing=None) == Setting()


@pytest.mark.parametrize(("name", "parameters", "says"), [
    ("v1.aux", {"aux": "4a"}, "network.aux is what v1.aux compares, by its factor aux: leave it out, or"),
    ("v1.aux", {"norm": "BatchNorm"}, "network.norm is what v1.aux compares, by its factor norm"),
    ("v3.networks", {"network": "googlenet"}, "network is what v3.networks compares, by its factor network"),
    ("rates", {"recipe.lr": 0.1}, "recipe.lr is what rates compares"),
    ("v1.ablation", {"dropout": 0.2}, "network.dropout is what v1.ablation compares, by its factor form")])
def test_what_a_study_compares_is_not_set_for_all_of_its_arms(name: str, parameters: dict[str, Any], says: str) -> None:
    """They would be the same run under other labels."""
    assert says in refused(lambda: study.study(name, **{**SMALL, "resolution": 40, **parameters}))


def test_a_whole_number_for_a_float_is_the_same_run() -> None:
    for field in ("clip", "aux_weight", "warmup", "label_smoothing", "dropout"):
        whole = 1 if field in ("clip", "aux_weight", "warmup") else 0
        one, other = (experiments.address(made(**{field: number}), 0) for number in (whole, float(whole)))
        assert one == other, field
    assert made(epochs=2).recipe.epochs == 2


@pytest.mark.parametrize(("chosen", "says"), [
    ({"norms": ("bn",)}, "Unknown factor 'norms'. Did you mean 'norm'?"),
    ({"norm": ("bm",)}, "Unknown arm of norm 'bm'. Valid: bn, lrn."),
    ({"norm": ("lrm",)}, "Unknown arm of norm 'lrm'. Did you mean 'lrn'?"),
    ({"norm": ("bn",), "aux": ("4a", "4a+4f")}, "Unknown arm of aux '4a+4f'. Did you mean '4a+4d'?"),
    ({"norm": ("BN",)}, "Unknown arm of norm 'BN'."),
])
def test_only_what_there_is(chosen: dict[str, tuple[str, ...]], says: str) -> None:
    grids = [study.study(name, **SMALL) for name in ("v1.aux", "v1.ablation")]
    assert says in refused(lambda: study.only(grids, chosen))


def test_only_some_arms_leave_other_studies_whole() -> None:
    grids = [study.study(name, **{**SMALL, "seeds": 2}) for name in ("v1.aux", "v1.head", "v1.ablation")]
    aux, head, ablation = study.only(grids, {"norm": ("bn",), "aux": ("none", "4a+4d")})
    assert [tuple(cell.keys.values()) for cell in aux.cells] == 2 * [("bn", "none"), ("bn", "4a+4d")]
    assert {cell.keys["norm"] for cell in head.cells} == {"bn"}
    assert len(head.cells) == 2 * 9  # three heads, dropout of three strengths
    assert ablation == grids[2]


def test_a_profile_may_train_some_arms_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    some = profiles.Profile("some", "x", {**SMALL, "epochs_bn": 3}, {"v1.aux": {"seeds": 2}},
                            {"v1.aux": ({"norm": ("bn",), "aux": ("none",)},
                                        {"norm": ("bn",), "aux": ("4a",), "seeds": ("1",)})})
    monkeypatch.setattr(profiles, "profile", lambda name: some)
    grid = study.asked("v1.aux", "some", width=None, batch=30)
    assert [(*cell.keys.values(), cell.seed) for cell in grid.cells] == [
        ("bn", "none", 0), ("bn", "4a", 0), ("bn", "none", 1)]
    recipe, network = grid.cells[0].experiment.recipe, grid.cells[0].experiment.network
    assert (recipe.epochs, recipe.batch, grid.setting.width) == (3, 30, 0.125)
    assert network == made("googlenet", set={"network.norm": BatchNorm(), "network.aux": ()}).network
    assert study.of_profile(some)[0].cells == study.asked("v1.aux", "some").cells
    assert study.asked("v1.head", "some").cells == ()  # it does not train that


def test_seeds_may_begin_elsewhere_and_images_be_a_pilot_s() -> None:
    cells = study.study("v1.ablation", **{**SMALL, "seeds": 2, "first_seed": 1000, "part": "pilot"}).cells
    assert {cell.seed for cell in cells} == {1000, 1001}
    assert {cell.experiment.data.part for cell in cells} == {"pilot"}


@pytest.mark.parametrize("word", ["crop", "flip", "area", "area in four ways", "photometric"])
def test_what_a_word_stands_for_can_be_done(word: str) -> None:
    recipe = made(crop=28, set={"recipe.augment": (word,)}).recipe
    images = torch.randint(256, (6, 3, 32, 32), dtype=torch.uint8)
    assert augment(images, recipe.augment).shape == (6, 3, *([32] * 2 if word in ("flip", "photometric") else [28] * 2))


@pytest.mark.parametrize("width", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("module", ["naive", "unreduced"])
def test_a_width_of_the_same_cost(module: str, width: float) -> None:
    table = {"width": width, "resolution": 64, "stem": 4}
    found = compose("googlenet", Setting(**table), {"network.module": module, "network.width": SameCost()}).network
    wanted = cost.multiply_adds(googlenet(classes=10, **table))
    assert found.row("3a") != googlenet(classes=10, **table).row("3a")
    assert cost.multiply_adds(found) == pytest.approx(wanted, rel=0.05)
    assert cost.multiply_adds(googlenet(classes=10, module=module, **table)) > 2 * wanted


@pytest.mark.parametrize("arms", [
    {"v1.head": ("bn", "average", "0.4"), "v1.aux": ("bn", "4a+4d"), "v1.module": ("reduced",), "v1.mix": ("table",),
     "v1.schedule": ("linear", "last"), "v1.augment": ("flip",), "v3.smoothing": ("0",), "v3.rmsprop": ("sgd", "1"),
     "v1.weight": ("bn", "he", "0.3"), "seeds": ("all",), "v1.ablation": ("whole",)},
    {"v1.start": ("own",), "v1.augment": ("area",)}])
def test_what_studies_compare_with_is_trained_once(arms: dict[str, tuple[str, ...]]) -> None:
    assert len({cell.address for name, keys in arms.items() for cell in study.study(name, **SMALL).cells
                if tuple(cell.keys.values()) == keys}) == 1


# -- a study of one's own -----------------------------------------------------------------------------------------
@pytest.mark.usefixtures("one_core")
def test_the_parts_of_v3_s_recipe_as_arms() -> None:
    """Written down, trained, and beside each other."""
    parts = {"sgd": Arm("SGD"), "rmsprop": Arm("RMSProp", {"recipe.optimiser": RMSProp()}),
             "smoothing": Arm("label smoothing", {"recipe.label_smoothing": 0.1}),
             "average": Arm("average of weights", {"recipe.average": Average(0.9)}),
             "area": Arm("area crops", {"recipe.augment": ("area", "flip")})}
    mine = study.under(Study("mine", "What helps?", "inception_v3", {"part": parts}),
                       setting(**{**SMALL, "images": 40, "resolution": 40})).train()
    errors = mine.errors()
    assert list(errors.part) == [arm.label for arm in parts.values()]
    assert list(mine.summary().status) == ["done"] * 5
    losses = mine.history().query("epoch == 1").set_index("part").train_loss
    assert losses.drop("average").nunique() == 4
    assert losses["average"] == losses["sgd"]  # looked at, not trained with


# -- each of them learns ------------------------------------------------------------------------------------------
LEARNS: dict[str, dict[str, Any]] = {
    "googlenet": {"dataset": "digits", "lr": 0.05},
    "inception_v3": {"dataset": "digits", "resolution": 64, "width": 0.25, "images": 20, "batch": 10, "classes": 2,
                     "epochs": 10, "lr_bn": 0.02, "aux": ()},
    "bn_inception": {"dataset": "shapes", "resolution": 32, "stem": 2},
    "nin": {"dataset": "digits", "width": 0.25, "lr": 0.05},
    "alexnet": {"dataset": "digits", "resolution": 64, "width": 0.25, "lr": 0.05},
    "kws_inception": {"dataset": "fsdd", "resolution": None},
}


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", LEARNS)
def test_a_few_steps_lower_the_loss(name: str, data: Path) -> None:
    spoken.fsdd(data / "fsdd", n=2)
    cell, = study.single(name, **{**SMALL, "images": 60, "val_images": 20, "epochs": 5, "dropout": 0.0,
                                  **LEARNS[name]}).cells
    run = loop.train(cell.experiment, cell.seed)
    assert run.address == cell.address
    assert run.summary["status"] == "done"
    assert run.history[-1]["train_loss"] < 0.95 * run.history[1]["train_loss"], [r["train_loss"] for r in run.history]


@pytest.mark.parametrize(("field", "value", "said"), [
    ("recipe.optimiser", "SGD(momentum=-1)", "momentum=-1 is out of range"),
    ("recipe.optimiser", "RMSProp(epsilon=-1)", "epsilon=-1 is out of range"),
    ("recipe.average", "Average(decay=2)", "decay=2 is out of range"),
    ("recipe.schedule", "OneCycle(rise=2)", "rise=2 is out of range"),
    ("recipe.clip", "ClipValue(limit=-1)", "limit=-1 is out of range"),
    ("recipe.augment", "RandomCrop(size=-3)", "size=-3 is out of range"),
    ("recipe.schedule", "Step(gamma=0.9, epochs=0)", "epochs=0 is out of range"),  # divided by
    ("recipe.clip", "ClipValue(limit=0)", "limit=0 is out of range"), ("recipe.clip", 0, "clip=0 is out of range"),
    ("recipe.optimiser", "SGD(nesterov=True, momentum=0)", "Nesterov's step is one of momentum"),
    ("network.init", "TruncatedNormal(std=0)", "std=0 is out of range"),
    ("network.init", "TruncatedNormal(std=-1)", "std=-1 is out of range"),
    ("network.init", "VarianceScaling(factor=0)", "factor=0 is out of range"),
    ("recipe.init_seed", -1, "init_seed=-1 is out of range"),
    ("recipe.order_seed", 2 ** 32, "order_seed=4294967296 is out of range"),  # numpy has no more
    ("network.width", 1e300, r"width=1e\+300 is out of range")])
def test_a_part_of_a_recipe_has_its_ranges(field: str, value: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        compose("googlenet", Setting(images=40, val_images=20, width=0.125), {field: value})
