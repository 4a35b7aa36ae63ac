"""What *Rates, averages, crops and smoothing* shows besides its claims."""
from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from replication import stats
from replication.pages import counted, differences, finals, findings, html, measures
from replication.studies.study import Grid

INF = math.inf
STUDIES = ("v1.schedule", "v1.augment", "bn.rate", "bn.sigmoid", "v3.smoothing", "v3.rmsprop", "v3.clip")
SECTIONS: findings.Sections = {
    "schedule": ("V1-27", "V1-28"), "augment": ("V1-29", "V1-30", "V1-31"),
    "rate": ("BN-1a", "BN-1b", "BN-2a", "BN-2b"), "sigmoid": ("BN-3a", "BN-3b"),
    "smoothing": ("V3-22", "V3-24", "V3-24b"), "rmsprop": ("V3-25",), "clip": ("V3-26a", "V3-26b")}

ENDS = {  # of a run: where its summary has it, and by what it is multiplied
    "top-1 error, %": ("val_error", 100), "calibration error, points": ("ece", 100),
    "negative log-likelihood, nats": ("nll", 1), "largest logit less the mean of the others": ("logit_gap", 1)}
OUTPUTS = ((0, 0, 0, 0), (2, 1, 0, 0), (8, 0, 0, 0), (0, 8, 0, 0))  # logits, of which the first is the right class's


# -- label smoothing ----------------------------------------------------------------------------------------------
def by_share(smoothing: Grid) -> Styler | html.Html:
    """A line a share of v3.smoothing: what its runs ended with, each mean with its 95 % interval over seeds."""
    runs = smoothing.summary()
    if runs.empty:
        return html.Html("<p>No run of it is stored here.</p>")
    rows = [{"ε": share, **{name: _interval(times * part[column].dropna()) for name, (column, times) in ENDS.items()},
             "seeds": len(part)} for share, part in runs.groupby("smoothing", sort=False)]
    return html.neat(pd.DataFrame(rows))


def _interval(values: pd.Series) -> str:
    """"1.61 [1.32, 1.89]", of one run alone "1.61", of none a dash."""
    if values.empty:
        return "–"
    of = stats.mean(values)
    return html.digits(of.value) + (f" [{html.digits(of.low)}, {html.digits(of.high)}]" if of.n > 1 else "")


def identity(epsilon: float = 0.1) -> Styler:
    """V3 §7 in numbers: of a few outputs the loss with smoothed labels, the two terms it consists of, and their sum."""
    smooth, hard, even = counted.entropies(np.array(OUTPUTS, dtype=float), epsilon)
    first, second = (1 - epsilon) * hard, epsilon * even
    return html.neat(pd.DataFrame({
        "logits, the right class first": [", ".join(map(str, output)) for output in OUTPUTS],
        "loss with smoothed labels": smooth, "(1 − ε) of the usual loss": first, "ε of that with even odds": second,
        "their sum": first + second}), 4)


# -- crops --------------------------------------------------------------------------------------------------------
def areas(crops: int = 5000, side: int = 448) -> Styler:
    """How crops of a square image that are to cover 8 to 100 % of it are spread over that range, here and by
    torchvision's transform: per cent of them in each quarter of the range, and the mean area."""
    import torch
    from torchvision.transforms import RandomResizedCrop

    from replication.data import boxes
    from replication.data.spec import AreaCrop
    device, whole = torch.device("cpu"), torch.zeros(1, side, side)
    crop = AreaCrop(side)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        here = boxes.draw(crops, side, side, crop, device)
        there = [RandomResizedCrop.get_params(whole, list(crop.area), list(crop.aspect))[2:] for _ in range(crops)]
    of = {"here": (here.heights * here.widths).numpy(), f"torchvision {version('torchvision')}": np.prod(there, axis=1)}
    edges = np.linspace(*crop.area, 5)
    names = [f"{html.digits(100 * low)} to {html.digits(100 * high)} %" for low, high in pairwise(edges)]
    edges[0], edges[-1] = 0, INF  # whole pixels round
    rows = [{"crops": name, **dict(zip(names, 100 * np.histogram(each / side ** 2, edges)[0] / crops, strict=True)),
             "mean area, %": 100 * each.mean() / side ** 2} for name, each in of.items()]
    return html.neat(pd.DataFrame(rows), 1)


# -- RMSProp ------------------------------------------------------------------------------------------------------
def first_steps() -> Styler:
    """How far the first step goes, in learning rates, by the size of the gradient: TensorFlow's form and torch's."""
    found = differences.first_steps()[["gradient", "TensorFlow", "torch"]]
    return html.neat(found.assign(**{"torch ÷ TensorFlow": found.torch / found.TensorFlow}), 4)


def _torch_less_tensorflow(rmsprop: Grid) -> str:
    found = measures.Difference({"optimiser": "torch", "rate": "1"}, {"optimiser": "rmsprop", "rate": "1"})(rmsprop)
    return "not yet measured" if found is None else (
        f"{html.fixed(found.value)} points [{html.fixed(found.low)}, {html.fixed(found.high)}]")


def _lost(rmsprop: Grid) -> str:
    """"SGD 0 of 2, RMSProp, torch's 1 of 2": what was lost at three times the rate."""
    runs = measures.lost(rmsprop)
    raised = rmsprop.labelled(runs[runs.rate == "3"])
    return "; ".join(f"{name} {int((part.value > 0).sum())} of {len(part)}"
                     for name, part in raised.groupby("optimiser", sort=False)) or "not yet run"


# -- for the page -------------------------------------------------------------------------------------------------

def numbers(grids: Sequence[Grid]) -> dict[str, Any]:
    """The numbers and sentences that the page quotes besides its claims."""
    by = {grid.study.name.split(".")[1]: grid.setting for grid in grids}
    rmsprop = next(grid for grid in grids if grid.study.name == "v3.rmsprop")
    return {"rmsprop": {"torch": version("torch").split("+")[0], "lost": _lost(rmsprop),
                        "torch_less_tensorflow": _torch_less_tensorflow(rmsprop),
                        "first": float(differences.over_tensorflow(np.array([1e-6]))[0])},
            "batch": {name: setting.batch for name, setting in by.items()},
            "lr": {name: setting.lr_bn for name, setting in by.items()}, **finals.protocol(*grids),
            "claims_here": len(findings.claims(SECTIONS)),
            "answer": findings.tally(SECTIONS, grids), "found": findings.found(SECTIONS, grids)}
