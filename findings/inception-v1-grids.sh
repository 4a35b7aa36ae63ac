#!/usr/bin/env bash
# One would guess that the Inception V1 graph shipped in the onnx wheel has the grids of the paper and of the Caffe
# network that it came from: 56, 28, 14 and 7 at 224 pixels.
# Its strided max-pools neither pad nor round up, so the grids are 55, 27, 13 and 6, and the last average, 7x7, is
# padded on two sides to fit a 6x6 map. AlexNet beside it has 26 and 12 where its paper has 27 and 13. Inception V2
# beside them has kept the rounding. All weights there are one constant, so the output shipped with the graphs is
# 1/1000 for every class and cannot show it. Versions: onnx 1.23.2, onnxruntime 1.31.1.
# It matters to whoever loads GoogLeNet weights into this graph, or takes its shapes for the published ones.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
"$dir/venv/bin/python" - <<'EOF'
import pathlib

import numpy as np
import onnx
import onnxruntime

print("onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__)
folder = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
expected = {"light_inception_v1": [55, 27, 13, 6], "light_bvlc_alexnet": [26, 12, 6],
            "light_inception_v2": [56, 28, 14, 7]}
for name, grids in expected.items():
    model = onnx.load(folder / f"{name}.onnx")
    pools = [n for n in model.graph.node if n.op_type == "MaxPool"
             and onnx.helper.get_node_attr_value(n, "strides") == [2, 2]]
    last = [n for n in model.graph.node if n.op_type == "AveragePool"][-1:]
    pads = [onnx.helper.get_node_attr_value(n, "pads") for n in pools + last]
    for node in pools:  # run it, and read off the size of what each pool gives
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(node.output[0]))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    image = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    scores, *maps = session.run(None, {session.get_inputs()[0].name: image})
    got = [m.shape[-1] for m in maps]
    print(f"{name}: grids {got}, pads {pads}, scores from {scores.min():.6f} to {scores.max():.6f}")
    assert got == grids, f"changed: {got} instead of {grids}"
    assert np.allclose(scores, 0.001, atol=1e-6), "changed: the scores are not all alike"
    if name == "light_inception_v1":
        assert pads == [[0, 0, 0, 0]] * 4 + [[0, 0, 1, 1]], "changed: other pads"
print("as described: Inception V1 is at 55, 27, 13, 6, Inception V2 beside it at 56, 28, 14, 7")
EOF
