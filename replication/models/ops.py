"""What a network *is*: frozen values, no torch.

A network is a table. Its rows are written in the small vocabulary below, top to bottom as the papers print them, and
everything else (cost, shapes, modules, addresses) is computed from the rows.
"""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

from replication.errors import check

# What every network here takes: 0 … 255 as (value / 255 - MEAN) / STD, -2 … 2, one pair for every set and channel.
# Per-channel statistics of a set would make the same network mean something else on each; batch normalisation and the
# first convolution absorb the difference.
MEAN, STD = 0.5, 0.25


# -- operations ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Conv:
    """Convolution, then the network's normalisation if `norm`, then ReLU if `relu`. `pad=None` is k // 2 a side."""
    out: int
    kernel: int | tuple[int, int] = 1
    stride: int = 1
    pad: int | None = None
    groups: int = 1
    norm: bool = True
    relu: bool = True


@dataclass(frozen=True)
class Separable:
    """Each channel convolved into `multiplier` of its own, then 1×1 to `out`, normalisation and ReLU: one layer.
    Padding is k // 2 a side; nothing, not even a bias, stands between the two steps (slim's separable_conv2d)."""
    out: int
    kernel: int
    stride: int
    multiplier: int


@dataclass(frozen=True)
class TableConv:
    """LeNet-5's C3: output map i sees only the input maps named in `table[i]` (LeCun 1998, Table I). No padding."""
    kernel: int
    table: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Subsample:
    """LeNet-5's S layers: the sum over a k×k window, times one trainable coefficient a map, plus one bias a map."""
    kernel: int = 2


@dataclass(frozen=True)
class MaxPool:
    """`ceil` is Caffe's rounding, which the paper's 112/56/28/14/7 grids need."""
    kernel: int | tuple[int, int]
    stride: int
    pad: int = 0
    ceil: bool = True


@dataclass(frozen=True)
class AvgPool:
    """Floor rounding; `kernel=None` averages the whole map (Table 1's 7×7/1 on a 7×7 map). At the edges the padding
    counts as zeros, or, where `inside`, not at all: TensorFlow's averages are of the pixels that are there."""
    kernel: int | None = None
    stride: int = 1
    pad: int = 0
    inside: bool | None = None


@dataclass(frozen=True)
class AdaptiveAvgPool:
    """To `out`×`out` whatever comes in: torchvision's auxiliary heads, in no paper here."""
    out: int


@dataclass(frozen=True)
class LRN:
    """Local response normalisation over channels, alpha divided by size as Caffe and PyTorch do (V1 Fig. 3)."""
    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0


@dataclass(frozen=True)
class Normalise:
    """What a network takes here to (value / 255 - mean) / std of each channel, as weights from elsewhere expect it."""
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Dropout:
    p: float


@dataclass(frozen=True)
class Tanh:
    """LeNet-5's squashing, 1.7159 tanh(2x/3) (LeCun 1998, §II.B)."""


@dataclass(frozen=True)
class Linear:
    """Flattens whatever comes in, in (C, H, W) order."""
    out: int
    relu: bool = False


@dataclass(frozen=True)
class RBF:
    """LeNet-5's fixed output codes: minus the squared distance to a 7×12 bitmap per class; nothing is trained."""
    out: int = 10


@dataclass(frozen=True)
class Split:
    """Branches over one input, concatenated along channels."""
    branches: tuple[tuple[Op, ...], ...]


@dataclass(frozen=True)
class Inception:
    """One module, by the columns of V1's Table 1. `large` is the side of the 5×5 branch's kernel, `linear` whether
    its two reductions go without ReLU."""
    n1x1: int
    n3x3_reduce: int
    n3x3: int
    n5x5_reduce: int
    n5x5: int
    pool_proj: int
    large: int = 5
    linear: bool | None = None

    def split(self) -> Split:
        """V1 Fig. 2(b): the module with dimension reductions."""
        return Split((
            (Conv(self.n1x1),),
            (Conv(self.n3x3_reduce, relu=not self.linear), Conv(self.n3x3, 3)),
            (Conv(self.n5x5_reduce, relu=not self.linear), Conv(self.n5x5, self.large)),
            (MaxPool(3, 1, pad=1), Conv(self.pool_proj)),
        ))


@dataclass(frozen=True)
class Start:
    """A layer whose weights start as `init` says, whatever the network's."""
    op: Op
    init: Init


Op = (Conv | Separable | TableConv | Subsample | MaxPool | AvgPool | AdaptiveAvgPool | LRN | Normalise | Dropout | Tanh
      | Linear | RBF | Split | Inception | Start)


# -- networks -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Row:
    """A named line of a table."""
    name: str
    op: Op


@dataclass(frozen=True)
class Aux:
    """An auxiliary classifier on the output of row `at`; gone at inference (V1 §5)."""
    at: str
    ops: tuple[Op, ...]


@dataclass(frozen=True)
class BatchNorm:
    """After every convolution with `norm`, which then has no bias. `momentum` is PyTorch's (1 - decay). Without gamma
    where `scale` is False."""
    eps: float = 1e-3
    momentum: float = 0.1
    scale: bool | None = None


@dataclass(frozen=True)
class CaffeXavier:
    """U(±√(3 / fan_in)): Caffe's xavier, not Glorot's. Convolution and hidden biases `bias`, classifiers' 0."""
    bias: float = 0.2


@dataclass(frozen=True)
class He:
    """N(0, 2 / fan_in), biases 0."""


@dataclass(frozen=True)
class TruncatedNormal:
    """N(0, std²) cut at ±2 std: really cut, unlike torch's default bounds of ±2 absolute. Biases 0."""
    std: float = 0.01


@dataclass(frozen=True)
class VarianceScaling:
    """N(0, 1.3 factor / fan_in) cut at ±2 std, where 1.3 makes up for the cut: slim's default, biases 0."""
    factor: float = 2.0


Init = CaffeXavier | He | TruncatedNormal | VarianceScaling


@dataclass(frozen=True)
class Network:
    """A table and what holds for all of it. `resolution` is the input side in px the table was printed for; of sound
    it is (frames, 1). `activation`: "sigmoid" wherever an op says ReLU (BN §4.2.2); None is ReLU."""
    name: str
    rows: tuple[Row, ...]
    resolution: int | tuple[int, int]
    aux: tuple[Aux, ...] = ()
    norm: BatchNorm | None = None
    init: Init = CaffeXavier()
    channels: int = 3
    activation: str | None = None

    def row(self, name: str) -> Row:
        return next(r for r in self.rows if r.name == name)


def expecting(network: Network, scale: Normalise | None) -> Network:
    """The same table for weights that expect images at another scale than ours, which a first row then makes of them;
    None: at ours, without such a row."""
    rows = tuple(row for row in network.rows if not isinstance(row.op, Normalise))
    return replace(network, rows=rows if scale is None else (Row("scale", scale), *rows))


def scaled(channels: int, width: float) -> int:
    """`channels` times `width`, to the nearest multiple of 8, at least 8."""
    return max(8, int(channels * width / 8 + 0.5) * 8)


def check_common(classes: int, width: float, resolution: int, dropout: float, init: Init) -> None:
    """The arguments that the networks' functions share. Raises BadInput for a wrong type and what is out of range."""
    check("classes", classes, int, 2)
    check("width", width, (int, float), 0.01, 10)
    check("resolution", resolution, int, 1)
    check("dropout", dropout, (int, float), 0, 0.99)
    check("init", init, get_args(Init))
