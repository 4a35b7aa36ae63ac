"""V3 §2's design principles on GoogLeNet's own modules: how far they reduce, how many there are, how wide the last are.
V3 is Szegedy et al., arXiv 1512.00567."""
from __future__ import annotations

from dataclasses import replace
from typing import Any

from replication.errors import check, unknown
from replication.models import mixtures
from replication.models.cost import shapes
from replication.models.googlenet import googlenet_bn
from replication.models.ops import Inception, Network, Row, scaled

# The modules of a network of half the depth: both heads' places, and one of each stage.
HALF = ("3b", "4a", "4d", "5b")
DEPTHS = ("half", "whole", "double")
LAST = ("5a", "5b")


def googlenet_reshaped(*, reductions: float | None = None, depth: str = "whole", last: float = 1.0,
                       name: str = "GoogLeNet-BN, reshaped", **options: Any) -> Network:
    """`googlenet_bn(**options)` by the principles of V3 §2, with all three arguments as they are that network.

    reductions: the maps that a 1×1 leaves before a 3×3 and a 5×5, as a share of those that arrive at the module, at
                most 1 (V3 §2, 3); None: as V1's Table 1 has them.
    depth:      "half", one module a stage and two in the second, or "double", every module twice (V3 §2, 4).
    last:       factor on the filters of the last two modules (V3 §2, 2).

    Raises BadInput for another depth, and for what is out of range.
    """
    check("reductions", reductions, (int, float, type(None)), 0.001, 1)
    check("last", last, (int, float), 0.01)
    if depth not in DEPTHS:
        raise unknown("depth", depth, DEPTHS)
    network = googlenet_bn(name=name, **options)
    rows = [row for row in network.rows if depth != "half" or not isinstance(row.op, Inception) or row.name in HALF]
    if depth == "double":
        rows = [twin for row in rows
                for twin in ((row, Row(f"{row.name}_again", row.op)) if isinstance(row.op, Inception) else (row,))]
    rows = [Row(row.name, _times(row.op, last)) if row.name.partition("_")[0] in LAST and isinstance(row.op, Inception)
            else row for row in rows]
    network = replace(network, rows=tuple(rows))
    if reductions is None:
        return network
    gives = {row: shape[0] for row, shape in shapes(network)}  # what a module gives does not depend on its reductions
    arrives = dict(zip((row.name for row in rows), (network.channels, *gives.values()), strict=False))
    return replace(network, rows=tuple(
        Row(row.name, _reduced(row.op, scaled(arrives[row.name], reductions)))
        if isinstance(row.op, Inception) else row for row in rows))


def _times(module: Inception, factor: float) -> Inception:
    return mixtures.scale({"": module}, factor)[""]


def _reduced(module: Inception, maps: int) -> Inception:
    return replace(module, n3x3_reduce=maps, n5x5_reduce=maps)
