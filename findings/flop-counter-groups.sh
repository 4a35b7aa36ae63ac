#!/usr/bin/env bash
# One would guess that torch's FlopCounterMode counts three times the forward work for a training step of a
# convolution: once forward, once for the gradient of the input and once for that of the weights.
# With groups it counts the weights' gradient as if there were none: 4 times for the 2 groups of AlexNet, 66 times for
# a depthwise layer of 64 channels. The same layer written as separate convolutions, one a group, is counted at 3, and
# its forward count and its gradients are the same. Version: torch 2.13.0.
# It matters for the training cost of AlexNet, and of Inception's successors with separable convolutions.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
"$dir/venv/bin/python" - <<'EOF'
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

print("torch", torch.__version__)
torch.manual_seed(0)


def grouped(x, weight, groups):
    return functional.conv2d(x, weight, padding=1, groups=groups)


def separate(x, weight, groups):
    parts = zip(x.chunk(groups, 1), weight.chunk(groups), strict=True)
    return torch.cat([functional.conv2d(a, w, padding=1) for a, w in parts], 1)


def counted(layer, groups):
    torch.manual_seed(groups)
    x = torch.randn(1, 64, 14, 14, requires_grad=True)
    weight = torch.randn(64, 64 // groups, 3, 3, requires_grad=True)
    with FlopCounterMode(display=False) as forward:
        layer(x, weight, groups)
    with FlopCounterMode(display=False) as step:
        layer(x, weight, groups).square().mean().backward()
    return forward.get_total_flops(), step.get_total_flops(), x.grad, weight.grad


for groups in (1, 2, 4, 64):
    forward, step, *gradients = counted(grouped, groups)
    forward_apart, step_apart, *gradients_apart = counted(separate, groups)
    print(f"{groups:2} groups: forward {forward:,}; the step is {step / forward:g} times that,",
          f"as separate convolutions {step_apart / forward_apart:g}")
    assert forward == forward_apart == 2 * 64 * 64 // groups * 9 * 14 * 14, "changed: the forward count"
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(gradients, gradients_apart, strict=True))
    assert step_apart == 3 * forward, "changed: separate convolutions"
    assert step == (2 + groups) * forward, "changed: the step with groups"
print("as described: 2 plus the number of groups, where 3 is due")
EOF
