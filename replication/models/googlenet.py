"""The papers' tables: GoogLeNet and its forms.

V1 is Szegedy et al., arXiv 1409.4842.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from replication.errors import BadInput, aux_rows, check, unknown
from replication.models import mixtures
from replication.models.cost import shapes
from replication.models.ops import (
    LRN,
    AdaptiveAvgPool,
    Aux,
    AvgPool,
    BatchNorm,
    CaffeXavier,
    Conv,
    Dropout,
    Inception,
    Init,
    Linear,
    MaxPool,
    Network,
    Row,
    Separable,
    Split,
    TruncatedNormal,
    check_common,
    scaled,
)

# V1 Table 1, the columns with filter counts.
INCEPTION = {
    #               1×1  3×3r 3×3  5×5r 5×5  pool
    "3a": Inception(64,  96,  128, 16,  32,  32),
    "3b": Inception(128, 128, 192, 32,  96,  64),
    "4a": Inception(192, 96,  208, 16,  48,  64),
    "4b": Inception(160, 112, 224, 24,  64,  64),
    "4c": Inception(128, 128, 256, 24,  64,  64),
    "4d": Inception(112, 144, 288, 32,  64,  64),
    "4e": Inception(256, 160, 320, 32,  128, 128),
    "5a": Inception(256, 160, 320, 32,  128, 128),
    "5b": Inception(384, 192, 384, 48,  128, 128),
}


class Printed(NamedTuple):
    """What V1 prints for a row: parameters in K, operations in M."""
    params_k: float
    ops_m: float


# V1 Table 1, the columns "params" and "ops", as printed: six of the parameter counts cannot be right, and "conv1" fits
# a separable convolution, not the 7×7 it names. "conv2" is the reduction and the 3×3 together. K is 1,024.
TABLE1_PRINTED = {
    "conv1": Printed(2.7, 34), "conv2": Printed(112, 360),
    "3a": Printed(159, 128), "3b": Printed(380, 304),
    "4a": Printed(364, 73), "4b": Printed(437, 88), "4c": Printed(463, 100), "4d": Printed(580, 119),
    "4e": Printed(840, 170),
    "5a": Printed(1072, 54), "5b": Printed(1388, 71),
    "linear": Printed(1000, 1),
}


# -- the module ---------------------------------------------------------------------------------------------------
def naive(module: Inception) -> Split:
    """V1 Fig. 2(a): the module without reductions, and the pooled map concatenated as it is."""
    return Split((
        (Conv(module.n1x1),), (Conv(module.n3x3, 3),), (Conv(module.n5x5, module.large),), (MaxPool(3, 1, pad=1),),
    ))


def unreduced(module: Inception) -> Split:
    """Between V1's Fig. 2(a) and (b): no reductions, but the projection after the pool."""
    *branches, (pool,) = naive(module).branches
    return Split((*branches, (pool, Conv(module.pool_proj))))


def linear(module: Inception) -> Inception:
    """Reductions without ReLU. V1 §5 rectifies them; V3 §3.1 finds ReLU better between two 3×3 in place of a 5×5."""
    return replace(module, linear=True)


def only(kernel: int) -> Callable[[Inception], Split]:
    """One size of kernel in place of three: as many filters, behind one reduction as wide as both where they are large;
    the pool and its projection stay. What V1 §4's several scales at once bring is told by what is without them."""
    def form(module: Inception) -> Split:
        seen = (Conv(module.n3x3_reduce + module.n5x5_reduce),) if kernel > 1 else ()
        return Split(((*seen, Conv(module.n1x1 + module.n3x3 + module.n5x5, kernel)),
                      (MaxPool(3, 1, pad=1), Conv(module.pool_proj))))
    return form


MODULES: dict[str, Callable[[Inception], Inception | Split]] = {
    "reduced": lambda module: module, "linear": linear, "unreduced": unreduced, "naive": naive,
    "only 1x1": only(1), "only 3x3": only(3), "only 5x5": only(5),
}


# -- the network --------------------------------------------------------------------------------------------------
def googlenet(
    *, classes: int = 1000, width: float = 1.0, stem: int = 8, norm: BatchNorm | None = None,
    aux: Sequence[str] = ("4a", "4d"), head: str = "average", dropout: float = 0.4,
    init: Init = CaffeXavier(),  # noqa: B008 (frozen)
    resolution: int = 224, large: int = 5, module: str = "reduced", separable: int | None = None,
    pool1: bool | None = None, mix: str | None = None, activation: str | None = None, name: str = "GoogLeNet",
) -> Network:
    """GoogLeNet as V1 Table 1 and Fig. 3 print it; every argument away from its default is a departure.

    classes:    number of classes, 2 or more.
    width:      factor on every channel count but `classes`, rounded to a multiple of 8, at least 8.
    stem:       its total stride. 8 as published; 4 without the first pool; 2 without it and with a stride-1 7×7, so
                that 56 px give the paper's 28/14/7 grids.
    norm:       BatchNorm after every convolution, in place of the two LRN rows.
    aux:        rows that carry an auxiliary classifier, any of "3a" to "5b".
    head:       "average" (global average pool, V1 §5), "fc" (a hidden layer of 1024 on the flattened map) or "nin" (the
                average of class maps, so without V1 §5's extra linear layer; since averages and sums can be swapped,
                only what dropout drops tells it from "average").
    dropout:    before the last linear layer; 0 is none. The auxiliary heads have their own 0.7.
    resolution: input side in px; the auxiliary heads' pools and the fc head's size follow from it.
    large:      side of the 5×5 branch's kernel, odd.
    module:     "reduced" (V1 Fig. 2(b)), "naive" (Fig. 2(a)), "unreduced" (in between: no reductions, but projections),
                "linear" (no ReLU after 1×1 reductions, the one before conv2 among them), or "only 1x1", "only 3x3",
                "only 5x5" (`only`).
    separable:  the first convolution's depth multiplier; None is a plain 7×7. 8 gives what Table 1 prints for the row.
    pool1:      whether the first pool is there. None: as `stem` says. With stem=4 it may be, after a stride-1 7×7.

    mix:        the modules' channels otherwise at (nearly) the same multiply-adds, one of mixtures.MIXES.
    activation: "sigmoid" in place of every ReLU.

    Raises BadInput for an unknown head, module, stem, mix, activation or auxiliary row, and for an input too small.
    """
    check_common(classes, width, resolution, dropout, init)
    check("large", large, int, 1)
    check("norm", norm, (BatchNorm, type(None)))
    check("separable", separable, (int, type(None)), 1)
    check("pool1", pool1, (bool, type(None)))
    if large % 2 == 0:
        raise BadInput(f"large={large} is even; an odd kernel keeps the branches' maps the same size.")
    if stem not in (2, 4, 8):
        raise unknown("stem", stem, (8, 4, 2))
    if module not in MODULES:
        raise unknown("module", module, MODULES)
    if activation not in (None, "sigmoid"):
        raise unknown("activation", activation, ("sigmoid",))
    if mix is not None and mix not in mixtures.MIXES:
        raise unknown("mix", mix, mixtures.MIXES)

    def c(channels: int) -> int:
        return scaled(channels, width)

    filters = mixtures.scale(INCEPTION, width) if mix is None else mixtures.mixed(INCEPTION, mix, width)

    def inception(at: str) -> Row:
        return Row(at, MODULES[module](replace(filters[at], large=large)))

    pooled = stem == 8 if pool1 is None else pool1
    stride, rest = divmod(stem, 4 if pooled else 2)
    if rest or stride > 2:
        raise BadInput(f"stem={stem} with pool1={pool1} leaves the 7×7 a stride of {stem / (4 if pooled else 2):g}; it "
                       f"has 1 or 2, so the first pool is there with stem=8, gone with 2, and either with 4.")
    drop = Row("dropout", Dropout(dropout))
    ends = {
        "average": (Row("avgpool", AvgPool()), drop, Row("linear", Linear(classes))),
        "fc": (Row("fc", Linear(c(1024), relu=True)), drop, Row("linear", Linear(classes))),
        "nin": (drop, Row("linear", Conv(classes, norm=False, relu=False)), Row("avgpool", AvgPool())),
    }
    if head not in ends:
        raise unknown("head", head, ends)
    pool = MaxPool(3, 2)
    lrn = norm is None
    rows = (
        Row("conv1", Separable(c(64), 7, stride, separable) if separable else Conv(c(64), 7, stride)),
        *((Row("pool1", pool),) if pooled else ()),
        *((Row("norm1", LRN()),) if lrn else ()),
        Row("conv2_reduce", Conv(c(64), relu=module != "linear")),
        Row("conv2", Conv(c(192), 3)),
        *((Row("norm2", LRN()),) if lrn else ()),
        Row("pool2", pool), *map(inception, ("3a", "3b")),
        Row("pool3", pool), *map(inception, ("4a", "4b", "4c", "4d", "4e")),
        Row("pool4", pool), *map(inception, ("5a", "5b")),
        *ends[head],
    )
    trunk = Network(name, rows, resolution, (), norm, init, activation=activation)
    grid = {row: shape[1] for row, shape in shapes(trunk)}
    # V1 §5's list: pool, 128 1×1, 1024 rectified, 70 % dropout, linear.
    return replace(trunk, aux=tuple(
        Aux(at, (*aux_pool(grid[at]), Conv(c(128)), Linear(c(1024), relu=True), Dropout(0.7), Linear(classes)))
        for at in aux_rows(aux, INCEPTION, example=("4a", "4d"))
    ))


def aux_pool(grid: int) -> tuple[AvgPool, ...]:
    """An average pool from grid×grid to 4×4: V1 §5's 5×5 with stride 3 at 14. Below 4 there is nothing to pool."""
    stride = max(1, grid // 4)
    return (AvgPool(grid - 3 * stride, stride),) if grid > 4 else ()


# -- its forms, each with the arguments of `googlenet` that it does not fix -------------------------------------------
def googlenet_bn(*, name: str = "GoogLeNet-BN", **others: Any) -> Network:
    """GoogLeNet with batch normalisation after every convolution and no LRN: "BN-GoogLeNet" of V3 Table 3."""
    return googlenet(norm=BatchNorm(), name=name, **others)


def googlenet_separable(*, name: str = "GoogLeNet, separable", **others: Any) -> Network:
    """V1 Table 1 by its numbers: the 2.7 K and 34 M of its first row fit a separable convolution, not the 7×7 it names.

    That reading is our inference: with a multiplier of 8 it has 49 · 24 + 24 · 64 = 2,712 weights.
    """
    return googlenet(separable=8, name=name, **others)


def googlenet_naive(*, aux: Sequence[str] = (), name: str = "GoogLeNet, naive", **others: Any) -> Network:
    """V1 Fig. 2(a) throughout: no reductions, and the pooled map concatenated as it is."""
    return googlenet(module="naive", aux=aux, name=name, **others)


def googlenet_torchvision(
    *, aux: Sequence[str] = ("4a", "4d"), name: str = "torchvision's GoogLeNet", **others: Any,
) -> Network:
    """What torchvision.models.googlenet is, a port of tf-slim's with heads; in no paper.

    Batch normalisation, 3×3 for 5×5 (pytorch/vision issue 906), a 2×2 last max-pool, dropout 0.2, adaptive pools in the
    auxiliary heads.

    aux: any of torchvision's two places, "4a" (its aux1) and "4d" (its aux2). Raises BadInput as `googlenet` does.
    """
    net = googlenet(norm=BatchNorm(eps=1e-3), large=3, dropout=0.2, aux=aux, init=TruncatedNormal(0.01), name=name,
                    **others)
    for at in aux:
        if at not in ("4a", "4d"):
            raise unknown("place of an auxiliary head in torchvision's GoogLeNet", at, ("4a", "4d"))
    return replace(
        net,
        rows=tuple(Row("pool4", MaxPool(2, 2)) if row.name == "pool4" else row for row in net.rows),
        aux=tuple(Aux(a.at, (AdaptiveAvgPool(4), *(op for op in a.ops if not isinstance(op, AvgPool))))
                  for a in net.aux),
    )


def googlenet_slim(*, name: str = "slim's Inception V1", **others: Any) -> Network:
    """What tf-slim's inception_v1.py is: torchvision's without heads; in no paper.

    Its normalisation has no gamma and remembers some 3,000 batches (decay 0.9997): do not judge a shorter training
    by it. Unlike here, padding that leaves an odd pixel has it at the far edges.
    """
    return replace(googlenet_torchvision(aux=(), name=name, **others),
                   norm=BatchNorm(eps=1e-3, momentum=3e-4, scale=False))
