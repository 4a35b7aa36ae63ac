#!/usr/bin/env bash
# One would guess that the reference evaluator in the onnx wheel is the yardstick for other runtimes.
# Its local response normalisation loops over the batch where it means the channels: it normalises as many channels
# as there are images and gives the others back as they came. The formula of the specification, written out below,
# and onnxruntime agree. Versions: onnx 1.23.2, onnxruntime 1.31.1.
# It matters for GoogLeNet and AlexNet, which normalise twice: one image through the evaluator has one channel right.
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
SIZE, ALPHA, BETA, K, CHANNELS = 5, 1.0, 0.75, 1.0, 8
random = np.random.default_rng(0)


def formula(x):
    y = np.empty_like(x)
    for c in range(CHANNELS):
        near = x[:, max(0, c - SIZE // 2) : c + SIZE // 2 + 1]
        y[:, c] = x[:, c] / (K + ALPHA / SIZE * (near**2).sum(axis=1)) ** BETA
    return y


for images in (1, 2, 4, 8):
    x = random.normal(size=(images, CHANNELS, 4, 4)).astype(np.float32)
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape) for name in ("x", "y")]
    node = helper.make_node("LRN", ["x"], ["y"], size=SIZE, alpha=ALPHA, beta=BETA, bias=K)
    graph = helper.make_graph([node], "lrn", info[:1], info[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    reference = ReferenceEvaluator(model).run(None, {"x": x})[0]
    runtime = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
    right = [c for c in range(CHANNELS) if np.allclose(reference[:, c], formula(x)[:, c], atol=1e-5)]
    same = [c for c in range(CHANNELS) if np.array_equal(reference[:, c], x[:, c])]
    print(f"{images} image(s): channels right {right}, unchanged {same};",
          f"onnxruntime is off the formula by {np.abs(runtime - formula(x)).max():.1g}")
    assert np.allclose(runtime, formula(x), atol=1e-5), "onnxruntime has changed"
    assert right == list(range(images)), "changed: other channels are right"
    assert same == list(range(images, CHANNELS)), "changed: other channels come back as they were"
print("as described: only as many channels are normalised as there are images")
EOF
