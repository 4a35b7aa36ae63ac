"""What *Naive modules, reduced modules, and how many filters* shows besides its claims."""
from __future__ import annotations

from typing import Any

import pandas as pd

from replication.models.googlenet import INCEPTION
from replication.models.ops import Conv, Inception, Network, Split
from replication.pages import finals, findings
from replication.studies.study import Grid

SECTIONS: findings.Sections = {
    "answer": ("V1-08b", "V1-08c"), "module": ("V1-08b", "V1-08c"), "share": ("V1-09",), "counts": ("V1-13", "V1-14")}


def filters(network: Network) -> dict[str, tuple[int, int, int]]:
    """Of each module, how many filters of 1×1, 3×3 and 5×5 it gives; reductions and projections are not among them."""
    found = {}
    for row in network.rows:
        split = row.op.split() if isinstance(row.op, Inception) else row.op
        if isinstance(split, Split):
            ones, threes, fives = (branch[-1].out for branch in split.branches[:3] if isinstance(branch[-1], Conv))
            found[row.name] = (ones, threes, fives)
    return found


def costs(grid: Grid) -> pd.DataFrame:
    """`finals.costs`, and `width`: an arm's filters of 1×1, 3×3 and 5×5 in all over those of V1's Table 1."""
    table = finals.costs(grid)
    factor, printed = table.columns[0], sum(m.n1x1 + m.n3x3 + m.n5x5 for m in INCEPTION.values())
    width = [sum(map(sum, filters(finals.experiment(grid, **{factor: key}).network).values())) / printed
             for key in table[factor]]
    table.insert(1, "width", width)
    return table


def ratios(grid: Grid) -> pd.DataFrame:
    """A row a mixture and module: `ratio`, its filters of 3×3 and 5×5 over those of 1×1."""
    rows = [{"mix": key, "label": arm.label, "module": module, "ratio": (threes + fives) / ones}
            for key, arm in grid.study.factors["mix"].items()
            for module, (ones, threes, fives) in filters(finals.experiment(grid, mix=key).network).items()]
    return pd.DataFrame(rows)


def numbers(module: Grid, mix: Grid) -> dict[str, Any]:
    """The numbers and sentences that the page quotes besides its claims."""
    forms = costs(module).set_index("module")
    return {**finals.protocol(module, mix), "found": findings.found(SECTIONS, [module, mix]),
            "off": {"module": float(forms["off, %"].abs().max()), "mix": float(costs(mix)["off, %"].abs().max())},
            "width": forms.width.to_dict(),
            "parameters": forms.parameters.to_dict()}
