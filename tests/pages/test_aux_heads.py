"""The numbers of *Do auxiliary heads help?* that are not its claims."""
from __future__ import annotations

from pathlib import Path

from stored import put

from replication.pages import aux_heads
from replication.studies import study

SMALL = {"images": 200, "val_images": 100, "epochs": 2, "seeds": 2}


def test_of_runs_that_are_known(out: Path) -> None:
    """Errors of 10, 20, 30 and 40 % by set of heads, two points apart between seeds; heads send half."""
    aux, start = (study.study(name, **SMALL) for name in ("v1.aux", "v1.gradient"))
    ends = {"none": 0.1, "4a": 0.2, "4d": 0.3, "4a+4d": 0.4}
    put(aux, lambda cell: ends[cell.keys["aux"]] + 0.02 * cell.seed)
    put(start, lambda cell: 0.9)
    found = aux_heads.numbers(aux, start)
    assert found["louder"] == "1.5"
    assert found["ends"] == "11.0 % as published and 11.0 % with batch normalisation"
    assert found["apart"] == "2.0 points as published and 2.0 points with batch normalisation"
    assert found["during"].startswith("as published, 0.5 times before the first step and 0.5 at the end; with batch")


def test_some_arms_alone_will_do(out: Path) -> None:
    """A profile may train batch normalisation without the published form."""
    aux, start = study.only([study.study(name, **SMALL) for name in ("v1.aux", "v1.gradient")], {"norm": ("bn",)})
    for grid in (aux, start):
        put(grid, lambda cell: 0.2 + 0.02 * cell.seed)
    found = aux_heads.numbers(aux, start)
    assert found["ends"] == "21.0 % with batch normalisation"
    assert found["louder"] == "–"
