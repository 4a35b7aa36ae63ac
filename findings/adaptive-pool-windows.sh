#!/usr/bin/env bash
# One would guess that an adaptive average pool to a given size is one function, whose windows share pixels where the
# sizes do not divide: torch's reach from the floor of i*n/m to the ceiling of (i+1)*n/m.
# Equinox, for jax, cuts the side into pieces that share nothing, the longer ones first: 13 pixels to 6 are one of 3 and
# five of 2, where torch has six of 3 that overlap. Where one size divides the other, as in pooling to
# one, they agree. The documentation speaks of downsampling to a target shape. The shapes are equal, nothing is said.
# Versions: equinox 0.13.8, jax 0.10.2, torch 2.14.1.
# It matters for torchvision's AlexNet (13 to 6 where the grids are the paper's), GoogLeNet's side heads (14 to 4) and
# VGG off its size, moved to jax with their weights.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet equinox==0.13.8 jax==0.10.2 torch==2.14.1 numpy==2.4.6
"$dir/venv/bin/python" -W error::UserWarning - <<'EOF'
from importlib.metadata import version

import equinox
import jax.numpy as jnp
import numpy as np
import torch

print(*(f"{name} {version(name)}" for name in ("equinox", "jax", "torch")))


def windows(pool, side):  # each pixel alone lit, in a channel of its own: where it is seen it is in the window
    seen = np.asarray(pool(np.eye(side, dtype=np.float32))) > 0
    return [np.flatnonzero(window).tolist() for window in seen.T]


for side, to in ((12, 4), (13, 1), (13, 6), (14, 4), (8, 6)):
    theirs = windows(lambda x: equinox.nn.AdaptiveAvgPool1d(to)(jnp.asarray(x)), side)
    usual = windows(lambda x: torch.nn.AdaptiveAvgPool1d(to)(torch.from_numpy(x)).numpy(), side)
    print(f"{side} to {to}: of equinox {[f'{at[0]}-{at[-1]}' for at in theirs]}, of torch",
          [f"{at[0]}-{at[-1]}" for at in usual])
    assert usual == [list(range(i * side // to, -(-(i + 1) * side // to))) for i in range(to)], "changed: torch"
    assert theirs == [part.tolist() for part in np.array_split(np.arange(side), to)], "changed: equinox"
    assert (theirs == usual) == (side % to == 0)
    image = np.random.default_rng(0).normal(size=(1, side, side)).astype(np.float32)
    apart = np.abs(np.asarray(equinox.nn.AdaptiveAvgPool2d(to)(jnp.asarray(image)))
                   - torch.nn.AdaptiveAvgPool2d(to)(torch.from_numpy(image)).numpy()).max()
    assert (apart < 1e-5) == (side % to == 0) and (apart < 1e-5 or apart > 0.3), "changed: in two dimensions"
print("as described: pieces that share nothing, and the same where one size divides the other")
EOF
