#!/usr/bin/env bash
# One would guess that torch's cross-entropy with weights for the classes and label smoothing weighs each image by its
# class and smooths all labels alike, as in the Inception V3 paper that its documentation names.
# The smoothing's part of the loss carries the weights of all the classes, not that of the image's. So an image of a
# light class is told mostly of the heavy ones: of CIFAR-10 made long-tailed by a hundred, the usual benchmark, weighted
# by one over the count and smoothed by 0.1, the least loss for an image of the most frequent class, 40 % of all images,
# gives that class 27 % and the rarest 30 %: the best fit to the training set, with every label known, is 60 % right.
# With ten classes that begins at weights 91 times apart; below it the smoothing is uneven, up to a loss whose
# least value says nearly nothing of the label. The documentation gives the loss with weights and the smoothing, each by
# itself. Weighing each image's smoothed loss by the weight of its label keeps all of them right. Version: torch 2.14.1.
# It matters for sets whose classes are of unequal size, trained by the paper's recipe.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
"$dir/venv/bin/python" -W ignore::UserWarning - <<'EOF'
import torch
from torch.nn.functional import cross_entropy

print("torch", torch.__version__.split("+")[0])
labels = torch.arange(10)
counts = 5000 * 100 ** (-labels.double() / 9)  # 5,000 images of class 0, 50 of class 9
weights = counts.mean() / counts


def as_given(logits):
    return cross_entropy(logits, labels, weight=weights, label_smoothing=0.1, reduction="none")


def image_by_image(logits):
    return weights * cross_entropy(logits, labels, label_smoothing=0.1, reduction="none")


def least(loss):  # a row of logits for each class's images, free to take any value
    logits = torch.zeros(10, 10, dtype=torch.double, requires_grad=True)
    search = torch.optim.LBFGS([logits], max_iter=2000, tolerance_grad=1e-10, tolerance_change=0,
                               line_search_fn="strong_wolfe")

    def step():
        search.zero_grad()
        total = loss(logits).sum()
        total.backward()
        return total

    search.step(step)
    assert logits.grad.abs().max() < 1e-5, "not at the least loss"
    return logits.softmax(1).detach()


for name, loss in (("as given", as_given), ("weighed image by image", image_by_image)):
    found = least(loss)
    right = found.argmax(1) == labels
    share = float(counts[right].sum() / counts.sum())
    print(f"{name}: at the least loss the label gets", " ".join(f"{p:.0%}" for p in found.diag().tolist()),
          f"and class 0's images are called {int(found[0].argmax())}, at {found[0].max():.0%};",
          f"{share:.0%} of the training images are right")
    if loss is as_given:
        due = 0.1 / 10 * weights.expand(10, 10) + 0.9 * torch.diag(weights)
        assert torch.allclose(found, due / due.sum(1, keepdim=True), atol=1e-4), "changed: the least loss"
        assert right.tolist() == [False] + [True] * 9 and abs(share - 0.6) < 0.01, "changed: what is right"
    else:
        assert bool(right.all()) and torch.allclose(found.diag(), torch.tensor(0.91).double(), atol=1e-3)
for apart, called in ((90, 0), (92, 9)):
    weights = torch.ones(10, dtype=torch.double)
    weights[9] = apart
    assert int(least(as_given)[0].argmax()) == called, "changed: where it begins"
print("as described: the most frequent class is called the rarest one; weighed image by image all are right")
EOF
