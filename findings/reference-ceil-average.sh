#!/usr/bin/env bash
# One would guess that the reference evaluator in the onnx wheel puts an average's windows where the stride says.
# With ceil_mode=1, no padding and a last window that sticks out by two, it splits the overhang over both sides, as if
# the first window began outside too. On a side of 7, kernel 3, stride 3, the windows should be pixels 0-2, 3-5 and 6;
# they are 0-1, 2-4 and 5: even the first average is of other pixels, and the last row and column are in none. The
# same node with ceil_mode=0 is right, and onnxruntime is right in both. Versions: onnx 1.23.2, onnxruntime 1.31.1.
# It matters for whoever checks exported Caffe-style networks, whose pools round up, against the evaluator.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
"$dir/venv/bin/python" - <<'EOF'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

print("onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__)
x = np.arange(49, dtype=np.float32).reshape(1, 1, 7, 7)


def by_hand(ceil):
    starts = (0, 3, 6) if ceil else (0, 3)
    return np.array([[x[0, 0, i : i + 3, j : j + 3].mean() for j in starts] for i in starts])


for opset in (17, 22):
    for ceil in (0, 1):
        node = helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], strides=[3, 3], ceil_mode=ceil)
        graph = helper.make_graph(
            [node], "average",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, None, None])],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        onnx.checker.check_model(model)
        runtime = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0][0, 0]
        reference = ReferenceEvaluator(model).run(None, {"x": x})[0][0, 0]
        print(f"opset {opset}, ceil_mode {ceil}: by hand {by_hand(ceil).tolist()}")
        print(f"    onnxruntime {runtime.tolist()}\n    evaluator   {reference.tolist()}")
        assert np.allclose(runtime, by_hand(ceil)), "onnxruntime has changed"
        if ceil:
            seen = [slice(0, 2), slice(2, 5), slice(5, 6)]
            moved = [[x[0, 0, i, j].mean() for j in seen] for i in seen]
            assert np.allclose(reference, moved), "changed: other windows"
        else:
            assert np.allclose(reference, by_hand(ceil)), "changed: also another answer without ceil_mode"
print("as described: with ceil_mode=1 the windows are pixels 0-1, 2-4 and 5 instead of 0-2, 3-5 and 6")
EOF
