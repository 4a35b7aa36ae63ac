"""Shapes, parameters and multiply-adds of a table, by arithmetic: no tensor is made.

Counting rules, the ones of V1's Table 1: a multiply-add is one multiplication of a convolution or a linear layer;
pooling, normalisation, ReLU and biases count none. Everything is per image.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from replication.errors import BadInput, check
from replication.models import ops
from replication.models.ops import Network, Op

Shape = tuple[int, int, int]  # (C, H, W)


@dataclass(frozen=True)
class Cost:
    """What one op, or a chain of them, makes of a map. `outputs` counts the numbers written for the backward pass."""
    shape: Shape
    weights: int = 0
    biases: int = 0
    norm: int = 0
    multiply_adds: int = 0
    outputs: int = 0
    layers: int = 0  # with weights, on the longest path
    pools: int = 0  # on that same path
    blocks: int = 0
    lone: int = 0  # normalisations of a 1×1 map, which have one value a channel of an image

    @property
    def parameters(self) -> int:
        return self.weights + self.biases + self.norm


class _Vanished(Exception):
    """No window fits the map any more."""


def window(op: ops.Conv | ops.MaxPool) -> tuple[tuple[int, int], tuple[int, int]]:
    """((kernel height, width), (padding top and bottom, left and right)) in px."""
    kernel = op.kernel if isinstance(op.kernel, tuple) else (op.kernel, op.kernel)
    return kernel, (kernel[0] // 2, kernel[1] // 2) if op.pad is None else (op.pad, op.pad)


def input_shape(network: Network, resolution: int | None = None) -> Shape:
    """(C, H, W) of what goes in: a square of `resolution` px a side, or of sound that many frames (default: what the
    table was printed for)."""
    side = network.resolution if resolution is None else resolution
    if isinstance(side, tuple):
        return (network.channels, *side)
    return (network.channels, side, network.resolution[1] if isinstance(network.resolution, tuple) else side)


def _slide(side: int, kernel: int, stride: int, pad: int, ceil: bool = False) -> int:
    room = side + 2 * pad - kernel
    out = (-(-room // stride) if ceil else room // stride) + 1
    if ceil and (out - 1) * stride >= side + pad:  # Caffe: the last window must start inside the map
        out -= 1
    if out < 1:
        raise _Vanished
    return out


def _normed(channels: int, norm: ops.BatchNorm | None) -> int:
    """Trained parameters of a normalisation: beta of every channel, and gamma unless there is none."""
    if norm is None:
        return 0
    return channels if norm.scale is False else 2 * channels


def step(op: Op, shape: Shape, norm: ops.BatchNorm | None) -> Cost:
    """One op on a (C, H, W) map. Trained parameters only; ReLU, working in place, writes nothing of its own."""
    c, h, w = shape
    match op:
        case ops.Conv():
            (kh, kw), (ph, pw) = window(op)
            out = (op.out, _slide(h, kh, op.stride, ph), _slide(w, kw, op.stride, pw))
            weights, normed = kh * kw * (c // op.groups) * op.out, norm is not None and op.norm
            return Cost(out, weights, 0 if normed else op.out, _normed(op.out, norm if op.norm else None),
                        weights * out[1] * out[2], prod(out) * (2 if normed else 1), 1, 0, 1,
                        int(normed and out[1:] == (1, 1)))
        case ops.Separable():
            wide = c * op.multiplier
            pad = op.kernel // 2
            out = (op.out, _slide(h, op.kernel, op.stride, pad), _slide(w, op.kernel, op.stride, pad))
            weights, normed = op.kernel ** 2 * wide + wide * op.out, norm is not None
            written = (wide + op.out * (2 if normed else 1)) * out[1] * out[2]
            return Cost(out, weights, 0 if normed else op.out, _normed(op.out, norm),
                        weights * out[1] * out[2], written, 1, 0, 1, int(normed and out[1:] == (1, 1)))
        case ops.TableConv():
            out = (len(op.table), _slide(h, op.kernel, 1, 0), _slide(w, op.kernel, 1, 0))
            weights = op.kernel ** 2 * sum(len(inputs) for inputs in op.table)
            return Cost(out, weights, out[0], 0, weights * out[1] * out[2], prod(out), 1, 0, 1)
        case ops.Subsample():
            out = (c, _slide(h, op.kernel, op.kernel, 0), _slide(w, op.kernel, op.kernel, 0))
            return Cost(out, c, c, 0, prod(out), prod(out), 1, 0, 1)
        case ops.MaxPool():
            (kh, kw), _ = window(op)
            out = (c, *(_slide(s, k, op.stride, op.pad, op.ceil) for s, k in ((h, kh), (w, kw))))  # type: ignore[assignment]
            return Cost(out, outputs=prod(out), pools=1, blocks=1)
        case ops.AvgPool():
            sides = (1, 1) if op.kernel is None else tuple(_slide(s, op.kernel, op.stride, op.pad) for s in (h, w))
            return Cost((c, sides[0], sides[1]), outputs=c * prod(sides), pools=1, blocks=1)
        case ops.AdaptiveAvgPool():
            return Cost((c, op.out, op.out), outputs=c * op.out ** 2, pools=1, blocks=1)
        case ops.LRN() | ops.Normalise() | ops.Dropout() | ops.Tanh():
            return Cost(shape, outputs=prod(shape), blocks=1)
        case ops.Linear():
            weights = prod(shape) * op.out
            return Cost((op.out, 1, 1), weights, op.out, 0, weights, op.out, 1, 0, 1)
        case ops.RBF():
            return Cost((op.out, 1, 1), multiply_adds=prod(shape) * op.out, outputs=op.out, blocks=1)
        case ops.Split():
            return _side_by_side([chain(branch, shape, norm) for branch in op.branches])
        case ops.Inception():
            return step(op.split(), shape, norm)
        case ops.Start():
            return step(op.op, shape, norm)


def chain(chained: tuple[Op, ...], shape: Shape, norm: ops.BatchNorm | None) -> Cost:
    """Ops one after the other."""
    total = Cost(shape)
    for op in chained:
        new = step(op, total.shape, norm)
        total = Cost(new.shape, *(getattr(total, f) + getattr(new, f) for f in _ADDED))
    return total


_ADDED = ("weights", "biases", "norm", "multiply_adds", "outputs", "layers", "pools", "blocks", "lone")


def _side_by_side(branches: list[Cost]) -> Cost:
    sides = {b.shape[1:] for b in branches}
    if len(sides) != 1:
        raise BadInput(f"The branches of a Split give maps of different sides, {sorted(sides)}; pad them to one.")
    shape = (sum(b.shape[0] for b in branches), *branches[0].shape[1:])
    longest = max(branches, key=lambda b: (b.layers + b.pools, b.layers))
    sums = {f: sum(getattr(b, f) for b in branches) for f in ("weights", "biases", "norm", "multiply_adds", "lone")}
    return Cost(shape, **sums, outputs=sum(b.outputs for b in branches) + prod(shape), layers=longest.layers,
                pools=longest.pools, blocks=sum(b.blocks for b in branches) + 1)


def _walk(network: Network, resolution: int | None, aux: bool) -> Iterator[tuple[str, str, Cost]]:
    """(head, name, cost) of every row, then of every auxiliary head. _Vanished carries (name, H, W)."""
    shape = input_shape(network, resolution)
    at = {}
    for row in network.rows:
        cost = _guarded(row.name, (row.op,), shape, network.norm)
        yield "main", row.name, cost
        at[row.name] = shape = cost.shape
    for head in network.aux if aux else ():
        yield head.at, f"aux {head.at}", _guarded(f"auxiliary head {head.at}", head.ops, at[head.at], network.norm)


def _guarded(name: str, chained: tuple[Op, ...], shape: Shape, norm: ops.BatchNorm | None) -> Cost:
    try:
        return chain(chained, shape, norm)
    except _Vanished:
        raise _Vanished(name, *shape[1:]) from None


def smallest(network: Network, aux: bool = True) -> int:
    """The smallest input side in px (of sound: in frames) that leaves a map at every row (and auxiliary head)."""
    for resolution in range(1, 4097):
        try:
            list(_walk(network, resolution, aux))
            return resolution
        except _Vanished:
            pass
    raise BadInput(f"{network.name} leaves no map at any input up to 4096 px: its table shrinks the map too far.")


def costs(network: Network, resolution: int | None, aux: bool) -> list[tuple[str, str, Cost]]:
    """(head, row name, cost) of every row, and with `aux` of every auxiliary head. Raises BadInput as `shapes` does."""
    side = input_shape(network, resolution)[1]
    check("resolution", side, int, 1)
    try:
        return list(_walk(network, resolution, aux))
    except _Vanished as vanished:
        name, h, w = vanished.args
        unit = "frames" if isinstance(network.resolution, tuple) else "px"
        raise BadInput(f"{network.name} at {side} {unit}: the map that arrives at {name} is {h}×{w}, too small for it; "
                       f"use at least {smallest(network, aux)} {unit}.") from None


def shapes(network: Network, resolution: int | None = None) -> list[tuple[str, Shape]]:
    """(row name, (C, H, W) after it) for every row, for an input of `resolution` px a side (default: the network's).

    Raises BadInput where the input is too small, with the smallest that would do.
    """
    return [(name, cost.shape) for _, name, cost in costs(network, resolution, aux=False)]


def table(network: Network, resolution: int | None = None) -> list[dict[str, Any]]:
    """One dict a row, then one an auxiliary head ("aux 4a"), for an input of `resolution` px a side.

    Keys: `name`; `head` ("main", or where the auxiliary head sits); `output` (C, H, W); `weights`, `biases`, `norm`
    (batch normalisation's gamma and beta) and their sum `parameters`; `multiply_adds`; `activation_bytes`: the fp32
    numbers every op in the row writes for one image (convolution, its batch normalisation, pooling, LRN, dropout,
    linear, concatenation; ReLU works in place), which training keeps until the backward pass.
    Raises BadInput as `shapes` does.
    """
    return [
        {"name": name, "head": head, "output": cost.shape, "weights": cost.weights, "biases": cost.biases,
         "norm": cost.norm, "parameters": cost.parameters, "multiply_adds": cost.multiply_adds,
         "activation_bytes": 4 * cost.outputs}
        for head, name, cost in costs(network, resolution, aux=True)
    ]


def parameters(network: Network, aux: bool = True) -> int:
    """Trained parameters; without `aux`, what is left at inference. Running statistics are not trained."""
    return sum(cost.parameters for _, _, cost in costs(network, None, aux))


def multiply_adds(network: Network, resolution: int | None = None, aux: bool = False) -> int:
    """Multiply-adds of one image's forward pass: inference, or with `aux` the training pass."""
    return sum(cost.multiply_adds for _, _, cost in costs(network, resolution, aux))


def activation_bytes(network: Network, resolution: int | None = None, aux: bool = True) -> int:
    """Bytes one image's fp32 outputs take in training; see `table`."""
    return 4 * sum(cost.outputs for _, _, cost in costs(network, resolution, aux))


def depth(network: Network, pooling: bool = False) -> int:
    """Layers with weights on the longest path from the image to the main logits, and with `pooling` the pools on it.

    V1 §5 counts GoogLeNet 22 layers deep, 27 with pooling.
    """
    return sum(cost.layers + (cost.pools if pooling else 0) for _, _, cost in costs(network, None, aux=False))


def blocks(network: Network, aux: bool = True) -> int:
    """Independent building blocks, V1 §5's "about 100": every convolution (with its normalisation and ReLU), linear
    layer, pool, LRN, dropout and concatenation. The softmax is part of the loss and not counted."""
    return sum(cost.blocks for _, _, cost in costs(network, None, aux))


# -- a whole run --------------------------------------------------------------------------------------------------
def whole_run(multiply_adds: float, epochs: float, images: float, val_images: float) -> float:
    """Multiply-adds of a run, `multiply_adds` being one image's forward pass: a training image costs three of them (one
    forward, two backward), and the validation images are looked at before training and after every epoch."""
    return multiply_adds * (3 * epochs * images + (epochs + 1) * val_images)
