"""What *GoogLeNet on Tiny-ImageNet* shows."""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from replication.models import cost
from replication.pages import html, metrics
from replication.pages.claims import settle
from replication.runs import store
from replication.studies import examined, profiles, study

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


def with_and_without(grid: study.Grid, ids: Sequence[str]) -> html.Html:
    """A line a claim: what was measured and its verdict with all validation images, and without those that show no
    object or are in training, of the runs of which that is known; both of the same runs."""
    clean = examined.judged(grid, clean_val=True)
    known = clean.judged or {}
    runs = replace(grid, cells=tuple(cell for cell in grid.cells if cell.address in known))
    if not runs.summary().shape[0]:
        return html.Html('<p class="state">Not known yet: it takes what a run says of each image, and none is stored.'
                         "</p>")
    lines = []
    for one, other in zip(settle(ids, [runs]), settle(ids, [clean]), strict=True):
        both = [metrics.record(found) for found in (one, other)]
        lines.append((f"<strong>{one.claim.id}</strong> {html.text(one.claim.sentence)}", *(
            f"{html.measured(of)}<br><small>{html.interval(of)}</small><br>{html.word(of['verdict'])}" for of in both)))
    return html.Html(html.cards(("Claim", "All validation images", "Without those"), lines))


def numbers(clean_val: bool = False) -> dict[str, Any]:
    """The numbers that *GoogLeNet on Tiny-ImageNet* quotes."""
    grids = _asked()
    wanted = {cell.address for grid in grids for cell in grid.cells}
    long = next(grid for grid in grids if grid.study.name == "v1.long")
    network = long.cells[0].experiment.network
    return {"peer": PEER, "runs": sum(map(store.exists, wanted)), "wanted": len(wanted),
            "judged": "The verdicts at the end are without them." if clean_val else "The verdicts at the end are with "
            "them; with the parameter clean_val they are without.",
            "epochs": long.setting.epochs, "multiply_adds_g": cost.multiply_adds(network) / 1e9}
