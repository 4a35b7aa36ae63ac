"""What a step of the last layer alone costs, by hand, and the sentences of the page."""
from __future__ import annotations

from pathlib import Path

import pytest
from stored import put

from replication.models import cost
from replication.pages import fine_tuning
from replication.studies import study


def test_cost_and_errors(out: Path) -> None:
    """A last layer of 256 numbers to ten classes: 2,570 parameters; a third of the work, and its own twice."""
    fine = study.study("fine", images=200, val_images=100, epochs=2, seeds=2)
    before = fine_tuning.numbers(fine)
    assert before["answer"] == "How much must be trained again has not been measured yet."
    ends = {"scratch": 0.05, "last": 0.1, "all": 0.03}
    put(fine, lambda cell: ends[cell.keys["trained"]] + 0.02 * cell.seed)
    table = fine_tuning.arms(fine).set_index(["length", "trained"])
    whole = cost.multiply_adds(fine.cells[0].experiment.network)
    assert table["parameters trained"]["1"].to_dict() == {
        "scratch": cost.parameters(fine.cells[0].experiment.network), "last": 2570,
        "all": cost.parameters(fine.cells[0].experiment.network)}
    assert table["a step"]["1", "last"] == pytest.approx((whole + 2 * 2560) / (3 * whole))
    assert table["a step"]["4", "all"] == 1
    assert table.steps["4", "last"] == 4 * (1297 // 32)
    found = fine_tuning.numbers(fine)
    assert found["error"]["4"] == {"scratch": "6.0", "last": "11.0", "all": "4.0"}
    assert "errs in 11.0 % of the images" in found["answer"]
