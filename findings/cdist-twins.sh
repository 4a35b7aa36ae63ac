#!/usr/bin/env bash
# One would guess that an image has distance 0 to its exact copy, whatever other images are compared in the same call.
# torch.cdist subtracts, up to 25 rows on each side; from 26 rows on it multiplies matrices, and what is left of the
# rounding is under a root. Images of 64x64 with values from 0 to 255, which floats hold exactly, are then up to 11 grey
# levels away from their copies, and a good part of 64 exact pairs is not at 0. An image of which one value was changed
# by 1 can be as near as the copy. compute_mode="donot_use_mm_for_euclid_dist" is exact; the documentation has the 25,
# not what it costs.
# Versions: torch 2.14.1.
# It matters for whoever looks for training images among validation images with a threshold at or near 0: with a few
# images it works, and with a whole set it misses twins.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
"$dir/venv/bin/python" -W ignore - <<'EOF'
import torch

print("torch", torch.__version__)
torch.manual_seed(0)
for number in (10, 25, 26, 64, 500):
    images = torch.randint(256, (number, 3 * 64 * 64)).float()
    copies = images.clone()
    changed = images.clone()
    changed[:, 0] += torch.where(changed[:, 0] > 0, -1, 1)  # one grey level in one value: at distance 1
    exact = "donot_use_mm_for_euclid_dist"
    assert torch.cdist(images, copies, compute_mode=exact).diag().eq(0).all(), "changed: subtracted"
    assert torch.cdist(images, changed, compute_mode=exact).diag().eq(1).all(), "changed: subtracted"
    away, near = torch.cdist(images, copies).diag(), torch.cdist(images, changed).diag()
    print(f"{number} images: {int((away > 0).sum())} copies are not at 0, the farthest at {away.max():.1f};",
          f"{int((near <= away).sum())} changed images are no farther than the copy")
    if number <= 25:
        assert away.eq(0).all() and near.eq(1).all(), "changed: few images"
    else:
        assert 0.1 < (away > 0).float().mean() < 0.9, "changed: many images"
        assert 2 < away.max() < 50, "changed: how far"
        assert (near <= away).any(), "changed: the order"
print("as described: beside 25 other images a copy is no longer at distance 0")
EOF
