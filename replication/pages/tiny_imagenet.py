"""What *GoogLeNet on Tiny-ImageNet* shows."""
from __future__ import annotations

import math
from typing import Any

import pandas as pd

from replication.models import cost
from replication.runs import store
from replication.studies import profiles, study

# The best top-1 error of a GoogLeNet trained from scratch on Tiny-ImageNet-200 that we found, on its validation images:
# github.com/meng1994412/GoogLeNet_from_scratch, experiment 3 (batch-normalised, 75 epochs).
PEER = 1 - 0.575


PROFILES = ("gpu", "gpu-long")


def progress() -> pd.DataFrame:
    """A row per variant of every study of the profiles: seeds done of those wanted, top-1 error (%) and the device."""
    rows = []
    for grid in _asked():
        runs = grid.summary()
        for keys in dict.fromkeys(tuple(cell.keys.items()) for cell in grid.cells):
            known = dict(keys)
            of = runs[(runs[[*known]] == pd.Series(known)).all(axis=1)] if len(runs) else runs
            error = 100 * of.val_error.mean() if len(of) and known.get("init") is None else math.nan
            labels = [f"{factor} {grid.study.factors[factor][key].label}" for factor, key in keys]
            rows.append({"study": grid.study.name, "variant": ", ".join(labels),
                         "seeds": f"{len(of)} of {grid.setting.seeds}", "top-1 error, %": error,
                         "device": " and ".join(sorted(of.device.unique())) if len(of) else "not yet run"})
    return pd.DataFrame(rows)


def _asked() -> list[study.Grid]:
    return [grid for name in PROFILES for grid in study.of_profile(profiles.profile(name))]


def numbers() -> dict[str, Any]:
    """The numbers that *GoogLeNet on Tiny-ImageNet* quotes."""
    grids = _asked()
    wanted = {cell.address for grid in grids for cell in grid.cells}
    long = next(grid for grid in grids if grid.study.name == "v1.long")
    network = long.cells[0].experiment.network
    return {"peer": PEER, "runs": sum(map(store.exists, wanted)), "wanted": len(wanted),
            "epochs": long.setting.epochs, "multiply_adds_g": cost.multiply_adds(network) / 1e9}
