"""The pages *Inception V3, step by step* and *Factorise, reduce, balance, shrink*, with runs and without."""
from __future__ import annotations

from types import ModuleType

import pytest
from stored import put

from replication.pages import findings, inception_v3, principles
from replication.pages.claims import CLAIMS
from replication.studies import study
from replication.studies.study import Grid

SMALL = {"images": 100, "val_images": 100, "epochs": 1, "seeds": 3}
PAGES = [inception_v3, principles]


def grids(page: ModuleType) -> list[Grid]:
    return [study.study(name, **SMALL) for name in page.STUDIES]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_settles_the_claims_of_its_studies_and_of_no_other(page: ModuleType, out: object) -> None:
    trained = {name for name in findings.claims(page.SECTIONS) if CLAIMS[name].study}
    assert trained == {name for name, claim in CLAIMS.items() if claim.study in page.STUDIES}


@pytest.mark.parametrize("page", PAGES)
def test_without_a_run_everything_is_there_and_says_so(page: ModuleType, out: object) -> None:
    found = page.numbers(grids(page))
    assert found["seeds"] == "no seed yet"
    assert all(found["found"].values())
    # V3 takes no fewer than 39 px; what is asked of the shapes is their own 32.
    sides = {name: said.split(" px")[0] for name, said in found["on"].items()}
    assert set(sides.values()) == {"shapes of 40"} if page is inception_v3 else {"shapes of 32"}


def test_what_the_ladder_is_said_to_bring(out: object) -> None:
    """Two points from the first rung to the last, half a point a rung."""
    made = {grid.study.name: grid for grid in grids(inception_v3)}
    rungs = list(made["v3.ladder"].study.factors["step"])
    put(made["v3.ladder"], lambda cell: 0.30 - 0.005 * rungs.index(cell.keys["step"]) + 0.0001 * cell.seed)
    found = inception_v3.numbers(list(made.values()))["found"]
    assert "what the ladder adds to Inception-v2 lowers the top-1 error by 2.0 points" in found["ladder"]
    assert "a stem of three 3×3 in place of the 7×7 lowers the top-1 error by 0.5 points" in found["ladder"]


def test_a_network_given_smaller_images_and_one_made_for_them(out: object) -> None:
    made = {grid.study.name: grid for grid in grids(principles)}
    errors = {"whole": 0.10, "half": 0.13, "naive": 0.25}
    put(made["v3.small"], lambda cell: errors[cell.keys["side"]] + 0.0001 * cell.seed, train_loss=1.0)
    found = principles.numbers(list(made.values()))["found"]["small"]
    assert "half the side do nearly as well” is contradicted (+3.0 points" in found
    assert "merely given smaller images does much worse” is supported (+12" in found


def test_wide_and_deep_are_told_apart(out: object) -> None:
    """Their mean is 10 points above, one of them 1 below."""
    made = {grid.study.name: grid for grid in grids(principles)}
    assert "not been compared" in principles.numbers(list(made.values()))["apart"]
    errors = {"half": 0.01, "whole": 0.02, "double": 0.23}
    put(made["v3.depth"], lambda cell: errors[cell.keys["depth"]] + 0.0001 * cell.seed)
    said = principles.numbers(list(made.values()))["apart"]
    assert said.startswith("Half as deep, wider, it errs by 1.0 points less (−1.00 [")
    assert "; twice as deep, narrower, it errs by 21.0 points more (21.00 [" in said
