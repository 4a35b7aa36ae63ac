#!/usr/bin/env bash
# One would guess that a network which knows nothing has a top-5 accuracy of five in the number of classes, and that
# one which has diverged has none.
# torcheval counts the classes whose score is greater than the right one's, and fewer than five are a hit. Where all
# scores are equal, as those of a last layer that starts at zero, none is greater: 100 % for every k above 1. The same
# where all scores are NaN, since nothing is greater than that: 100 %, without a word. For k = 1 it takes another way,
# and finds one class in ten. torchmetrics and torch.topk find k in ten.
# Versions: torcheval 0.0.7, torchmetrics 1.9.0, torch 2.13.0.
# It matters wherever the best epoch or the best learning rate is chosen by top-5: the one that diverged wins.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torcheval==0.0.7 torchmetrics==1.9.0 torch==2.13.0 numpy==2.4.6
"$dir/venv/bin/python" -W ignore - <<'EOF'
from importlib.metadata import version

import torch
from torcheval.metrics import MulticlassAccuracy
from torcheval.metrics.functional import multiclass_accuracy as by_torcheval
from torchmetrics.functional.classification import multiclass_accuracy as by_torchmetrics

print(*(f"{name} {version(name)}" for name in ("torcheval", "torchmetrics", "torch")))
labels = torch.arange(1000) % 10  # ten classes, a hundred images each
torch.manual_seed(0)


def by_topk(scores, k):
    return float((scores.topk(k).indices == labels[:, None]).any(1).float().mean())


def found(scores, k):
    metric = MulticlassAccuracy(k=k)
    metric.update(scores, labels)
    one = float(by_torcheval(scores, labels, k=k))
    assert float(metric.compute()) == one
    return one


for name, scores in (("drawn", torch.randn(1000, 10)), ("all equal", torch.zeros(1000, 10)),
                     ("all NaN", torch.full((1000, 10), torch.nan))):
    for k in (1, 5):
        theirs, usual = found(scores, k), by_topk(scores, k)
        print(f"{name}, top-{k}: torcheval {theirs:.0%}, torch.topk {usual:.0%}", end="")
        if name != "all NaN":  # torchmetrics: a tie goes to the first
            print(f", torchmetrics {by_torchmetrics(scores, labels, 10, average='micro', top_k=k):.0%}", end="")
        print()
        if name == "drawn" or k == 1:
            assert abs(theirs - usual) < 1e-6 and abs(usual - k / 10) < 0.05, "changed: a plain case"
        else:
            assert theirs == 1, "changed: torcheval"
            assert abs(usual - k / 10) < 1e-6, "changed: torch.topk"
print("as described: right in all images where nothing is greater than the right class")
EOF
