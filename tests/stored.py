"""Runs that were never trained, stored as if they had been, with numbers of a test's own."""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from replication.runs import experiments, store
from replication.studies.study import Cell, Grid


def put(grid: Grid, error: Callable[[Cell], float], gap: float = 0.0, **more: float) -> None:
    """Stores every run of a grid: `error` (0 to 1) is its validation error from the first epoch on, nan where it
    diverged; the training error lies `gap` below; before training it is at chance. The loss is 2 over the epoch."""
    for cell in grid.cells:
        end = error(cell)
        rows = [{"epoch": float(n), "lr": 0.1, "train_loss": 2.0 / n if n else math.nan,
                 "train_error": end - gap if n else math.nan,
                 "val_error": end if n or not cell.experiment.recipe.epochs else 0.9,
                 "grad_main": 1.0, "grad_aux": 0.5, "grad_total": 1.5}
                for n in range(cell.experiment.recipe.epochs + 1)]
        last: dict[str, Any] = {name: None if math.isnan(value) else value for name, value in rows[-1].items()}
        store.commit(cell.address, experiments.record(cell.experiment, cell.seed), rows,
                     {**last, **more, "status": "diverged" if math.isnan(end) else "done"},
                     {"device": "CPU", "commit": "0" * 40, "seconds": 1.0, "images_per_s": 1.0})
