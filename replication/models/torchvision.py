"""torchvision's GoogLeNet and Inception V3 weights in our networks of the same tables."""
from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from replication import files
from replication.errors import BadInput, check
from replication.models.build import Net, build
from replication.models.googlenet import INCEPTION, googlenet_torchvision
from replication.models.inception_v3 import inception_v3, inception_v3_fid
from replication.models.ops import Normalise
from replication.models.weights import COUNTER, numbers, read


def _names(layers: Mapping[str, str], linear: Mapping[str, str]) -> dict[str, str]:
    """Tensor by tensor: ours, theirs."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    return ({f"{ours}.weight": f"{theirs}.conv.weight" for ours, theirs in layers.items()}
            | {f"{ours}.norm.{part}": f"{theirs}.bn.{part}" for ours, theirs in layers.items() for part in norm}
            | {f"{ours}.{part}": f"{theirs}.{part}" for ours, theirs in linear.items() for part in ("weight", "bias")})


# Ours on the left. torchvision counts the reduction before the second convolution as a convolution of its own.
NAMES = _names({"conv1": "conv1", "conv2_reduce": "conv2", "conv2": "conv3"} | {
    f"{row}.{ours}": f"inception{row}.{theirs}"
    for row in INCEPTION
    for ours, theirs in {"1x1": "branch1", "3x3_reduce": "branch2.0", "3x3": "branch2.1", "5x5_reduce": "branch3.0",
                         "5x5": "branch3.1", "pool_proj": "branch4.1"}.items()
} | {"aux.4a.conv": "aux1.conv", "aux.4d.conv": "aux2.conv"}, {
    "linear": "fc", "aux.4a.fc": "aux1.fc1", "aux.4a.linear": "aux1.fc2", "aux.4d.fc": "aux2.fc1",
    "aux.4d.linear": "aux2.fc2"})

# Ours on the left: branch and place in it; inside the 8×8 modules' pairs once more.
_GRID35 = {"0_0": "1x1", "1_0": "5x5_1", "1_1": "5x5_2", "2_0": "3x3dbl_1", "2_1": "3x3dbl_2", "2_2": "3x3dbl_3",
           "3_1": "_pool"}
_TO_17 = {"0_0": "3x3", "1_0": "3x3dbl_1", "1_1": "3x3dbl_2", "1_2": "3x3dbl_3"}
_GRID17 = {"0_0": "1x1", "1_0": "7x7_1", "1_1": "7x7_2", "1_2": "7x7_3", "2_0": "7x7dbl_1", "2_1": "7x7dbl_2",
           "2_2": "7x7dbl_3", "2_3": "7x7dbl_4", "2_4": "7x7dbl_5", "3_1": "_pool"}
_TO_8 = {"0_0": "3x3_1", "0_1": "3x3_2", "1_0": "7x7x3_1", "1_1": "7x7x3_2", "1_2": "7x7x3_3", "1_3": "7x7x3_4"}
_GRID8 = {"0_0": "1x1", "1_0": "3x3_1", "1_1.0_0": "3x3_2a", "1_1.1_0": "3x3_2b", "2_0": "3x3dbl_1",
          "2_1": "3x3dbl_2", "2_2.0_0": "3x3dbl_3a", "2_2.1_0": "3x3dbl_3b", "3_1": "_pool"}
_MODULES = {"5b": _GRID35, "5c": _GRID35, "5d": _GRID35, "6a": _TO_17, "6b": _GRID17, "6c": _GRID17, "6d": _GRID17,
            "6e": _GRID17, "7a": _TO_8, "7b": _GRID8, "7c": _GRID8}
NAMES_V3 = _names({
    "1a": "Conv2d_1a_3x3", "2a": "Conv2d_2a_3x3", "2b": "Conv2d_2b_3x3", "3b": "Conv2d_3b_1x1", "4a": "Conv2d_4a_3x3",
    "aux.6e.conv": "AuxLogits.conv0", "aux.6e.conv2": "AuxLogits.conv1",
} | {f"{row}.{ours}": f"Mixed_{row}.branch{theirs}" for row, module in _MODULES.items()
     for ours, theirs in module.items()}, {"linear": "fc", "aux.6e.linear": "AuxLogits.fc"})


# What the first convolution expects. The published weights are TensorFlow's, which has ±1, and torchvision's
# `transform_input` makes that of images normalised as everywhere else in torchvision.
PUBLISHED = Normalise((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
IMAGENET = Normalise((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


FID = 1008  # classes of the weights that FID scores use


def from_torchvision(weights: str | Path | Mapping[str, Any] | nn.Module, transform_input: bool | None = None,
                     fid: bool | None = None) -> Net:
    """torchvision's GoogLeNet or Inception V3 as our network, from its `state_dict()`, from a .pth or .safetensors file
    that holds one, alone or in a trainer's checkpoint, or from itself; with the classes and auxiliary heads that the
    weights have. In training mode, as `build` gives it. timm's Inception V3 has the same names and fits too.

    It takes images as all our networks do, and brings them to the scale that its weights were trained on.
    transform_input: as torchvision's network had it. True: ±1, as the published weights expect. False: normalised by
    ImageNet's mean and standard deviation, as scripts that train from scratch do. By default what a network itself
    says, and True of weights alone, which do not tell.
    fid: an Inception V3 of 1,008 classes is the one that FID scores use (pytorch-fid, torch-fidelity), under the same
    names and with other pools. True: `inception_v3_fid`, which computes what its weights were trained for. False:
    torchvision's own layers. There is no default for 1,008 classes, since nothing in the weights tells.

    Nothing in a file is run: it is read with weights_only=True. GoogLeNet's auxiliary heads among the published weights
    were never trained.
    Raises BadInput for what holds no state dict, or several, for one of another network, for 1,008 classes without
    `fid`, and at the first tensor that does not fit.
    """
    check("fid", fid, (bool, type(None)))
    held, scale = _held(weights), _scale(weights, transform_input)
    linear = held.get("fc.weight")
    classes = len(linear) if isinstance(linear, Tensor) and linear.ndim == 2 else 0
    if classes and MARKS[0] in held:
        aux = [at for at, head in (("4a", "aux1"), ("4d", "aux2")) if f"{head}.fc2.weight" in held]
        return torchvision_googlenet(held, build(googlenet_torchvision(classes=classes, aux=aux)), scale)
    if classes and MARKS[1] in held:
        if fid is None and classes == FID:
            raise BadInput("These are an Inception V3's weights for 1,008 classes, as FID scores use them: averages "
                           "leave padding out and the last module has a max-pool. Give fid=True for that network, or "
                           "fid=False if yours has torchvision's own layers.")
        if fid:
            return torchvision_inception_v3(held, build(inception_v3_fid(classes=classes)), scale)
        aux = ["6e"] if "AuxLogits.fc.weight" in held else []
        return torchvision_inception_v3(held, build(inception_v3(classes=classes, aux=aux)), scale)
    first = ", ".join(map(repr, list(held)[:2])) or "none"
    raise BadInput(f"These are the weights of neither torchvision's googlenet nor its inception_v3, the two that have "
                   f"a table here; the first of their {len(held)} names: {first}. Give the state_dict() of one.")


def torchvision_googlenet(weights: Mapping[str, Any], net: Net, scale: Normalise = PUBLISHED) -> Net:
    """Copy the `state_dict()` of torchvision.models.googlenet into `net`, a built `googlenet_torchvision`; give
    `net` back, which from now on brings images to the scale of the weights. Auxiliary heads that `net` lacks are left
    out.

    Raises BadInput at the first tensor that is missing or of another shape; `net` is then unchanged.
    Source: torchvision/models/googlenet.py.
    """
    return _carry(weights, net, NAMES, "GoogLeNet", "googlenet.googlenet_torchvision", scale)


def torchvision_inception_v3(weights: Mapping[str, Any], net: Net, scale: Normalise = PUBLISHED) -> Net:
    """Copy the `state_dict()` of torchvision.models.inception_v3 into `net`, a built `inception_v3`; give `net`
    back, as `torchvision_googlenet` does. timm's inception_v3 has the same names and fits too.

    Raises BadInput as `torchvision_googlenet` does. Source: torchvision/models/inception.py.
    """
    return _carry(weights, net, NAMES_V3, "Inception V3", "inception_v3.inception_v3", scale)


@torch.no_grad()
def _carry(weights: Mapping[str, Any], net: Net, names: Mapping[str, str], what: str, table: str,
           scale: Normalise) -> Net:
    carried = {}
    for ours, mine in net.state_dict().items():
        theirs = names.get(ours)
        if theirs is None:
            raise BadInput(f"{net.network.name} has '{ours}' and torchvision's {what} has nothing like it; "
                           f"build the network from {table}.")
        if theirs not in weights and theirs.endswith(COUNTER):
            carried[ours] = mine
            continue
        if theirs not in weights:
            raise BadInput(f"The weights have no '{theirs}', which '{ours}' needs; without auxiliary heads in the "
                           f"weights, build the network with aux=().")
        if not isinstance(weights[theirs], Tensor):
            raise BadInput(f"'{theirs}' is a {type(weights[theirs]).__name__} and no tensor: save the network's "
                           f"state_dict() as it is.")
        if weights[theirs].shape != mine.shape:
            raise BadInput(f"'{theirs}' is {tuple(weights[theirs].shape)} and '{ours}' is {tuple(mine.shape)}; "
                           f"build the network with the classes of the weights, and leave axes in torch's order.")
        carried[ours] = weights[theirs]
    for ours, mine in net.state_dict().items():  # last: a name that is missing says more than a type that is off
        numbers(names[ours], carried[ours], mine)
    for name in sorted(weights.keys() - names.values()):
        if name.endswith((".weight", ".bias")) and not name.lower().startswith("aux"):
            raise BadInput(f"The weights have '{name}', and torchvision's {what} has nothing like it: they are of "
                           f"another network, whose logits would not come out.")
    net.load_state_dict(carried)
    net.expect(scale)
    return net


def _scale(weights: Any, transform_input: bool | None) -> Normalise:
    while isinstance(weights, nn.Module) and isinstance(getattr(weights, "module", None), nn.Module):
        weights = weights.module  # DataParallel's
    check("transform_input", transform_input, (bool, type(None)))
    if transform_input is None and isinstance(weights, nn.Module):
        if (said := getattr(weights, "pretrained_cfg", None)) is not None:  # timm's
            return Normalise(tuple(said["mean"]), tuple(said["std"]))
        transform_input = getattr(weights, "transform_input", None)
    return IMAGENET if transform_input is False else PUBLISHED


MARKS = ("inception3a.branch1.conv.weight", "Mixed_5b.branch1x1.conv.weight")  # a name of one network, and of the other


def _held(weights: str | Path | Mapping[str, Any] | nn.Module) -> Mapping[str, Any]:
    """The tensors by torchvision's own names, out of what trainers put around them: a checkpoint's other entries, and
    prefixes of DataParallel ("module."), torch.compile ("_orig_mod.") or a Lightning module ("model.", say)."""
    check("weights", weights, (str, Path, Mapping, nn.Module))
    if isinstance(weights, nn.Module):
        weights = weights.state_dict()
    whole = weights if isinstance(weights, Mapping) else _state_dict(Path(weights).expanduser())
    found: dict[str, Mapping[str, Any]] = {}
    for key, part in _parts("", whole):
        plain = {name.replace("_orig_mod.", ""): value for name, value in part.items() if isinstance(name, str)}
        for prefix in {name.removesuffix(mark) for name in plain for mark in MARKS if name.endswith(mark)}:
            found[f"{key}.{prefix}".strip(".")] = {
                name.removeprefix(prefix): value for name, value in plain.items() if name.startswith(prefix)}
    if len(found) > 1:
        raise BadInput(f"There are {len(found)} networks in these weights, {' and '.join(map(repr, sorted(found)))}: "
                       f"give the state dict of one of them.")
    return next(iter(found.values()), whole)


def _parts(key: str, part: Mapping[Any, Any], depth: int = 4) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """It, and what lies in it, by the way there: {"checkpoint": {"state_dict": ...}}."""
    yield key, part
    for name, inner in part.items() if depth else ():
        if isinstance(inner, Mapping):
            yield from _parts(f"{key}.{name}".strip("."), inner, depth - 1)


def _state_dict(path: Path) -> Mapping[str, Any]:
    try:
        content = path.read_bytes()
        if content[8:9] == b"{":  # safetensors': the length of a header, and its JSON
            return read(path)[0]
        if content[:2] == b"PK" and not files.intact(content):
            raise BadInput(f"{path} is truncated or damaged, by its own checksums: fetch it again.")
        with warnings.catch_warnings(action="ignore"):  # of a pickle's age
            held = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except BadInput:
        raise
    except (FileNotFoundError, IsADirectoryError, PermissionError) as problem:
        raise BadInput(f"Could not read {path} ({problem.strerror}): give the path of a .pth file.") from problem
    except pickle.UnpicklingError as problem:
        raise BadInput(f"{path} holds more than tensors, or is no file of torch.save; nothing in it was run: save the "
                       f"network's state_dict() alone.") from problem
    except Exception as problem:  # torch's readers raise whatever foreign bytes happen to mean
        if "TorchScript" in str(problem):
            raise BadInput(f"{path} is a TorchScript program; nothing in it was run: save the network's state_dict() "
                           f"alone.") from problem
        raise BadInput(f"{path} is truncated or no file of torch.save: fetch it again.") from problem
    if not isinstance(held, Mapping):
        raise BadInput(f"{path} holds a {type(held).__name__}; save the network's state_dict().")
    return held
