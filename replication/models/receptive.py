"""How much of the image a unit can see: by arithmetic from the table."""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from replication.models import ops
from replication.models.ops import Network, Op


class Field(NamedTuple):
    """The side in px of the square of the image that a unit's value hangs on, and how far apart in px the squares of
    neighbours are."""
    side: int
    step: int


def fields(network: Network) -> dict[str, Field]:
    """By row, from the image on, borders aside. A module sees as far as the branch that sees farthest. Ends at the
    first row that looks at the whole map, which has no side of its own."""
    found, at = {}, Field(1, 1)
    for row in network.rows:
        after = _after((row.op,), at)
        if after is None:
            break
        found[row.name] = at = after
    return found


def _after(chained: Sequence[Op], at: Field) -> Field | None:
    for op in chained:
        match op:
            case ops.Conv() | ops.Separable() | ops.MaxPool() | ops.AvgPool(kernel=int()):
                kernel = op.kernel if isinstance(op.kernel, int) else max(op.kernel or (1,))
                at = Field(at.side + (kernel - 1) * at.step, at.step * op.stride)
            case ops.Inception():
                return _after((op.split(),), at)
            case ops.Split():
                ends = [end for branch in op.branches if (end := _after(branch, at)) is not None]
                at = Field(max(end.side for end in ends), ends[0].step)
            case ops.LRN() | ops.Dropout() | ops.Tanh():
                pass
            case _:
                return None
    return at
