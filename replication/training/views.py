"""Views of images as batches, and what every head of a network says of them."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from replication.data import loader
from replication.data.load import Split
from replication.data.transforms import evaluate_view, normalise
from replication.errors import BadInput
from replication.models.build import Net
from replication.runs import experiments
from replication.training import crops, logits
from replication.training.crops import View
from replication.training.logits import Scores

See = Callable[[Tensor], Iterable[Tensor]]  # a batch of images, uint8, to its views, each as a network takes it


def cut(images: Tensor, views: Sequence[View], crop: int) -> Iterator[Tensor]:
    """The views one after the other, each float32 (N, 3, crop, crop), of images uint8 (N, 3, H, W).

    Resized bilinearly with antialiasing, which is rounded to uint8 each time, as a file on disk would be.
    """
    (height, width), short, whole = images.shape[2:], -1, images
    for view in views:
        if view.short != short:
            short, whole = view.short, _resized(images, *crops.resized(height, width, view.short))
        part = whole[:, :, view.top:view.top + view.side, view.left:view.left + view.side]
        part = _resized(part, crop, crop)
        yield normalise(part.flip(3) if view.mirrored else part)


def _resized(images: Tensor, height: int, width: int) -> Tensor:
    if images.shape[2:] == (height, width):
        return images
    # In floats, because on a GPU torch does not resize integers.
    soft = F.interpolate(images.float(), (height, width), mode="bilinear", antialias=True)
    return soft.round_().clamp_(0, 255).to(torch.uint8)


def centre(recipe: experiments.Recipe) -> See:
    """The one view by which training judges itself (`evaluate.logits`)."""
    return lambda images: (evaluate_view(images, recipe.augment),)


def several(number: int, crop: int) -> See:
    """The papers' 1, 2, 10, 12 or 144 views (crops.views)."""
    def see(images: Tensor) -> Iterator[Tensor]:
        height, width = images.shape[2:]
        return cut(images, crops.distinct(crops.views(number, height, width, crop)), crop)
    return see


@torch.inference_mode()
def evaluate_heads(network: Net, split: Split, see: See, combine: logits.Rule = logits.softmax_mean,
                   batch: int = 250) -> dict[str, NDArray[np.float32]]:
    """Logits (N, classes) of "main" and of every auxiliary head, over a split.

    `combine` makes one of several views; of one view these are the network's own. Leaves the network in eval mode.
    """
    network.eval()
    found: dict[str, list[NDArray[np.floating]]] = {head: [] for head in network.heads}
    for part in loader.parts(split.images, batch, next(network.parameters()).device):
        seen = [network.logits(view, network.heads) for view in see(part)]
        for head, parts in found.items():
            parts.append(combine(torch.stack([one[head] for one in seen]).float().cpu().numpy()))
    return {head: np.concatenate(parts).astype(np.float32) for head, parts in found.items()}


def of_network(network: Net, experiment: experiments.Experiment, split: Split, number: int = 1) -> Scores:
    """What a network says of the validation images of its experiment, over 1, 2, 10, 12 or 144 views.

    One view is the one by which training judges itself, so that its error is `val_error`; where the crop is 7/8 of the
    side (56 of 64 px) V1's one view is the same. A network trained on whole images sees them enlarged in the others.
    """
    labels = split.labels.cpu().numpy()
    return Scores(evaluate_heads(network, split, _see(experiment, number)), labels,
                  logits.images(experiment.data, labels))


def by_rule(network: Net, experiment: experiments.Experiment, split: Split, number: int) -> Scores:
    """As `of_network`, the views made one by each of logits.RULES: "main" by the first, the mean of probabilities,
    "main, maximum" by the maximum, and so on for every head."""
    def each(stack: logits.Logits) -> logits.Logits:
        return np.stack([rule(stack) for rule in logits.RULES.values()], axis=1)

    labels = split.labels.cpu().numpy()
    said = evaluate_heads(network, split, _see(experiment, number), each)
    return Scores({f"{head}, {rule}" if n else head: of[:, n] for head, of in said.items()
                   for n, rule in enumerate(logits.RULES)}, labels, logits.images(experiment.data, labels))


def _see(experiment: experiments.Experiment, number: int) -> See:
    side = experiment.network.resolution
    if number == 1:
        return centre(experiment.recipe)
    if isinstance(side, tuple):
        raise BadInput(f"{number} views are crops of images, and {experiment.network.name} hears sound: take one view.")
    return several(number, side)
