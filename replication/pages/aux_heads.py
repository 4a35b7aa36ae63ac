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
NONE = "–"  # where there is no run to say
NORMS = {"lrn": "as published", "bn": "with batch normalisation"}


def numbers(aux: Grid, start: Grid, *more: Grid) -> dict[str, Any]:
    """The numbers and sentences that the page quotes besides its claims, of the studies v1.aux and v1.gradient, and
    more for its claims: percentages and factors in words, which are there without runs, too."""
    runs, before, during = aux.summary(), start.history(), aux.history()
    best, spread, louder, share = {}, {}, NONE, {}
    for norm in aux.study.factors["norm"]:
        errors = 100 * runs[runs.norm == norm].groupby("aux").val_error.agg(["mean", "min", "max"])
        best[norm] = f"{errors['mean'].min():.1f}" if len(errors) else NONE
        spread[norm] = f"{(errors['max'] - errors['min']).max():.1f}" if len(errors) else NONE
        headed = during[(during.norm == norm) & (during.aux == "4a+4d")]
        share[norm] = {when: _times(headed[headed.epoch == epoch], "grad_aux") for when, epoch in
                       (("start", 0), ("end", headed.epoch.max()))}
    if len(before):
        louder = _times(before[(before.norm == "lrn") & (before.init == "small")], "grad_total")
    there = [norm for norm in best if best[norm] != NONE]
    ends = " and ".join(f"{best[norm]} % {NORMS[norm]}" for norm in there) or "no run yet"
    apart = " and ".join(f"{spread[norm]} points {NORMS[norm]}" for norm in there) or "no run yet"
    sent = "; ".join(f"{NORMS[norm]}, {of['start']} times before the first step and {of['end']} at the end"
                     for norm, of in share.items() if of["start"] != NONE) or "no run yet"
    return {**finals.protocol(aux), "found": findings.found(SECTIONS, [aux, start, *more]), "best": best,
            "spread": spread, "louder": louder, "share": share, "ends": ends, "apart": apart, "during": sent}


def _times(of: pd.DataFrame, column: str) -> str:
    """The gradient of a column over that of the main loss, the geometric mean of the runs."""
    return html.digits(stats.geometric(of[column] / of.grad_main).value) if len(of) else NONE
