"""Which run's predictions a page shows."""
from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from stored import put

from replication.pages import figures, predictions
from replication.runs import store
from replication.studies import study


def test_of_the_first_run_whose_weights_are_here(out: Path) -> None:
    grid = study.study("v1.module", images=200, val_images=100, epochs=1, seeds=2)
    put(grid, lambda cell: 0.5)
    looked: list[Any] = []

    def look(experiment: Any, seed: int) -> Any:
        looked.append((experiment, seed))
        return SimpleNamespace(logits={"main": np.array([[9.0, 0], [9, 0], [0, 9]])}, labels=np.array([0, 1, 1]),
                               classes=("disc", "star"), pictures=lambda chosen: np.zeros((len(chosen), 4, 4, 3)))

    assert isinstance(predictions.outputs(grid, look, module="naive"), figures.Nothing)
    assert not looked, "no weights, so nothing to look at, and nothing is trained for it"
    wanted = next(cell for cell in grid.cells if cell.keys["module"] == "naive" and cell.seed == 1)
    for cell in grid.cells:
        if cell.keys["module"] == "reduced" or cell == wanted:
            store.weights(cell.address).parent.mkdir(exist_ok=True)
            store.weights(cell.address).touch()
    sheet = predictions.outputs(grid, look, module="naive")
    assert looked == [(wanted.experiment, 1)]
    assert isinstance(sheet, Figure)
    assert [axis.get_xlabel().split("\n")[0] for axis in sheet.axes[:3]] == ["star, taken for", "disc ✓", "star ✓"]


def test_what_goes_in_needs_no_run() -> None:
    """Of the arm asked for, with the first seed of the setting."""
    grid = study.study("v1.augment", images=200, val_images=100, first_seed=7)
    asked: list[Any] = []

    def examples(experiment: Any, seed: int, number: int) -> Any:
        asked.append((len(experiment.recipe.augment), seed, number))
        return SimpleNamespace(pictures=np.zeros((2, 4, 4, 3)), names=["disc", "star"])

    assert isinstance(predictions.inputs(grid, examples, 4, augment="photometric"), Figure)
    assert asked == [(2, 7, 4)]
