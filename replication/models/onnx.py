"""A network as an ONNX file, for runtimes other than torch."""
from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from replication.errors import BadInput, check
from replication.models import cost, ops, weights
from replication.models.build import Net


def save(network: Net, path: str | Path, resolution: int | None = None, classes: Sequence[str] = (),
         free: bool = False) -> Path:
    """Write what `network` computes in evaluation to `path`: "images" (N, C, H, W) floats in, "logits" (N, classes)
    out, for any N. Images are as every network here takes them, (value / 255 - 0.5) / 0.25, and weights from elsewhere
    bring their own scale along. `network` stays as it is. Gives the path back.

    resolution: the images' side in px, of sound its frames; the network's own by default.
    classes:    their names; they stand in the file's metadata, with the table and the commit, as in `weights.save`.
    free:       height and width, of sound the frames, may be others as well, from the network's least side on. That
                takes a network that averages its last map whole, as the Inceptions do: runtimes may be slower with it.

    A max-pool whose size is rounded up is written with so much padding at the far edges that rounding down gives the
    same, at every size: the rounding itself is where runtimes part (`rounded_down`).

    The exporter is torch's newer one, on torch.export. The older writes the same mathematics without onnxscript, but is
    deprecated, to be removed, and freezes comparisons of shapes with a warning. Whichever it is, LRN comes out as plain
    operators (a 1×1 convolution of squares, as in `layers.LRN`).
    Raises BadInput for images that are too small, for `free` where a row takes maps of one size alone, for a pool that
    runtimes would round differently, without the packages onnx and onnxscript, and where the file cannot be written.
    """
    check("resolution", resolution, (int, type(None)), 1)
    check("free", free, bool)
    if free and (row := _takes_one_size(network.network)):
        raise BadInput(f"{network.network.name} takes images of one size, since {row} works on a map of one: leave "
                       f"free=True out, and give resolution= the side of yours.")
    said = weights.description(network, classes)
    bare = copy.deepcopy(network).eval().to("cpu", torch.float32)
    images = torch.zeros(2, *cost.input_shape(network.network, resolution))
    with torch.no_grad():
        bare(images)  # refuses images that are too small in a sentence
    sides = {2: "frames"} if isinstance(network.network.resolution, tuple) else {2: "height", 3: "width"}
    return write(bare, images, ("logits",), {weights.KEY: said}, path, free=sides if free else {})


def write(module: nn.Module, images: Tensor, outputs: Sequence[str], said: Mapping[str, str], path: str | Path,
          half: bool = False, free: Mapping[int, str] | None = None) -> Path:
    """Write what a module makes of "images" (N, C, H, W) in evaluation, a tensor or a tuple of them by the names of
    `outputs`, to `path`, for any N; `said` is the file's metadata. Gives the path back.

    half: weights lie in the file as float16, half as large, and are made float32 before anything is computed.
    free: names of the axes, beside the first, that may be of another size than in `images`.
    Raises BadInput for a pool that runtimes would round differently (`rounded_down`), without the packages onnx and
    onnxscript, and where the file cannot be written.
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
    rounded_down(graph)
    if free:  # nothing in the nodes is of a size: the test compares graphs that were traced at two
        del graph.value_info[:]
        for at, name in free.items():
            graph.input[0].type.tensor_type.shape.dim[at].dim_param = name
    for part in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer, graph, model):
        part.ClearField("metadata_props")  # stack traces, with the paths of this machine
    if half:
        _halve(graph)
    for key, value in said.items():
        model.metadata_props.add(key=key, value=value)
    return weights.write(Path(path), model.SerializeToString(deterministic=True))


def _takes_one_size(network: ops.Network) -> str | None:
    """The row that does, if any: all before an average of the whole map slide over it."""
    for row in network.rows:
        match row.op:
            case ops.AvgPool(kernel=None):
                return None
            case ops.Linear() | ops.RBF() | ops.AdaptiveAvgPool():
                return row.name
    return network.rows[-1].name


def rounded_down(graph: Any) -> None:
    """Changes every max-pool that rounds its size up into one that rounds down, with stride - 1 more padding at the far
    edges: ⌈n / stride⌉ is ⌊(n + stride - 1) / stride⌋, and padding is less than every number to a maximum.

    OpenVINO refuses the former where its window is larger than the map, and keeps windows that lie wholly in padding,
    as OpenCV does, where torch and onnxruntime drop them. None does if padding + stride are at most the window.
    Raises BadInput where they are more.
    """
    for node in graph.node:
        given = {one.name: one for one in node.attribute}
        if node.op_type != "MaxPool" or "ceil_mode" not in given or not given["ceil_mode"].i:
            continue
        kernel, strides, pads = (given[name].ints for name in ("kernel_shape", "strides", "pads"))
        for axis, (window, stride) in enumerate(zip(kernel, strides, strict=True)):
            if stride > 1 and pads[axis] + stride > window:
                raise BadInput(f"A max-pool with a window of {window}, stride {stride} and padding {pads[axis]} that "
                               f"rounds up has windows without a pixel at some sizes, which runtimes treat "
                               f"differently: give the pool ceil=False, or less padding.")
            pads[len(kernel) + axis] += stride - 1
        given["ceil_mode"].i = 0


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
