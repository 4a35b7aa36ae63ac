#!/usr/bin/env bash
# One would guess that torch.jit.optimize_for_inference makes a network faster and leaves its numbers as they are, to
# rounding, and that an average pool means the same in torch's two dense layouts.
# It moves convolutions and what lies between them to oneDNN's layout. There an average whose size is rounded up
# divides by the whole window, also where it reaches over the edge: with 3x3 and stride 2 on an even side a third is
# missing in the last row and column, and 5/9 in the corner. torch.utils.mkldnn.to_mkldnn does the same.
# With count_include_pad=False both are right, though nothing is padded here that could be counted.
# Versions: torch 2.14.1, on a processor for which it is built with oneDNN (x86).
# It matters for Caffe-style networks such as NIN and GoogLeNet's side heads, whose averages round up: the network that
# is timed or served is not the one that was judged.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
"$dir/venv/bin/python" -W ignore - <<'EOF'
import torch
from torch import nn
from torch.utils import mkldnn

print("torch", torch.__version__)
assert torch.backends.mkldnn.is_available(), "this build has no oneDNN"


def identity():
    """A 1x1 convolution that gives each channel as it came."""
    layer = nn.Conv2d(4, 4, 1, bias=False)
    layer.weight.data = torch.eye(4)[:, :, None, None]
    return layer


torch.manual_seed(0)
with torch.no_grad():
    for side in (15, 16):
        for options in ({}, {"count_include_pad": False}):
            net = nn.Sequential(identity(), nn.AvgPool2d(3, 2, ceil_mode=True, **options), identity()).eval()
            images = 1 + torch.rand(1, 4, side, side)
            ends = [slice(i, i + 3) for i in range(0, side - 1, 2)]
            by_hand = torch.stack([torch.stack([images[:, :, i, j].mean((2, 3)) for j in ends], -1) for i in ends], -2)
            assert torch.allclose(net(images), by_hand, atol=1e-5), "changed: as it is"
            made = {"optimised": torch.jit.optimize_for_inference(torch.jit.trace(net, images))(images),
                    "to_mkldnn": mkldnn.to_mkldnn(net)(images.to_mkldnn()).to_dense()}
            for name, got in made.items():
                lost = ((by_hand - got) / by_hand)[0].mean(0)
                print(f"side {side}, {options or 'as it comes'}, {name}: lost in the first window {100 * lost[0, 0]:.0f}",
                      f"%, on the last edge {100 * lost[0, -1]:.0f} %, in the last corner {100 * lost[-1, -1]:.0f} %")
                if side == 16 and not options:
                    assert abs(lost[0, -1] - 3 / 9) < 1e-3, "changed: the edge"
                    assert abs(lost[-1, -1] - 5 / 9) < 1e-3, "changed: the corner"
                    assert lost[:-1, :-1].abs().max() < 1e-5, "changed: inside"
                else:
                    assert lost.abs().max() < 1e-5, "changed: another case"
print("as described: once optimised, the average divides by nine where fewer pixels are")
EOF
