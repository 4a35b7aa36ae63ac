"""The five pages of the ablations: every claim of their studies has its place, and none needs a run to be shown."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from replication.pages import (
    afterwards,
    arora,
    aux_heads,
    average_pooling,
    counted,
    findings,
    fine_tuning,
    how_it_is_trained,
    modules,
)
from replication.pages.claims import CLAIMS
from replication.runs import experiments, store
from replication.studies import study
from replication.studies.study import Cell

STUDIES = {average_pooling: ("v1.head", "v1.ablation"), modules: ("v1.module", "v1.mix"),
           aux_heads: ("v1.aux", "v1.gradient", "v1.weight", "v1.ablation"),
           fine_tuning: ("fine",), how_it_is_trained: how_it_is_trained.STUDIES}


@pytest.mark.parametrize("page", STUDIES)
def test_a_page_has_the_studies_of_its_claims(page: Any) -> None:
    assert {CLAIMS[name].study for name in findings.claims(page.SECTIONS)} == set(STUDIES[page])


def test_no_claim_of_these_studies_is_left_out() -> None:
    shown = {name for page in STUDIES for name in findings.claims(page.SECTIONS)}
    shown |= {claim.id for claim in afterwards.CLAIMS if claim.study != "v1.start"}  # has a page of its own
    shown |= {name for name in findings.claims(arora.SECTIONS) if CLAIMS[name].study}  # of a network of v1.head
    of = {study for studies in STUDIES.values() for study in studies}
    assert shown == {name for name, claim in CLAIMS.items() if claim.study in of}


def leaves(numbers: Any) -> Iterator[Any]:
    for value in numbers.values() if isinstance(numbers, dict) else ():
        yield from leaves(value) if isinstance(value, dict) else (value,)


@pytest.mark.parametrize("page", STUDIES)
def test_without_a_run_there_is_a_word_for_every_number(page: Any, out: Path) -> None:
    """Of a profile that does not list the studies: {val} takes no missing number."""
    grids = [replace(study.study(name), cells=()) for name in STUDIES[page]]
    found = list(leaves(page.numbers(grids) if page is how_it_is_trained else page.numbers(*grids)))
    assert len(found) > 6
    assert all(value == value and value not in (None, "") for value in found)


# -- label smoothing ----------------------------------------------------------------------------------------------
def test_both_sides_of_the_identity_are_torch_s() -> None:
    logits = torch.tensor(how_it_is_trained.OUTPUTS, dtype=torch.float64)
    labels = torch.zeros(len(logits), dtype=torch.int64)
    for epsilon in (0.05, 0.1, 0.2):
        smooth, hard, _ = counted.entropies(logits.numpy(), epsilon)
        for found, share in ((smooth, epsilon), (hard, 0.0)):
            np.testing.assert_allclose(found, torch.nn.functional.cross_entropy(
                logits, labels, label_smoothing=share, reduction="none").numpy(), atol=1e-12)
    table = how_it_is_trained.identity(0.1).data  # type: ignore[attr-defined]
    np.testing.assert_allclose(table["their sum"], table["loss with smoothed labels"], rtol=1e-12)
    assert table["loss with smoothed labels"][0] == pytest.approx(np.log(4)), "of who does not know"


def finish(cell: Cell, **summary: Any) -> None:
    store.commit(cell.address, experiments.record(cell.experiment, cell.seed), [{"epoch": 1.0, "val_error": 0.5}],
                 {"status": "done", "val_error": 0.5, "ece": 0.1, "nll": 0.5, "logit_gap": 9.0, **summary},
                 {"seconds": 1.0, "device": "CPU"})


def test_a_line_a_share_with_student_s_interval(out: Path) -> None:
    grid = study.study("v3.smoothing", seeds=3)
    ece = [0.01, 0.02, 0.06]
    for cell in grid.cells:
        if cell.keys["smoothing"] == "0" or (cell.keys["smoothing"] == "0.1" and cell.seed == 0):
            finish(cell, ece=ece[cell.seed])
    table = how_it_is_trained.by_share(grid).data  # type: ignore[union-attr]
    low, high = stats.t.interval(0.95, 2, 3, np.std([1, 2, 6], ddof=1) / np.sqrt(3))
    assert table["ε"].tolist() == ["0", "0.1"]
    assert table["calibration error, points"].tolist() == [f"3 [−{-low:.3g}, {high:.3g}]", "1"]
    assert table.seeds.tolist() == [3, 1]


# -- RMSProp ------------------------------------------------------------------------------------------------------
def test_what_is_lost_is_counted_at_the_raised_rate_alone(out: Path) -> None:
    grid = study.study("v3.rmsprop", seeds=2)
    for cell in grid.cells:  # ten classes: chance is 0.9
        gone = cell.keys == {"optimiser": "torch", "rate": "3"} and cell.seed == 0
        finish(cell, val_error=0.9 if gone or cell.keys["rate"] == "1" else 0.1 + cell.seed / 100)
    found = how_it_is_trained.numbers([study.study(name, seeds=1) if name != "v3.rmsprop" else grid
                                       for name in how_it_is_trained.STUDIES])["rmsprop"]
    assert found["lost"] == "SGD 0 of 2; RMSProp, TensorFlow's 0 of 2; RMSProp, torch's 1 of 2"
    assert found["first"] == pytest.approx(np.sqrt(1.9), rel=1e-4)


# -- crops --------------------------------------------------------------------------------------------------------
def test_areas_are_drawn_evenly_here() -> None:
    """V1 §6, "distributed evenly between 8% and 100%": a quarter of the crops in each quarter, and 54 % on average."""
    table = how_it_is_trained.areas(crops=4000).data
    here, other = (row.drop("crops").astype(float).tolist() for _, row in table.iterrows())
    assert here == pytest.approx([25, 25, 25, 25, 54], abs=2.5)  # 3.5 standard deviations of a share
    assert other[3] < 20, "torchvision draws again what does not fit"
