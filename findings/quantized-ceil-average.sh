#!/usr/bin/env bash
# One would guess that quantising a network costs about a step of its 8 bits wherever it is done, and that a runtime
# which is right about a pool in float is right about it in 8 bits.
# onnxruntime averages over the pixels that are there when the size is rounded up; its quantised average pool divides
# by the whole window instead. Pixels between 1 and 2 lose 1.0 in the corner of a 3x3 pool with stride 2 on an even
# side, in both formats that the quantiser writes, and 0.005 where the window fits, which is about half a step. It needs
# count_include_pad=1, which is what torch writes for its default average pool even where nothing is padded.
# Versions: onnxruntime 1.31.1, onnx 1.23.2.
# It matters for Caffe-style networks whose average pools round up: the float file and the 8-bit file disagree.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
"$dir/venv/bin/python" - "$dir" <<'EOF'
import logging
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

logging.disable(logging.WARNING)
print("onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__)
full, small = f"{sys.argv[1]}/float.onnx", f"{sys.argv[1]}/eight-bit.onnx"


class Once(CalibrationDataReader):
    def __init__(self, x):
        self.left = [{"x": x}]

    def get_next(self):
        return self.left.pop() if self.left else None


def run(path, x):
    return onnxruntime.InferenceSession(path).run(None, {"x": x})[0]


for side in (7, 8):
    for counted in (0, 1):
        nodes = [  # an identity before and behind, as 1x1 convolutions
            helper.make_node("Conv", ["x", "w"], ["a"]),
            helper.make_node("AveragePool", ["a"], ["b"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1,
                             count_include_pad=counted),
            helper.make_node("Conv", ["b", "w"], ["y"]),
        ]
        identity = np.eye(4, dtype=np.float32).reshape(4, 4, 1, 1)
        graph = helper.make_graph(
            nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, side, side])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, side // 2, side // 2])],
            [numpy_helper.from_array(identity, "w")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, full)
        x = 1 + np.random.default_rng(0).random((1, 4, side, side), dtype=np.float32)
        before = run(full, x)
        ends = [slice(i, i + 3) for i in range(0, side - 1, 2)]
        by_hand = np.stack([np.stack([x[:, :, i, j].mean((2, 3)) for j in ends], -1) for i in ends], -2)
        assert np.allclose(before, by_hand, atol=1e-5), "changed: the float file"
        for layout, kind in ((QuantFormat.QDQ, QuantType.QInt8), (QuantFormat.QOperator, QuantType.QUInt8)):
            quantize_static(full, small, Once(x), quant_format=layout, activation_type=kind)
            off = np.abs(run(small, x) - before)[0].max(axis=0)
            print(f"side {side}, count_include_pad {counted}, {layout}: off by {off[0, 0]:.3f} in the first window,",
                  f"{off[-1, -1]:.3f} in the last")
            assert off[:-1, :-1].max() < 0.02, "changed: windows that fit"
            if side == 8 and counted:
                due = before[0, :, -1, -1].max() * 5 / 9  # four pixels over nine instead of over four
                assert abs(off[-1, -1] - due) < 0.02, "changed: the corner"
            else:
                assert off.max() < 0.02, "changed: another case"
print("as described: the 8-bit average divides by nine where four pixels are")
EOF
