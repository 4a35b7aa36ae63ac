"""What a library handed over, in our table of that network: how far apart the logits are, before and after what it does
otherwise is set."""
from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from replication.models import layers, ops
from replication.models.baselines import alexnet, alexnet_torchvision
from replication.models.bn_inception import bn_inception
from replication.models.build import Net, build
from replication.models.googlenet import googlenet, googlenet_torchvision
from replication.models.inception_v3 import inception_v3, inception_v3_fid, inside
from replication.models.ops import Network, Op, Row


@dataclass(frozen=True)
class Given:
    """A file of `exchange.Side`."""
    said: dict[str, Any]
    layers: list[dict[str, Any]]  # "kind", and parts by name
    images: Tensor
    logits: dict[str, Tensor]  # "" as the library ships it


def read(path: Path) -> Given:
    with np.load(path) as held:
        said = json.loads(str(held["said"]))
        found = [{"kind": one["kind"], **{part: torch.from_numpy(held[f"{n}.{part}"]) for part in one["parts"]}}
                 for n, one in enumerate(said["layers"])]
        more = {name.removeprefix("more "): torch.from_numpy(held[name]) for name in held if name.startswith("more ")}
        return Given(said, found, torch.from_numpy(held["images"]), {"": torch.from_numpy(held["logits"]), **more})


# -- what a table does otherwise -----------------------------------------------------------------------------------
def changed(network: Network, change: Callable[[Op], Op]) -> Network:
    """Every op through `change`, inside modules too."""
    def one(op: Op) -> Op:
        if isinstance(op, ops.Inception):
            op = op.split()
        if isinstance(op, ops.Split):
            return ops.Split(tuple(tuple(one(part) for part in branch) for branch in op.branches))
        return change(op)

    return replace(network, rows=tuple(Row(row.name, one(row.op)) for row in network.rows), aux=())


def rounded_down(network: Network) -> Network:
    return changed(network, lambda op: replace(op, ceil=False) if isinstance(op, ops.MaxPool) else op)


def normed(network: Network, eps: float) -> Network:
    return replace(network, norm=ops.BatchNorm(eps))


def paddle_s_googlenet() -> Network:
    """Without LRN, without what Paddle leaves out of its activations, and rounding down."""
    table = rounded_down(googlenet(aux=()))
    rows = []
    for row in table.rows:
        op = row.op
        if isinstance(op, ops.LRN):
            continue
        if isinstance(op, ops.Conv):
            op = replace(op, relu=False)
        if isinstance(op, ops.Split):
            op = ops.Split(tuple((replace(branch[0], relu=False), *branch[1:]) if len(branch) == 2 and
                                 isinstance(branch[0], ops.Conv) else branch for branch in op.branches))
        rows.append(Row(row.name, op))
    return replace(table, rows=tuple(rows))


def lrn(network: Network, k: float, alpha: float) -> Network:
    return changed(network, lambda op: replace(op, k=k, alpha=alpha) if isinstance(op, ops.LRN) else op)


def one_tower(network: Network) -> Network:
    return changed(network, lambda op: replace(op, groups=1) if isinstance(op, ops.Conv) else op)


def wide_projections(network: Network) -> Network:
    """128 channels behind the pools of 4d and 4e, where slim and the onnx wheel have 96."""
    rows = []
    for row in network.rows:
        op = row.op
        if row.name in ("4d", "4e") and isinstance(op, ops.Split):
            *others, (pool, projection) = op.branches
            op = ops.Split((*others, (pool, replace(projection, out=128))))  # type: ignore[arg-type]
        rows.append(Row(row.name, op))
    return replace(network, rows=tuple(rows))


_V3, _ALEXNET = inception_v3(aux=()), alexnet(resolution=227)
_PLAIN_STEM = replace(bn_inception(), rows=(Row("1a", ops.Conv(64, 7, 2)), *bn_inception().rows[1:]))


@dataclass(frozen=True)
class Match:
    """Ours of that name, None where its weights do not fit; what makes it theirs, in words and as a table. `theirs`:
    which of the library's logits are meant then, where it is its graph that has to be mended. `kept`: what its dropout
    multiplies features by, at evaluation too."""
    ours: Network | None
    words: str
    set: Network
    theirs: str = ""
    kept: float = 1.0


MATCHES = {
    ("onnx", "GoogLeNet"): Match(googlenet(aux=()), "its pools round up", googlenet(aux=()), "mended"),
    ("onnx", "BN-Inception"): Match(_PLAIN_STEM, "its strided pools are padded on every side; ours has its ε and "
                                    "averages", normed(inside(_PLAIN_STEM), 1e-5), "mended"),
    ("onnx", "AlexNet"): Match(replace(_ALEXNET, resolution=224), "its pools round up; ours has its LRN",
                               lrn(replace(_ALEXNET, resolution=224), 1.0, 1e-4), "mended"),
    ("Keras", "Inception V3"): Match(_V3, "ours leaves padding out of averages", inside(_V3)),
    ("Paddle", "GoogLeNet"): Match(googlenet(aux=()), "ours has its activations, its rounding, no LRN, and its "
                                   "dropout, which scales features when it evaluates", paddle_s_googlenet(), kept=0.6),
    ("Paddle", "Inception V3"): Match(_V3, "ours has its ε, and its dropout, which scales features when it evaluates",
                                      normed(_V3, 1e-5), kept=0.8),
    ("Paddle", "AlexNet"): Match(alexnet_torchvision(), "ours has its dropout, which scales features when it "
                                 "evaluates", alexnet_torchvision(), kept=0.5),
    ("gluoncv", "GoogLeNet"): Match(googlenet_torchvision(aux=()), "nothing", googlenet_torchvision(aux=())),
    ("MXNet", "Inception V3"): Match(_V3, "nothing", _V3),
    ("MXNet", "AlexNet"): Match(alexnet_torchvision(), "nothing", alexnet_torchvision()),
    ("slim", "GoogLeNet"): Match(googlenet_torchvision(aux=()), "its first layer is padded on every side",
                                 googlenet_torchvision(aux=()), "mended"),
    ("slim", "BN-Inception"): Match(bn_inception(), "its strided layers are padded on every side; ours leaves padding "
                                    "out of averages, and has no BN in the stem", inside(bn_inception()), "mended"),
    ("slim", "Inception V3"): Match(_V3, "ours leaves padding out of averages", inside(_V3)),
    ("Chainer", "GoogLeNet"): Match(googlenet(aux=()), "nothing", googlenet(aux=())),
    **{(library, "BN-Inception"): Match(None, "its strided pools are padded on every side; ours has its pool "
                                        "projections and its ε", normed(wide_projections(_PLAIN_STEM), 1e-5), "mended")
       for library in ("pretrainedmodels", "pytorchcv")},
    ("pytorchcv", "AlexNet"): Match(None, "ours is one tower, has its LRN, and takes 224 px", one_tower(
        lrn(replace(_ALEXNET, resolution=224), 2.0, 1e-4))),
    ("torch-fidelity", "Inception V3"): Match(inception_v3(classes=1008, aux=()), "ours is inception_v3_fid",
                                              inception_v3_fid()),
    ("pytorch-fid", "Inception V3"): Match(inception_v3(classes=1008, aux=()), "ours is inception_v3_fid",
                                           inception_v3_fid()),
}


FID = {"pytorch-fid": (1, 0.5), "torch-fidelity": (255, 128 / 255)}  # the most it is given, and what it takes to 0


# -- their weights -------------------------------------------------------------------------------------------------
@torch.no_grad()
def carry(given: Given, table: Network) -> Net:
    """`table` built, with the weights of `given`, layer by layer in order. A bias or factor that the library lacks is
    0 or 1, and a normalisation that does nothing. Raises ValueError where a layer does not fit, or some are left."""
    net = build(table).eval()
    left: Iterator[dict[str, Any]] = iter(given.layers)
    for name, module in net.named_modules():
        if not isinstance(module, (layers.Conv, layers.Linear)):
            continue
        one = next(left, {"kind": "nothing"})
        if one["kind"] != ("linear" if isinstance(module, nn.Linear) else "conv"):
            raise ValueError(f"{name}: {one['kind']} came")
        _copy(name, module.weight, one["weight"])
        norm = getattr(module, "norm", None)
        if norm is not None and "bias" in one:  # and no normalisation
            norm.running_mean.zero_()
            norm.running_var.fill_(1 - norm.eps)
        elif norm is not None:
            one = next(left, {"kind": "nothing"})
            if one["kind"] != "norm":
                raise ValueError(f"{name}: {one['kind']} came")
            _copy(name, norm.weight, one.get("weight", torch.ones(len(norm.weight))))
            _copy(name, norm.running_mean, one["mean"])
            _copy(name, norm.running_var, one["var"])
        bias = (module if norm is None else norm).bias
        if bias is not None:
            _copy(name, bias, one.get("bias", torch.zeros(len(bias))))
    if left := list(left):
        raise ValueError(f"{len(left)} layers are left")
    return net


def _copy(name: str, ours: Any, theirs: Tensor) -> None:
    if ours.shape != theirs.shape:
        raise ValueError(f"{name}: {tuple(theirs.shape)} came, {tuple(ours.shape)} is there")
    ours.copy_(theirs)


@torch.no_grad()
def apart(given: Given, table: Network, theirs: str = "", kept: float = 1.0) -> float:
    """The root mean square of the difference of logits, over the deviation of theirs; of features where those came."""
    images, wanted = given.images, given.logits[theirs]
    net = carry(given, table)
    for before, row in itertools.pairwise(table.rows):
        if isinstance(before.op, ops.Dropout):
            net.get_submodule(row.name).weight.mul_(kept)  # type: ignore[operator, union-attr]
    if given.said["library"] in FID:  # what it is given, 0 to 1 or bytes, it takes to about ±1; ours take ±2
        most, middle = FID[given.said["library"]]
        net.expect(ops.Normalise((middle,) * 3, (middle,) * 3))
        images = (images / most - ops.MEAN) / ops.STD
    if wanted.shape[1] != table.rows[-1].op.out:  # type: ignore[union-attr]
        net.dropout, net.linear = nn.Identity(), nn.Flatten()
    got = net(images)
    return ((got - wanted).square().mean().sqrt() / wanted.std()).item()


def projections(given: Given) -> str:
    """Of BN-Inception: how many channels are behind each module's pool."""
    wide = [len(one["weight"]) for one in given.layers if one["kind"] == "conv"]
    return "; ".join(str(wide[at]) for at in (-60, -53, -41, -34, -27, -20, -8, -1))  # the last of each module's seven


def rows(path: Path) -> Iterator[tuple[str, str, str, str, str]]:
    """(network, library, version, aspect, text) of everything that one file tells."""
    given = read(path)
    name, library, version = (given.said[key] for key in ("name", "library", "version"))
    match = MATCHES[library, name]
    for aspect, text in given.said["facts"].items():
        yield name, library, version, aspect, text
    if name == "BN-Inception":
        yield name, library, version, "pool projections", projections(given)
    yield name, library, version, "as it is, apart", (
        "its weights do not fit" if match.ours is None else f"{apart(given, match.ours):.2g}")
    yield name, library, version, "set alike", match.words
    yield name, library, version, "then apart", f"{apart(given, match.set, match.theirs, match.kept):.2g}"
