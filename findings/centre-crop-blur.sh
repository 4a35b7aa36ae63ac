#!/usr/bin/env bash
# One would guess that a centre crop copies pixels.
# kornia.geometry.center_crop computes the exact centre. Where the side and the crop differ by an odd number that lies
# between two pixels, and it interpolates: 255 to 224 starts at 15.5, and one-pixel stripes become even grey. Where the
# difference is even it copies, to rounding. The module CenterCrop of the same library, kornia.augmentation, starts at
# 15 and copies, and so does albumentations. Versions: kornia 0.9.0, albumentations 2.0.8, torch 2.13.0.
# It matters for evaluation on pictures whose shorter side was scaled to 256: the longer one is odd half of the time.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet kornia==0.9.0 torch==2.13.0 albumentations==2.0.8 numpy==2.4.6
NO_ALBUMENTATIONS_UPDATE=1 "$dir/venv/bin/python" - <<'EOF'
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
import albumentations  # noqa: E402
import kornia  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

print(*(f"{name} {version(name)}" for name in ("kornia", "albumentations", "torch")))
SIDE = 224
for side, start in ((256, 16), (255, 15.5), (257, 16.5)):
    ramp = torch.arange(side, dtype=torch.float32).expand(1, 1, side, side)  # a pixel is its own column
    stripes = ramp % 2
    function = kornia.geometry.center_crop
    module = kornia.augmentation.CenterCrop((SIDE, SIDE))
    other = albumentations.CenterCrop(SIDE, SIDE)(image=np.ascontiguousarray(ramp[0, 0].numpy())[..., None])["image"]
    grey = function(stripes, (SIDE, SIDE))
    found = {
        "function": float(function(ramp, (SIDE, SIDE))[0, 0, 0, 0]),
        "module": float(module(ramp)[0, 0, 0, 0]),
        "albumentations": float(other[0, 0, 0]),
    }
    print(f"{side} to {SIDE}: starts at", {name: round(value, 3) for name, value in found.items()},
          f"stripes of 0 and 1 become {grey.min():.3f} to {grey.max():.3f},",
          f"by the module {module(stripes).min():.3f} to {module(stripes).max():.3f}")
    assert abs(found["function"] - start) < 1e-3, "changed: the function"
    assert found["module"] == found["albumentations"] == int(start), "changed: the module or albumentations"
    assert module(stripes).unique().tolist() == [0, 1], "changed: the module interpolates"
    if start % 1:
        assert (grey - 0.5).abs().max() < 1e-2, "changed: the stripes are no longer grey"
    else:
        assert torch.allclose(grey, module(stripes), atol=1e-3), "changed: an even difference"
print("as described: where the difference is odd, the function gives the mean of neighbours")
EOF
