#!/usr/bin/env bash
# One would guess that a Keras 3 layer gives the same numbers on every backend.
# An average pool with padding "same", kernel 3 and stride 2 on an even side needs padding on the far edges only. The
# jax backend leaves the padding out of the average. The torch backend pads with copies of the last row and column and
# counts them. On odd sides, and with stride 1 as in Inception's modules, the two agree.
# Versions: keras 3.15.1, torch 2.13.0, jax 0.10.2.
# It matters for weights of networks with such pools that are moved between backends.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet keras==3.15.1 torch==2.13.0 jax==0.10.2 numpy==2.4.6
cat > "$dir/pool.py" <<'EOF'
import sys

import keras
import numpy as np

results = {}
for side, stride in ((6, 2), (7, 2), (6, 1)):
    x = np.arange(side * side, dtype=np.float32).reshape(1, side, side, 1)
    layer = keras.layers.AveragePooling2D(3, strides=stride, padding="same")
    results[f"side {side}, stride {stride}"] = keras.ops.convert_to_numpy(layer(x))[0, :, :, 0]
np.savez(sys.argv[1], **results)
EOF
for backend in torch jax; do
  KERAS_HOME="$dir" KERAS_BACKEND=$backend TF_CPP_MIN_LOG_LEVEL=2 \
    "$dir/venv/bin/python" "$dir/pool.py" "$dir/$backend.npz"
done
"$dir/venv/bin/python" - "$dir" <<'EOF'
import sys
from importlib.metadata import version

import numpy as np

print(*(f"{name} {version(name)}" for name in ("keras", "torch", "jax")))
torch, jax = (np.load(f"{sys.argv[1]}/{name}.npz") for name in ("torch", "jax"))
for case in torch:
    print(f"{case}: last row in torch {torch[case][-1].round(2).tolist()}, in jax {jax[case][-1].round(2).tolist()}")
x = np.arange(36.0).reshape(6, 6)
copied = np.pad(x, ((0, 1), (0, 1)), mode="edge")
starts = range(0, 6, 2)
assert np.allclose(torch["side 6, stride 2"], [[copied[i:i + 3, j:j + 3].mean() for j in starts] for i in starts])
assert np.allclose(jax["side 6, stride 2"], [[x[i:i + 3, j:j + 3].mean() for j in starts] for i in starts])
assert np.allclose(torch["side 7, stride 2"], jax["side 7, stride 2"])
assert np.allclose(torch["side 6, stride 1"], jax["side 6, stride 1"])
print("as described: torch counts copies of the edge, jax leaves the padding out")
EOF
