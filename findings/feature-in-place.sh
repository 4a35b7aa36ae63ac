#!/usr/bin/env bash
# One would guess that a map read out of a network does not depend on what else is read out beside it.
# torchvision's create_feature_extractor gives conv1.bn of GoogLeNet, half of it negative, when it is asked for that
# alone. Asked for it and for anything after it, as for a layer and the logits, the same name is the map after the
# ReLU, with no negative value: the ReLU overwrites its input, and is left away where nothing needs it. A forward hook
# that keeps the output has it overwritten too; only one that copies has the map. No warning. Likewise the
# normalisations of Inception V3, and no map of the two networks that a ReLU has already been through.
# Versions: torchvision 0.29.2, torch 2.14.1.
# It matters wherever pre-activations are read: statistics of a normalisation, dead units, correlations, clustering.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.14.1 torchvision==0.29.2 numpy==2.4.6
"$dir/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import torch
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

print(*(f"{name} {version(name)}" for name in ("torchvision", "torch")))


def negative(map_):
    return float((map_ < 0).float().mean())


def hooked(network, name, x, keep):
    seen = []
    handle = network.get_submodule(name).register_forward_hook(lambda _, __, output: seen.append(keep(output)))
    network(x)
    handle.remove()
    return seen[0]


with torch.no_grad():
    for build, name, size in ((models.googlenet, "conv1.bn", 64),
                                   (models.inception_v3, "Mixed_5b.branch1x1.bn", 96)):
        torch.manual_seed(0)
        network = build(weights=None, init_weights=False, aux_logits=False).eval()
        x = torch.randn(2, 3, size, size)
        alone = create_feature_extractor(network, [name])(x)[name]
        beside = create_feature_extractor(network, [name, "fc"])(x)
        assert torch.equal(beside["fc"], network(x))
        kept, copied = (hooked(network, name, x, keep) for keep in (lambda y: y, torch.clone))
        print(f"{build.__name__}, {name}, negative values: alone {negative(alone):.1%},",
              f"beside the logits {negative(beside[name]):.1%}, by a hook {negative(kept):.1%},",
              f"by one that copies {negative(copied):.1%}")
        assert torch.equal(alone, copied) and 0.2 < negative(alone) < 0.8, "changed: the map alone"
        assert torch.equal(beside[name], alone.relu()), "changed: the map beside the logits"
        assert torch.equal(kept, beside[name]), "changed: what a hook keeps"
        after = name.rpartition(".")[0]  # the module whose output has been through the ReLU
        module = create_feature_extractor(network, [after])(x)[after]
        assert torch.equal(module, create_feature_extractor(network, [after, "fc"])(x)[after]), "changed: after it"
print("as described: the same name is another map when more is asked for")
EOF
