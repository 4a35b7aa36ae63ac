#!/usr/bin/env bash
# One would guess that guided backpropagation, where a gradient passes a ReLU only if it is positive, shows another map
# than the plain gradient, on torchvision's GoogLeNet and Inception V3 as on its AlexNet.
# captum changes ReLUs that are modules, and these two networks call torch.nn.functional.relu. So its GuidedBackprop and
# its Deconvolution give the plain gradient, to the last digit. Captum's documentation warns of such ReLUs; when it
# happens nothing is said but that hooks are set. The same two networks with a module for each call give other maps.
# Versions: captum 0.9.0, torchvision 0.29.2, torch 2.14.1.
# It matters for pictures of what an Inception network looks at: they are labelled with a method that was not used.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet captum==0.9.0 torchvision==0.29.2 torch==2.14.1 numpy==2.4.6
"$dir/venv/bin/python" -W ignore - <<'EOF'
from importlib.metadata import version

import torch
from captum.attr import Deconvolution, GuidedBackprop
from torch import fx, nn
from torchvision import models

print(*(f"{name} {version(name)}" for name in ("captum", "torchvision", "torch")))
torch.manual_seed(0)


def with_modules(net):
    """The same network in which each call of relu is a module of its own."""
    traced = fx.symbolic_trace(net)
    for number, node in enumerate(list(traced.graph.nodes)):
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


def judged(name, net):
    images = torch.randn(1, 3, 96, 96)
    of, found = plain(net, images), []
    for method in (GuidedBackprop, Deconvolution):
        made = method(net).attribute(images.clone().requires_grad_(), target=0)
        found.append(torch.equal(made, of))
        print(f"{name}: {method.__name__} is {'' if found[-1] else 'not '}the plain gradient")
    return found


options = {"weights": None, "init_weights": False, "num_classes": 10}
for name, net in (("GoogLeNet", models.googlenet(**options, aux_logits=False)),
                  ("Inception V3", models.inception_v3(**options))):
    net.eval()
    net.aux_logits, net.AuxLogits = False, None
    assert judged(name, net) == [True, True], f"changed: {name}"
    changed, ones = with_modules(net), torch.ones(1, 3, 96, 96)
    assert torch.equal(changed(ones), net(ones))
    assert judged(f"{name} with modules", changed) == [False, False], "changed: with modules"
assert judged("AlexNet", models.alexnet(num_classes=10).eval()) == [False, False], "changed: AlexNet"
print("as described: where ReLUs are no modules, both methods are the gradient")
EOF
