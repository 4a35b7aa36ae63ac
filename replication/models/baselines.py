"""What GoogLeNet is measured against and comes from: AlexNet, LeNet-5 and Network in Network, as published and, of the
first two, as everyone runs them today."""
from __future__ import annotations

from replication.errors import BadInput, check, unknown
from replication.models.ops import (
    LRN,
    RBF,
    AdaptiveAvgPool,
    AvgPool,
    CaffeXavier,
    Conv,
    Dropout,
    He,
    Init,
    Linear,
    MaxPool,
    Network,
    Op,
    Row,
    Subsample,
    TableConv,
    Tanh,
    TruncatedNormal,
    check_common,
    scaled,
)


def alexnet(
    *, classes: int = 1000, width: float = 1.0, resolution: int = 227, dropout: float = 0.5,
    init: Init = TruncatedNormal(0.01), name: str = "AlexNet",  # noqa: B008 (frozen)
) -> Network:
    """AlexNet (Krizhevsky et al. 2012, §3), the ILSVRC-2012 winner of V1 §1; its two GPUs' towers are groups.

    classes:    number of classes, 2 or more.
    width:      factor on every channel count but `classes`, rounded to a multiple of 8, at least 8.
    resolution: input side in px; the first hidden layer's size follows from it. 227, since 224 with an 11×11/4 and no
                padding does not give the printed 55.
    dropout:    before each of the last two linear layers.
    init:       the paper draws N(0, 0.01²), uncut and with some biases 1. Small forms hardly start from it: take He().

    Raises BadInput for an input too small.
    """
    check_common(classes, width, resolution, dropout, init)

    def c(channels: int) -> int:
        return scaled(channels, width)

    lrn = LRN(size=5, alpha=5 * 1e-4, beta=0.75, k=2.0)  # §3.3's alpha is 1e-4, not divided by the size as ours is
    return Network(name, (
        Row("conv1", Conv(c(96), 11, stride=4, pad=0)), Row("norm1", lrn), Row("pool1", MaxPool(3, 2)),
        Row("conv2", Conv(c(256), 5, groups=2)), Row("norm2", lrn), Row("pool2", MaxPool(3, 2)),
        Row("conv3", Conv(c(384), 3)),
        Row("conv4", Conv(c(384), 3, groups=2)),
        Row("conv5", Conv(c(256), 3, groups=2)), Row("pool5", MaxPool(3, 2)),
        Row("fc6", Linear(c(4096), relu=True)), Row("dropout6", Dropout(dropout)),
        Row("fc7", Linear(c(4096), relu=True)), Row("dropout7", Dropout(dropout)),
        Row("fc8", Linear(classes)),
    ), resolution, init=init)


def alexnet_torchvision(
    *, classes: int = 1000, width: float = 1.0, resolution: int = 224, dropout: float = 0.5,
    init: Init = He(), name: str = "torchvision's AlexNet",  # noqa: B008 (frozen)
) -> Network:
    """What torchvision.models.alexnet is: one tower (Krizhevsky 2014, arXiv 1404.5997), no LRN; in none of our papers.

    Arguments and errors as for `alexnet`. torchvision starts it as torch does by default, U(±1/√fan_in).
    """
    check_common(classes, width, resolution, dropout, init)

    def c(channels: int) -> int:
        return scaled(channels, width)

    pool = MaxPool(3, 2, ceil=False)
    return Network(name, (
        Row("conv1", Conv(c(64), 11, stride=4, pad=2)), Row("pool1", pool),
        Row("conv2", Conv(c(192), 5)), Row("pool2", pool),
        Row("conv3", Conv(c(384), 3)),
        Row("conv4", Conv(c(256), 3)),
        Row("conv5", Conv(c(256), 3)), Row("pool5", pool), Row("avgpool", AdaptiveAvgPool(6)),
        Row("dropout5", Dropout(dropout)), Row("fc6", Linear(c(4096), relu=True)),
        Row("dropout6", Dropout(dropout)), Row("fc7", Linear(c(4096), relu=True)),
        Row("fc8", Linear(classes)),
    ), resolution, init=init)


# LeCun et al. 1998, Table I: the S2 maps each C3 map sees.
_C3 = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)


def lenet5(*, classes: int = 10, name: str = "LeNet-5") -> Network:
    """LeNet-5 (LeCun et al. 1998, §II.B and Fig. 2), where V1 §2 begins: 32 px of one channel.

    The paper draws U(±2.4 / fan_in); ours is Caffe's xavier. Raises BadInput for other than ten classes.
    """
    if classes != 10:
        raise BadInput(f"classes={classes!r}: LeNet-5's output compares with bitmaps of the ten digits; for other "
                       f"classes take lenet5_dense.")
    return Network(name, (
        *_squashed("C1", Conv(6, 5, pad=0, relu=False)),
        *_squashed("S2", Subsample(2)),
        *_squashed("C3", TableConv(5, _C3)),
        *_squashed("S4", Subsample(2)),
        *_squashed("C5", Conv(120, 5, pad=0, relu=False)),
        *_squashed("F6", Linear(84)),
        Row("output", RBF(10)),
    ), 32, init=CaffeXavier(bias=0.0), channels=1)


def _squashed(name: str, op: Op) -> tuple[Row, Row]:
    return Row(name, op), Row(f"{name}_tanh", Tanh())


def lenet5_dense(
    *, classes: int = 10, resolution: int = 32, pool: str = "max", squash: str = "relu", name: str = "LeNet-5, dense",
) -> Network:
    """LeNet-5 as PyTorch's "Neural Networks" tutorial has it: 61,706 parameters; in no paper.

    Every C3 map sees every S2 map, pooling has no parameters, and the last layer is linear, for a softmax.

    classes:    number of classes, 2 or more.
    resolution: input side in px of one channel; the first hidden layer's size follows from it.
    pool:       "max" as in the tutorial, or "average".
    squash:     "relu" as in the tutorial, or "tanh", the paper's.

    Raises BadInput for an unknown pool or squash, and for an input too small.
    """
    check("classes", classes, int, 2)
    check("resolution", resolution, int, 1)
    pools: dict[str, MaxPool | AvgPool] = {"max": MaxPool(2, 2), "average": AvgPool(2, 2)}
    if pool not in pools:
        raise unknown("pool", pool, pools)
    if squash not in ("relu", "tanh"):
        raise unknown("squash", squash, ("relu", "tanh"))
    relu = squash == "relu"

    def layer(name: str, op: Op) -> tuple[Row, ...]:
        return (Row(name, op),) if relu else _squashed(name, op)

    return Network(name, (
        *layer("C1", Conv(6, 5, pad=0, relu=relu)), Row("S2", pools[pool]),
        *layer("C3", Conv(16, 5, pad=0, relu=relu)), Row("S4", pools[pool]),
        *layer("C5", Linear(120, relu=relu)),
        *layer("F6", Linear(84, relu=relu)),
        Row("output", Linear(classes)),
    ), resolution, init=CaffeXavier(bias=0.0), channels=1)


def nin(
    *, classes: int = 10, width: float = 1.0, head: str = "average", dropout: float = 0.5, rectified: bool = True,
    resolution: int = 32, init: Init = TruncatedNormal(0.05),  # noqa: B008 (frozen)
    name: str = "Network in Network",
) -> Network:
    """Network in Network for CIFAR-10 (Lin et al., arXiv 1312.4400, Fig. 2), V1 §2's source of 1×1 convolutions.

    The rows are the authors' NIN/cifar-10_def (github.com/mavenlin/cuda-convnet); their later Caffe file averages in
    the second pool.

    classes:    number of classes, 2 or more.
    width:      factor on every channel count but `classes`, rounded to a multiple of 8, at least 8.
    head:       "average" of each class map, or in its place (Table 5) a linear layer on all of them: "fc", or
                "fc+dropout" with `dropout` before it.
    dropout:    after each of the two pools.
    rectified:  ReLU on the class maps, as published. A map that starts below zero for all images then stays there, and
                its class is never learnt: on a few images that happens to some of ten.
    resolution: input side in px; an fc head's size follows from it.
    init:       the authors draw N(0, 0.05²), ours is cut at two deviations. Narrow forms hardly start from it: take
                He().

    Raises BadInput for an unknown head, and for an input too small.
    """
    check_common(classes, width, resolution, dropout, init)
    check("rectified", rectified, bool)
    ends: dict[str, tuple[Row, ...]] = {
        "average": (Row("avgpool", AvgPool()),),
        "fc": (Row("fc", Linear(classes)),),
        "fc+dropout": (Row("dropout3", Dropout(dropout)), Row("fc", Linear(classes))),
    }
    if head not in ends:
        raise unknown("head", head, ends)

    def c(channels: int) -> int:
        return scaled(channels, width)

    return Network(name, (
        Row("conv1", Conv(c(192), 5)), Row("cccp1", Conv(c(160))), Row("cccp2", Conv(c(96))),
        Row("pool1", MaxPool(3, 2)), Row("dropout1", Dropout(dropout)),
        Row("conv2", Conv(c(192), 5)), Row("cccp3", Conv(c(192))), Row("cccp4", Conv(c(192))),
        Row("pool2", MaxPool(3, 2)), Row("dropout2", Dropout(dropout)),
        Row("conv3", Conv(c(192), 3)), Row("cccp5", Conv(c(192))), Row("cccp6", Conv(classes, relu=rectified)),
        *ends[head],
    ), resolution, init=init)


ALEXNET = alexnet()
LENET5 = lenet5()
