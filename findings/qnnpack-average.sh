#!/usr/bin/env bash
# One would guess that a quantised average pool gives the same numbers, to a step of its 8 bits, whichever of torch's
# engines runs it, and that one that cannot leave the padding out says so.
# With the engine qnnpack, which is the one for ARM and phones, count_include_pad=False is not heeded: the padding's
# zeros are counted, and a 3x3 average of stride 1 loses 5/9 of its value in the corners and 1/3 along the edges.
# divisor_override is not heeded either. The engines x86, fbgemm and onednn do both, and so does qnnpack, where the size
# is rounded up, since another routine is taken then. Nothing is said.
# Versions: torch 2.14.1.
# It matters for Inception networks with TensorFlow's averages (Keras, timm's V4, FID's), which leave padding out in
# every module: judged in 8 bits on one engine, they are deployed as another network on the other.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
"$dir/venv/bin/python" -W ignore - <<'EOF'
import torch
from torch.nn import functional as F

print("torch", torch.__version__)
STEP = 2 / 255
torch.manual_seed(0)
eight_bit = torch.quantize_per_tensor(1 + torch.rand(1, 4, 8, 8), STEP, 0, torch.quint8)
values = eight_bit.dequantize()
pools = {
    "padding counted": {},
    "padding left out": {"count_include_pad": False},
    "divided by 18": {"divisor_override": 18},
    "padding left out, rounded up": {"count_include_pad": False, "ceil_mode": True},
}
engines = [name for name in torch.backends.quantized.supported_engines if name != "none"]
assert {"qnnpack", "x86", "fbgemm"} <= set(engines), "qnnpack or those of x86 are not in this build"
for engine in engines:
    torch.backends.quantized.engine = engine
    for name, options in pools.items():
        by_hand = F.avg_pool2d(values, 3, 1, 1, **options)
        got = F.avg_pool2d(eight_bit, 3, 1, 1, **options).dequantize()
        lost = ((by_hand - got) / by_hand)[0].mean(0)
        print(f"{engine}, {name}: lost in the corner {100 * lost[0, 0]:.0f} %, on the edge {100 * lost[0, 3]:.0f} %,",
              f"inside {100 * lost[3, 3]:.0f} %")
        if engine == "qnnpack" and name == "padding left out":
            assert abs(lost[0, 0] - 5 / 9) < 0.02, "changed: the corner"
            assert abs(lost[0, 3] - 3 / 9) < 0.02, "changed: the edge"
            assert abs(lost[3, 3]) < 0.02, "changed: inside"
        elif engine == "qnnpack" and name == "divided by 18":
            assert abs(lost[3, 3] + 1) < 0.02, "changed: the divisor"  # by 9: twice as much as asked for
        else:
            assert (by_hand - got).abs().max() < 0.6 * STEP, f"changed: {engine}, {name}"
print("as described: qnnpack counts the padding that it was told to leave out")
EOF
