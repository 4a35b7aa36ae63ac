"""What *Do auxiliary heads help?* quotes besides its claims."""
from __future__ import annotations

import math
from typing import Any

import pandas as pd

from replication import paths
from replication.pages import stats
from replication.studies.study import Grid


def numbers(aux: Grid, start: Grid) -> dict[str, Any]:
    """The numbers that *Do auxiliary heads help?* quotes besides its claims."""
    runs, before = aux.summary(), start.history()
    by_norm = runs.groupby(["norm", "aux"]).val_error
    spread = (by_norm.max() - by_norm.min()).groupby("norm").max()
    ratios = before.assign(ratio=before.grad_total / before.grad_main).groupby(["norm", "init"]).ratio
    data = aux.cells[0].experiment.data
    shares = aux.history().query("aux == '4a+4d'")
    share = {norm: {when: stats.geometric(part.grad_aux / part.grad_main).value
                    for when, part in (("start", of[of.epoch == 0]), ("end", of[of.epoch == of.epoch.max()]))}
             for norm, of in shares.groupby("norm")}
    return {"share": share, "best": by_norm.mean().groupby("norm").min().to_dict(),
            "worst": by_norm.mean().groupby("norm").max().to_dict(), "spread": spread.to_dict(),
            "chance": 1 - 1 / (data.classes or 1), "seeds": aux.setting.seeds,
            "louder": {"small": stats.geometric(ratios.get_group(("lrn", "small"))).value}}


def elsewhere(aux: Grid) -> pd.DataFrame:
    """The runs of `results/tables/elsewhere-v1.aux.csv`, trained again on other machines by the same code and seeds,
    against those stored here, in points of top-1 error: a row a machine and normalisation. `same seed` is the standard
    deviation of their differences, `two seeds` that of two runs here that differ in the seed alone."""
    here = aux.summary()
    there = pd.read_csv(paths.PUBLISHED / "tables" / "elsewhere-v1.aux.csv")
    both = there.merge(here, on="address", suffixes=("_there", "")) if len(here) else pd.DataFrame()
    rows = []
    for (norm, device), part in both.groupby(["norm", "device_there"], sort=False) if len(both) else ():
        apart = 100 * (part.val_error_there - part.val_error)
        within = (100 * here[here.norm == norm].set_index("aux").val_error).groupby("aux").var().mean()
        rows.append({"machine": device, "norm": norm, "runs": len(part), "mean difference": apart.mean(),
                     "same seed": apart.std(), "two seeds": math.sqrt(2 * within)})
    return aux.labelled(pd.DataFrame(rows, columns=None if rows else ["machine", "norm", "runs"]))
