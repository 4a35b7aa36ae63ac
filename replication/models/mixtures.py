"""GoogLeNet's modules with other filter counts at the multiply-adds of V1's Table 1: what V1 §4 and §5 say of them."""
from __future__ import annotations

import bisect
import math
import random
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import groupby

from replication.models import cost
from replication.models.ops import Inception, MaxPool, Network, Row, scaled

Modules = Mapping[str, Inception]  # by row, in the order of Table 1
Change = Callable[[int, Inception], Inception]  # of the module at a place, 0 to 8


def _ratio(ratios: list[float]) -> Change:
    """As many 3×3 and 5×5 for a 1×1 as `ratios` says at each place. How many there are of the three together, how many
    3×3 for a 5×5 and how far each is reduced stay Table 1's."""
    def change(place: int, m: Inception) -> Inception:
        filters, share = m.n1x1 + m.n3x3 + m.n5x5, ratios[place] / (1 + ratios[place])
        small, large = (1 - share) * filters / m.n1x1, share * filters / (m.n3x3 + m.n5x5)
        return _times(m, (small, large, large, large, large, 1.0))
    return change


def _drawn(draw: int) -> Change:
    """Each of the six counts times a factor of its own between 0.6 and 1.4, evenly in its logarithm."""
    def change(place: int, m: Inception) -> Inception:
        of = random.Random(f"{draw} {place}")
        return _times(m, [math.exp(of.uniform(math.log(0.6), math.log(1.4))) for _ in range(6)])
    return change


def _times(m: Inception, factors: Sequence[float]) -> Inception:
    counts = (m.n1x1, m.n3x3_reduce, m.n3x3, m.n5x5_reduce, m.n5x5, m.pool_proj)
    n1, r3, n3, r5, n5, pool = (round(n * factor) for n, factor in zip(counts, factors, strict=True))
    return Inception(n1, r3, n3, r5, n5, pool)


# V1 §4: the ratio of 3×3 and 5×5 to 1×1 should increase towards higher layers. Table 1's is 2.5, 2.3, 1.3, 1.8, 2.5,
# 3.1, 1.8, 1.8, 1.3 from 3a to 5b: about 2, and rising nowhere for long.
MIXES: dict[str, Change] = {
    "rising": _ratio([2 ** (place / 4) for place in range(9)]),  # 1 to 4
    "flat": _ratio([2.0] * 9),
    "falling": _ratio([2 ** (2 - place / 4) for place in range(9)]),
    "drawn 1": _drawn(1), "drawn 2": _drawn(2), "drawn 3": _drawn(3),
}


def scale(modules: Modules, width: float) -> dict[str, Inception]:
    """Every count times `width`, as `scaled` rounds."""
    def c(n: int) -> int:
        return scaled(n, width)
    return {at: Inception(c(m.n1x1), c(m.n3x3_reduce), c(m.n3x3), c(m.n5x5_reduce), c(m.n5x5), c(m.pool_proj))
            for at, m in modules.items()}


@cache
def _mixed(table: tuple[tuple[str, Inception], ...], mix: str, width: float) -> dict[str, Inception]:
    wanted = work(scale(dict(table), width), width)
    changed = {at: MIXES[mix](place, m) for place, (at, m) in enumerate(table)}
    widths = [width * 1.002 ** step for step in range(-250, 251)]
    over = bisect.bisect_left(widths, wanted, key=lambda each: work(scale(changed, each), width))  # it grows with them
    tried = [scale(changed, each) for each in widths[max(over - 1, 0):over + 1]]
    return min(tried, key=lambda modules: abs(work(modules, width) - wanted))


def mixed(table: Modules, mix: str, width: float) -> dict[str, Inception]:
    """The modules of a mixture at a width: all counts times the one factor that brings their multiply-adds as near to
    those of `table` at that width as multiples of 8 allow (within 2 % from a quarter of the width on)."""
    return _mixed(tuple(table.items()), mix, width)


def work(modules: Modules, width: float) -> int:
    """Multiply-adds of nine modules on grids of 28, 14 and 7 positions a side."""
    rows: list[Row] = []
    for stage, members in groupby(modules, lambda at: at[0]):
        rows += [Row(f"pool{stage}", MaxPool(3, 2))] if rows else []
        rows += [Row(at, modules[at]) for at in members]
    return cost.multiply_adds(Network("modules", tuple(rows), 28, channels=scaled(192, width)))
