"""tf-slim's Inception V1, V2 and V3, under the names of their papers' networks."""
from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf
from exchange import Side, sides
from tf_keras.src.legacy_tf_layers import normalization

sys.modules["tf_keras.legacy_tf_layers.normalization"] = normalization  # where TensorFlow looks for it
import tf_slim  # noqa: E402
from tf_slim.nets import inception  # noqa: E402

# size, a larger one, and which strided layers TensorFlow pads at the far edges where ours are padded on every side
NETWORKS = {"GoogLeNet": (inception.inception_v1, inception.inception_v1_arg_scope, 224, 0, ("Conv2D",)),
            "BN-Inception": (inception.inception_v2, inception.inception_v2_arg_scope, 224, 256,
                             ("Conv2D", "DepthwiseConv2dNative", "MaxPool")),
            "Inception V3": (inception.inception_v3, inception.inception_v3_arg_scope, 299, 331, ())}
HEAD = "AuxLogits"


def made(make: Any, scope: Any, size: int) -> Any:
    """A graph for images of a size."""
    with tf.Graph().as_default() as graph, tf_slim.arg_scope(scope()):
        make(tf.placeholder(tf.float32, (None, size, size, 3), "images"), num_classes=1000, is_training=False)
    return graph


def of(graph: Any, *kinds: str) -> list[Any]:
    return [op for op in graph.get_operations() if op.type in kinds and HEAD not in op.name]


def padded(graph: Any, kinds: tuple[str, ...]) -> Any:
    """The same graph with its strided layers of these kinds padded alike on every side."""
    given = graph.as_graph_def()
    for node in given.node:
        if node.op in kinds and HEAD not in node.name and node.attr["strides"].list.i[1] == 2:
            pad = 3 if "7x7" in node.name else 1
            node.attr["padding"].s = b"EXPLICIT"
            node.attr["explicit_paddings"].list.i.extend((0, 0, pad, pad, pad, pad, 0, 0))
    with tf.Graph().as_default() as found:
        tf.import_graph_def(given, name="")
    return found


def draw(side: Side, graph: Any) -> dict[str, Any]:
    """Every variable by its name. They stand in the order of their layers; the side head's are zero."""
    shapes = {one.op.name: one.shape.as_list() for one in graph.get_collection(tf.GraphKeys.GLOBAL_VARIABLES)}
    values: dict[str, Any] = {}

    def put(name: str, value: Any) -> None:
        values[name] = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value

    for name, shape in shapes.items():
        if not name.endswith("weights") or HEAD in name:
            continue
        layer, width = name.rpartition("/")[0], shape[-1:]
        biases = f"{layer}/biases" if f"{layer}/biases" in shapes else None
        if name.endswith("depthwise_weights"):  # height, width, in, and how many of each
            height, across, into, each = shape
            part = side.layer("conv", weight=(into * each, 1, height, across))
            values[name] = part["weight"].reshape(into, each, height, across).transpose(2, 3, 0, 1)
        elif "/Logits/" in name:
            part = side.layer("linear", weight=(shape[3], shape[2]), bias=width)
            put(name, part["weight"][..., None, None])
        else:
            part = side.layer("conv", weight=(shape[3], shape[2], *shape[:2]), bias=width if biases else None)
            put(name, part["weight"])
        if biases and "bias" in part:
            put(biases, part["bias"])
        if f"{layer}/BatchNorm/beta" in shapes:
            part = side.layer("norm", bias=width, mean=width, var=width)
            for ours, theirs in (("bias", "beta"), ("mean", "moving_mean"), ("var", "moving_variance")):
                put(f"{layer}/BatchNorm/{theirs}", part[ours])
    return {name: values.get(name, np.zeros(shape, np.float32)) for name, shape in shapes.items()}


def run(graph: Any, values: dict[str, Any], images: Any, *wanted: Any) -> list[Any]:
    with tf.Session(graph=graph) as session:
        assigns = [graph.get_operation_by_name(f"{name}/Assign") for name in values]
        session.run(assigns, {one.inputs[1]: value for one, value in zip(assigns, values.values(), strict=True)})
        return session.run(wanted, {"images:0": images.transpose(0, 2, 3, 1)})


def logits(graph: Any) -> Any:
    return of(graph, "Squeeze")[-1].outputs[0]


def positions(graph: Any, values: dict[str, Any], size: int) -> str:
    """Of the last map how many positions the logits depend on."""
    last = of(graph, "AvgPool")[-1].inputs[0]
    with graph.as_default():
        slope = tf.gradients(logits(graph), last)[0]
    found, = run(graph, values, np.random.default_rng(1).normal(size=(1, 3, size, size)).astype(np.float32), slope)
    seen = (found[0] != 0).any(2)
    return f"{seen.sum()} of {seen.size} positions at {size} px"


def padding_of_averages() -> str:
    with tf.Graph().as_default() as graph:
        wanted = tf.nn.avg_pool2d(tf.ones((1, 5, 5, 1)), 3, 1, "SAME")
    with tf.Session(graph=graph) as session:
        return {1.0: "left out", 0.444: "counts as zeros"}[round(float(session.run(wanted)[0, 0, 0, 0]), 3)]


for name, (make, scope, size, larger, kinds) in NETWORKS.items():
    graph = made(make, scope, size)
    side = Side(name, "slim", version("tf-slim"), size)
    values = draw(side, graph)
    layers = of(graph, "Conv2D", "DepthwiseConv2dNative", "MaxPool")
    given, *maps = run(graph, values, side.images, logits(graph), *(op.outputs[0] for op in layers))
    side.fact("maps", sides([(len(one), one.shape[3], *one.shape[1:3]) for one in maps]))
    pads = {op.get_attr("padding") for op in of(graph, "MaxPool") if op.get_attr("strides")[1] == 2}
    side.fact("max-pools of stride 2", " or ".join(
        {b"SAME": "round up, padded at the far edges", b"VALID": "round down"}[pad] for pad in sorted(pads)))
    norms = of(graph, "FusedBatchNormV3")
    plain = len(of(graph, "Conv2D")) - len(norms) - 1
    side.fact("normalisation", f"BN, ε {norms[0].get_attr('epsilon'):.3g}, no γ{'; none in the stem' if plain else ''}")
    averages = of(graph, "AvgPool")
    side.fact("padding of averages", padding_of_averages() if averages[:-1] else "no such pool")
    side.fact("last average", "{1}×{2}, whatever the map".format(*averages[-1].get_attr("ksize")) + (
        f"; {positions(made(make, scope, larger), values, larger)}" if larger else ""))
    side.fact("pixels", "not said")
    trained = graph.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES)
    side.fact("parameters", f"{sum(int(np.prod(one.shape.as_list())) for one in trained if HEAD not in one.name):,}")
    mended = padded(graph, kinds)
    side.write(sys.argv[1], given, mended=run(mended, values, side.images, logits(mended))[0])
