#!/usr/bin/env bash
# One would guess that a program that counts a network's multiply-adds leaves the network as it found it. thop puts two
# counters into every module and takes back those of the layers that it knows; those of the modules around them, and of
# the whole, stay as buffers, and so in every state_dict that is saved from then on: 142 entries more in torchvision's
# GoogLeNet. A fresh network refuses such weights. Of a Sequential of known layers, the usual example, nothing stays.
# Its number of parameters is that of the layers which ran: half of GoogLeNet's, whose side heads rest in evaluation.
# Versions: thop 0.1.1.post2209072238, torch 2.14.1, torchvision 0.29.2.
# It matters to whoever counts a network and then trains and saves it: count a copy.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.14.1 torchvision==0.29.2 numpy==2.4.6 thop==0.1.1.post2209072238
"$dir/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import thop
import torch
import torchvision

print(*(f"{name} {version(name)}" for name in ("thop", "torch", "torchvision")))


def googlenet():
    return torchvision.models.googlenet(weights=None, init_weights=False, aux_logits=True).eval()


network = googlenet()
before = dict(network.state_dict())
parameters = sum(p.numel() for p in network.parameters())
_, counted = thop.profile(network, inputs=(torch.zeros(1, 3, 64, 64),), verbose=False)
more = sorted(set(network.state_dict()) - set(before))
print(f"entries: {len(before)} before, {len(more)} more after, such as {more[0]} and {more[-1]}")
print(f"parameters: {parameters:,}, counted {int(counted):,}")
assert len(more) == 142, "changed: what stays"
assert all(name.endswith(("total_ops", "total_params")) for name in more)
assert (parameters, int(counted)) == (13_004_888, 6_624_904), "changed: the parameters"
try:
    googlenet().load_state_dict(network.state_dict())
except RuntimeError as problem:
    print("a fresh network:", str(problem).splitlines()[1].strip()[:60])
else:
    raise SystemExit("changed: a fresh network takes the weights")
flat = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
thop.profile(flat, inputs=(torch.zeros(1, 3, 8, 8),), verbose=False)
assert list(flat.state_dict()) == ["0.weight", "0.bias"], "changed: a flat network"
print("as described: counters stay in what is saved")
EOF
