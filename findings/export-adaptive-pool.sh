#!/usr/bin/env bash
# One would guess that a network exported to ONNX with free height and width is right at every size, or that the
# export refuses it.
# An adaptive average pool keeps the windows of the example's size. Exported to 4x4 with an example of side 12, it
# gives 5x5 at side 15 and 8x8 at side 24. With an example of side 14 the output has the right size at 15 and 27 and
# other numbers in it, 0.1 to 0.3 off for pixels of unit spread. The file says that height and width are free, and
# nothing is said at the export. The torch program that goes into the export is right at all of these sizes, and
# pooling to 1x1 is right in ONNX as well.
# Versions: torch 2.13.0, onnx 1.23.2, onnxscript 0.7.2, onnxruntime 1.31.1.
# It matters for torchvision's GoogLeNet (its side heads pool to 4x4), AlexNet (6x6) and VGG (7x7).
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.13.0 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.31.1 numpy==2.4.6
"$dir/venv/bin/python" - "$dir" <<'EOF'
import logging
import sys
import warnings

import onnxruntime
import torch
from torch.export import Dim

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)  # that torchvision is not installed
print("torch", torch.__version__, "onnxruntime", onnxruntime.__version__)
torch.manual_seed(0)


def compare(output, example, sides):
    pool = torch.nn.AdaptiveAvgPool2d(output).eval()
    path = f"{sys.argv[1]}/pool.onnx"
    free = {"input": {2: Dim("height", min=4, max=400), 3: Dim("width", min=4, max=400)}}
    program = torch.export.export(pool, (torch.randn(1, 2, example, example),), dynamic_shapes=free)
    torch.onnx.export(program, f=path, dynamo=True, external_data=False, verbose=False)
    session = onnxruntime.InferenceSession(path)
    print(f"pool to {output}x{output}, example of side {example}: the file's input is {session.get_inputs()[0].shape}")
    off = {}
    for side in sides:
        x = torch.randn(1, 2, side, side)
        right = pool(x)
        assert torch.allclose(program.module()(x), right, atol=1e-5), "changed: the torch program"
        got = torch.from_numpy(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0])
        off[side] = float((got - right).abs().max()) if got.shape == right.shape else tuple(got.shape[2:])
        print(f"    side {side:3}: torch {tuple(right.shape[2:])}, onnxruntime {tuple(got.shape[2:])},",
              f"off by {off[side]:.2g}" if got.shape == right.shape else "another size")
    return off


divided = compare(4, 12, (12, 15, 24))
odd = compare(4, 14, (14, 13, 15, 27))
one = compare(1, 14, (14, 15, 27))
assert divided[12] < 1e-5 and divided[15] == (5, 5) and divided[24] == (8, 8), "changed: the sizes"
assert odd[14] < 1e-5 and odd[13] < 1e-5, "changed: at the example's size"
assert odd[15] > 0.05 and odd[27] > 0.05, "changed: right at other sizes"
assert max(one.values()) < 1e-5, "changed: the global average"
print("as described: the windows are those of the example")
EOF
