"""The page before anything is trained, and what it says of a study that is."""
from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import stored
from matplotlib.figure import Figure

from replication.models import cost
from replication.pages import figures, finals, scales
from replication.studies import study

KERNELS = ("mixed", "only 1x1", "only 3x3", "only 5x5")


def test_networks_of_one_size_cost_the_same() -> None:
    grid = study.study("v1.scales", width=0.25, stem=4, resolution=32)
    price = {key: cost.multiply_adds(finals.experiment(grid, kernels=key).network) for key in KERNELS}
    assert price == {key: pytest.approx(price["mixed"], rel=0.08) for key in KERNELS}


def test_before_anything_is_trained(out: Path) -> None:
    grid = study.study("v1.scales")
    found = scales.looked(grid, lambda *_: pytest.fail("there is nothing to look at"))
    assert found is None
    for figure in (scales.fields(found), scales.sheet(found, "trained"), scales.shares(found)):
        assert isinstance(figure, figures.Nothing)
    said = scales.numbers(grid, found)
    assert said["found"]["answer"].startswith("Not measured yet: having three sizes of kernel")
    assert said["over"] == "4b"  # 235 px by hand, of 224
    assert said["sides"]["5b"] == 715


def test_what_is_found(out: Path) -> None:
    waves = pd.DataFrame([{"network": name, "filter": n, "share": share + n / 100, "angle": 15.0, "wave": 4.0}
                          for name, share in (("trained", 0.8), ("untrained", 0.2)) for n in range(3)])
    kernels = {name: np.random.default_rng(0).normal(size=(3, 3, 7, 7)) for name in ("trained", "untrained")}
    fields = pd.DataFrame([{"row": row, "arithmetic": side, "trained": 5, "untrained": 3}
                           for row, side in (("conv1", 7), ("5b", 715))])
    found: Any = SimpleNamespace(fields=fields, waves=waves, filters=kernels, drawn=kernels)
    assert "81 %" in (said := scales._waves(found))
    assert "21 %" in said
    assert "715 px" in scales._fields(found)
    figure = scales.sheet(found, "trained")
    assert isinstance(figure, Figure)
    words = [axis.get_xlabel() for axis in figure.axes if axis.get_xlabel()]
    assert words[0] == "82 % a wave"  # the one most like a wave comes first
    assert len(words) == 6
    assert isinstance(scales.shares(found), Figure)
    assert isinstance(scales.fields(found), Figure)


def test_the_best_single_size_is_named(out: Path) -> None:
    errors = {"mixed": (0.020, 0.030), "only 1x1": (0.010, 0.014), "only 3x3": (0.09, 0.11), "only 5x5": (0.2, 0.3)}
    grid = study.study("v1.scales", seeds=2)
    assert "not been compared" in scales._lowest(grid)
    stored.put(grid, lambda cell: errors[cell.keys["kernels"]][cell.seed])
    said = scales._lowest(grid)
    assert said.startswith("The best single size is 1×1 alone, with an error of 1.2 %, 1.3 points less than all three")
