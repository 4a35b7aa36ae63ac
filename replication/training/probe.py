"""Linear probes (Alain and Bengio 2016, arXiv 1610.01644): how well a linear classifier does on what a row puts out."""
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from replication.data.load import load
from replication.data.transforms import evaluate_view
from replication.models.build import Net
from replication.runs import experiments
from replication.training import members
from replication.training.device import device


def probe(experiment: experiments.Experiment, seed: int, rows: Sequence[str], most: int) -> dict[str, float]:
    """By row, the top-1 error (a fraction of the validation images) of a linear classifier on the row's output averaged
    over its positions, fitted to at most so many training images. Raises BadInput where the weights are not here."""
    data, network = load(experiment.data), members.network(experiment, seed).to(device())
    train, val = ({row: part.float() for row, part in features(
        network, evaluate_view(images, experiment.recipe.augment), rows).items()}
        for images in (data.train.images[:most], data.val.images[:]))
    classes = len(data.classes)
    return {row: error(train[row], data.train.labels[:most], val[row], data.val.labels, classes) for row in rows}


@torch.inference_mode()
def features(network: Net, images: Tensor, rows: Sequence[str], batch: int = 250) -> dict[str, Tensor]:
    """The output of each of these rows averaged over its positions, (N, channels), of normalised images (N, 3, H, W),
    on the CPU. Of a network in eval mode."""
    where = next(network.parameters()).device
    found: dict[str, list[Tensor]] = {row: [] for row in rows}
    for part in images.split(batch):
        x = part.to(where)
        for row in network.rows:
            x = getattr(network, row)(x)
            if row in rows:
                found[row].append(x.mean((2, 3)).cpu())
            if row == rows[-1]:
                break
    return {row: torch.cat(parts) for row, parts in found.items()}


def error(train: Tensor, labels: Tensor, val: Tensor, val_labels: Tensor, classes: int) -> float:
    """Top-1 error on `val` (N, features) of a classifier fitted to `train`, features scaled to the mean and standard
    deviation that they have in `train`."""
    mean, std = train.mean(0), train.std(0).clamp(min=1e-6)
    weight, bias = fit((train - mean) / std, labels, classes)
    taken = ((val - mean) / std).double() @ weight.T + bias
    return float((taken.argmax(1) != val_labels).double().mean())


def fit(x: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Weights (classes, features) and biases (classes) of multinomial logistic regression: the minimum of the summed
    cross-entropy plus half the squared weights, scikit-learn's with C = 1. In float64."""
    x = x.double()
    weight = torch.zeros(classes, x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([weight, bias], max_iter=1000, tolerance_grad=1e-7, tolerance_change=1e-12,
                               line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        value = F.cross_entropy(x @ weight.T + bias, labels) + weight.square().sum() / (2 * len(x))
        value.backward()
        return value

    search.step(loss)
    return weight.detach(), bias.detach()
