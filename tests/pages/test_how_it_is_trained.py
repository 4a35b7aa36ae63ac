"""The five pages of the ablations: every claim of their studies has its place, and none needs a run to be shown."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from replication.pages import (
    afterwards,
    aux_heads,
    average_pooling,
    findings,
    fine_tuning,
    how_it_is_trained,
    modules,
)
from replication.pages.claims import CLAIMS
from replication.studies import study

STUDIES = {average_pooling: ("v1.head", "v1.ablation"), modules: ("v1.module", "v1.mix"),
           aux_heads: ("v1.aux", "v1.gradient", "v1.weight", "v1.ablation"),
           fine_tuning: ("fine",), how_it_is_trained: how_it_is_trained.STUDIES}


@pytest.mark.parametrize("page", STUDIES)
def test_a_page_has_the_studies_of_its_claims(page: Any) -> None:
    assert {CLAIMS[name].study for name in findings.claims(page.SECTIONS)} == set(STUDIES[page])


def test_no_claim_of_these_studies_is_left_out() -> None:
    shown = {name for page in STUDIES for name in findings.claims(page.SECTIONS)}
    shown |= {claim.id for claim in afterwards.CLAIMS if claim.study != "v1.start"}  # has a page of its own
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
