"""What the page of neurons says of what was looked at, and where nothing was."""
from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from stored import put

from replication.pages import figures, html, neurons
from replication.runs import store
from replication.studies import study


def looked(**more: Any) -> Any:
    told = pd.DataFrame([{"network": name, "row": row, "told": told} for name, row, shares in (
        ("trained", "conv1", (0.1, 0.2, 0.3)), ("trained", "5b", (0.6, 0.7, 0.8)),
        ("untrained", "conv1", (0.1, 0.1, 0.4)), ("untrained", "5b", (0.05, 0.15, 0.2))) for told in shares])
    boxes = pd.DataFrame({"way": ["the class map"] * 2 + ["covering parts"] * 2 + ["the whole image"],
                          "share": [0.2, 0.5, 0.2, 0.5, np.nan], "error": [95.0, 62, 91, 41, 71],
                          "error_box": [94.0, 60, 90, 40, 70], "peak": [50.0, 50, 80, 80, 30]})
    apart = pd.DataFrame({"image": [7] * 2, "label": [0] * 2, "head": ["main", "4a"], "taken": [0, 1],
                          "chance": [0.9, 0.8], "answer": ["disc", "ring"], "name": ["disc"] * 2})
    located = SimpleNamespace(pictures=np.ones((1, 8, 8, 3)), maps=np.eye(8)[None], names=["disc"],
                              known=[(1, 1, 4, 4)], found=[(-1, -1, -1, -1)])
    patches = {"conv1": SimpleNamespace(pictures=np.zeros((2, 7, 7, 3)), names=["disc", "ring"])}
    return SimpleNamespace(**{"told": told, "boxes": boxes, "apart": apart, "split": 12.5, "located": located,
                              "patches": patches, "pictures": np.zeros((1, 8, 8, 3)), **more})


def test_what_it_says() -> None:
    start = study.study("v1.start", images=200, val_images=100)
    found = neurons.numbers(study.study("v1.aux", images=200, val_images=100), start, looked())
    assert "20 % of what a median unit of conv1" in found["units"]
    assert "70 % of what one of 5b" in found["units"]
    assert found["units"].endswith("10 % and 15 %.")
    assert "in 60 % of the images, and the whole image as an answer in 70 %; one made by covering parts" in (
        found["where"])
    assert "of the image in 40 %." in found["where"]
    assert found["where"].endswith("in 50 %, that of covering in 80 %, and the middle of the image in 30 %.")
    assert "12.5 %" in found["apart"]
    assert found["answer"].startswith(
        "What an image shows explains 70 % of what a median unit of the last module does, and 20 % of one of the first "
        "convolution; untrained, 15 and 10 %. A box drawn from the class map misses the object in 60 % of the images")


def test_its_figures() -> None:
    found = looked()
    for figure in (neurons.told(found), neurons.patches(found, "conv1"), neurons.maps(found), neurons.heads(found)):
        assert isinstance(figure, Figure)
    maps = neurons.maps(found)
    assert isinstance(maps, Figure)
    assert len(maps.axes[0].patches) == 1  # no box was found
    heads = neurons.heads(found)
    assert isinstance(heads, Figure)
    assert heads.axes[0].get_xlabel() == "disc\nmain: disc, 90 %\n4a: ring, 80 %"
    assert "94.0" in neurons.boxes(found).to_html()


def test_heat_is_where_the_map_is_high() -> None:
    picture, heat = np.full((2, 2, 3), 0.5), np.array([[2.0, -1], [0, 1]])
    found = neurons.warm(picture, heat)
    np.testing.assert_allclose(found[0, 1], 0.35)
    np.testing.assert_allclose(found[1, 0], 0.35)
    np.testing.assert_allclose(found[0, 0], 0.35 + 0.7 * (neurons.HEAT - 0.35))
    np.testing.assert_allclose(neurons.warm(picture, -heat.clip(0)), 0.35)


def test_where_there_is_nothing_to_look_at(out: Path) -> None:
    grid = study.study("v1.aux", images=200, val_images=100)
    start = study.study("v1.start", images=200, val_images=100)
    found = neurons.numbers(grid, start, None)
    assert neurons.NOT_HERE in found["answer"]
    assert "not been measured" in found["answer"]
    for nothing in (neurons.told(None), neurons.patches(None, "5b"), neurons.maps(None), neurons.heads(None),
                    neurons.maps(looked(located=None)), neurons.patches(looked(), "5b")):
        assert isinstance(nothing, figures.Nothing)
    assert isinstance(neurons.boxes(None), html.Html)


def test_the_first_run_with_both_heads_is_looked_at(out: Path) -> None:
    grid = study.study("v1.aux", images=200, val_images=100, epochs=1, seeds=2)
    put(grid, lambda cell: 0.5)
    assert neurons.looked(grid, lambda *_: 1 / 0) is None
    wanted = next(cell for cell in grid.cells if cell.keys == neurons.ARM and cell.seed == 1)
    store.weights(wanted.address).parent.mkdir(exist_ok=True)
    store.weights(wanted.address).touch()
    assert neurons.looked(grid, lambda experiment, seed: (experiment, seed)) == (wanted.experiment, 1)
