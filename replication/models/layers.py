"""The layers torch does not have, or not in this form."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils.fusion import fuse_conv_bn_weights

from replication.errors import BadInput
from replication.models import cost, ops


class Conv(nn.Conv2d):
    """Convolution, normalisation if any, ReLU if any, as one layer: `weight`, `bias`, `norm.*` under its row's name.

    A hook on it sees what comes after all three. The ReLU is no module, so that whatever replaces ReLUs by their class
    finds none: captum's guided backpropagation gives the plain gradient, and its DeepLift does not add up."""
    start: ops.Init | None = None  # in place of the network's

    def __init__(self, op: ops.Conv, channels: int, norm: ops.BatchNorm | None, activation: str | None = None) -> None:
        kernel, pad = cost.window(op)
        normed = op.norm and norm is not None
        super().__init__(channels, op.out, kernel, op.stride, pad, groups=op.groups, bias=not normed)
        self.norm = nn.BatchNorm2d(op.out, norm.eps, norm.momentum) if normed and norm else None
        if self.norm is not None and norm is not None and norm.scale is False:
            del self.norm.weight  # cuDNN wants one: ones, neither trained nor kept
            self.norm.register_buffer("weight", torch.ones(op.out), persistent=False)
        self.relu, self.sigmoid = op.relu and activation is None, op.relu and activation == "sigmoid"

    def reset_parameters(self) -> None:
        """Left to `initialise`: torch's start would draw from the global generator, as often as there are layers."""

    def forward(self, x: Tensor) -> Tensor:
        return self.finish(super().forward(x))

    def finish(self, x: Tensor) -> Tensor:
        """What comes after the convolution."""
        if self.norm is not None:
            x = self.norm(x)
        return x.sigmoid() if self.sigmoid else F.relu(x, inplace=True) if self.relu else x

    def fold(self) -> None:
        """Makes the normalisation part of the convolution. As evaluation computes it, it is linear: w γ / √(σ² + ε)."""
        if self.norm is not None:
            n = self.norm
            assert n.running_mean is not None
            assert n.running_var is not None
            self.weight, self.bias = fuse_conv_bn_weights(
                self.weight, self.bias, n.running_mean, n.running_var, n.eps, n.weight, n.bias)
            self.norm = None

    @property
    def pointwise(self) -> bool:
        """Each pixel by itself: 1×1, stride 1, every channel."""
        return self.kernel_size == (1, 1) and self.stride == (1, 1) and self.groups == 1 and self.padding == (0, 0)


class Separable(nn.Module):
    """`depthwise`, then `pointwise` with the normalisation and the ReLU."""

    def __init__(self, op: ops.Separable, channels: int, norm: ops.BatchNorm | None,
                 activation: str | None = None) -> None:
        super().__init__()
        wide = channels * op.multiplier
        self.depthwise = Conv(ops.Conv(wide, op.kernel, op.stride, groups=channels, relu=False), channels, None)
        self.depthwise.bias = None
        self.pointwise = Conv(ops.Conv(op.out), wide, norm, activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))


class Linear(nn.Linear):
    """On the flattened (C, H, W) map. `where` completes the sentence when a map of another size arrives."""
    start: ops.Init | None = None

    def __init__(self, op: ops.Linear, features: int, where: str, activation: str | None = None) -> None:
        super().__init__(features, op.out)
        self.relu, self.sigmoid = op.relu and activation is None, op.relu and activation == "sigmoid"
        self.where = where

    def reset_parameters(self) -> None:
        """Left to `initialise`."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        if x.shape[1] != self.in_features:
            raise BadInput(f"{self.where}: takes {self.in_features} numbers an image and {x.shape[1]} arrived; "
                           f"give images of that side, or build the network with resolution= the side of yours.")
        x = super().forward(x)
        return x.sigmoid() if self.sigmoid else F.relu(x, inplace=True) if self.relu else x


class Normalise(nn.Module):
    """Images at our scale to another: ((STD x + MEAN) - mean) / std, channel by channel."""
    factor: Tensor
    offset: Tensor

    def __init__(self, op: ops.Normalise) -> None:
        super().__init__()
        mean, std = (torch.tensor(part)[:, None, None] for part in (op.mean, op.std))
        self.register_buffer("factor", ops.STD / std, persistent=False)
        self.register_buffer("offset", (ops.MEAN - mean) / std, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor + self.offset


class LRN(nn.Module):
    """x · (k + alpha / size · Σ x²)^-beta, the sum over `size` neighbouring channels (Krizhevsky et al. 2012, §3.3).

    On a CPU some pixels at a time (`_ByPixels`). Elsewhere, and in what is compiled or exported, the sum is a 1×1
    convolution of x² with a banded matrix. In fp32 under autocast: the squares leave half precision's range.
    """
    band: Tensor
    ones: Tensor

    def __init__(self, op: ops.LRN, channels: int) -> None:
        super().__init__()
        self.op = op
        i = torch.arange(channels)
        away = i[None, :] - i[:, None]
        band = ((away >= -(op.size // 2)) & (away <= (op.size - 1) // 2)) * (op.alpha / op.size)
        self.register_buffer("band", band.float()[:, :, None, None], persistent=False)
        self.register_buffer("ones", torch.full((channels,), op.k), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        with nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False):
            wide = x.to(torch.promote_types(x.dtype, torch.float32))
            if x.is_cpu and not torch.compiler.is_compiling():
                return _ByPixels.apply(wide, self.op).to(x.dtype)
            band, ones = self.band.to(wide.dtype), self.ones.to(wide.dtype)
            return _ByBand.apply(wide, band, ones, self.op.beta).to(x.dtype)


# The gradient of LRN, by hand in both: with s = k + window ∗ x² · alpha / size and g the gradient that arrives, it is
# g s^-β - 2β alpha / size x (windowᵀ ∗ (g x s^-β / s)). Autograd's own makes three times the temporaries.
class _ByBand(torch.autograd.Function):
    """LRN of whole maps, `band` already times alpha / size."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, band: Tensor, ones: Tensor, beta: float) -> Tensor:
        scale = F.conv2d(x.square(), band, ones)
        factor = _power(scale, beta)
        ctx.save_for_backward(x, scale, factor, band)
        ctx.beta = beta
        return x * factor

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        x, scale, factor, band = ctx.saved_tensors
        inner = (gradient * x).mul_(factor).div_(scale)
        back = F.conv2d(inner, band.transpose(0, 1)).mul_(x).mul_(-2 * ctx.beta)
        return back.addcmul_(gradient, factor), None, None, None


NUMBERS = 1 << 18  # 1 MB of a map at once


class _ByPixels(torch.autograd.Function):
    """LRN of NUMBERS numbers at a time, so that all that lies between its input and its output, and is computed anew
    on the way back, stays in the processor's cache. The sum is of shifted views of the pixels: a few additions, where a
    matrix would have C products. Gives a map whose channels lie side by side (channels_last), and takes such a one
    without a copy."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, op: ops.LRN) -> Tensor:
        ctx.save_for_backward(x)
        ctx.op = op
        out, squares = _beside(x), _room(x, op, op.k / op.size)
        for pixels, place in _some(x, out):
            factor = _power(_scale(pixels, squares, op), op.beta)
            torch.mul(pixels, factor[:, :pixels.shape[1]], out=place)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (x,), op = ctx.saved_tensors, ctx.op
        out, squares, inner = _beside(x), _room(x, op, op.k / op.size), _room(x, op, 0.0)
        for pixels, g, place in _some(x, gradient, out):
            scale = _scale(pixels, squares, op)
            factor = _power(scale, op.beta)
            torch.mul(g, factor[:, :pixels.shape[1]], out=place)
            middle = _middle(inner, pixels, (op.size - 1) // 2)  # the window looks the other way
            torch.mul(g, pixels, out=middle).mul_(factor.div_(scale)[:, :pixels.shape[1]])
            back = _window(inner[:len(pixels) + 1], op.size)[:, :pixels.shape[1]]
            place.addcmul_(pixels, back, value=-2 * op.beta * op.alpha / op.size)
        return out, None


def _some(*maps: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """(N, C, H, W) maps as (n, C) pixels, NUMBERS numbers at a time; what is written to them is written to the maps if
    they are channels_last."""
    channels = maps[0].shape[1]
    pixels = (m.permute(0, 2, 3, 1).reshape(-1, channels) for m in maps)
    return zip(*(p.split(_at_once(channels)) for p in pixels), strict=True)


def _at_once(channels: int) -> int:
    """Pixels."""
    return max(1, NUMBERS // channels)


def _beside(x: Tensor) -> Tensor:
    """A new map like x, whose channels lie side by side."""
    n, channels, *sides = x.shape
    return x.new_empty(n, *sides, channels).permute(0, 3, 1, 2)


def _room(x: Tensor, op: ops.LRN, value: float) -> Tensor:
    """(n + 1, C + size - 1), all `value`: some pixels of x with neighbours beyond the first and the last channel."""
    channels = x.shape[1]
    pixels = min(_at_once(channels), x.numel() // channels)
    return x.new_full((pixels + 1, channels + op.size - 1), value)


def _middle(room: Tensor, pixels: Tensor, before: int) -> Tensor:
    """The places of the pixels themselves, (n, C)."""
    return room[:len(pixels), before:before + pixels.shape[1]]


def _scale(pixels: Tensor, room: Tensor, op: ops.LRN) -> Tensor:
    """k + alpha / size · Σ x², of which each neighbour, also one beyond the ends, brings k / size. As `_window` has it:
    the first C of each row."""
    torch.addcmul(room.new_full((), op.k / op.size), pixels, pixels, value=op.alpha / op.size,
                  out=_middle(room, pixels, op.size // 2))
    return _window(room[:len(pixels) + 1], op.size)


def _window(room: Tensor, size: int) -> Tensor:
    """The sums of `size` neighbours in a room of (n + 1, C + size - 1): the first C of each of n rows as long. What
    follows in a row mixes two pixels: as one long row all of it is added at once, which is faster. From sums of 1, 2, 4
    ... neighbours: three additions for five."""
    total, start, sums, width = None, 0, room.flatten(), 1
    wanted = room[1:].numel()
    while width <= size:
        if size & width:
            part = sums[start:start + wanted]
            total, start = part if total is None else total + part, start + width
        if 2 * width <= size:
            sums = sums[:-width] + sums[width:]
        width *= 2
    assert total is not None
    return total.view(-1, room.shape[1])


def _power(scale: Tensor, beta: float) -> Tensor:
    """scale^-beta"""
    if beta == 0.75:  # s^-3/4 = s^-1/2 · (s^-1/2)^1/2, without a logarithm
        root = scale.rsqrt()
        return root.sqrt().mul_(root)
    return scale.pow(-beta)


class Branches(nn.Module):
    """Named ops in parallel chains over one input, concatenated along channels.

    With `merge` the 1×1 convolutions that read the input are one convolution, cut apart afterwards: the same products.
    """
    merge = False

    def __init__(self, branches: Sequence[dict[str, nn.Module]]) -> None:
        super().__init__()
        for branch in branches:
            for name, module in branch.items():
                self.add_module(name, module)
        self.branches = tuple(tuple(branch) for branch in branches)

    def forward(self, x: Tensor) -> Tensor:
        done = self._firsts(x) if self.merge else {}
        out = []
        for branch in self.branches:
            y = x
            for name in branch:
                y = done[name] if name in done else getattr(self, name)(y)
            out.append(y)
        return torch.cat(out, 1)

    def _firsts(self, x: Tensor) -> dict[str, Tensor]:
        """What the branches' first layers give, of those that can be computed as one."""
        named = {branch[0]: getattr(self, branch[0]) for branch in self.branches if branch}
        convs = {name: m for name, m in named.items() if isinstance(m, Conv) and m.pointwise}
        if len(convs) < 2 or len({m.bias is None for m in convs.values()}) != 1:
            return {}
        weight = torch.cat([m.weight for m in convs.values()])
        biases = [m.bias for m in convs.values() if m.bias is not None]
        y = F.conv2d(x, weight, torch.cat(biases) if biases else None)
        widths = [m.out_channels for m in convs.values()]
        if all(m.norm is None and m.relu for m in convs.values()):
            return dict(zip(convs, F.relu(y, inplace=True).split(widths, 1), strict=True))
        return {name: m.finish(part) for (name, m), part in zip(convs.items(), y.split(widths, 1), strict=True)}


class TableConv(nn.Module):
    """LeNet-5's C3: only the connections in the table are weights, one k×k kernel each, in the table's order."""
    place: Tensor
    fan_in: Tensor

    def __init__(self, op: ops.TableConv, channels: int) -> None:
        super().__init__()
        links = [(i, j) for i, inputs in enumerate(op.table) for j in inputs]
        # Where each of the (out, in) kernels lies among the weights; the absent ones share a row of zeros at the end.
        place = torch.full((len(op.table), channels), len(links))
        for n, (i, j) in enumerate(links):
            place[i, j] = n
        fan_in = torch.tensor([float(len(op.table[i]) * op.kernel ** 2) for i, _ in links])
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("fan_in", fan_in[:, None, None], persistent=False)
        self.weight = nn.Parameter(torch.empty(len(links), op.kernel, op.kernel))
        self.bias = nn.Parameter(torch.empty(len(op.table)))

    def forward(self, x: Tensor) -> Tensor:
        absent = self.weight.new_zeros(1, *self.weight.shape[1:])
        return F.conv2d(x, torch.cat([self.weight, absent])[self.place], self.bias)


class Subsample(nn.Module):
    """LeNet-5's S2 and S4: a · (sum over k×k) + b, a and b trained, one of each a map (LeCun et al. 1998, §II.B)."""

    def __init__(self, op: ops.Subsample, channels: int) -> None:
        super().__init__()
        self.kernel = op.kernel
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))

    def forward(self, x: Tensor) -> Tensor:
        total = F.avg_pool2d(x, self.kernel) * self.kernel ** 2
        return total * self.weight[:, None, None] + self.bias[:, None, None]


class ScaledTanh(nn.Module):
    """1.7159 tanh(2x/3): ±1 at ±1 (LeCun et al. 1998, Appendix A)."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(x * (2 / 3))


# Stylised digits, 7 wide and 12 high, drawn for this project in the manner of LeCun et al. 1998, Fig. 3.
_DIGITS = """
.......  .......  .......  .......  .......  .......  .......  .......  .......  .......
..###..  ...#...  .#####.  .#####.  .....#.  #######  ..####.  #######  .#####.  .#####.
.#...#.  ..##...  #.....#  #.....#  ....##.  #......  .#.....  ......#  #.....#  #.....#
#.....#  .#.#...  ......#  ......#  ...#.#.  #......  #......  .....#.  #.....#  #.....#
#.....#  ...#...  ......#  ......#  ..#..#.  #......  #......  .....#.  #.....#  #.....#
#.....#  ...#...  .....#.  ..####.  .#...#.  ######.  #.####.  ....#..  .#####.  .######
#.....#  ...#...  ....#..  ......#  #....#.  ......#  ##....#  ....#..  #.....#  ......#
#.....#  ...#...  ...#...  ......#  #######  ......#  #.....#  ...#...  #.....#  ......#
#.....#  ...#...  ..#....  ......#  .....#.  ......#  #.....#  ...#...  #.....#  ......#
.#...#.  ...#...  .#.....  #.....#  .....#.  #.....#  #.....#  ..#....  #.....#  .....#.
..###..  .#####.  #######  .#####.  .....#.  .#####.  .#####.  ..#....  .#####.  .####..
.......  .......  .......  .......  .......  .......  .......  .......  .......  .......
"""


def bitmaps() -> Tensor:
    """(10, 12, 7), +1 for ink and -1 for paper, the digits in order."""
    rows = [[[1.0 if dot == "#" else -1.0 for dot in digit] for digit in line.split()] for line in _DIGITS.split("\n")
            if line]
    return torch.tensor(rows).transpose(0, 1)


class RBF(nn.Module):
    """Minus the squared distance from 84 features to each digit's bitmap, so that the nearest is the largest logit and
    cross-entropy on it is LeCun et al. 1998, eq. 9, without its constant j."""
    codes: Tensor

    def __init__(self, op: ops.RBF, features: int) -> None:
        super().__init__()
        codes = bitmaps().flatten(1)
        if (op.out, features) != tuple(codes.shape):
            raise BadInput(f"RBF has bitmaps for 10 digits of 84 dots; got {op.out} classes and {features} features.")
        self.register_buffer("codes", codes, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return -(x.flatten(1)[:, None, :] - self.codes).square().sum(2)
