"""The keyword-spotting Inception: modules along time alone, 30 K parameters in all.

There is no paper; the network is google-research's kws_streaming/models/inception.py, its sizes those of
experiments/kws_experiments_30k_12_labels.md there. A frame's features are the channels, and every kernel and pool is
(k, 1) over time. A module has three branches, no pool among them, and is reduced by a 1×1; that code's comments speak
of four branches.
"""
from __future__ import annotations

from collections.abc import Sequence

from replication.errors import BadInput, check
from replication.models.cost import costs
from replication.models.ops import AvgPool, BatchNorm, Conv, Dropout, He, Init, Linear, MaxPool, Network, Row, Split


def module(filters: int, kernel: int) -> Split:
    """1×1, one k×1 behind a reduction, two of them behind another: V3's factorised 5×5, in time."""
    along = Conv(filters, (kernel, 1))
    return Split(((Conv(filters),), (Conv(filters), along), (Conv(filters), along, along)))


def kws_inception(
    *, classes: int = 12, features: int = 30, frames: int = 49, cnn1: int = 32, cnn1_kernel: int = 5,
    filters1: Sequence[int] = (16, 16, 16), filters2: Sequence[int] = (32, 64, 70), kernels: Sequence[int] = (3, 5, 5),
    strides: Sequence[int] = (2, 2, 1), dropout: float = 0.0,
    norm: BatchNorm = BatchNorm(momentum=0.01, scale=False),  # noqa: B008 (frozen)
    init: Init = He(),  # noqa: B008
    name: str = "KWS Inception",
) -> Network:
    """The 30 K Inception: 30,234 trained parameters and 972 running statistics at 12 classes.

    features:    numbers a frame, the input's channels; spec.LogMel.features says them.
    frames:      frames of an example, 49 in a second of 40 ms windows every 20 ms; only the arithmetic needs it.
    cnn1:        filters of the first convolution, `cnn1_kernel` frames long, without padding.
    filters1:    filters of every convolution inside a module, one number a module.
    filters2:    filters of the 1×1 after a module.
    kernels:     length of a module's kernels in frames, odd.
    strides:     of the max-pool, three frames long, after a module; 1 is no pool.
    norm:        after every convolution; Keras's momentum and epsilon, and no gamma (bn_scale 0).
    init:        He's, where the code leaves Keras's Glorot: what follows is normalised.

    In: (N, features, frames, 1). Raises BadInput for lists that are not of one length, an even kernel, and for too few
    frames.
    """
    check("classes", classes, int, 2)
    check("dropout", dropout, (int, float), 0, 0.99)
    for argument, value in (("features", features), ("frames", frames), ("cnn1", cnn1), ("cnn1_kernel", cnn1_kernel)):
        check(argument, value, int, 1)
    lists = {"filters1": filters1, "filters2": filters2, "kernels": kernels, "strides": strides}
    for argument, values in lists.items():
        check(argument, values, (list, tuple))
        for value in values:
            check(argument, value, int, 1)
    if len({len(values) for values in lists.values()}) != 1:
        raise BadInput(f"{', '.join(lists)} hold {', '.join(str(len(v)) for v in lists.values())} numbers; give each "
                       f"one number a module.")
    if even := [k for k in kernels if k % 2 == 0]:
        raise BadInput(f"kernels={tuple(kernels)}: {even[0]} is even; an odd kernel keeps the branches' maps the same "
                       f"length.")

    rows = [Row("cnn1", Conv(cnn1, (cnn1_kernel, 1), pad=0))]
    for i, (inside, out, kernel, stride) in enumerate(zip(*lists.values(), strict=True), 1):
        rows += [Row(f"module{i}", module(inside, kernel)), Row(f"reduce{i}", Conv(out))]
        rows += [Row(f"pool{i}", MaxPool((3, 1), stride, ceil=False))] if stride > 1 else []
    rows += [Row("avgpool", AvgPool()), Row("dropout", Dropout(dropout)), Row("linear", Linear(classes))]
    network = Network(name, tuple(rows), (frames, 1), (), norm, init, channels=features)
    costs(network, None, aux=False)  # raises where there are too few frames
    return network
