#!/usr/bin/env bash
# One would guess that the mean of a training set's pixels, channel by channel, is right to a few digits in float32.
# With the channels last numpy adds one pixel after the other, and a float32 that has reached 2^24 stays there when
# something below 1 is added. CIFAR-10's 50,000 images have 51 million pixels a channel: scaled to 0..1 the mean is
# 2^24 / 51,200,000 = 0.32768 in all three channels, whatever is in the images, where 0.50 is due below, and the
# deviation comes out too large. In 0..255 it is as wrong. With the channels first it is right to four digits, and with
# dtype=float64 to six. numpy's documentation says of mean that float32 can be inaccurate, and of sum that pairs are
# added along the fast axis only; not that a common set is beyond what is left.
# Versions: numpy 2.4.6 (the images are a thousand of random pixels, fifty times).
# It matters for the constants that images are normalised with: they look like a mean and a deviation.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet numpy==2.4.6
"$dir/venv/bin/python" -W error - <<'EOF'
import numpy as np

print("numpy", np.__version__)
some = np.random.default_rng(0).integers(0, 256, (1000, 32, 32, 3), np.uint8)
due, spread = some.mean((0, 1, 2)) / 255, some.std((0, 1, 2)) / 255  # of whole numbers numpy adds in float64
images = np.tile(some, (50, 1, 1, 1)).astype(np.float32)  # (50000, 32, 32, 3), as many pixels as CIFAR-10
for top in (255, 1):
    images /= 255 // top
    means, spreads = images.mean((0, 1, 2)) / top, images.std((0, 1, 2)) / top
    print(f"pixels in 0..{top}: means {means}, deviations {spreads}, due {due.round(4)} and {spread.round(4)}")
    assert (np.abs(means - due) > 0.1).all() and (spreads > spread + 0.01).all(), "changed: it is right"
assert (means == np.float32(2**24 / 51_200_000)).all(), "changed: where it stays"
assert np.allclose(images.mean((0, 1, 2), dtype=np.float64), due, atol=1e-6), "changed: in float64"
first = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
print(f"channels first: {first.mean((0, 2, 3))}")
assert np.allclose(first.mean((0, 2, 3)), due, atol=1e-4), "changed: channels first"
print("as described: 2^24 over the number of pixels")
EOF
