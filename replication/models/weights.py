"""A network's weights in and out of a file: safetensors, which holds tensors and text and nothing that could run."""
from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialised
from torch import Tensor, nn

from replication import files, provenance
from replication.errors import BadInput, unknown
from replication.models import cost, ops
from replication.models.build import Net, build

# Of the file's own text: what `about` gives. One key, since safetensors writes several in another order at each save.
KEY = "replication"
COUNTER = ".num_batches_tracked"  # of batch normalisation, which newer versions of torch count and nothing here reads


def save(network: Net, path: str | Path, classes: Sequence[str] = ()) -> Path:
    """Write the weights of `network` to `path`, with its table, the names of its classes if given, and the commit.

    By rename, so that a kill leaves the file before or the file after. Gives the path back.
    Raises BadInput for another number of names than of classes, and where the file cannot be written.
    """
    tensors = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    return write(Path(path), serialised(tensors, {KEY: description(network, classes)}))


def load(network: Net, path: str | Path, classifier: str = "keep") -> Net:
    """Copy the weights in `path`, which `save` wrote, into `network`; give `network` back.

    classifier: "keep" takes all of them; "new" leaves `network` the last layer it has, in the trunk and in every
    auxiliary head, for classes other than those of the weights. A network just built has just drawn it.

    Weights that expect images at another scale than ours, torchvision's say, bring it along: `network` then has a first
    row that makes it. Auxiliary heads that `network` lacks are left out, as are prefixes of what wraps a network, and
    the counters of batches that batch normalisation does without may be missing. No pickle is read. Raises BadInput
    for a file that is no whole safetensors file, at the first tensor that is missing, too many or of another shape,
    and, under "keep", where the tensors fit and the layers without weights (pools, LRN) or the normalisation's epsilon
    are others; `network` is then unchanged.
    """
    if classifier not in ("keep", "new"):
        raise unknown("classifier", classifier, ("keep", "new"))
    held, said = read(Path(path))
    held = {name.replace("_orig_mod.", "").removeprefix("module."): tensor for name, tensor in held.items()}
    table = ops.expecting(network.network, _scale(said)) if said else network.network
    own = network.state_dict()
    last = {f"{name}.{part}" for name in _classifiers(network) for part in ("weight", "bias")}
    name, theirs = network.network.name, said.get("network", {}).get("name", "another network")
    carried = {}
    for key, mine in own.items():
        if (classifier == "new" and key in last) or (key not in held and key.endswith(COUNTER)):
            carried[key] = mine
            continue
        how = "build the network with aux=()" if key.startswith("aux.") else "build the network they were saved from"
        if key not in held:
            raise BadInput(f"{path} has no '{key}', which {name} has as {tuple(mine.shape)}; its weights are of "
                           f"{theirs}: {how}.")
        if held[key].shape != mine.shape:
            how = "give classifier=\"new\" to start the classifier afresh" if key in last else how
            raise BadInput(f"'{key}' is {tuple(held[key].shape)} in {path}, of {theirs}, and {tuple(mine.shape)} in "
                           f"{name}: {how}.")
        carried[key] = numbers(key, held[key], mine)
    for key in sorted(held.keys() - own.keys()):
        if not key.startswith("aux."):
            raise BadInput(f"{path} has '{key}' as {tuple(held[key].shape)}, which {name} does not have; its weights "
                           f"are of {theirs}: build the network they were saved from.")
    if classifier == "keep" and said.get("computes", _computes(table)) != _computes(table):
        raise BadInput(f"The tensors of {path} fit {name}, but it was saved from a table with other pools, LRN or "
                       f"normalisation, so its logits would not come out: compare weights.about(path)[\"network\"], or "
                       f"give classifier=\"new\" to start from them all the same.")
    network.load_state_dict(carried)
    if said:
        network.expect(_scale(said))
    return network


def _scale(said: dict[str, Any]) -> ops.Normalise | None:
    """What a file says of the images that its weights expect; None: they are as ours."""
    try:
        scale = _value(said["network"]["rows"][0]["op"])
    except (KeyError, IndexError, TypeError, AttributeError):
        return None
    return scale if isinstance(scale, ops.Normalise) else None


def rebuilt(path: str | Path) -> Net:
    """The network in a file that `save` wrote, built from the table beside its tensors, with its weights, in training
    mode. Raises BadInput as `load` does, and for a file of another make."""
    said = about(path)
    try:
        table = _value(said["network"])
        if not isinstance(table, ops.Network):
            raise TypeError("it is another part of a table")
    except (KeyError, TypeError, AttributeError) as problem:
        raise BadInput(f"{path} does not say which network its weights are of, as a file of weights.save does: build "
                       f"the network, then weights.load(network, path).") from problem
    return load(build(table), path)


def _value(plain: Any) -> Any:
    """The inverse of `files.plain` on tables."""
    if isinstance(plain, list):
        return tuple(map(_value, plain))
    if not isinstance(plain, dict):
        return plain
    kind = getattr(ops, plain["is"])
    if not is_dataclass(kind) or {*plain} - {"is", *(field.name for field in fields(kind))}:
        raise TypeError(f"{plain['is']} is no part of a table, or has other fields")
    return kind(**{field.name: _value(plain.get(field.name)) for field in fields(kind)})  # type: ignore[operator]


def about(path: str | Path) -> dict[str, Any]:
    """What `save` wrote beside the tensors: "network" (the table, as `files.plain` has it), "classes" (names, perhaps
    none), "commit" and, of a network of images, "pixels": it takes (value / 255 - mean) / std. Empty for a file of
    another make. Raises BadInput as `load` does."""
    return read(Path(path))[1]


def classifier_only(network: Net) -> Net:
    """Freeze all but the last layer of the trunk and of every auxiliary head; give `network` back.

    What is frozen asks for no gradient, and its batch normalisation keeps the statistics it has, in training mode too.
    For a linear fine-tune: load with classifier="new", then this, then train.
    Raises BadInput for a network whose last layer is not linear.
    """
    last = _classifiers(network)
    if not last:
        raise BadInput(f"{network.network.name} ends in fixed codes and has no classifier to train.")
    network.requires_grad_(False)
    for layer in last.values():
        layer.requires_grad_(True)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.__class__ = _Still
            module.eval()
    return network


class _Still(nn.BatchNorm2d):
    """Evaluates whatever mode the network is put in. The class is changed in place: the tensors keep their names."""

    def train(self, mode: bool = True) -> _Still:
        return super().train(False)


def description(network: Net, classes: Sequence[str] = ()) -> str:
    """What a file says of a network, as JSON."""
    number = list(cost.shapes(network.network))[-1][1][0]
    if classes and len(classes) != number:
        raise BadInput(f"{len(classes)} names were given for the {number} classes of {network.network.name}: "
                       f"give one a class.")
    made = provenance.collect()
    pixels = {"pixels": {"mean": ops.MEAN, "std": ops.STD}} if isinstance(network.network.resolution, int) else {}
    return json.dumps({"network": files.plain(network.network), "computes": _computes(network.network), **pixels,
                       "classes": list(classes), "commit": made["commit"], "dirty": made["dirty"]}, sort_keys=True)


def numbers(name: str, tensor: Tensor, like: Tensor) -> Tensor:
    """The tensor, if it can stand where `like` does. Raises BadInput for whole or complex numbers where floats are
    wanted, as quantised networks have them, for what is not laid out as plain numbers, and for numbers that are not
    finite, or below 0 and a variance: the logits would be none."""
    if like.is_floating_point() and not (tensor.is_floating_point() and tensor.layout == like.layout
                                         and tensor.is_meta == like.is_meta):
        raise BadInput(f"'{name}' is {tensor.dtype} on {tensor.device}, {tensor.layout}, where plain floats are "
                       f"wanted: save the network's state_dict() in float32.")
    if like.is_floating_point() and not tensor.is_meta and not tensor.float().isfinite().all():
        raise BadInput(f"'{name}' holds numbers that are not finite: these weights are of a training that failed, or "
                       f"were damaged; take others.")
    if name.endswith("running_var") and not tensor.is_meta and (tensor < 0).any():
        raise BadInput(f"'{name}' is a variance and holds {tensor.min():g}: are mean and variance interchanged? "
                       f"Carry the weights over anew.")
    return tensor


def write(path: Path, data: bytes) -> Path:
    """The whole file or none of it. Raises BadInput where it cannot be written."""
    try:
        with files.whole(path) as partial:
            partial.write_bytes(data)
    except OSError as problem:
        raise BadInput(f"Could not write {path} ({problem.strerror}): free some space, or give another path.") \
            from problem
    return path


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a safetensors file by name, and what `about` says of it."""
    try:
        with safe_open(path, framework="pt") as file:
            said = json.loads((file.metadata() or {}).get(KEY, "{}"))
            ours = isinstance(said, dict) and isinstance(said.get("network"), dict)
            held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            return held, said if ours else {}
    except OSError as problem:
        raise BadInput(f"Could not read {path} ({problem}): give the path of a safetensors file.") from problem
    except (SafetensorError, json.JSONDecodeError, RecursionError) as problem:
        with path.open("rb") as raw:
            start = raw.read(4)
        if start == b"PK\3\4" or start[:1] == b"\x80":  # torch.save's, of today and of before
            raise BadInput(f"{path} is a pickle, which may run code when it is read; convert it once, with "
                           f"network.load_state_dict(torch.load(path, weights_only=True)) and weights.save(network, "
                           f"other), or torchvision.from_torchvision(path) if it is torchvision's.") from None
        raise BadInput(f"{path} is truncated or no safetensors file ({problem}): fetch or save it again.") from problem


def _classifiers(network: Net) -> dict[str, nn.Linear]:
    """The linear layers that give logits, by name; LeNet-5 has none."""
    last = [getattr(network, network.rows[-1]), *(head[-1] for head in network.aux.values())]  # type: ignore[index]
    return {name: layer for name, layer in network.named_modules()
            if isinstance(layer, nn.Linear) and any(layer is one for one in last)}


def _computes(network: ops.Network) -> str:
    """A digest of what the trunk computes from given weights in evaluation."""
    rows = [files.plain(row) for row in network.rows if not isinstance(row.op, ops.Dropout)]
    return files.digest({"rows": rows, "eps": network.norm and network.norm.eps})
