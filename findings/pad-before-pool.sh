#!/usr/bin/env bash
# One would guess that what a runtime does to make a graph faster leaves its numbers, and that a maximum over an edge
# of zeros is never below zero.
# onnxruntime, as it comes, takes a Pad before a MaxPool into the pool's own padding, which counts for nothing in a
# maximum: where all of a window's pixels are negative, it gives one of them instead of the zero. onnxoptimizer's
# fuse_pad_into_pool writes the same into the file. With the optimisations off, and in OpenVINO, the zeros stay.
# Where the size is rounded up it changes the shape too, for averages as well: a window that begins in the padding is
# dropped, one that begins in a Pad's zeros is not. 7 pixels and a zero on each side are 5 windows of 2, or 4; of this
# there is a warning, which the script turns off.
# Versions: onnxruntime 1.31.1, onnx 1.23.2, onnxoptimizer 0.4.2, openvino 2026.4.1.
# It matters for networks carried over from TensorFlow, Keras or Caffe, which pad by a layer of its own, wherever no
# ReLU comes before the pool. After a ReLU the maxima are equal.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.31.1 onnxoptimizer==0.4.2 openvino==2026.4.1 \
    numpy==2.4.6
"$dir/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
import onnx
import onnxoptimizer
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper

print(*(f"{name} {version(name)}" for name in ("onnxruntime", "onnx", "onnxoptimizer", "openvino")))
onnxruntime.set_default_logger_severity(3)  # errors alone


def network(op, window, ceil):
    nodes = [helper.make_node("Pad", ["x", "pads"], ["a"]),  # a zero on each side
             helper.make_node(op, ["a"], ["y"], kernel_shape=[window] * 2, strides=[2, 2], ceil_mode=ceil)]
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 7, 7])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, "height", "width"])],
        [numpy_helper.from_array(np.array([0, 0, 1, 1, 0, 0, 1, 1]), "pads")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def by_onnxruntime(model, x, level="ORT_ENABLE_ALL"):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})[0]


def by_openvino(model, x):
    core = openvino.Core()
    read = core.read_model(model.SerializeToString())
    return core.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(x)[0]


def by_hand(op, window, x):
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    begins = range(0, 9, 2) if window == 2 else range(0, 7, 2)
    kind = np.max if op == "MaxPool" else np.mean
    return np.stack([np.stack([kind(padded[:, :, i:i + window, j:j + window], axis=(2, 3)) for j in begins], -1)
                     for i in begins], -2)


def apart(a, b):
    return f"{np.abs(a - b).max():.2f}" if a.shape == b.shape else f"{a.shape[-1]} a side, not {b.shape[-1]}"


drawn = 1 + np.random.default_rng(0).random((1, 2, 7, 7), dtype=np.float32)
for op, window, ceil, sign, holds in (("MaxPool", 3, 0, 1, True), ("MaxPool", 3, 0, -1, False),
                                      ("AveragePool", 3, 0, -1, True), ("AveragePool", 2, 1, 1, False)):
    model, x = network(op, window, ceil), sign * drawn
    due = by_hand(op, window, x)
    fused = onnxoptimizer.optimize(model, ["fuse_pad_into_pool"])
    outputs = {"onnxruntime": by_onnxruntime(model, x), "its optimisations off":
               by_onnxruntime(model, x, "ORT_DISABLE_ALL"), "onnxoptimizer":
               by_onnxruntime(fused, x, "ORT_DISABLE_ALL"), "openvino": by_openvino(model, x)}
    print(f"zeros around, {op} {window}x{window} stride 2{' rounding up' * ceil},",
          f"pixels {'1 to 2' if sign > 0 else '-2 to -1'}; off by:",
          ", ".join(f"{name} {apart(output, due)}" for name, output in outputs.items()))
    for name, output in outputs.items():
        right = output.shape == due.shape and np.allclose(output, due, atol=1e-5)
        assert right == (holds or name in ("its optimisations off", "openvino")), f"changed: {name}, {op}"
print("as described: the zeros of the edge are gone from the maximum")
EOF
