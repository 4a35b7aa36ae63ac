"""A table made into a module."""
from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from replication.errors import BadInput, unknown
from replication.models import cost, init, layers, ops
from replication.models.ops import Network, Op

# The layers of V1 Table 1's columns; the third branch keeps its name whatever its kernel.
COLUMNS = (("1x1",), ("3x3_reduce", "3x3"), ("5x5_reduce", "5x5"), ("pool", "pool_proj"))


class Net(nn.Module):
    """Images in, logits by name out. Rows are submodules under their own names, auxiliary heads `aux.<row>`.

    In training `forward` gives {"main": (N, classes), "4a": (N, classes), ...}; in evaluation the main logits alone,
    (N, classes), and the auxiliary heads are not computed. Input: (N, C, H, W) floats.
    Raises BadInput for another number of channels and for images too small.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.rows = tuple(row.name for row in network.rows)
        self.heads = ("main", *(a.at for a in network.aux))
        self.least = cost.smallest(network, aux=False)
        self.least_aux = cost.smallest(network, aux=True)
        shape = cost.input_shape(network)
        at = {}
        for row in network.rows:
            module, shape = _chain((row.op,), shape, network, row.name)
            self.add_module(row.name, module[0])
            at[row.name] = shape
        self.flat = shape[1:] == (1, 1)  # logits, also where the last row is a pool
        self.aux = nn.ModuleDict({a.at: _chain(a.ops, at[a.at], network, f"auxiliary head {a.at}")[0]
                                  for a in network.aux})
        self.frozen: tuple[str, ...] = ()

    def expect(self, scale: ops.Normalise | None) -> None:
        """From now on the weights get images at this scale (see `ops.expecting`)."""
        self.network = ops.expecting(self.network, scale)
        self.rows = tuple(row.name for row in self.network.rows)
        if scale is not None:
            self.add_module("scale", layers.Normalise(scale).to(next(self.parameters())))

    def freeze(self, but: Sequence[str]) -> None:
        """From now on all rows but these, and all auxiliary heads, keep their weights and their statistics: in training
        they work as in evaluation."""
        self.frozen = (*(row for row in self.rows if row not in but), "aux")
        for name in self.frozen:
            self.get_submodule(name).eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Net:
        super().train(mode)
        for name in self.frozen:
            self.get_submodule(name).eval()
        return self

    def classifiers(self) -> list[nn.Module]:
        """The last layer with weights of every head, the main one first: those that know how many classes there are."""
        chains = [[getattr(self, row) for row in self.rows], *(list(head) for head in self.aux.values())]  # type: ignore[call-overload]
        last = [[m for m in chain if isinstance(m, (layers.Conv, layers.Linear))][-1:] for chain in chains]
        return [m for found in last for m in found]

    def forward(self, x: Tensor) -> Any:
        if self.training:
            return self._run(x, self.heads)
        return self._run(x, ("main",))["main"]

    def logits(self, x: Tensor, names: Sequence[str] = ("main",)) -> dict[str, Tensor]:
        """{name: (N, classes)} for the heads named, in training or evaluation mode alike: "main" or a row with an
        auxiliary head. Raises BadInput for a head the network does not have."""
        for name in names:
            if name not in self.heads:
                raise unknown("head", name, self.heads)
        out = self._run(x, tuple(names))
        return {name: out[name] for name in names}

    def _run(self, x: Tensor, names: tuple[str, ...]) -> dict[str, Tensor]:
        least = self.least if names == ("main",) else self.least_aux
        if not self._fits(x) or self._side(x) < least:
            raise self._refused(x, names)
        if self.training and len(x) == 1:
            sides = x.shape[2:] if isinstance(self.network.resolution, int) else x.shape[2:3]
            self.need_two("a batch of one image", max(sides), names)
        aux = {}
        for row in self.rows:
            x = getattr(self, row)(x)
            if row in names:
                aux[row] = self.aux[row](x)
        return {"main": x.flatten(1) if self.flat else x, **aux}

    def need_two(self, batch: str, resolution: int | None = None, names: Sequence[str] | None = None) -> None:
        """Raises BadInput where training these heads on one image at a time cannot be: batch normalisation of a 1×1 map
        would have one value a channel, which is its own mean. `batch` says what leaves one image. Parts that are frozen
        keep the statistics they have and need none."""
        names = self.heads if names is None else names
        for head, name, found in cost.costs(self.network, resolution, aux=names != ("main",)):
            if not found.lone or head not in ("main", *names):
                continue
            part = getattr(self, name) if head == "main" else self.aux[head]
            if any(m.training for m in part.modules() if isinstance(m, nn.BatchNorm2d)):
                raise BadInput(f"{self.network.name} cannot be trained on {batch}: {name} normalises maps of 1×1 over "
                               f"the batch, and one image has no variance; use at least two images a batch (and a "
                               f"process), a higher resolution, or no batch normalisation.")

    def _fits(self, x: Tensor) -> bool:
        """All but how small it may be."""
        n = self.network
        return x.ndim == 4 and x.is_floating_point() and x.shape[1] == n.channels and (
            isinstance(n.resolution, int) or x.shape[3] == n.resolution[1])

    def _side(self, x: Tensor) -> int:
        return min(x.shape[2], x.shape[3]) if isinstance(self.network.resolution, int) else x.shape[2]

    def _refused(self, x: Tensor, names: tuple[str, ...]) -> BadInput:
        n = self.network
        if not self._fits(x):
            takes = "height, width) images" if isinstance(n.resolution, int) else f"frames, {n.resolution[1]}) of sound"
            kind = "" if x.is_floating_point() else f" of {x.dtype}: make them floats, scaled as in training"
            return BadInput(f"{n.name} takes (N, {n.channels}, {takes}; these are {tuple(x.shape)}{kind}.")
        try:
            cost.costs(n, self._side(x), aux=names != ("main",))
        except BadInput as error:
            return error
        raise AssertionError  # the same arithmetic said that it is too small


def build(network: Network) -> Net:
    """The module of a table, in training mode on the CPU, weights drawn as `network.init` says.

    Deterministic given `torch.manual_seed`; layers that two networks share start equal under the same seed.
    Raises BadInput where the table leaves no map at `network.resolution`.
    """
    cost.costs(network, None, aux=True)
    net = Net(network)
    init.initialise(net, network.init, net.classifiers())
    return net


def folded(network: Net) -> Net:
    """A copy for evaluation, every batch normalisation folded into its convolution: equal logits, up to rounding."""
    found = copy.deepcopy(network).eval()
    for module in found.modules():
        if isinstance(module, layers.Conv):
            module.fold()
    return found


def _chain(chained: Sequence[Op], shape: cost.Shape, network: Network, where: str) -> tuple[nn.Sequential, cost.Shape]:
    """Ops one after the other, named after what they are: conv, fc, dropout, linear; conv2 for a second one."""
    chain = nn.Sequential()
    for op in chained:
        layer = op.op if isinstance(op, ops.Start) else op
        kind = "fc" if isinstance(layer, ops.Linear) and layer.relu else type(layer).__name__.lower()
        number = sum(name.rstrip("0123456789") == kind for name in chain._modules) + 1
        chain.add_module(kind if number == 1 else f"{kind}{number}", _module(op, shape, network, where))
        shape = cost.step(op, shape, network.norm).shape
    return chain, shape


def _module(op: Op, shape: cost.Shape, network: Network, where: str) -> nn.Module:
    c = shape[0]
    match op:
        case ops.Conv():
            return layers.Conv(op, c, network.norm, network.activation)
        case ops.Separable():
            return layers.Separable(op, c, network.norm, network.activation)
        case ops.TableConv():
            return layers.TableConv(op, c)
        case ops.Subsample():
            return layers.Subsample(op, c)
        case ops.MaxPool():
            return nn.MaxPool2d(op.kernel, op.stride, op.pad, ceil_mode=op.ceil)
        case ops.AvgPool():
            if op.kernel is None:
                return nn.AdaptiveAvgPool2d(1)
            return nn.AvgPool2d(op.kernel, op.stride, op.pad, count_include_pad=not op.inside)
        case ops.AdaptiveAvgPool():
            return nn.AdaptiveAvgPool2d(op.out)
        case ops.LRN():
            return layers.LRN(op, c)
        case ops.Normalise():
            return layers.Normalise(op)
        case ops.Dropout():
            return nn.Dropout(op.p)
        case ops.Tanh():
            return layers.ScaledTanh()
        case ops.Linear():
            label = f"{network.name} for {network.resolution} px, {where}"
            return layers.Linear(op, shape[0] * shape[1] * shape[2], label, network.activation)
        case ops.RBF():
            return layers.RBF(op, shape[0] * shape[1] * shape[2])
        case ops.Start():
            module = _module(op.op, shape, network, where)
            for layer in module.modules():
                if isinstance(layer, (layers.Conv, layers.Linear)):
                    layer.start = op.init
            return module
        case ops.Inception():
            return _branches(op.split(), COLUMNS, shape, network, where)
        case ops.Split():
            names = tuple(tuple(f"{b}_{i}" for i in range(len(branch))) for b, branch in enumerate(op.branches))
            return _branches(op, names, shape, network, where)


def _branches(op: ops.Split, names: Sequence[Sequence[str]], shape: cost.Shape, network: Network,
              where: str) -> nn.Module:
    built = [_chain(branch, shape, network, where)[0] for branch in op.branches]
    return layers.Branches([dict(zip(ns, chain, strict=True)) for ns, chain in zip(names, built, strict=True)])
