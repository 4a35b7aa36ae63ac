"""Pictures of what a study's networks get and of what they say. How runs are looked at is `training.inspect`'s, which a
notebook hands in: no page imports training."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure

from replication.pages import finals, pictures, train_any
from replication.pages.figures import Nothing
from replication.runs import store
from replication.runs.experiments import Experiment
from replication.studies.study import Cell, Grid

ELSEWHERE = "the weights of these runs are not stored here; whoever trains them again sees it"


def inputs(grid: Grid, examples: Callable[[Experiment, int, int], Any], number: int = 8,
           **keys: str) -> Figure | Nothing:
    """Training examples of some arms as the network gets them (`inspect.examples`)."""
    shown = examples(finals.experiment(grid, **keys), grid.setting.first_seed, number)
    return pictures.sheet(shown.pictures, shown.names)


def outputs(grid: Grid, look: Callable[[Experiment, int], Any], **keys: str) -> Figure | Nothing:
    """The surest mistakes, the worst first, and some of what is right (`train_any.telling`), of the first run of some
    arms whose weights are here (`inspect.look`)."""
    for cell in here(grid, keys):
        seen = look(cell.experiment, cell.seed)
        telling = train_any.telling(seen.logits["main"], seen.labels, seen.classes)
        return pictures.sheet(seen.pictures(telling.image), train_any.captions(telling), list(telling.right))
    return Nothing(ELSEWHERE)


def here(grid: Grid, keys: dict[str, str]) -> list[Cell]:
    return [cell for cell in grid.cells if keys.items() <= cell.keys.items() and store.exists(cell.address)
            and store.weights(cell.address).exists()]
