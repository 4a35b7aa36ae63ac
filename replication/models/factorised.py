"""V3 §3 on GoogLeNet's own modules: a 5×5 as two 3×3, an n×n as n×1 and 1×n. V3 is Szegedy et al., arXiv 1512.00567."""
from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from math import sqrt
from typing import Any

from replication.errors import BadInput, check, unknown
from replication.models.cost import shapes
from replication.models.googlenet import INCEPTION, googlenet_bn
from replication.models.ops import Conv, Inception, MaxPool, Network, Op, Row, Split

# Maps between the two 3×3, from those the 5×5 saw and those it gave. "root": V3 §3.1, where the number of maps grows by
# α over both, and by √α in each. GoogLeNet's α is 2 to 4, so the 28 % the paper saves at α = 1 become 24 to 10.
MIDDLE: dict[str, Callable[[int, int], int]] = {
    "root": lambda seen, given: round(sqrt(seen * given)),
    "full": lambda seen, given: given,  # popular code's: 8 to 80 % dearer than the 5×5
    "reduce": lambda seen, given: seen,  # saves 46 to 55 %
}


def two_3x3(module: Inception, middle: str | None = "root", linear: Sequence[str] = ()) -> Split:
    """V3 Fig. 5: the module with two 3×3 for its 5×5.

    middle: how many maps stand between the two, a key of MIDDLE; None keeps the 5×5, in layers of the same names.
    linear: layers without a ReLU (they keep their normalisation): "middle", the first of the two (V3 Fig. 2), and
            "reduce", the 1×1 reductions (V3 §3.1's last sentence). Raises BadInput for others.
    """
    if middle is not None and middle not in MIDDLE:
        raise unknown("middle", middle, MIDDLE)
    layers = ("reduce",) if middle is None else ("middle", "reduce")
    if isinstance(linear, str) or any(layer not in layers for layer in linear):
        raise BadInput(f"linear={linear!r} with middle={middle!r}: give a list of any of {', '.join(layers)}, or ().")
    curved = "reduce" not in linear
    large: tuple[Op, ...] = (Conv(module.n5x5, module.large),)
    if middle is not None:
        between = MIDDLE[middle](module.n5x5_reduce, module.n5x5)
        large = (Conv(between, 3, relu="middle" not in linear), Conv(module.n5x5, 3))
    return Split((
        (Conv(module.n1x1),),
        (Conv(module.n3x3_reduce, relu=curved), Conv(module.n3x3, 3)),
        (Conv(module.n5x5_reduce, relu=curved), *large),
        (MaxPool(3, 1, pad=1), Conv(module.pool_proj)),
    ))


def asymmetric(module: Inception, n: int = 3) -> Split:
    """V3 Fig. 6: `two_3x3(module)` with n×1 and 1×n (in the order of §3.2's text) for every 3×3; n is odd."""
    check("n", n, int, 3)
    if n % 2 == 0:
        raise BadInput(f"n={n} is even; an odd kernel keeps the branches' maps the same size.")

    def pair(seen: int, given: int) -> tuple[Conv, Conv]:
        return Conv(seen, (n, 1)), Conv(given, (1, n))  # as wide between as what comes in: the code's 17×17 modules

    between = MIDDLE["root"](module.n5x5_reduce, module.n5x5)
    return Split((
        (Conv(module.n1x1),),
        (Conv(module.n3x3_reduce), *pair(module.n3x3_reduce, module.n3x3)),
        (Conv(module.n5x5_reduce), *pair(module.n5x5_reduce, between), *pair(between, module.n5x5)),
        (MaxPool(3, 1, pad=1), Conv(module.pool_proj)),
    ))


def factorised(network: Network, form: Callable[[Inception], Split], rows: Collection[str] | None = None) -> Network:
    """The network with `form` of each of its Inception modules, or of those in `rows` alone."""
    return replace(network, rows=tuple(
        Row(row.name, form(row.op)) if isinstance(row.op, Inception) and (rows is None or row.name in rows) else row
        for row in network.rows))


def googlenet_two_3x3(*, middle: str | None = "root", linear: Sequence[str] = (),
                      name: str = "GoogLeNet-BN, 5×5 as two 3×3", **options: Any) -> Network:
    """`googlenet_bn(**options)` with `two_3x3(module, middle, linear)` for each of its modules."""
    return factorised(googlenet_bn(name=name, **options), partial(two_3x3, middle=middle, linear=linear))


STAGES = {"first": "3", "second": "4", "third": "5"}  # and what the names of their modules begin with


def googlenet_asymmetric(*, grid: int | str | None = None, n: int = 3, name: str = "GoogLeNet-BN, n×1 and 1×n",
                         **options: Any) -> Network:
    """`googlenet_two_3x3(**options)` with `asymmetric(module, n)` for its modules on grid×grid maps; None: for none.

    grid: its side, or "first", "second" or "third". V3 §3.2 finds it bad in early layers and good on grids of 12 to 20.
          With resolution=64 and stem=2 the grids are 32, 16 and 8.
    n:    3 is what it replaces, a third cheaper; V3's 7 sees more and costs more than the 3×3.

    Raises BadInput for a grid on which there is no module.
    """
    network = googlenet_bn(name=name, **options)
    sides = {row: shape[1] for row, shape in shapes(network) if row in INCEPTION}
    if grid is not None and grid not in (*sides.values(), *STAGES):
        raise unknown("grid", grid, (*dict.fromkeys(sides.values()), *STAGES))
    chosen = [row for row, side in sides.items() if side == grid or row[0] == STAGES.get(str(grid))]
    return factorised(factorised(network, partial(asymmetric, n=n), chosen), two_3x3)
