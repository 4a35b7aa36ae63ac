"""The profile of the papers' own recipes: its values against the papers, and a dry run of all of it on 100 images."""
from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch
from forked import warm

from replication import paths
from replication.__main__ import main
from replication.benchmarks import photographs
from replication.data import spec
from replication.models.ops import Dropout, Linear
from replication.runs import experiments, store
from replication.studies import profiles, study
from replication.training import loop

pytestmark = pytest.mark.usefixtures("out", "one_core")
# Two of ten classes and one step, on any processor; what else the profile says stays.
DRY = {"classes": 2, "images": 2, "val_images": 2, "batch": 2, "epochs": 1, "precision": "fp32"}


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPLICATION_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def cells(**more: Any) -> dict[str, study.Cell]:
    """The one run of each study."""
    profile = profiles.profile("imagenet")
    grids = [study.some(study.study(name, **{**profile.given(name), **more}), profile) for name in profile.studies]
    return {grid.name: cell for grid in grids for cell, in [grid.cells]}


# -- the recipes --------------------------------------------------------------------------------------------------
def test_v1_as_printed() -> None:
    """§5 and §6 of the paper, and BVLC's solver where that prints nothing."""
    of = cells()["v1.long"].experiment
    recipe, drops = of.recipe, [row.op.p for row in of.network.rows if isinstance(row.op, Dropout)]
    assert (of.network.name, of.network.resolution, of.network.norm, drops) == ("GoogLeNet", 224, None, [0.4])
    assert [of.network.rows[-1].op, of.data.train_images, of.data.val_images] == [Linear(1000), 1_281_167, 50_000]
    assert (recipe.optimiser, recipe.schedule) == (experiments.SGD(0.9, 2e-4), experiments.Step(0.96, 8))
    assert (recipe.aux_weight, recipe.label_smoothing, recipe.average is not None) == (0.3, 0.0, True)
    assert recipe.augment == (spec.AreaCrop(224, (0.08, 1.0), (3 / 4, 4 / 3), ("bilinear", "area", "nearest", "cubic")),
                              spec.Flip(), spec.Photometric())
    assert recipe.lr / recipe.batch == pytest.approx(0.01 / 32)
    assert recipe.epochs == 250
    assert recipe.warmup * recipe.epochs == pytest.approx(5)


def test_v3_as_printed() -> None:
    """§7 and §8 of the paper."""
    of = cells()["v3.ladder"].experiment
    recipe = of.recipe
    assert (of.network.name, of.network.resolution, of.data.resolution) == ("Inception V3 (paper)", 299, 342)
    assert (recipe.optimiser.decay, recipe.optimiser.epsilon) == (0.9, 1.0)  # type: ignore[union-attr]
    assert (recipe.lr, recipe.schedule, recipe.clip) == (0.045, experiments.Step(0.94, 2), 2.0)
    assert (recipe.label_smoothing, recipe.epochs, recipe.batch, recipe.warmup) == (0.1, 100, 50 * 32, 0)
    assert recipe.average is not None
    assert recipe.augment[0] == spec.AreaCrop(299, interpolation=("bilinear", "area", "nearest", "cubic"))


@pytest.mark.parametrize("name", ["v1.long", "v3.ladder"])
def test_the_centre_view_is_cut_and_not_resized(name: str) -> None:
    of = cells()[name].experiment
    assert round(7 / 8 * of.data.resolution) == of.network.resolution


def test_what_it_costs_is_told_without_the_images(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    assert main(["list", "--profile", "imagenet"]) == 0
    told = capsys.readouterr().out
    assert "about 27 hours of an H200" in told
    assert "2 to train" in told
    assert not data.exists()


def test_the_hours_are_those_of_the_table() -> None:
    """By the measured images a second of GoogLeNet, and V3's multiply-adds beside its."""
    lines = (paths.PUBLISHED / "tables/bench-nvidia-h200.csv").read_text(encoding="utf-8").splitlines()
    row = next(dict(zip(lines[0].split(","), line.split(","), strict=False)) for line in lines
               if line.startswith("NVIDIA H200,googlenet,ours,train,224,128"))
    v1, v3 = (cell.experiment for cell in cells().values())
    assert float(row["images_per_s"]) == pytest.approx(8600, rel=0.01)
    hours = [experiments.work(of) / (3 * float(row["images_per_s"]) * 1_582_671_872) / 3600 for of in (v1, v3)]
    assert hours == [pytest.approx(10.5, abs=0.3), pytest.approx(17, abs=0.5)]


# -- the dry run --------------------------------------------------------------------------------------------------
def test_a_step_of_each_in_full_size_from_folders_and_from_shards(tmp_path: Path, data: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    """As a person would type it, streamed; then, from shards of the same images, the very same run: the shorter of two,
    since both are read alike."""
    monkeypatch.setenv("REPLICATION_RESIDENT", "stream")
    monkeypatch.setattr(multiprocessing, "get_context", warm)
    photographs.folders(data / "imagenet", classes=10, train=8, val=2)
    words = [part for name, value in DRY.items() for part in ("--set", f"{name}={value}")]
    assert main(["run", "--profile", "imagenet", *words]) == 0
    wanted = {name: cell.address for name, cell in cells(**DRY).items()}
    found = {run.address: run for run in store.everything(paths.mine())}
    assert set(found) == set(wanted.values())
    for name, side in (("v1.long", 224), ("v3.ladder", 299)):
        run = found[wanted[name]]
        assert (run.summary["steps"], run.summary["status"]) == (1, "done")
        assert run.record["experiment"]["network"]["resolution"] == side

    photographs.shards(data / "imagenet", tmp_path / "sharded" / "imagenet")
    monkeypatch.setenv("REPLICATION_DATA", str(tmp_path / "sharded"))
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "again"))
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as the worker's
    try:
        sharded = cells(**DRY)
        assert {name: cell.address for name, cell in sharded.items()} == wanted
        again = loop.train(sharded["v1.long"].experiment, sharded["v1.long"].seed)
        assert str(again.history) == str(found[again.address].history)
    finally:
        torch.set_num_threads(before)
    assert not list((data / "cache").glob("*/train.npy"))
