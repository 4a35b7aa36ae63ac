#!/usr/bin/env bash
# One would guess that the same tensors with the same metadata make the same safetensors file, byte for byte: the
# format has no time stamp, and the tensors in its header are sorted.
# The metadata are not: their order is drawn anew at each save, even within one process. With eight keys, 20 saves
# gave 20 different files in the run that this was written after (fewer with fewer keys). With one key, or none, they
# are all the same. Version: safetensors 0.8.0.
# It matters for published weights that are known by a checksum, and for caches that compare files.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.4.6
"$dir/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
from safetensors.numpy import load, save

print("safetensors", version("safetensors"))
weights = {"conv1.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "conv1.bias": np.zeros(2, np.float32)}
files = {}
for keys in (0, 1, 2, 8):
    files[keys] = {save(weights, metadata={f"key{k}": "value" for k in range(keys)} or None) for _ in range(20)}
    print(f"{keys} keys: {len(files[keys])} different files in 20 saves, of {set(map(len, files[keys]))} bytes")
    for file in files[keys]:
        assert all(np.array_equal(load(file)[name], tensor) for name, tensor in weights.items())
for file in sorted(files[2]):
    print("   ", file[8:80])
assert len(files[0]) == len(files[1]) == 1, "changed: also without an order to choose"
assert len(files[8]) > 1, "changed: the order is kept"
assert len({bytes(sorted(file)) for file in files[8]}) == 1, "changed: they differ in more than their order"
print("as described: the metadata come in another order each time")
EOF
