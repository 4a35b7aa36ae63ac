"""What is timed costs what the papers say, both forms make the same map, and the page shows what was measured."""
from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from replication.__main__ import main
from replication.benchmarks import harness, savings
from replication.models import cost
from replication.models.build import build
from replication.pages import figures
from replication.pages import savings as page


@pytest.mark.parametrize(("name", "promised"), [
    ("reduction", 192 * 32 * 25 / (192 * 16 + 16 * 32 * 25)),  # V1 §4, the 5×5 branch of 3a: 9.7
    ("module", (192 * 64 + 192 * 128 * 9 + 192 * 32 * 25)
     / (192 * 64 + 192 * 96 + 96 * 128 * 9 + 192 * 16 + 16 * 32 * 25 + 192 * 32)),
    ("two 3x3", 25 / 18), ("3x1 1x3", 3 / 2), ("7x1 1x7", 7 / 2)])  # V3 §3: 28, 33 and 71 % saved
def test_promises(name: str, promised: float) -> None:
    before, after = map(cost.multiply_adds, savings.SAVINGS[name].networks())
    assert before / after == pytest.approx(promised)


@pytest.mark.parametrize("name", [name for name in savings.SAVINGS if name != "module"])  # which pools into more maps
def test_what_replaces_makes_the_same_map(name: str) -> None:
    before, after = (cost.shapes(network)[-1][1] for network in savings.SAVINGS[name].networks())
    assert before == after


def test_all_of_a_network_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is called gives what the network gives."""
    monkeypatch.setattr(harness, "forward", lambda rows, maps: lambda: (rows, maps))
    network = savings.SAVINGS["reduction"].networks()[1]
    rows, maps = savings._call(network, "infer", 2, torch.device("cpu"), torch.float32)()  # type: ignore[misc]
    torch.manual_seed(0)
    net = build(network).eval()
    torch.testing.assert_close(rows(maps), net(maps))
    assert maps.shape == (2, 192, 28, 28)


def test_a_ratio_is_of_one_turn() -> None:
    """The box was slow in the second turn: that moves the times, not the ratio."""
    found = savings.line(savings.SAVINGS["two 3x3"], [[2.0, 1.0], [20.0, 10.0], [4.0, 2.0]])
    assert (found["times"], found["times_low"], found["times_high"]) == (2, 2, 2)
    assert (found["ms_before"], found["ms_before_high"], found["ms_after"]) == (4, 20, 2)


def test_the_table_and_the_page(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(figures.savings(page.tables()), figures.Nothing)
    monkeypatch.setattr(savings, "BATCH", {"cpu": 1})
    monkeypatch.setattr(savings, "TURNS", 2)
    assert main(["bench", "--savings"]) == 0
    path, = (out / "tables").glob("savings-*.csv")
    table = pd.read_csv(path)
    assert list(table.columns) == list(savings.COLUMNS)
    assert set(table.saving) == set(page.NAMES)
    assert (table.times_low <= table.times).all()
    assert (table.times <= table.times_high).all()
    found = page.tables()
    assert page.shown(found).count("<small>[") == 3 * len(table)
    axis = figures.savings(found).axes[0]  # type: ignore[union-attr]
    promised = next(line for line in axis.get_lines() if line.get_label() == "promised")
    assert list(promised.get_xdata()) == pytest.approx(list(table.drop_duplicates("saving").promised))
    words = page.in_words(found)
    assert all(name in words for name in page.NAMES.values())
