#!/usr/bin/env bash
# One would guess that a max-pool whose size is rounded up gives the same map in every ONNX runtime, at least from
# opset 22 on, whose text leaves out a window that would start in the padding beyond the far edge.
# onnxruntime leaves it out at every opset. OpenCV and OpenVINO keep it: their map is one row and one column larger,
# and as there is no pixel in those windows, their maximum is the lowest number a float can hold, -3.4e38, which the
# next layer then multiplies. Shown on 8x8 ones with kernel 3, stride 3, padding 1; kernel 2, stride 2, padding 1 on an
# odd side does it too. Kernel 3, stride 2, the pool of GoogLeNet, has no such window.
# Versions: OpenCV 5.0.0.93, OpenVINO 2026.4.1, onnxruntime 1.31.1, onnx 1.23.2.
# It matters for networks with other pools that are exported from torch, which leaves the window out.
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
onnxruntime.set_default_logger_severity(3)  # it warns that the inferred size was larger (opset 17)
LOWEST = np.finfo(np.float32).min


def maps(side, kernel, stride, padding, opset):
    x = np.ones((1, 1, side, side), np.float32)
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[kernel] * 2, strides=[stride] * 2,
                            pads=[padding] * 4, ceil_mode=1)
    graph = helper.make_graph(
        [node], "max", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, None, None])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    path = f"{sys.argv[1]}/max.onnx"
    onnx.save(model, path)
    net = cv2.dnn.readNetFromONNX(path)
    net.setInput(x)
    return {
        "onnxruntime": onnxruntime.InferenceSession(path).run(None, {"x": x})[0][0, 0],
        "OpenCV": net.forward()[0, 0],
        "OpenVINO": openvino.Core().compile_model(path, "CPU")(x)[0][0, 0],
    }


for opset in (17, 22):
    for side, kernel, stride, padding, size in ((8, 3, 3, 1, 3), (7, 2, 2, 1, 4), (8, 3, 2, 0, 4)):
        print(f"opset {opset}, side {side}, kernel {kernel}, stride {stride}, padding {padding}")
        for runtime, y in maps(side, kernel, stride, padding, opset).items():
            print(f"    {runtime:11} {y.shape[0]}x{y.shape[1]}, last row {y[-1].tolist()}")
            extra = runtime != "onnxruntime" and padding > 0
            assert y.shape == (size + extra, size + extra), f"changed: the map of {runtime}"
            assert (y[:size, :size] == 1).all(), f"changed: the values of {runtime}"
            assert not extra or ((y[size] == LOWEST).all() and (y[:, size] == LOWEST).all()), "changed: the extra row"
print("as described: OpenCV and OpenVINO add a row and a column of the lowest float")
EOF
