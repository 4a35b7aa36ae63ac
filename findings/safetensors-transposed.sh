#!/usr/bin/env bash
# One would guess that an array of numpy's comes back out of a safetensors file as it went in, or is refused, as a
# tensor of torch's is that does not lie in memory as its shape says.
# safetensors.numpy writes what lies in memory under the shape of the array. Kernels of Keras or TensorFlow, transposed
# for torch by .transpose(3, 2, 0, 1), come back with that shape and with the numbers in the places they had before;
# likewise a Fortran-ordered array and every second column. No error, no warning; 0.7.0 writes the same arrays right.
# The docstring says that tensors need to be contiguous and dense, and nothing looks whether they are; a Fortran-ordered
# array is contiguous, as numpy uses the word. np.ascontiguousarray helps. Versions: safetensors 0.8.0, 0.7.0.
# It matters for weights that are moved from one framework to another: every name and shape is right, and the network
# loads and answers at chance.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
cat > "$dir/saved.py" <<'EOF'
import sys

import numpy as np
import safetensors
from safetensors.numpy import load, load_file, save, save_file

folder, whether = sys.argv[1], sys.argv[2] == "right"
kernel = np.random.default_rng(0).normal(size=(3, 3, 16, 32)).astype(np.float32)  # height, width, in, out
print("safetensors", safetensors.__version__)
for name, array in (("as made", kernel), ("transposed for torch", kernel.transpose(3, 2, 0, 1)),
                    ("a layer's matrix, transposed", kernel[0, 0].T), ("in Fortran's order", np.asfortranarray(kernel)),
                    ("every second column", kernel[0, 0, :, ::2])):
    save_file({"weight": array}, f"{folder}/weights.safetensors")
    back = load_file(f"{folder}/weights.safetensors")["weight"]
    assert np.array_equal(back, load(save({"weight": array}))["weight"])
    assert back.shape == array.shape and back.dtype == array.dtype
    share = (back == array).mean()
    print(f"  {name}, {array.shape}: {share:.0%} of the numbers in their places")
    assert (share == 1) == (whether or name == "as made"), "changed: " + name
    packed = np.ascontiguousarray(array)
    assert np.array_equal(load(save({"weight": packed}))["weight"], array), "changed: ascontiguousarray"
EOF
for said in "0.8.0 wrong" "0.7.0 right"; do
  read -r version whether <<< "$said"
  "$dir/venv/bin/pip" install --quiet "safetensors==$version" numpy==2.4.6
  "$dir/venv/bin/python" -W error "$dir/saved.py" "$dir" "$whether"
done
echo "as described: the shape of the transposed array, with the numbers where they lay before"
