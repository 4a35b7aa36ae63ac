"""The Inception V3 family: V3 as everyone runs it, V3 as its paper prints it; and what V3 compares.

V3 is Szegedy et al., arXiv 1512.00567; the code everyone runs is tf-slim's inception_v3.py and torchvision's
inception.py, the same layers. Rows have slim's names, short: "1a" is its Conv2d_1a_3x3, "5b" its Mixed_5b.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from replication.errors import BadInput, aux_rows, check, unknown
from replication.models.cost import shapes
from replication.models.ops import (
    Aux,
    AvgPool,
    BatchNorm,
    Conv,
    Dropout,
    Init,
    Linear,
    MaxPool,
    Network,
    Op,
    Row,
    Separable,
    Split,
    Start,
    TruncatedNormal,
    VarianceScaling,
    check_common,
    scaled,
)

SMOOTH = AvgPool(3, 1, pad=1)  # averages its padding's zeros too, as torchvision; slim leaves them out: `inside`
HALVE = MaxPool(3, 2, ceil=False)


def grid35(pool: int, factorised: bool = False) -> Split:
    """V3 Fig. 5: V1's module with two 3×3 in place of its 5×5. The code has the two, but where the figure keeps V1's
    3×3 it has a true 5×5."""
    return Split((
        (Conv(64),),
        (Conv(48), Conv(64, 3 if factorised else 5)),
        (Conv(64), Conv(96, 3), Conv(96, 3)),
        (SMOOTH, Conv(pool)),
    ))


def grid17(n: int) -> Split:
    """V3 Fig. 6, which gives no widths: `n` is the code's, inside the two 7×7 branches."""
    return Split((
        (Conv(192),),
        (Conv(n), Conv(n, (1, 7)), Conv(192, (7, 1))),
        (Conv(n), Conv(n, (7, 1)), Conv(n, (1, 7)), Conv(n, (7, 1)), Conv(192, (1, 7))),
        (SMOOTH, Conv(192)),
    ))


PAIR = Split(((Conv(384, (1, 3)),), (Conv(384, (3, 1)),)))  # side by side: wider, for the last features (V3 §2, 2)
GRID8 = Split(((Conv(320),), (Conv(384), PAIR), (Conv(448), Conv(384, 3), PAIR), (SMOOTH, Conv(192))))  # V3 Fig. 7

# V3 Fig. 10: convolutions and a pool of stride 2 in parallel, so that no map is a bottleneck.
TO_17 = Split(((Conv(384, 3, 2, pad=0),), (Conv(64), Conv(96, 3), Conv(96, 3, 2, pad=0)), (HALVE,)))
TO_8 = Split((
    (Conv(192), Conv(320, 3, 2, pad=0)),
    (Conv(192), Conv(192, (1, 7)), Conv(192, (7, 1)), Conv(192, 3, 2, pad=0)),
    (HALVE,),
))

V3 = (                                        # side and channels after the row, at 299 px
    Row("1a", Conv(32, 3, stride=2, pad=0)),  # 149 × 32
    Row("2a", Conv(32, 3, pad=0)),            # 147 × 32
    Row("2b", Conv(64, 3)),                   # 147 × 64
    Row("pool3", HALVE),                      #  73 × 64
    Row("3b", Conv(80)),                      #  73 × 80
    Row("4a", Conv(192, 3, pad=0)),           #  71 × 192
    Row("pool5", HALVE),                      #  35 × 192
    Row("5b", grid35(pool=32)),               #  35 × 256
    Row("5c", grid35(pool=64)),               #  35 × 288
    Row("5d", grid35(pool=64)),
    Row("6a", TO_17),                         #  17 × 768
    Row("6b", grid17(128)), Row("6c", grid17(160)), Row("6d", grid17(160)), Row("6e", grid17(192)),
    Row("7a", TO_8),                          #   8 × 1280
    Row("7b", GRID8), Row("7c", GRID8),       #   8 × 2048
)

# V3 Table 1. What it leaves open, and what stands here: its last stem convolution must be padded to stay at 35, and
# fixes that all three modules give 288, as the code's later ones do; the two reductions are rows of their own (§6 has
# them between the modules); widths inside modules are the code's, whose four 128, 160, 160, 192 become five by a third
# 160; the pools inside modules average. So read it is 54 layers deep and costs 6.4 G multiply-adds with 26.0 M
# parameters, where §6 says 42, Table 3 4.8 G and the abstract fewer than 25 M.
V3_PAPER = (
    Row("1a", Conv(32, 3, stride=2, pad=0)),   # 149 × 32
    Row("2a", Conv(32, 3, pad=0)),             # 147 × 32
    Row("2b", Conv(64, 3)),                    # 147 × 64
    Row("pool3", HALVE),                       #  73 × 64
    Row("3b", Conv(80, 3, pad=0)),             #  71 × 80
    Row("4a", Conv(192, 3, stride=2, pad=0)),  #  35 × 192
    Row("4b", Conv(288, 3)),                   #  35 × 288
    *(Row(name, grid35(pool=64, factorised=True)) for name in ("5b", "5c", "5d")),
    Row("6a", TO_17),                          #  17 × 768
    Row("6b", grid17(128)), Row("6c", grid17(160)), Row("6d", grid17(160)), Row("6e", grid17(160)),
    Row("6f", grid17(192)),
    Row("7a", TO_8),                           #   8 × 1280
    Row("7b", GRID8), Row("7c", GRID8),        #   8 × 2048
)


def inception_v3(
    *, classes: int = 1000, aux: Sequence[str] = ("6e",), width: float = 1.0, resolution: int = 299,
    dropout: float = 0.5, init: Init = VarianceScaling(), stem: str = "3x3",  # noqa: B008 (frozen)
    strides: Sequence[int] = (2, 2, 2), reduction: str = "parallel", aux_norm: str = "all", aux_dropout: float = 0.0,
    name: str = "Inception V3",
) -> Network:
    """Inception V3 as tf-slim and torchvision have it; every argument away from its default is a departure.

    classes:     number of classes, 2 or more.
    aux:         rows that carry an auxiliary classifier, any module of the table; the code's one is on "6e".
    width:       factor on every channel count but `classes`, rounded to a multiple of 8, at least 8.
    resolution:  input side in px; the auxiliary heads' pools follow from it. Built for 299, a network with its head
                 trains from 299 px up, as in torchvision, and evaluates from 75 px up.
    dropout:     before the last linear layer: torchvision's 0.5, where slim drops 0.2.
    init:        slim's by default; torchvision's is TruncatedNormal(0.1), cut there at ±20 std, that is, not at all.
    stem:        "3x3", the three of V3 §6, or "7x7", the one that they factorise (V3 Table 3).
    strides:     of the stem's three rows that halve the grid, each 2 or 1; a pool of stride 1 is left out. V3 §9 and
                 its Table 2 for small images: (1, 2, 2), then (1, 1, 2). (1, 1, 2) goes down to 21 px.
    reduction:   how the grid is halved between the modules: "parallel" (V3 Fig. 10), "pool first" (Fig. 9, left: a
                 bottleneck) or "convolution first" (Fig. 9, right: expensive); see `reduced`.
    aux_norm:    what of an auxiliary head is normalised: "all" (V3 Table 3's "BN-auxiliary"), "conv" (all but the layer
                 in place of the fully connected one, as before that step) or "none".
    aux_dropout: before an auxiliary head's last layer (V3 §4: it too makes the head a better regulariser).

    Raises BadInput for an unknown auxiliary row, stem, reduction or aux_norm, and for an input too small.
    """
    return complete(_stemmed(V3, stem, strides), name, classes=classes, aux=aux, width=width, resolution=resolution,
                    dropout=dropout, init=init, reduction=reduction, aux_norm=aux_norm, aux_dropout=aux_dropout)


def inception_v3_paper(
    *, classes: int = 1000, aux: Sequence[str] = ("6f",), width: float = 1.0, resolution: int = 299,
    dropout: float = 0.2, init: Init = VarianceScaling(), stem: str = "3x3",  # noqa: B008 (frozen)
    strides: Sequence[int] = (2, 2, 2), reduction: str = "parallel", aux_norm: str = "all", aux_dropout: float = 0.0,
    name: str = "Inception V3 (paper)",
) -> Network:
    """Inception V3 as Table 1 of its paper prints it: another stem, five modules at 17×17, no 5×5.

    Arguments and errors as for `inception_v3`; the third of `strides` is the convolution 4a's. The head is on the last
    17×17 module, as in the paper's Fig. 8, and has the code's layers, since the paper prints none; nor does it print
    the dropout, which is slim's.
    """
    return complete(_stemmed(V3_PAPER, stem, strides), name, classes=classes, aux=aux, width=width,
                    resolution=resolution, dropout=dropout, init=init, reduction=reduction, aux_norm=aux_norm,
                    aux_dropout=aux_dropout)


def inside(network: Network) -> Network:
    """The table with averages of the pixels that are there, as slim and Keras have it, for their weights."""
    return replace(network, rows=tuple(Row(row.name, _inside(row.op)) for row in network.rows))


def _inside(op: Op) -> Op:
    match op:
        case AvgPool(pad=pad) if pad:
            return replace(op, inside=True)
        case Split():
            return Split(tuple(tuple(map(_inside, branch)) for branch in op.branches))
    return op


def inception_v3_fid(*, classes: int = 1008, name: str = "Inception V3 of FID", **options: Any) -> Network:
    """The graph that Google gave out on 2015-12-05, by which FID compares images: 1,008 classes, averages of the pixels
    that are there, and a max-pool in the last module, as in BN-Inception. It has no auxiliary head.

    Arguments and errors as for `inception_v3`.
    """
    table = inside(inception_v3(classes=classes, aux=(), name=name, **options))
    *branches, (_, *rest) = table.row("7c").op.branches  # type: ignore[union-attr]
    last = Split((*branches, (MaxPool(3, 1, pad=1), *rest)))
    return replace(table, rows=tuple(Row("7c", last) if row.name == "7c" else row for row in table.rows))


def inception_v2(*, name: str = "Inception V2", **options: Any) -> Network:
    """Where V3 Table 3's steps begin: `inception_v3_paper` with one 7×7 at its start and no normalisation on its head's
    fully connected layer. slim gives the name to `bn_inception`; V3 §6 gives it to Table 1, three 3×3 and all.

    Arguments and errors as for `inception_v3_paper`.
    """
    return inception_v3_paper(name=name, **({"stem": "7x7", "aux_norm": "conv"} | options))


def complete(table: tuple[Row, ...], name: str, *, classes: int, aux: Sequence[str], width: float, resolution: int,
             dropout: float, init: Init, reduction: str, aux_norm: str, aux_dropout: float) -> Network:
    check_common(classes, width, resolution, dropout, init)
    check("aux_dropout", aux_dropout, (int, float), 0, 0.99)
    if aux_norm not in ("all", "conv", "none"):
        raise unknown("aux_norm", aux_norm, ("all", "conv", "none"))
    modules = [row.name for row in table if isinstance(row.op, Split)]
    places = aux_rows(aux, modules, example=("6b", "6e") if "6e" in modules else ("4a", "4d"))
    rows = (
        *(Row(row.name, widened(row.op, width)) for whole in table for row in reduced(whole, reduction)),
        Row("avgpool", AvgPool()), Row("dropout", Dropout(dropout)), Row("linear", Linear(classes)),
    )
    trunk = Network(name, rows, resolution, (), BatchNorm(), init)
    grid = {row: shape[1] for row, shape in shapes(trunk)}
    return replace(trunk, aux=tuple(Aux(at, side_head(grid[at], classes, width, aux_norm, aux_dropout))
                                    for at in places))


def _stemmed(table: tuple[Row, ...], stem: str, strides: Sequence[int]) -> tuple[Row, ...]:
    """The table of V3 with this stem. Either gives the same maps: two of the three 3×3 are not padded, so that together
    they take from a side what an unpadded 7×7 does at stride 2, and one padded by 1 at stride 1."""
    if stem not in ("3x3", "7x7"):
        raise unknown("stem", stem, ("3x3", "7x7"))
    rows = strided(table, strides)
    return rows if stem == "3x3" else (Row("1a", Conv(64, 7, strides[0], pad=2 - strides[0])), *rows[3:])


def strided(table: tuple[Row, ...], strides: Sequence[int]) -> tuple[Row, ...]:
    """The table with these strides in the rows of its stem that have 2."""
    if not isinstance(strides, (tuple, list)) or len(strides) != 3:
        raise BadInput(f"strides={strides!r}: give a list of three, each 1 or 2, e.g. strides=(1, 2, 2).")
    for stride in strides:
        check("strides", stride, int, 1, 2)
    left, rows = list(strides), []
    for row in table:
        match row.op:
            case Conv(stride=2) | Separable(stride=2):
                rows.append(Row(row.name, replace(row.op, stride=left.pop(0))))
            case MaxPool(stride=2):
                if left.pop(0) == 2:
                    rows.append(row)
            case _:
                rows.append(row)
    return tuple(rows)


def reduced(row: Row, how: str) -> tuple[Row, ...]:
    """A row of a table; if it halves the grid, then as told: "parallel", as the tables have it, "pool first" or
    "convolution first". The two have the parallel form's convolutions at stride 1, pass what arrives at them on beside
    these, and have its pool in a row of its own, `<row>_pool`, before or after. So all three have the same weights and
    give as many maps; V3 §5's count of multiply-adds, 2(d/2)²k² against 2d²k², is that of the last two.

    Raises BadInput for another `how`.
    """
    if how not in ("parallel", "pool first", "convolution first"):
        raise unknown("reduction", how, ("parallel", "pool first", "convolution first"))
    if how == "parallel" or not isinstance(row.op, Split):
        return (row,)
    *branches, last = row.op.branches
    if not isinstance(last[0], MaxPool) or last[0].stride != 2:
        return (row,)
    module = Row(row.name, Split((*(tuple(_unstrided(op) for op in branch) for branch in branches), ())))
    pool = Row(f"{row.name}_pool", last[0])
    return (pool, module) if how == "pool first" else (module, pool)


def _unstrided(op: Op) -> Op:
    return replace(op, stride=1, pad=None) if isinstance(op, Conv) else op


def widened(op: Op, width: float) -> Op:
    """The op with every channel count multiplied, to the nearest multiple of 8, at least 8."""
    match op:
        case Conv() | Separable():
            return replace(op, out=scaled(op.out, width))
        case Split():
            return Split(tuple(tuple(widened(o, width) for o in branch) for branch in op.branches))
    return op


def side_head(grid: int, classes: int, width: float, norm: str = "all", dropout: float = 0.0) -> tuple[Op, ...]:
    """V3 Fig. 8 by the code's layers: 17×17 averaged to 5×5, 128, a 5×5 to 768 in place of V1's hidden layer, classes.
    Other grids are averaged to 5×5 too, or, where smaller, taken whole. `norm` and `dropout` as `aux_norm` and
    `aux_dropout` of `inception_v3`."""
    stride = max(1, grid // 5)
    hidden = Conv(768, min(5, grid), pad=0, norm=norm == "all")
    return (
        *((AvgPool(grid - 4 * stride, stride),) if grid > 5 else ()),
        widened(Conv(128, norm=norm != "none"), width),
        Start(widened(hidden, width), TruncatedNormal(0.01)),
        AvgPool(),  # one number at the network's own resolution
        *((Dropout(dropout),) if dropout else ()),
        Start(Linear(classes), TruncatedNormal(0.001)),
    )
