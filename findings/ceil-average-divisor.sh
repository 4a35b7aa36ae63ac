#!/usr/bin/env bash
# One would guess that the average of ones is one where nothing is padded, whatever the rounding of the size.
# With ceil_mode=1 and count_include_pad=1 (which is what torch writes for its default average pool) the last window
# sticks out beyond the map. onnxruntime divides by the pixels that are there, as the specification and torch do.
# OpenCV divides by the whole window: 6/9 on the far edges, 4/9 in the corner. OpenVINO is right without padding, but
# with a padding of 1 it divides by the whole window as well: 1/9 in the corner where 1/4 is due.
# Versions: OpenCV 5.0.0.93, OpenVINO 2026.4.1, onnxruntime 1.31.1, onnx 1.23.2.
# It matters for Caffe-style networks such as Network in Network on CIFAR, whose average pools round up.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet \
  onnx==1.23.2 onnxruntime==1.31.1 opencv-python-headless==5.0.0.93 openvino==2026.4.1 numpy==2.4.6
"$dir/venv/bin/python" - "$dir" <<'EOF'
import sys

import cv2
import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper

print("onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__, "OpenCV", cv2.__version__,
      "OpenVINO", openvino.__version__)
x = np.ones((1, 1, 8, 8), np.float32)
corner = {  # the last average: 4 pixels of a window of 9, or 1 pixel and 3 padded ones
    0: {"onnxruntime": 1, "OpenCV": 4 / 9, "OpenVINO": 1},
    1: {"onnxruntime": 1 / 4, "OpenCV": 1 / 9, "OpenVINO": 1 / 9},
}
for padding, due in corner.items():
    node = helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[padding] * 4,
                            ceil_mode=1, count_include_pad=1)
    graph = helper.make_graph(
        [node], "average", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 4 + padding, 4 + padding])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    path = f"{sys.argv[1]}/average.onnx"
    onnx.save(model, path)
    net = cv2.dnn.readNetFromONNX(path)
    net.setInput(x)
    maps = {
        "onnxruntime": onnxruntime.InferenceSession(path).run(None, {"x": x})[0],
        "OpenCV": net.forward(),
        "OpenVINO": openvino.Core().compile_model(path, "CPU")(x)[0],
    }
    for runtime, y in maps.items():
        print(f"padding {padding}, {runtime:11} last row {y[0, 0, -1].round(4).tolist()}")
        assert y.shape[2:] == (4 + padding, 4 + padding), f"changed: the size in {runtime}"
        assert np.isclose(y[0, 0, -1, -1], due[runtime]), f"changed: the corner in {runtime}"
        assert np.isclose(y[0, 0, 1, 1], 1), f"changed: the middle in {runtime}"
print("as described: OpenCV divides by the whole window, OpenVINO where there is padding")
EOF
