#!/usr/bin/env bash
# A 3x3 max-pool of stride 2 that rounds its size up makes one pixel of a 2x2 map: so say ONNX's formula, its reference
# evaluator and onnxruntime, and GoogLeNet does it to its last maps when the images are small. OpenVINO reads the same
# node on larger maps, and refuses it where the kernel is larger than the map: as it reads the file, if the file says
# how large the map is; else only once such an image comes, after it has compiled the network and answered larger ones.
# Versions: openvino 2026.4.1, onnx 1.23.2, onnxruntime 1.31.1.
# It matters to whoever exports GoogLeNet or another network with such pools for small images.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet openvino==2026.4.1 onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
"$dir/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

print(*(f"{name} {version(name)}" for name in ("openvino", "onnx", "onnxruntime")))


def model(sides):
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (("x", ["n", "c", *sides]), ("y", list("nchw")))]
    made = helper.make_model(helper.make_graph([node], "pool", ends[:1], ends[1:]),
                             opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(onnx.shape_inference.infer_shapes(made, strict_mode=True))
    return made


def by_openvino(made, x):
    stage = "read"
    try:
        network = openvino.Core().read_model(made.SerializeToString())
        stage = "answer"
        return openvino.Core().compile_model(network, "CPU")([x])[0].ravel().tolist()
    except RuntimeError as problem:
        assert "larger than the data shape" in str(problem), problem
        return f"does not {stage}: kernel larger than the map"


for side, expected in ((3, [8]), (2, [3])):
    x = np.arange(side * side, dtype=np.float32).reshape(1, 1, side, side)
    fixed, free = model((side, side)), model(("h", "w"))
    for made in (fixed, free):
        session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
        assert ReferenceEvaluator(made).run(None, {"x": x})[0].ravel().tolist() == expected
        assert session.run(None, {"x": x})[0].ravel().tolist() == expected
    said = [by_openvino(made, x) for made in (fixed, free)]
    print(f"{side}x{side}: reference and onnxruntime {expected}; OpenVINO, size in the file: {said[0]}; free: {said[1]}")
    refused = [f"does not {stage}: kernel larger than the map" for stage in ("read", "answer")]
    assert said == ([expected, expected] if side == 3 else refused), "changed"
print("as described: a pool larger than its map is refused")
EOF
