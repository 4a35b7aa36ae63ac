#!/usr/bin/env bash
# One would guess that an expected calibration error with n bins sorts its samples into n bins.
# torchmetrics puts a confidence of exactly 1 into a bin of its own behind the last, so there are n + 1, even at n = 1.
# In float32 a softmax is exactly 1 as soon as its logit leads by some 17. Below, 100 certain answers of which 92 are
# right and 100 at 0.96 which are all right: within one bin the two cancel and leave 0.02, which the plain formula and
# netcal give for 1, 10 and 15 bins; torchmetrics gives 0.06. Moved down to the float below 1 it gives 0.02 too.
# Versions: torchmetrics 1.9.0, netcal 1.4.0, torch 2.13.0.
# It matters for overconfident classifiers, such as networks trained without label smoothing on an easy set.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torchmetrics==1.9.0 torch==2.13.0 netcal==1.4.0 numpy==2.4.6
"$dir/venv/bin/python" - <<'EOF'
import warnings
from importlib.metadata import version

import torch
from torchmetrics.functional.classification import multiclass_calibration_error

warnings.simplefilter("ignore")
from netcal.metrics import ECE  # noqa: E402

print(*(f"{name} {version(name)}" for name in ("torchmetrics", "netcal", "torch")))
lead = torch.tensor([20.0] * 100 + [3.178] * 100)
probability = torch.stack([lead, torch.zeros(200)], dim=1).softmax(dim=1)
label = torch.tensor([0] * 92 + [1] * 8 + [0] * 100)
print(f"confidences {probability[0, 0].item()} and {probability[-1, 0].item():.3f}")
assert probability[0, 0] == 1


def formula(bins):
    confidence, answer = probability.max(dim=1)
    right = (answer == label).float()
    where = (confidence * bins).long().clamp(max=bins - 1)
    gaps = [(right[where == b] - confidence[where == b]).sum().abs() for b in where.unique()]
    return float(sum(gaps) / len(label))


below = probability.clamp(max=float(torch.nextafter(torch.tensor(1.0), torch.tensor(0.0))))
for bins in (1, 10, 15):
    found = float(multiclass_calibration_error(probability, label, num_classes=2, n_bins=bins))
    moved = float(multiclass_calibration_error(below, label, num_classes=2, n_bins=bins))
    peer = float(ECE(bins).measure(probability.numpy(), label.numpy()))
    print(f"{bins:2} bin(s): formula {formula(bins):.4f}, netcal {peer:.4f}, torchmetrics {found:.4f},",
          f"torchmetrics just below 1 {moved:.4f}")
    assert abs(formula(bins) - 0.02) < 1e-3 and abs(peer - 0.02) < 1e-3, "changed: the peers"
    assert abs(found - 0.06) < 1e-3 and abs(moved - 0.02) < 1e-3, "changed: torchmetrics"
print("as described: a confidence of 1 has a bin of its own")
EOF
