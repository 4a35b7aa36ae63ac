"""Tables of made-up runs, whose weights are as they start."""
from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
import torch

from replication.models.build import build
from replication.models.googlenet import INCEPTION, naive
from replication.runs import experiments, store
from replication.studies import correlations, study
from replication.studies.study import Cell, Grid
from replication.training import correlation, members

TINY: dict[str, Any] = {"images": 40, "val_images": 30, "width": 0.125, "stem": 4, "epochs": 1, "batch": 20}
MODULES = list(INCEPTION)


def made(seeds: int) -> Grid:
    grid, = study.only([study.study("v1.head", seeds=seeds, **TINY)],
                       {"norm": ("bn",), "head": ("average",), "dropout": ("0.4",)})
    for cell in grid.cells:
        finish(cell)
    return grid


def finish(cell: Cell) -> None:
    torch.manual_seed(cell.seed)
    store.weights(cell.address).parent.mkdir(parents=True, exist_ok=True)
    torch.save(build(cell.experiment.network).state_dict(), store.weights(cell.address))
    store.commit(cell.address, experiments.record(cell.experiment, cell.seed), [{"epoch": 1.0}],
                 {"status": "done", "val_error": 0.5}, {"seconds": 1.0, "device": "CPU"})


@pytest.mark.usefixtures("out", "one_thread")
def test_each_run_and_its_control_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correlation, "CHANNELS", 4)
    grid = made(2)
    store.weights(grid.cells[1].address).unlink()
    correlations.measure(grid)
    rings, modules = (correlations.table(grid, part) for part in correlations.PARTS)
    assert set(rings.addresses) == {grid.cells[0].address}
    for trained in (True, False):
        of = modules[modules.trained == trained]
        assert of.row.tolist() == MODULES
        assert rings[rings.trained == trained].groupby("row", sort=False).ring.max().tolist() == [3] * 7 + [2] * 2
    assert rings.groupby("row").side.first()[["3a", "4e", "5b"]].tolist() == [8, 4, 2]
    assert rings[rings.ring == 0].own.dropna().to_numpy() == pytest.approx(1)

    looked = []
    monkeypatch.setattr(members, "network", lambda *of: looked.append(of))
    correlations.measure(grid)
    assert not looked
    before = correlations._path(correlations.paths.mine(), "rings").read_text()
    os.utime(store.weights(grid.cells[0].address), (4e9, 4e9))  # trained again since
    with pytest.raises(AttributeError):
        correlations.measure(grid)
    assert looked
    store.weights(grid.cells[0].address).unlink()
    correlations.measure(grid)  # whose weights are gone, their lines stay
    assert correlations._path(correlations.paths.mine(), "rings").read_text() == before
    assert correlations.table(study.study("v1.head", seeds=1, **{**TINY, "batch": 10}), "rings").empty


@pytest.mark.usefixtures("out")
def test_nothing_is_known_of_nothing() -> None:
    grid = study.study("v1.head", seeds=1, **TINY)
    correlations.measure(grid)
    assert correlations.table(grid, "rings").empty


def test_the_branch_of_each_channel() -> None:
    module = INCEPTION["3a"]
    np.testing.assert_array_equal(np.bincount(correlations._branches(module, 256)), [64, 128, 32, 32])
    np.testing.assert_array_equal(np.bincount(correlations._branches(naive(module), 416)), [64, 128, 32, 192])
