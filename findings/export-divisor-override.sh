#!/usr/bin/env bash
# One would guess that torch.onnx.export writes an average pool with divisor_override as it computes, or refuses it:
# ONNX's AveragePool has no such attribute.
# It writes a plain average without a word: with divisor_override=1, a sum, the file gives a quarter of what torch gives
# for a 2x2 window. The program that torch.export makes of it on the way is right. Beside a file saved by its name lies
# another, .onnx.data, of 0 bytes, where the network has no weights to put there.
# Versions: torch 2.14.1, onnx 1.23.2, onnxruntime 1.31.1, onnxscript 0.7.2.
# It matters for networks that sum by a pool, as LeNet-5's subsampling may be written, and for whoever copies the one file.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.14.1 onnx==1.23.2 onnxruntime==1.31.1 onnxscript==0.7.2 numpy==2.4.6
"$dir/venv/bin/python" - "$dir" <<'EOF'
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import onnx
import onnxruntime
import torch

print(*(f"{name} {version(name)}" for name in ("torch", "onnx", "onnxruntime", "onnxscript")))
x = torch.ones(1, 1, 4, 4)
network = torch.nn.AvgPool2d(2, divisor_override=1).eval()
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    program = torch.onnx.export(network, (x,), verbose=False)
about = [str(one.message) for one in said if "divisor" in str(one.message)]
path = Path(sys.argv[1]) / "pool.onnx"
program.save(path)
torch.onnx.export(network, (x,), path.with_name("named.onnx"), verbose=False)
node, = (n for n in onnx.load(path).graph.node if n.op_type == "AveragePool")
due, traced = network(x), torch.export.export(network, (x,)).module()(x)
got = onnxruntime.InferenceSession(path).run(None, {onnx.load(path).graph.input[0].name: x.numpy()})[0]
beside = {file.name: file.stat().st_size for file in Path(sys.argv[1]).glob("*.data")}
print(f"torch {due[0, 0].tolist()}, torch.export {traced[0, 0].tolist()}, file {got[0, 0].tolist()}")
print("said about it:", about or "nothing", "; attributes", sorted(a.name for a in node.attribute), "; beside", beside)
assert torch.equal(due, torch.full((1, 1, 2, 2), 4.0)), "changed: torch"
assert torch.equal(due, traced), "changed: torch.export"
assert (got == 1).all(), "changed: the file"
assert not about, "changed: there is a word about it"
assert beside.get("named.onnx.data") == 0, "changed: no empty file beside"
print("as described: the divisor is dropped, and an empty file lies beside")
EOF
