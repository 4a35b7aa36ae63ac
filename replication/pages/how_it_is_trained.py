"""What *Rates, averages, crops and smoothing* shows besides its claims."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from replication.pages import finals, findings
from replication.studies.study import Grid

STUDIES = ("v1.schedule", "v1.augment", "bn.rate", "bn.sigmoid", "v3.smoothing", "v3.rmsprop", "v3.clip")
SECTIONS: findings.Sections = {
    "schedule": ("V1-27", "V1-28"), "augment": ("V1-29", "V1-30", "V1-31"),
    "rate": ("BN-1a", "BN-1b", "BN-2a", "BN-2b"), "sigmoid": ("BN-3a", "BN-3b"), "smoothing": ("V3-22", "V3-24"),
    "rmsprop": ("V3-25",), "clip": ("V3-26a", "V3-26b")}


def numbers(grids: Sequence[Grid]) -> dict[str, Any]:
    """The numbers and sentences that the page quotes besides its claims."""
    by = {grid.study.name.split(".")[1]: grid.setting for grid in grids}
    return {"batch": {name: setting.batch for name, setting in by.items()},
            "lr": {name: setting.lr_bn for name, setting in by.items()}, **finals.protocol(*grids),
            "claims_here": len(findings.claims(SECTIONS)),
            "answer": findings.tally(SECTIONS, grids), "found": findings.found(SECTIONS, grids)}
