"""What *Do auxiliary heads help?* quotes besides its claims."""
from __future__ import annotations

from typing import Any

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
