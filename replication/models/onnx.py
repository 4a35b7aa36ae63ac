"""A network as an ONNX file, for runtimes other than torch."""
from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from replication.errors import BadInput, check
from replication.models import cost, weights
from replication.models.build import Net


def save(network: Net, path: str | Path, resolution: int | None = None, classes: Sequence[str] = ()) -> Path:
    """Write what `network` computes in evaluation to `path`: "images" (N, C, H, W) floats in, "logits" (N, classes)
    out, for any N. Images are as every network here takes them, (value / 255 - 0.5) / 0.25, and weights from elsewhere
    bring their own scale along. `network` stays as it is. Gives the path back.

    resolution: the images' side in px, of sound its frames; the network's own by default.
    classes:    their names; they stand in the file's metadata, with the table and the commit, as in `weights.save`.

    The exporter is torch's newer one, on torch.export. The older writes the same mathematics without onnxscript, but is
    deprecated, to be removed, and freezes comparisons of shapes with a warning. Whichever it is, LRN comes out as plain
    operators (a 1×1 convolution of squares, as in `layers.LRN`).
    Raises BadInput for images that are too small, without the packages onnx and onnxscript, and where the file cannot
    be written.
    """
    check("resolution", resolution, (int, type(None)), 1)
    said = weights.description(network, classes)
    bare = copy.deepcopy(network).eval().to("cpu", torch.float32)
    images = torch.zeros(2, *cost.input_shape(network.network, resolution))
    with torch.no_grad():
        bare(images)  # refuses images that are too small in a sentence
    return write(bare, images, ("logits",), {weights.KEY: said}, path)


def write(module: nn.Module, images: Tensor, outputs: Sequence[str], said: Mapping[str, str], path: str | Path,
          half: bool = False) -> Path:
    """Write what a module makes of "images" (N, C, H, W) in evaluation, a tensor or a tuple of them by the names of
    `outputs`, to `path`, for any N; `said` is the file's metadata. Gives the path back.

    half: weights lie in the file as float16, half as large, and are made float32 before anything is computed.
    Raises BadInput without the packages onnx and onnxscript, and where the file cannot be written.
    """
    try:
        import onnxscript  # noqa: F401 (torch needs it once the network is traced, and says so less clearly)
    except ImportError as problem:
        raise BadInput("Writing ONNX needs two more packages: python -m pip install onnx onnxscript.") from problem
    program = torch.onnx.export(module, (images,), input_names=["images"], output_names=list(outputs), verbose=False,
                                dynamic_shapes=({0: torch.export.Dim("batch")},))
    assert program is not None
    model = program.model_proto
    graph = model.graph
    for part in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer, graph, model):
        part.ClearField("metadata_props")  # stack traces, with the paths of this machine
    if half:
        _halve(graph)
    for key, value in said.items():
        model.metadata_props.add(key=key, value=value)
    return weights.write(Path(path), model.SerializeToString(deterministic=True))


def _halve(graph: Any) -> None:
    """Weights as float16, each with a cast before all else: runtimes carry these out once, when they load the file."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims):  # a number alone saves nothing
            name, small = tensor.name, numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(small, f"{name}.half"))
            casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
