#!/usr/bin/env bash
# One would guess that guided backpropagation, where a gradient passes a ReLU only if it is positive, shows another map
# than the plain gradient, on torchvision's GoogLeNet and Inception V3 as on its AlexNet.
# captum and pytorch-grad-cam change ReLUs that are modules, and these two networks call torch.nn.functional.relu. So
# captum's GuidedBackprop and Deconvolution give the plain gradient to the last digit, and DeepLift gradient times
# input, whose sum is not the difference of outputs that DeepLift promises. Captum's documentation warns of such ReLUs;
# nothing is said when it happens. The same GoogLeNet with its functions put into modules gives other maps.
# Versions: captum 0.9.0, torchvision 0.28.0, torch 2.13.0.
# It matters for pictures of what an Inception network looks at: they are labelled with a method that was not used.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet captum==0.9.0 torchvision==0.28.0 torch==2.13.0 numpy==2.4.6
"$dir/venv/bin/python" - <<'EOF'
import warnings
from importlib.metadata import version

import torch
from captum.attr import DeepLift, GuidedBackprop
from torch import fx, nn
from torchvision import models

print(*(f"{name} {version(name)}" for name in ("captum", "torchvision", "torch")))
torch.manual_seed(0)


def with_modules(net):
    """The same network in which each call of relu is a module of its own."""
    traced = fx.symbolic_trace(net)
    for number, node in enumerate(traced.graph.nodes):
        if node.op == "call_function" and node.target is nn.functional.relu:
            traced.add_submodule(f"relu_{number}", nn.ReLU())
            with traced.graph.inserting_after(node):
                new = traced.graph.call_module(f"relu_{number}", (node.args[0],))
            node.replace_all_uses_with(new)
            traced.graph.erase_node(node)
    traced.recompile()
    return traced


def plain(net, images):
    images = images.clone().requires_grad_()
    net(images)[:, 0].sum().backward()
    return images.grad


def judged(name, net, side):
    images = torch.randn(1, 3, side, side)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        guided = GuidedBackprop(net).attribute(images.clone().requires_grad_(), target=0)
        lifted = DeepLift(net).attribute(images.clone().requires_grad_(), torch.zeros_like(images), target=0)
    for one in said:
        print("    said:", str(one.message)[:100])
    of = plain(net, images)
    same, times_input = torch.equal(guided, of), torch.allclose(lifted, of * images, rtol=1e-4, atol=1e-9)
    with torch.no_grad():
        due = float((net(images) - net(torch.zeros_like(images)))[0, 0])
    print(f"{name}: guided is the plain gradient: {same}; DeepLift is gradient times input: {times_input}, its sum",
          f"{float(lifted.sum()):.4g}, due {due:.4g}")
    return same, times_input


options = {"weights": None, "init_weights": False, "num_classes": 10}
for name, net, side in (("GoogLeNet", models.googlenet(**options, aux_logits=False).eval(), 96),
                        ("Inception V3", models.inception_v3(**options).eval(), 96)):
    net.aux_logits, net.AuxLogits = False, None
    assert judged(name, net, side) == (True, True), f"changed: {name}"
    changed = with_modules(net)
    assert torch.allclose(changed(torch.ones(1, 3, side, side)), net(torch.ones(1, 3, side, side)), atol=1e-5)
    assert judged(f"{name}, its ReLUs as modules", changed, side)[0] is False, "changed: with modules"
assert judged("AlexNet", models.alexnet(num_classes=10).eval(), 96)[0] is False, "changed: AlexNet"
print("as described: without modules, no method but the gradient")
EOF
