"""The graphs in the onnx wheel, run by onnxruntime; all their weights are constants there, and drawn here."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from exchange import Side, sides
from onnx import helper, numpy_helper

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
GRAPHS = {"GoogLeNet": ("light_inception_v1", 58.0), "BN-Inception": ("light_inception_v2", 1.0),
          "AlexNet": ("light_bvlc_alexnet", 58.0)}  # the deviation of pixels, 0 to 255, once their mean is off


def attribute(node: Any, name: str, default: Any = None) -> Any:
    return next((helper.get_attribute_value(one) for one in node.attribute if one.name == name), default)


def put(graph: Any, name: str, value: Any) -> None:
    """In place of whatever gave it: a node that makes constants, or an initializer."""
    for kind, of in ((graph.node, lambda one: list(one.output)), (graph.initializer, lambda one: [one.name])):
        for one in [one for one in kind if name in of(one)]:
            kind.remove(one)
    graph.initializer.append(numpy_helper.from_array(value, name))


def shape(graph: Any, name: str) -> list[int]:
    for one in graph.initializer:
        if one.name == name:
            return list(one.dims)
    maker = next(node for node in graph.node if name in node.output)
    return [int(n) for n in numpy_helper.to_array(next(i for i in graph.initializer if i.name == maker.input[0]))]


def draw(side: Side, graph: Any) -> None:
    makers = {name: node for node in graph.node for name in node.output}
    takers = {name: node for node in graph.node for name in node.input}
    for node in list(graph.node):
        if node.op_type == "Conv":
            weight, bias = node.input[1], (*node.input, None)[2]
            found = side.layer("conv", weight=shape(graph, weight), bias=bias and shape(graph, bias))
            put(graph, weight, found["weight"])
            if bias:
                put(graph, bias, found["bias"])
        if node.op_type == "BatchNormalization":  # and Caffe's scale behind it, at one
            names = dict(zip(("weight", "bias", "mean", "var"), node.input[1:], strict=True))
            for part, value in side.layer("norm", **{part: shape(graph, name) for part, name in names.items()}).items():
                put(graph, names[part], value)
            scale = takers[node.output[0]]
            for at, constant in ((scale, 1.0), (takers[scale.output[0]], 0.0)):
                name = makers[at.input[1]].input[0]
                put(graph, name, np.full(shape(graph, name), constant, np.float32))
        if node.op_type == "Gemm":
            weight, bias = node.input[1:]
            reshaped = weight in makers and makers[weight].op_type == "Reshape"
            name = makers[weight].input[0] if reshaped else weight
            whole = shape(graph, name)
            found = side.layer("linear", weight=[n for n in whole if n > 1], bias=shape(graph, bias))
            put(graph, name, found["weight"].reshape(whole))
            put(graph, bias, found["bias"])


def run(graph_of: Any, images: Any) -> tuple[Any, list[tuple[int, ...]]]:
    """Logits, and the shapes of all maps."""
    model = onnx.ModelProto()
    model.CopyFrom(graph_of)
    maps = [node.output[0] for node in model.graph.node if node.op_type in ("Conv", "MaxPool", "AveragePool")]
    last = [node.output[0] for node in model.graph.node if node.op_type == "Gemm"][-1]
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in (last, *maps))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    name = next(one.name for one in model.graph.input if one.name == "data_0")
    rows = [session.run([last, *maps], {name: image[None]}) for image in images]  # some graphs take one image
    return np.concatenate([row[0] for row in rows]), [map_.shape for map_ in rows[0][1:]]


def mended(graph: Any, pads: list[int]) -> None:
    """Every strided pool with these pads, of which [0, 0, 1, 1] is Caffe's rounding, and the last average without."""
    for node in graph.node:
        if node.op_type == "MaxPool" and attribute(node, "strides") == [2, 2]:
            next(one for one in node.attribute if one.name == "pads").ints[:] = pads
        if node.op_type == "AveragePool" and attribute(node, "kernel_shape") == [7, 7]:
            next(one for one in node.attribute if one.name == "pads").ints[:] = [0, 0, 0, 0]


def facts(side: Side, graph: Any) -> None:
    pools = [node for node in graph.node if node.op_type == "MaxPool" and attribute(node, "strides") == [2, 2]]
    pads = {tuple(attribute(node, "pads")) for node in pools}
    texts = {(0, 0, 0, 0): "round down", (0, 0, 1, 1): "round up"}
    side.fact("max-pools of stride 2", "; ".join(
        f"{texts[tuple(attribute(node, 'pads'))]}" for node in (pools if len(pads) > 1 else pools[:1])))
    norms = {f"BN, ε {attribute(n, 'epsilon'):.3g}" for n in graph.node if n.op_type == "BatchNormalization"} | {
        f"LRN, k {attribute(n, 'bias'):g}, α {attribute(n, 'alpha'):.3g}" for n in graph.node if n.op_type == "LRN"}
    side.fact("normalisation", "; ".join(sorted(norms)))
    averages = [node for node in graph.node if node.op_type == "AveragePool"]
    side.fact("last average", " ".join(f"7×7, padding {attribute(node, 'pads')}" for node in averages[-1:]) or "none")
    inner = {attribute(node, "count_include_pad", 0) for node in averages[:-1]}
    side.fact("padding of averages", " or ".join("counts as zeros" if one else "left out" for one in inner) or
              "no such pool")
    side.fact("pixels", "the file does not say")


for name, (file, scale) in GRAPHS.items():
    model = onnx.load(LIGHT / f"{file}.onnx")
    side = Side(name, "onnx", onnx.__version__, 224, scale)
    facts(side, model.graph)
    draw(side, model.graph)
    logits, shapes = run(model, side.images)
    side.fact("maps", sides(shapes))
    mended(model.graph, [1, 1, 1, 1] if name == "BN-Inception" else [0, 0, 1, 1])
    side.write(sys.argv[1], logits, mended=run(model, side.images)[0])
