"""What *How much must be trained again for other classes?* shows besides its claim."""
from __future__ import annotations

import math
from typing import Any

import pandas as pd

from replication import stats
from replication.models import cost
from replication.pages import finals, findings, html
from replication.runs.experiments import Experiment
from replication.studies.study import Grid

SECTIONS: findings.Sections = {"answer": ("V1-22b",), "errors": ("V1-22b",)}
NONE = "–"  # where there is no run to say


def parameters(experiment: Experiment) -> int:
    """Those that learn."""
    rows = experiment.recipe.trained
    return sum(row["parameters"] for row in cost.table(experiment.network) if rows is None or row["name"] in rows)


def work(experiment: Experiment) -> int:
    """Multiply-adds of a training image: forward, and twice as many again (one for the gradient of the weights, one for
    that of what goes in) of the first row with weights that learn and of all that come after it."""
    rows, back, began = experiment.recipe.trained, 0, False
    for row in cost.table(experiment.network):
        began = began or (row["parameters"] > 0 and (rows is None or row["name"] in rows))
        back += 2 * row["multiply_adds"] if began else 0
    return cost.multiply_adds(experiment.network, aux=True) + back


def steps(experiment: Experiment) -> int:
    return experiment.recipe.epochs * ((experiment.data.train_images or 0) // experiment.recipe.batch)


def arms(grid: Grid) -> pd.DataFrame:
    """A line a variant of the study fine: parameters that learn, steps, what a step costs where one that trains all of
    it costs 1, and the error at the end with its 95 % interval; by their keys."""
    runs, rows = grid.summary(), []
    for length in grid.study.factors["length"]:
        for trained in grid.study.factors["trained"]:
            of, all_of_it = (finals.experiment(grid, length=length, trained=key) for key in (trained, "scratch"))
            errors = 100 * runs[(runs.length == length) & (runs.trained == trained)].val_error.astype(float).dropna()
            mean = stats.mean(errors) if len(errors) else stats.exact(math.nan)
            rows.append({"length": length, "trained": trained, "parameters trained": parameters(of), "steps": steps(of),
                         "a step": work(of) / work(all_of_it), "top-1 error, %": mean.value,
                         "± (95 %)": mean.high - mean.value if math.isfinite(mean.high) else math.nan,
                         "seeds": len(errors)})
    return pd.DataFrame(rows)


def numbers(grid: Grid) -> dict[str, Any]:
    """The numbers and sentences that the page quotes besides its claim: there without runs, too."""
    table = arms(grid)
    error = {length: {row.trained: html.fixed(row["top-1 error, %"], 1) if row.seeds else NONE
                      for _, row in part.iterrows()} for length, part in table.groupby("length", sort=False)}
    length = list(grid.study.factors["length"])[-1]
    last = finals.experiment(grid, length=length, trained="last")
    whole = cost.parameters(last.network)
    start = last.recipe.start
    assert start is not None
    said = {"parameters": f"{parameters(last):,}", "whole": f"{whole:,}",
            "share": f"{100 * parameters(last) / whole:.1f}",
            "cheaper": html.digits(float(table.set_index("trained")["a step"]["all"].iloc[0]
                                         / table.set_index("trained")["a step"]["last"].iloc[0])),
            "few": f"{int(table.steps.min()):,}", "many": f"{int(table.steps.max()):,}",
            "from": f"{start.data.name}", "to": last.data.name, "before": f"{steps(start):,}"}
    return {**finals.protocol(grid), **said, "found": findings.found(SECTIONS, [grid]), "error": error,
            "answer": _answer(error[length], said)}


def _answer(error: dict[str, str], said: dict[str, str]) -> str:
    if NONE in error.values():
        return "How much must be trained again has not been measured yet."
    return (f"Of a network that has learnt {said['from']}, the last layer alone, {said['share']} % of the parameters, "
            f"was trained to tell {said['to']}: after {said['many']} steps it errs in {error['last']} % of the images. "
            f"Trained on as a whole, the network errs in {error['all']} %, and one that starts from nothing in "
            f"{error['scratch']} %.")
