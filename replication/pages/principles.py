"""What *The second paper's principles* shows besides its claims."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from replication.pages import finals, findings
from replication.studies.study import Grid

STUDIES = ("v3.factor", "v3.asymmetric", "v3.reductions", "v3.depth", "v3.last", "v3.small")
SECTIONS: findings.Sections = {
    "factor": ("V3-08", "V3-09", "V3-10"), "asymmetric": ("V3-12a", "V3-12b", "V3-11c"),
    "reductions": ("V3-04",), "depth": ("V3-05",), "last": ("V3-03",),
    "small": ("V3-28a", "V3-28b", "V3-28c", "V3-29", "V3-30a", "V3-30b")}


def numbers(grids: Sequence[Grid]) -> dict[str, Any]:
    """The numbers and sentences that the page quotes besides its claims."""
    return {**finals.protocol(*grids), "claims_here": len(findings.claims(SECTIONS)),
            "answer": findings.tally(SECTIONS, grids), "found": findings.found(SECTIONS, grids),
            "on": finals.on(grids)}
