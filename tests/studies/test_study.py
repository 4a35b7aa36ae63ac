"""Studies, their parameters, profiles, and the notebooks' parameter cells."""
from __future__ import annotations

import ast
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from replication import paths
from replication.data import spec
from replication.errors import BadInput
from replication.models import cost, ops
from replication.pages import tiny_imagenet
from replication.runs import experiments, store
from replication.studies import grid, profiles, study, workers
from replication.studies.setting import Setting, given

pytestmark = pytest.mark.usefixtures("out")

SMALL = {"images": 200, "val_images": 100, "width": 0.125, "epochs": 2, "batch": 20}
PROFILES = sorted((paths.ROOT / "profiles").glob("*.yaml"))
NOTEBOOKS = sorted((paths.ROOT / "book").glob("*.ipynb"))


def refused(match: str, name: str = "v1.aux", **parameters: Any) -> None:
    with pytest.raises(BadInput, match=match) as problem:
        study.study(name, **{**SMALL, **parameters})
    assert "\n" not in str(problem.value)


# -- what is asked for --------------------------------------------------------------------------------------------
def test_unknown_names_suggest_the_near_miss() -> None:
    refused("Unknown study 'v1.auxx'. Did you mean 'v1.aux'", name="v1.auxx")
    refused("Unknown parameter 'epoch'. Did you mean 'epochs'", epoch=3)
    refused("Unknown parameter 'seed'. Did you mean 'seeds'", seed=3)
    refused("Did you mean 'shapes'", dataset="shape")
    refused("Did you mean 'bf16'", precision="bf15")


@pytest.mark.parametrize(("name", "value"), [
    ("epochs", 0), ("epochs", -1), ("epochs", "2"), ("epochs", 2.0), ("epochs", True), ("epochs", None),
    ("seeds", "x"), ("seeds", 0), ("seeds", [0, 1]),
    ("first_seed", 2 ** 32 - 1), ("batch", 2.5), ("batch", True), ("batch", 0),
    ("lr", "0.1"), ("lr", -0.1), ("lr", float("nan")), ("lr", float("inf")), ("lr_bn", True), ("images", 0),
    ("images", "all"), ("images", 1e3), ("val_images", 5), ("resolution", 32.0), ("resolution", 4), ("crop", 0),
    ("classes", 1), ("classes", 11), ("dataset", 3), ("dataset", None), ("width", "0.25"), ("width", 0),
    ("width", True), ("width", 1e5), ("stem", 3), ("stem", "4"), ("precision", "fp16"), ("precision", 32)])
def test_wrong_types_and_ranges(name: str, value: Any) -> None:
    refused(f"(?i){name.removeprefix('val_')}|data set", **{name: value})


def test_a_crop_larger_than_the_image() -> None:
    refused("crop=33 is larger than the images' 32 px: use a smaller crop", crop=33)
    assert study.study("v1.aux", **SMALL, crop=32).cells[0].experiment.recipe.augment == (spec.Flip(),)
    cropped = study.study("v1.aux", **SMALL, crop=28).cells[0].experiment
    assert cropped.recipe.augment == (spec.RandomCrop(28), spec.Flip())
    assert cropped.network.resolution == 28


# -- the grid -----------------------------------------------------------------------------------------------------
def test_v1_aux_is_eight_variants_by_seeds() -> None:
    grid = study.study("v1.aux", **SMALL, seeds=3)
    assert len(grid.cells) == 8 * 3
    assert len({cell.address for cell in grid.cells}) == 24
    variants = {(cell.keys["norm"], cell.keys["aux"]) for cell in grid.cells}
    assert variants == {(n, a) for n in ("lrn", "bn") for a in ("none", "4a", "4d", "4a+4d")}
    for cell in grid.cells:
        network, recipe = cell.experiment.network, cell.experiment.recipe
        assert "+".join(aux.at for aux in network.aux) == cell.keys["aux"].replace("none", "")
        assert (network.norm is not None) == (cell.keys["norm"] == "bn")
        assert any(isinstance(row.op, ops.LRN) for row in network.rows) == (cell.keys["norm"] == "lrn")
        assert recipe.lr == (0.06 if cell.keys["norm"] == "bn" else 0.02)
        assert (recipe.epochs, recipe.batch, recipe.clip, recipe.aux_weight) == (2, 20, 2.0, 0.3)
    assert [cell.seed for cell in grid.cells] == [0] * 8 + [1] * 8 + [2] * 8  # a first look at all before a second


def test_variants_differ_in_what_is_varied_alone() -> None:
    by = {(cell.keys["norm"], cell.keys["aux"]): cell.experiment for cell in study.study("v1.aux", **SMALL).cells}
    both, none = by["lrn", "4a+4d"], by["lrn", "none"]
    assert dataclasses.replace(both, network=dataclasses.replace(both.network, aux=())) == none


def test_v1_gradient_looks_before_training() -> None:
    grid = study.study("v1.gradient", **SMALL, seeds=2)
    assert len(grid.cells) == 2 * 3 * 2
    assert {cell.experiment.recipe.epochs for cell in grid.cells} == {0}


def test_asked_twice_trained_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing runs by asking; what is stored comes back at once; the rest is asked of `workers` and no more."""
    asked = []
    monkeypatch.setattr(workers, "train", asked.append)
    grid = study.study("v1.aux", **SMALL, seeds=2)
    assert len(grid.missing) == 16
    assert grid.summary().empty
    assert grid.history().empty
    assert grid.by_radius().empty
    assert list(grid.summary().columns)[:3] == ["norm", "aux", "seed"]
    for cell in grid.cells[:15]:
        row = {"epoch": 0.0, "val_error": 0.9}
        store.commit(cell.address, experiments.record(cell.experiment, cell.seed),
                     [row, {"epoch": 1.0, "val_error": 0.5}],
                     {"status": "done", "val_error": 0.5, "error_by_radius": [{"low": 0.1, "high": 0.4, "error": 0.7}]},
                     {"device": "CPU", "seconds": 1.0, "commit": "c", "images_per_s": 9.0})
    assert asked == []
    assert grid.train() is grid
    (job,), = asked
    assert job == ("v1.aux norm=bn aux=4a+4d seed 1", grid.cells[15].experiment, 1)
    assert len(grid.summary()) == 15
    assert set(grid.summary().seconds) == {1.0}
    assert len(grid.history()) == 30
    assert grid.by_radius().radius.unique() == pytest.approx([0.2])
    assert set(grid.history().address) == {cell.address for cell in grid.cells[:15]}
    cell = grid.cells[15]
    store.commit(cell.address, experiments.record(cell.experiment, cell.seed), [row], {"val_error": 1.0}, {})
    grid.train()
    assert len(asked) == 1


def test_after_a_budget_a_page_asks_for_what_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """And so trains nothing, however often; another process, without the word, goes on."""
    whole = study.asked("v1.aux", "cpu-full", **SMALL, seeds=3)
    cell = whole.cells[-1]
    store.commit(cell.address, experiments.record(cell.experiment, cell.seed), [{"epoch": 0.0}], {"val_error": 1.0}, {})
    monkeypatch.setattr(workers, "train", lambda _: pytest.fail("trained"))
    monkeypatch.setenv("REPLICATION_TRAIN", "None")
    with pytest.raises(BadInput, match=r"REPLICATION_TRAIN 'None'\. Did you mean 'none'"):
        study.asked("v1.aux", "cpu-full")
    monkeypatch.setenv("REPLICATION_TRAIN", "none")
    asked = study.asked("v1.aux", "cpu-full", **SMALL, seeds=3)
    assert asked.train().cells == (cell,)
    assert asked.left == whole.cells[:-1]
    assert len(study.stored("v1.aux", "cpu-full").cells) > 1, "what is only read is told as it is"
    monkeypatch.delenv("REPLICATION_TRAIN")
    assert len(study.asked("v1.aux", "cpu-full", **SMALL, seeds=3).missing) == len(whole.cells) - 1


def test_errors_by_variant() -> None:
    grid = study.study("v1.aux", **SMALL, seeds=2)
    assert grid.errors().empty
    for cell, error, status in ((grid.cells[0], 0.25, "done"), (grid.cells[8], 0.5, "diverged")):
        assert cell.keys == {"norm": "lrn", "aux": "none"}
        store.commit(cell.address, experiments.record(cell.experiment, cell.seed), [{"epoch": 0.0}],
                     {"status": status, "val_error": error}, {})
    row, = grid.errors().to_dict("records")
    assert row == {"norm": "LRN", "aux": "none", "top-1 error, %": 37.5, "lowest, %": 25.0, "highest, %": 50.0,
                   "seeds": 2, "diverged": 1}


# -- profiles -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_every_profile_parses_and_its_studies_exist(path: Path) -> None:
    profile = profiles.profile(path.stem)
    assert profile.name == path.stem
    assert profile.about
    assert profile.studies
    assert set(profile.studies) <= set(grid.STUDIES)
    few = {"pilot": 2, "gpu-long": 1, "imagenet": 1}  # which judge nothing
    assert profile.setting("v1.aux").seeds >= few.get(profile.name, 3)
    if profile.setting("v1.aux").dataset == "shapes":  # needs no download
        assert [grid.study.name for grid in study.of_profile(profile)] == list(profile.studies)


def test_the_cpu_profile_needs_no_download_and_is_the_default(tmp_path: Path) -> None:
    assert profiles.profile("cpu").setting("v1.aux").dataset in ("shapes", "digits")
    (tmp_path / "cpu.yaml").write_text((paths.ROOT / "profiles" / "cpu.yaml").read_text())
    assert profiles.profile("auto", tmp_path).name == "cpu"


def test_a_study_may_have_parameters_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(
        {**GOOD, "parameters": {"epochs": 2, "batch": 8}, "studies": [{"v1.long": {"epochs": 9}}, "v1.aux"]}))
    profile = profiles.profile("mine", tmp_path)
    assert list(profile.studies) == ["v1.long", "v1.aux"]
    assert [(profile.setting(name).epochs, profile.setting(name).batch)
            for name in ("v1.long", "v1.aux", "v1.head")] == [(9, 8), (2, 8), (2, 8)]


def test_the_gpu_profile_s_order_is_what_matters_most_first() -> None:
    """What keeps it from overfitting, V3's ladder, heads, the classifier; after them the long runs, batch-normalised
    first, on the paper's own grids at 56 px."""
    assert list(profiles.profile("gpu").studies) == ["v1.ablation", "v3.ladder", "v1.aux", "v1.head", "v1.gradient"]
    profile = profiles.profile("gpu-long")
    assert list(profile.studies) == ["v1.long", "v3.long"]
    setting = dataclasses.replace(profile.setting("v1.long"), dataset="shapes", resolution=64)
    cells = grid.experiments(grid.named("v1.long"), setting)
    assert [keys["norm"] for keys, _ in cells] == ["bn", "lrn"]
    for _, made in cells:
        sides = {name: shape[1] for name, shape in cost.shapes(made.network)}
        assert (sides["3a"], sides["4a"], sides["5a"]) == (28, 14, 7)
        assert cost.multiply_adds(made.network) == pytest.approx(1.49e9, rel=0.01)


def test_a_run_that_two_studies_share_is_trained_once() -> None:
    """v1.aux with both heads is v1.head with average pooling and dropout."""
    grids = [study.study(name, **{**SMALL, "seeds": 1}) for name in ("v1.aux", "v1.head")]
    addresses = [experiments.address(made, seed) for _, made, seed in study.missing(grids).values()]
    assert len(addresses) == len(set(addresses)) == 8 + 18 - 2
    assert addresses[:8] == [cell.address for cell in grids[0].cells]


@pytest.mark.parametrize("name", [None, 3, ["cpu"]])
def test_a_profile_that_is_no_name(name: Any) -> None:
    """As papermill passes `-p profile None`."""
    with pytest.raises(BadInput, match=r"profile=.* it must be a str"):
        study.asked("v1.aux", name)


def test_unknown_profile() -> None:
    with pytest.raises(BadInput, match=r"Unknown profile 'cpus'. Did you mean 'cpu'.*auto"):
        profiles.profile("cpus")


def test_a_profile_may_be_a_file_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(GOOD))
    monkeypatch.chdir(tmp_path)
    for name in (str(tmp_path / "mine.yaml"), "mine.yaml"):
        assert profiles.profile(name).name == "mine"
        assert profiles.profile(name).setting("v1.aux").epochs == 2
    with pytest.raises(BadInput, match=r"There is no file mind.yaml: give the path of a profile, or the name of one"):
        profiles.profile("mind.yaml")


GOOD: dict[str, Any] = {"about": "x", "parameters": {"epochs": 2}, "studies": ["v1.aux"]}


@pytest.mark.parametrize(("text", "match"), [
    (yaml.safe_dump({**GOOD, "studies": ["v1.auxx"]}), "Unknown study.*v1.auxx.*Did you mean 'v1.aux'"),
    (yaml.safe_dump({**GOOD, "parameters": {"epoch": 2}}), "Unknown parameter 'epoch'. Did you mean 'epochs'"),
    (yaml.safe_dump({**GOOD, "parameters": {"epochs": "two"}}), "epochs='two' is a str"),
    (yaml.safe_dump({"about": "x", "parameters": {}}), "mine.yaml"),
    (yaml.safe_dump({"about": "x", "studies": ["v1.aux"]}), "mine.yaml"),
    (yaml.safe_dump({**GOOD, "parameters": None}), "mine.yaml"),
    (yaml.safe_dump({**GOOD, "studies": "v1.aux"}), "mine.yaml"),
    (yaml.safe_dump({**GOOD, "studies": [{"v1.aux": {"epoch": 2}}]}), "Unknown parameter 'epoch'. Did you mean"),
    (yaml.safe_dump({**GOOD, "studies": [{"v1.aux": 2}]}), "mine.yaml"),
    (yaml.safe_dump({**GOOD, "budget": "soon"}), "'soon' is no time to spend"),
    ("- a list", "mine.yaml"), ("", "mine.yaml"), ("about: [unclosed", "mine.yaml"),
], ids=range(13))
def test_a_profile_that_cannot_be_read_is_one_sentence(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(BadInput, match=match) as problem:
        assert profiles.profile("mine", tmp_path).setting("v1.aux")
    assert "\n" not in str(problem.value)


# -- notebooks ----------------------------------------------------------------------------------------------------
def parameters(notebook: Path) -> dict[str, Any]:
    """Names and defaults of the cell tagged "parameters"."""
    cells = [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]
             if "parameters" in cell["metadata"].get("tags", [])]
    assert len(cells) <= 1, f"{notebook.name} has {len(cells)} parameter cells"
    found = {}
    for line in ast.parse("".join(cells[0]["source"])).body if cells else []:
        target = line.targets[0] if isinstance(line, ast.Assign) else line.target
        assert isinstance(target, ast.Name), f"{notebook.name}: {ast.unparse(line)} is no parameter"
        found[target.id] = ast.literal_eval(line.value)
    return found


def test_a_notebook_s_parameters_are_the_profile_s() -> None:
    """Of a page of studies, all but its profile are None: what the profile says of each study. Of others they are those
    of the cpu profile. The page on sound has one set and one network, and lacks what is said of images."""
    assert NOTEBOOKS, "book/ holds no notebook"
    known = {field.name for field in dataclasses.fields(Setting)}
    cpu = profiles.profile("cpu").parameters
    declared = {notebook.name: parameters(notebook) for notebook in NOTEBOOKS
                if "own-parameters" not in notebook.read_text(encoding="utf-8")}
    studies = {name: found for name, found in declared.items() if "profile" in found}
    assert studies, "no page has studies"
    for name, found in studies.items():
        others = {key: value for key, value in found.items() if key != "profile"}
        assert set(others) <= known, name
        assert set(others.values()) <= {None}, name
        of_sound = {"epochs_bn", "batch", "lr_bn", "seeds"}
        lacks = sorted((of_sound if name == "keywords.ipynb" else set(cpu)) - set(others)) if others else []
        assert lacks == [], f"{name} lacks {lacks} of profiles/cpu.yaml"
    for name, found in declared.items():
        for key, default in found.items():
            if key in known and name not in studies:
                assert (key, default) == (key, cpu.get(key, default)), name
                assert type(default) is type(cpu.get(key, default)), (name, key)


def test_the_cpu_profile_trains_what_the_page_of_any_network_shows() -> None:
    """Within its budget and beside other runs, or the page would train it alone and later."""
    page = study.single(**parameters(paths.ROOT / "book" / "train_any.ipynb"))
    trained = next(each for each in study.of_profile(profiles.profile("cpu")) if each.study.name == "single")
    assert [cell.address for cell in trained.cells] == [cell.address for cell in page.cells]
    assert trained.name == page.name


def test_a_page_of_studies_refuses_what_no_study_knows() -> None:
    """As its first cell asks: its globals, the profile among them."""
    found = given({"profile": "cpu", "dataset": None, "epochs": 3, "_private": 1})
    assert study.asked("v1.aux", **found).setting.epochs == 3
    with pytest.raises(BadInput, match="Unknown parameter 'epoch'"):
        study.asked("v1.aux", **{**found, "epoch": 3})


# -- the page of the GPU's runs -----------------------------------------------------------------------------------
def test_progress_tells_what_is_done_and_invents_nothing() -> None:
    """A long run and two of six seeds of the variant that two studies share."""
    nothing = tiny_imagenet.progress()
    assert set(nothing.device) == {"not yet run"}
    assert nothing["top-1 error, %"].isna().all()
    assert list(dict.fromkeys(nothing.study)) == [each for name in ("gpu", "gpu-long")
                                                  for each in profiles.profile(name).studies]
    for profile, name, seeds, keys in (("gpu-long", "v1.long", 1, {"norm": "bn"}),
                                       ("gpu", "v1.aux", 2, {"norm": "lrn", "aux": "4a+4d"})):
        for cell in study.stored(name, profile).cells:
            if cell.keys == keys and cell.seed < seeds:
                store.commit(cell.address, experiments.record(cell.experiment, cell.seed), [{"epoch": 0.0}],
                             {"status": "done", "val_error": 0.25 + 0.25 * cell.seed}, {"device": "Some GPU"})
    table = tiny_imagenet.progress().set_index(["study", "variant"])
    done = table[table.device != "not yet run"]
    assert done.to_dict("index") == {
        ("v1.long", "norm BN"): {"seeds": "1 of 1", "top-1 error, %": 25.0, "device": "Some GPU"},
        ("v1.aux", "norm LRN, aux 4a + 4d"): {"seeds": "2 of 6", "top-1 error, %": 37.5, "device": "Some GPU"},
        ("v1.head", "norm LRN, head average, dropout 0.4"): {"seeds": "2 of 6", "top-1 error, %": 37.5,
                                                            "device": "Some GPU"}}
    assert tiny_imagenet.numbers()["runs"] == 3
