"""What pages say of the ends of their runs, of runs whose ends are known."""
from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler
from scipy.stats import t
from stored import put

from replication.pages import figures, finals, findings, measures
from replication.runs import store
from replication.studies import study

SMALL = {"dataset": "shapes", "images": 4000, "val_images": 10000, "epochs": 3, "seeds": 2}


def test_the_first_paragraph_of_a_page(out: Path) -> None:
    """√(0.2 · 0.8 / 10,000) is 0.4 points."""
    grid, start = (study.study(name, **SMALL) for name in ("v1.aux", "v1.gradient"))
    assert finals.protocol(grid) == {"images": "4,000", "val_images": "10,000", "epochs": "3", "seeds": "no seed yet",
                                     "val_se": "0.50", "device": "no machine yet"}
    put(grid, lambda cell: 0.1 if cell.seed else 0.3)
    put(start, lambda cell: 0.9)  # untrained
    assert finals.protocol(grid, start) == {"images": "4,000", "val_images": "10,000", "epochs": "3",
                                            "seeds": "2 seeds", "val_se": "0.40", "device": "CPU"}


def test_seeds_and_epochs_that_differ_are_a_span(out: Path) -> None:
    few = study.study("v1.aux", **{**SMALL, "epochs_bn": 2, "seeds": 1})
    put(few, lambda cell: 0.2)
    assert finals.protocol(few)["epochs"] == "2 to 3"
    more = study.study("v1.weight", **{**SMALL, "seeds": 3})
    put(more, lambda cell: 0.2)
    assert finals.protocol(few, more)["seeds"] == "1 to 3 seeds"


def test_seeds_that_a_budget_left_out_are_told(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four smoothings with three seeds each, none of two and two of another."""
    monkeypatch.setenv("REPLICATION_TRAIN", "none")
    grid = study.study("v3.smoothing", **{**SMALL, "seeds": 3})
    put(study.only([grid], {"smoothing": ("0", "0.1")})[0], lambda cell: 0.2)
    shutil.rmtree(store.folder(grid.cells[-2].address))
    monkeypatch.setattr(study, "_as_profiled", lambda *_: grid)
    assert finals.protocol(study.asked("v3.smoothing", "cpu"))["seeds"] == "0 to 3 of 3 seeds"
    put(study.only([grid], {"smoothing": ("0.05", "0.2")})[0], lambda cell: 0.2)
    assert finals.protocol(study.asked("v3.smoothing", "cpu"))["seeds"] == "2 to 3 of 3 seeds"


def test_a_variant_s_line(out: Path) -> None:
    grid = study.study("v3.smoothing", **{**SMALL, "seeds": 3})
    assert "No run" in finals.table(grid)
    put(grid, lambda cell: math.nan if cell.keys["smoothing"] == "0.2" and cell.seed else 0.10 + 0.02 * cell.seed, 0.03)
    table = finals.table(grid)
    assert isinstance(table, Styler)
    found = table.data.set_index("smoothing")
    assert found.loc["0"].to_dict() == pytest.approx(
        {"final top-1 error, %": 12, "± (95 %)": t.ppf(0.975, 2) * 2 / math.sqrt(3), "training error, %": 9,
         "gap, points": 3, "seeds": 3, "lost": 0})
    assert found.loc["0.2", ["final top-1 error, %", "seeds", "lost"]].tolist() == [10, 3, 2]
    assert math.isnan(found.loc["0.2", "± (95 %)"])  # of one seed


def drawn(figure: Figure | figures.Nothing) -> Figure:
    assert isinstance(figure, Figure)
    return figure


def test_final_errors_stand_where_they_belong(out: Path) -> None:
    """A panel a normalisation, a line a set of heads; means 20 and 30 %."""
    grid = study.study("v1.aux", **SMALL)
    assert isinstance(figures.final_errors(grid, "aux"), figures.Nothing)
    put(grid, lambda cell: math.nan if cell.keys == {"norm": "lrn", "aux": "4a"} and cell.seed else
        (0.2 if cell.keys["norm"] == "bn" else 0.3) + 0.01 * (2 * cell.seed - 1))
    lrn, bn = drawn(figures.final_errors(grid, "aux")).axes
    assert [axis.get_title() for axis in (lrn, bn)] == ["LRN", "BN"]
    assert [label.get_text() for label in lrn.get_yticklabels()] == ["none", "4a", "4d", "4a + 4d"]
    for axis, ends in ((lrn, [30, 29, 30, 30]), (bn, [20] * 4)):
        means = [bar.lines[0].get_xydata()[0] for bar in axis.containers]
        assert [x for x, _ in means] == pytest.approx(ends)
        assert [y for _, y in means] == pytest.approx([0, 1, 2, 3])
    assert [(text.get_text(), text.xy[1]) for text in lrn.texts] == [("1 of 2 diverged", 1)]
    assert not bn.texts


def test_final_gaps_by_colour(out: Path) -> None:
    """A line a dropout rate, a colour a head: none leaves its line."""
    grid = study.only([study.study("v1.head", **SMALL)], {"norm": ("bn",), "dropout": ("0", "0.4")})[0]
    put(grid, lambda cell: 0.3, gap=0.25)
    (axis,) = drawn(figures.final_errors(grid, "dropout", "head", measures.gap, "gap, points")).axes
    assert axis.get_xlabel() == "gap, points"
    places = [bar.lines[0].get_xydata()[0] for bar in axis.containers]
    assert [x for x, _ in places] == pytest.approx([25] * 6)
    assert len({round(y, 3) for _, y in places}) == 6
    assert [round(y) for _, y in places] == [0, 0, 0, 1, 1, 1]


def test_what_was_found_is_said_without_tags(out: Path) -> None:
    grid = study.study("bn.sigmoid", **{**SMALL, "seeds": 6})
    sections = {"answer": ("BN-3a",), "all": ("BN-3a", "BN-3b")}
    assert findings.tally(sections, [grid]) == "2 are not yet run"
    put(grid, lambda cell: 0.9 if cell.keys["norm"] == "lrn" else 0.2)  # ten classes: chance is 90 %
    said = findings.found(sections, [grid])
    assert said["all"].startswith(said["answer"])
    assert "supported" in said["answer"]
    assert not set("<>") & set(said["all"])
    assert findings.tally(sections, [grid]) == (
        "2 are supported: “With sigmoids and without batch normalisation the network does not learn”; “With sigmoids "
        "and batch normalisation it does”")
