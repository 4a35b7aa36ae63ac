"""*Train any network*: its tables from known arrays, its pictures, its files, and the page itself on a folder."""
from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import papermill
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from sklearn.metrics import confusion_matrix

from replication import paths
from replication.data import sound
from replication.data.load import load
from replication.data.spec import LogMel
from replication.data.transforms import evaluate_view, normalise
from replication.errors import BadInput
from replication.models import weights
from replication.pages import figures, pictures, train_any
from replication.runs import store
from replication.studies import study
from replication.training import inspect, loop

NOTEBOOK = paths.ROOT / "book" / "train_any.ipynb"
CLASSES = ("dog & <cat>", "$mile$", "猫", "d", "e")
TINY: dict[str, Any] = {"images": 64, "val_images": 40, "epochs": 1, "batch": 16, "width": 0.125, "seeds": 1}


def said(n: int = 200, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    labels = draw.integers(classes, size=n)
    return draw.normal(size=(n, classes)) + 1.5 * np.eye(classes)[labels], labels


# -- tables from arrays -------------------------------------------------------------------------------------------
def test_the_confusion_matrix_is_scikit_learns() -> None:
    logits, labels = said()
    table = train_any.counts(logits, labels, CLASSES)
    np.testing.assert_array_equal(table, confusion_matrix(labels, logits.argmax(1)))
    assert tuple(table.index) == tuple(table.columns) == CLASSES
    np.testing.assert_allclose(train_any.confused(table).sum(axis=1), 100)


def test_of_many_classes_those_with_most_mistakes_are_shown_in_their_order() -> None:
    labels = np.repeat(np.arange(30), 4)
    taken = labels.copy()
    taken[labels == 7], taken[labels == 28] = 3, 29  # 4 mistakes for each of four classes
    taken[4 * 12] = 13                                # 1 for two
    table = train_any.counts(np.eye(30)[taken], labels, [f"c{i}" for i in range(30)])
    shown = train_any.confused(table, 6)
    assert list(shown.index) == list(shown.columns) == ["c3", "c7", "c12", "c13", "c28", "c29"]
    assert shown.loc["c7", "c3"] == 100
    assert shown.loc["c12", "c13"] == 25
    found = train_any.pairs(table)
    assert list(found["is"]) == ["c7", "c28", "c12"]
    assert list(found["of the class, %"]) == [100, 100, 25]


def test_a_class_without_images_divides_by_nothing() -> None:
    table = train_any.counts(np.eye(3)[[0, 1, 1]], np.array([0, 1, 0]), "abc")
    assert train_any.confused(table).loc["c"].tolist() == [0, 0, 0]
    assert len(train_any.pairs(table)) == 1


def test_the_worst_mistakes_come_first_and_then_what_is_right() -> None:
    logits, labels = said()
    table = train_any.telling(logits, labels, CLASSES, wrong=6, right=3)
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    wrong = [i for i in np.argsort(-chances.max(1)) if logits[i].argmax() != labels[i]][:6]
    assert list(table.image[:6]) == wrong
    assert list(table.right) == [False] * 6 + [True] * 3
    np.testing.assert_allclose(table.confidence, chances.max(1)[table.image])
    right = table[table.right]
    assert (labels[right.image] == logits[right.image].argmax(1)).all()
    assert right["is"].nunique() == 3
    assert right.confidence.is_monotonic_decreasing
    words = train_any.captions(table)
    assert all(f"{share:.0%}" in word for share, word in zip(table.confidence, words, strict=True))


def test_nothing_wrong_is_no_fault() -> None:
    table = train_any.telling(9 * np.eye(5), np.arange(5), CLASSES)
    assert table.right.all()
    assert len(table) == train_any.RIGHT


def test_logits_that_are_no_numbers_show_nothing() -> None:
    bad = np.full((4, 5), np.nan)
    table = train_any.counts(bad, np.arange(4), CLASSES)
    telling = train_any.telling(bad, np.arange(4), CLASSES)
    assert not len(train_any.pairs(table))
    assert isinstance(pictures.confusion(train_any.confused(table)), figures.Nothing)
    assert isinstance(pictures.sheet(np.zeros((0, 8, 8, 3)), train_any.captions(telling)), figures.Nothing)


# -- pictures -----------------------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("error")
def test_any_name_of_a_class_can_be_drawn() -> None:
    figures.style()
    logits, labels = said()
    table = train_any.telling(logits, labels, CLASSES)
    colours = np.random.default_rng(0).random((12, 8, 8, 3))
    for figure in (pictures.confusion(train_any.confused(train_any.counts(logits, labels, CLASSES))),
                   pictures.sheet(colours, train_any.captions(table), table.right),
                   pictures.sheet(np.zeros((3, 30, 49)), list(CLASSES[:3]))):
        assert isinstance(figure, Figure)
        assert "$mile$" in (text := figures.svg(figure))
        assert "currentColor" in text
        assert figures.INK not in text


def test_cepstra_are_shown_as_the_energies_they_hold() -> None:
    of = LogMel(rate=8000, mels=40, mfcc=40, high=3800.0)
    waves = (8000 * np.random.default_rng(0).normal(size=(3, 8000))).clip(-32768, 32767).astype(np.int16)
    images = [torch.from_numpy(sound.features(waves, replace(of, mfcc=n))).permute(0, 3, 1, 2) for n in (40, None)]
    whole, plain = (inspect.pictures(image, replace(of, mfcc=n)) for image, n in zip(images, (40, None), strict=True))
    assert whole.shape == plain.shape == (3, 40, 49)
    np.testing.assert_allclose(whole, plain, atol=1e-4)
    some = inspect.pictures(images[0][:, :30], replace(of, mfcc=30))
    assert np.corrcoef(some.ravel(), plain.ravel())[0, 1] > 0.9


@pytest.mark.parametrize(("size", "seen"), [((20, 20), (20, 20)), ((256, 256), (128, 128))])
def test_pictures_are_the_pixels(size: tuple[int, int], seen: tuple[int, int]) -> None:
    images = torch.randint(256, (2, 3, *size), dtype=torch.uint8)
    shown = inspect.pictures(normalise(images))
    assert shown.shape == (2, *seen, 3)
    if size == seen:
        np.testing.assert_allclose(255 * shown, images.permute(0, 2, 3, 1), atol=1e-3)


# -- a run --------------------------------------------------------------------------------------------------------
@pytest.fixture
def grid(out: Path) -> study.Grid:
    return study.single("googlenet_bn", dataset="shapes", **TINY)


def test_examples_are_those_of_the_first_step(grid: study.Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    first = grid.cells[0]
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    real = loop.step

    def step(fabric: Any, network: Any, optimiser: Any, images: torch.Tensor, labels: torch.Tensor,
             *more: Any) -> Any:
        seen.append((images.clone(), labels.clone()))
        return real(fabric, network, optimiser, images, labels, *more)

    monkeypatch.setattr(loop, "step", step)
    loop.train(first.experiment, first.seed)
    images, labels = seen[0]
    before = torch.random.get_rng_state()
    shown = inspect.examples(first.experiment, first.seed, number=16)
    assert torch.equal(before, torch.random.get_rng_state())
    named = load(first.experiment.data).classes
    for picture, name in zip(shown.pictures, shown.names, strict=True):
        same = [i for i, image in enumerate(inspect.pictures(images)) if np.array_equal(image, picture)]
        assert name in {named[labels[i]] for i in same}
    few = inspect.examples(first.experiment, first.seed, number=4)
    assert len(set(few.names)) == 4


@pytest.mark.usefixtures("out")
def test_files_load_again_to_equal_logits() -> None:
    grid = study.single("nin", dataset="digits", **TINY)  # each module of GoogLeNet takes a second to export
    first = grid.cells[0]
    loop.train(first.experiment, first.seed)
    seen = inspect.look(first.experiment, first.seed)
    found = inspect.export(first.experiment, first.seed, grid.name)
    path = found["safetensors"]
    assert path == paths.mine() / "exports" / f"nin-{first.address}.safetensors"
    images = evaluate_view(seen.val.images, first.experiment.recipe.augment)
    with torch.no_grad():
        again = weights.rebuilt(path).eval()(images).numpy()
    np.testing.assert_allclose(again, seen.logits["main"], atol=1e-5)
    assert weights.about(path)["classes"] == list(seen.classes)
    shown = train_any.written(found)
    assert str(path) in shown
    runtime = pytest.importorskip("onnxruntime")
    if isinstance(found["onnx"], Path):
        session = runtime.InferenceSession(found["onnx"], providers=["CPUExecutionProvider"])
        np.testing.assert_allclose(session.run(None, {"images": images.numpy()})[0], seen.logits["main"], atol=1e-4)


def test_without_the_packages_of_onnx_a_sentence_says_so(grid: study.Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    first = grid.cells[0]
    inspect.look(first.experiment, first.seed)  # trains what is not here

    def none(*_: Any, **__: Any) -> None:
        raise BadInput("Writing ONNX needs two more packages.")

    monkeypatch.setattr(inspect.onnx, "save", none)
    shown = train_any.written(inspect.export(first.experiment, first.seed, grid.name))
    assert ".safetensors</code>" in shown
    assert "needs two more packages" in shown


def test_a_published_run_without_weights_is_trained_again(grid: study.Grid, tmp_path: Path,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    first = grid.cells[0]
    before = loop.train(first.experiment, first.seed)
    monkeypatch.setattr(paths, "PUBLISHED", paths.mine())
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "fresh"))
    monkeypatch.delenv("REPLICATION_READ")
    assert not grid.missing
    seen = inspect.look(first.experiment, first.seed)
    assert store.weights(first.address).is_relative_to(tmp_path / "fresh")
    assert (seen.logits["main"].argmax(1) != seen.labels).mean() == pytest.approx(before.summary["val_error"], abs=0.1)


def test_a_run_that_diverges_is_shown(out: Path) -> None:
    grid = study.single("googlenet", **{**TINY, "lr": 10.0, "set": {"recipe.clip": None, "recipe.warmup": 0.0,
                                                                     "recipe.lr": 10.0}})
    first = grid.cells[0]
    run = loop.train(first.experiment, first.seed)
    if run.summary["status"] != "diverged":
        pytest.skip("it did not")
    seen = inspect.look(first.experiment, first.seed)
    table = train_any.counts(seen.logits["main"], seen.labels, seen.classes)
    assert isinstance(pictures.confusion(train_any.confused(table)), figures.Nothing)
    telling = train_any.telling(seen.logits["main"], seen.labels, seen.classes)
    assert isinstance(pictures.sheet(seen.pictures(telling.image), train_any.captions(telling)), figures.Nothing)
    assert "diverged" in train_any.heads(seen.heads(), first.experiment)
    assert "diverged" in train_any.written(inspect.export(first.experiment, first.seed, "x"))
    assert list(train_any.speed(grid).status) == ["diverged"]
    assert train_any.numbers(grid)["finite"] is False
    figures.svg(figures.training_curves(grid))


# -- the page -----------------------------------------------------------------------------------------------------
@pytest.fixture
def folder(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Squares and discs, some pixels each."""
    monkeypatch.setenv("REPLICATION_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PYTHONPATH", str(paths.ROOT))
    draw = np.random.default_rng(0)
    for part, n in (("train", 16), ("val", 6)):
        for name in ("square", "disc"):
            place = tmp_path / "photos" / part / name
            place.mkdir(parents=True)
            for i in range(n):
                image = Image.new("RGB", (40, 36), tuple(draw.integers(256, size=3).tolist()))
                at = tuple(draw.integers(4, 12, size=2).tolist())
                box = (*at, at[0] + 16, at[1] + 16)
                pen = ImageDraw.Draw(image)
                (pen.rectangle if name == "square" else pen.ellipse)(box, fill="white", outline="black")
                image.save(place / f"{i}.png")
    return tmp_path / "photos"


def test_the_page_runs_on_a_folder(folder: Path, tmp_path: Path) -> None:
    """With a network that is soon exported."""
    done = papermill.execute_notebook(NOTEBOOK, tmp_path / "out.ipynb", progress_bar=False, parameters={
        "network": "nin", "dataset": f"folder:{folder}", "resolution": 32, "width": 0.125, "epochs": 1, "batch": 8,
        "label_smoothing": 0.1, "optimiser": "RMSProp(epsilon=0.1)", "augment": "flip",
        "set": {"recipe.clip": 1.0}})
    outputs = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    shown = [output.data for output in outputs if "data" in output]
    assert sum("image/svg+xml" in data for data in shown) == 4
    text = " ".join(data.get("text/html", "") for data in shown)
    for word in ("RMSProp, decay 0.9, ε = 0.1", "labels smoothed by 0.1", "clipped at 1", "mirrored", ".safetensors"):
        assert word in text
    numbers = json.loads((paths.mine() / "metrics" / "train_any.json").read_text())
    assert numbers["chance"] == 0.5
    assert len(list((paths.mine() / "exports").glob("nin-*.safetensors"))) == 1


@pytest.mark.parametrize(("parameters", "sentence"), [
    ({"epoch": 3}, "Unknown parameter 'epoch'. Did you mean 'epochs'?"),
    ({"network": "inception"}, "Unknown network 'inception'. Did you mean"),
    ({"optimiser": "RMSprop()"}, "Did you mean 'RMSProp'?"),
    ({"set": {"recipe.clop": 1}}, "Did you mean 'recipe.clip'?"),
])
def test_a_mistyped_parameter_is_refused_in_a_sentence(out: Path, parameters: dict[str, Any], sentence: str) -> None:
    """By the first cell after the parameters."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    given, first, *_ = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    names: dict[str, Any] = {}
    exec(given, names)
    names |= parameters
    with pytest.raises(BadInput, match=re.escape(sentence)):
        exec(first, names)


def test_papermill_shows_the_sentence(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(paths.ROOT))
    with pytest.raises(papermill.PapermillExecutionError) as refused:
        papermill.execute_notebook(NOTEBOOK, tmp_path / "out.ipynb", parameters={"epoch": 3}, progress_bar=False)
    assert refused.value.ename == "BadInput"
    assert "Unknown parameter 'epoch'. Did you mean 'epochs'?" in refused.value.evalue


def test_the_notebook_keeps_to_the_rules() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(len(cell["source"]) <= 6 for cell in code if "parameters" not in cell["metadata"].get("tags", ()))
    assert not any(cell["outputs"] for cell in code)
    found = papermill.inspect_notebook(str(NOTEBOOK))
    assert all(one["help"] for one in found.values())
    assert {"network", "dataset", "label_smoothing", "optimiser", "augment", "set"} <= set(found)
