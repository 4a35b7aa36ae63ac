"""BN-Inception: BN is Ioffe and Szegedy, arXiv 1502.03167, the filter counts tf-slim's inception_v2.py, rows named as
in `inception_v3`, which has what the two share.
"""
from __future__ import annotations

from collections.abc import Sequence

from replication.models.inception_v3 import SMOOTH, complete, strided
from replication.models.ops import AvgPool, Conv, Init, MaxPool, Network, Row, Separable, Split, VarianceScaling

# To ⌈side / 2⌉, as a padded convolution of stride 2 goes. TensorFlow's SAME does too, with the padding on the far side.
SAME = MaxPool(3, 2, pad=1, ceil=False)


def double(n1x1: int, n3x3_reduce: int, n3x3: int, d3x3_reduce: int, d3x3: int, pool: AvgPool | MaxPool,
           pool_proj: int) -> Split:
    """BN's module (BN §4.2): V1's with two 3×3 for the 5×5, mostly with an average pool."""
    return Split((
        (Conv(n1x1),),
        (Conv(n3x3_reduce), Conv(n3x3, 3)),
        (Conv(d3x3_reduce), Conv(d3x3, 3), Conv(d3x3, 3)),
        (pool, Conv(pool_proj)),
    ))


def double_reduction(n3x3_reduce: int, n3x3: int, d3x3_reduce: int, d3x3: int) -> Split:
    """`double` at stride 2: no 1×1, and the pool passes all it gets through."""
    return Split((
        (Conv(n3x3_reduce), Conv(n3x3, 3, stride=2)),
        (Conv(d3x3_reduce), Conv(d3x3, 3), Conv(d3x3, 3, stride=2)),
        (SAME,),
    ))


BN_INCEPTION = (
    Row("1a", Separable(64, 7, stride=2, multiplier=8)), Row("pool2", SAME),
    Row("2b", Conv(64)), Row("2c", Conv(192, 3)), Row("pool3", SAME),
    #                 1×1  3×3r 3×3  d3×3r d3×3 pool
    Row("3b", double( 64,  64,  64,  64,   96, SMOOTH, 32)),
    Row("3c", double( 64,  64,  96,  64,   96, SMOOTH, 64)),
    Row("4a", double_reduction(128, 160, 64, 96)),
    Row("4b", double(224,  64,  96,  96,  128, SMOOTH, 128)),
    Row("4c", double(192,  96, 128,  96,  128, SMOOTH, 128)),
    Row("4d", double(160, 128, 160, 128,  160, SMOOTH, 96)),
    Row("4e", double( 96, 128, 192, 160,  192, SMOOTH, 96)),
    Row("5a", double_reduction(128, 192, 192, 256)),
    Row("5b", double(352, 192, 320, 160,  224, SMOOTH, 128)),
    Row("5c", double(352, 192, 320, 192,  224, MaxPool(3, 1, pad=1), 128)),
)


def bn_inception(
    *, classes: int = 1000, aux: Sequence[str] = (), width: float = 1.0, resolution: int = 224,
    dropout: float = 0.2, init: Init = VarianceScaling(),  # noqa: B008 (frozen)
    strides: Sequence[int] = (2, 2, 2), reduction: str = "parallel", aux_norm: str = "all", aux_dropout: float = 0.0,
    name: str = "BN-Inception",
) -> Network:
    """BN-Inception, which slim calls Inception V2, with its separable stem.

    Arguments and errors as for `inception_v3`. BN prints no auxiliary head and slim has none, so there is none by
    default; asked for, it is V3's. Dropout is slim's 0.2; BN §4.2.1 removes it to train faster (0). slim starts single
    layers with other deviations, which the normalisation after each divides out again.

    Three things are not as in slim. Its stem has a bias where ours has batch normalisation: either counts one number a
    channel besides a γ, so no count of parameters tells. Its averages leave the padding out (`inception_v3.inside`).
    Its padding that leaves an odd pixel has it at the far edges.
    """
    return complete(strided(BN_INCEPTION, strides), name, classes=classes, aux=aux, width=width,
                    resolution=resolution, dropout=dropout, init=init, reduction=reduction, aux_norm=aux_norm,
                    aux_dropout=aux_dropout)
