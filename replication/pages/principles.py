"""What *The second paper's principles* shows besides its claims."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from replication.pages import finals, findings, html
from replication.pages.measures import Difference
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
            "on": finals.on(grids),
            "apart": _apart(next(grid for grid in grids if grid.study.name == "v3.depth"))}


def _apart(depth: Grid) -> str:
    """The deeper and the wider network each beside the one that is as it is, in words: the claim takes their mean."""
    arms, said = depth.study.factors["depth"], []
    for key in ("half", "double"):
        of = Difference({"depth": key}, {"depth": "whole"})(depth)
        if of is None:
            return "The two have not been compared one by one yet."
        said.append(f"{arms[key].label}, it errs by {html.fixed(abs(of.value), 1)} points "
                    f"{'less' if of.value < 0 else 'more'} ({html.fixed(of.value)} [{html.fixed(of.low)}, "
                    f"{html.fixed(of.high)}])")
    return f"{said[0][0].upper()}{said[0][1:]}; {said[1]}."
