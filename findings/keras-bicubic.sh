#!/usr/bin/env bash
# One would guess that keras.ops.image.resize(..., interpolation="bicubic") is one function whatever the backend.
# The cubic has a free parameter: it is -0.5 in the jax backend and -0.75 in the torch backend. Noise between 0 and 1
# comes out 0.05 to 0.07 apart at most, some 15 grey levels of 255, at every size tried, up and down. With
# antialias=True (which is not the default), with bilinear and with nearest the two agree.
# Versions: keras 3.15.1, torch 2.13.0, jax 0.10.2.
# It matters for a classifier whose pictures are resized in Keras on one backend and served on another.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet keras==3.15.1 torch==2.13.0 jax==0.10.2 numpy==2.4.6
cat > "$dir/resize.py" <<'EOF'
import sys

import keras
import numpy as np

noise = np.random.default_rng(0).random((1, 8, 8, 1), dtype=np.float32)
step = np.zeros((1, 8, 8, 1), np.float32)
step[:, :, 4:] = 1
results = {}
for interpolation in ("nearest", "bilinear", "bicubic"):
    for antialias in (False, True):
        for side in (5, 12, 16):
            y = keras.ops.image.resize(noise, (side, side), interpolation=interpolation, antialias=antialias)
            results[f"{interpolation}, antialias {antialias}, 8 to {side}"] = keras.ops.convert_to_numpy(y)
y = keras.ops.image.resize(step, (8, 16), interpolation="bicubic")
results["step"] = keras.ops.convert_to_numpy(y)[0, 4, :, 0]
np.savez(sys.argv[1], **results)
EOF
for backend in torch jax; do
  KERAS_HOME="$dir" KERAS_BACKEND=$backend TF_CPP_MIN_LOG_LEVEL=2 \
    "$dir/venv/bin/python" "$dir/resize.py" "$dir/$backend.npz"
done
"$dir/venv/bin/python" - "$dir" <<'EOF'
import sys
from importlib.metadata import version

import numpy as np

print(*(f"{name} {version(name)}" for name in ("keras", "torch", "jax")))
torch, jax = (np.load(f"{sys.argv[1]}/{name}.npz") for name in ("torch", "jax"))


def weights(a, t):  # of the four pixels around a point that lies t behind the second
    near = lambda d: (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = lambda d: a * (d**3 - 5 * d**2 + 8 * d - 4)
    return np.array([far(1 + t), near(t), near(1 - t), far(2 - t)])


for name, a, file in (("torch", -0.75, torch), ("jax", -0.5, jax)):
    due = weights(a, 0.25)[2:].sum()  # a quarter behind the last dark pixel of the step
    print(f"step of 0 to 1 in {name}: {file['step'][5:11].round(4).tolist()}, by the cubic of {a}: {due:.4f}")
    assert np.isclose(file["step"][7], due, atol=1e-4), f"changed: the cubic of {name}"
for case in torch:
    if case == "step":
        continue
    apart = np.abs(torch[case] - jax[case]).max()
    print(f"{case}: apart by {apart:.2g}")
    if case.startswith("bicubic, antialias False"):
        assert 0.02 < apart < 0.2, "changed: bicubic"
    else:
        assert apart < 1e-4, f"changed: {case}"
print("as described: two cubics, -0.75 in torch and -0.5 in jax")
EOF
