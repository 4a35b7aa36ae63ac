"""What *Do auxiliary heads help?* quotes besides its claims."""
from __future__ import annotations

from typing import Any

import pandas as pd

from replication import stats
from replication.pages import finals, findings, html
from replication.studies.study import Grid

SECTIONS: findings.Sections = {
    "answer": ("V1-25a", "V3-14", "V3-14b"), "curves": ("V3-13",), "errors": ("V1-25a", "V1-25b", "V3-14", "V3-15"),
    "gradient": ("V1-23a", "V1-23b"), "weight": ("V1-26",), "photographs": ("V3-14b",)}
NONE, NO_RUN = "–", "no run yet"  # where there is no run to say
NORMS = {"lrn": "as published", "bn": "with batch normalisation"}


def numbers(aux: Grid, start: Grid, *more: Grid) -> dict[str, Any]:
    """The numbers and sentences that the page quotes besides its claims, of the studies v1.aux and v1.gradient, and
    more for its claims: percentages and factors in words, which are there without runs, too."""
    runs, before, during = aux.summary(), start.history(), aux.history()
    ends, apart, sent = [], [], []
    for norm, name in NORMS.items():
        errors = 100 * runs[runs.norm == norm].groupby("aux").val_error.agg(["mean", "min", "max"])
        if len(errors):
            ends.append(f"{errors['mean'].min():.1f} % {name}")
            apart.append(f"{(errors['max'] - errors['min']).max():.1f} points {name}")
        headed = during[(during.norm == norm) & (during.aux == "4a+4d")]
        if len(headed):
            first, last = (_times(headed[headed.epoch == epoch], "grad_aux") for epoch in (0, headed.epoch.max()))
            sent.append(f"{name}, {first} times before the first step and {last} at the end")
    louder = _times(before[(before.norm == "lrn") & (before.init == "small")], "grad_total") if len(before) else NONE
    return {**finals.protocol(aux), "found": findings.found(SECTIONS, [aux, start, *more]), "louder": louder,
            "ends": " and ".join(ends) or NO_RUN, "apart": " and ".join(apart) or NO_RUN,
            "during": "; ".join(sent) or NO_RUN}


def _times(of: pd.DataFrame, column: str) -> str:
    """The gradient of a column over that of the main loss, the geometric mean of the runs."""
    return html.digits(stats.geometric(of[column] / of.grad_main).value) if len(of) else NONE
