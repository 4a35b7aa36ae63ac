#!/usr/bin/env bash
# One would guess that a network that OpenVINO has compiled for images of any size, and that refuses one as too small,
# goes on as before with the next.
# It then refuses a size that it answered before, with the same words and the refused image's size in them, in a new
# inference request too; other sizes are answered. Compiled anew, it answers again. Shown with one max-pool, 3x3 with
# stride 2, rounding up: 14x14 is answered, 2x2 refused, 14x14 refused, 18x18 answered.
# Versions: openvino 2026.4.1, onnx 1.23.2.
# It matters to a server: one image too small, from anyone, and the usual size is refused until the next start.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet openvino==2026.4.1 onnx==1.23.2 numpy==2.4.6
"$dir/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
import onnx
import openvino
from onnx import TensorProto, helper

print(*(f"{name} {version(name)}" for name in ("openvino", "onnx")))
node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [*"nc", name + "h", name + "w"]) for name in "xy"]
made = helper.make_model(helper.make_graph([node], "pool", ends[:1], ends[1:]),
                         opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
onnx.checker.check_model(made)
core = openvino.Core()
read = core.read_model(made.SerializeToString())


def answered(network, side, new=False):
    x = np.random.default_rng(side).normal(size=(1, 1, side, side)).astype(np.float32)
    try:
        y = (network.create_infer_request().infer([x]) if new else network([x]))[0]
    except RuntimeError as problem:
        assert "larger than the data shape" in str(problem), problem
        return f"refused ({str(problem).rpartition('(')[2].partition(')')[0]})"
    starts = range(0, side - 1, 2)
    due = np.array([[x[0, 0, i : i + 3, j : j + 3].max() for j in starts] for i in starts])
    assert np.array_equal(y[0, 0], due), f"changed: other numbers at {side}"
    return "answered"


network = core.compile_model(read, "CPU")
said = [(14, answered(network, 14)), (2, answered(network, 2)), (14, answered(network, 14)),
        ("14, new request", answered(network, 14, new=True)), (18, answered(network, 18))]
anew = answered(core.compile_model(read, "CPU"), 14)
for side, what in said:
    print(f"    {side}: {what}")
print(f"    14, compiled anew: {anew}")
expected = ["answered", *["refused (dim: 2)"] * 3, "answered"]
assert [what for _, what in said] == expected, "changed"
assert anew == "answered", "changed: also when compiled anew"
print("as described: what was answered before the refusal is refused after it")
EOF
