"""What a network gets right: logits over a split, errors from logits, the gradient that reaches the first layer."""
from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from replication.data import loader
from replication.data.load import Split
from replication.data.spec import Augmentation
from replication.data.transforms import evaluate_view
from replication.runs.experiments import Recipe


@torch.inference_mode()
def logits(network: nn.Module, split: Split, augment: tuple[Augmentation, ...],
           batch: int = 250) -> Tensor:
    """Main logits, float32 (N, classes), of the centre view of every image, so many at once and more on a GPU, where
    small ones leave it idle. Leaves the network in eval mode."""
    network.eval()
    where = next(network.parameters()).device
    if where.type == "cuda":
        batch = max(batch, 2000 * 64 ** 2 // split.images.shape[2:].numel())
    return torch.cat([network(evaluate_view(part, augment)).float()
                      for part in loader.parts(split.images, batch, where)])


def errors(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Cross-entropy (nats) and top-1 and top-5 error (fractions) of logits (N, classes)."""
    top5 = logits.topk(min(5, logits.shape[1])).indices
    hit = top5 == labels[:, None]
    return {
        "val_loss": F.cross_entropy(logits, labels).item(),
        "val_error": 1 - hit[:, 0].float().mean().item(),
        "val_error5": 1 - hit.any(1).float().mean().item(),
    }


def error_by(logits: Tensor, labels: Tensor, value: Tensor, parts: int = 5) -> list[dict[str, float]]:
    """Top-1 error in `parts` equal shares of the images, sorted by `value` (an object's radius, say)."""
    wrong = (logits.argmax(1) != labels).float()
    return [
        {"low": value[part].min().item(), "high": value[part].max().item(), "images": len(part),
         "error": wrong[part].mean().item()}
        for part in value.argsort(stable=True).tensor_split(parts)
    ]


def loss(outputs: dict[str, Tensor], labels: Tensor, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """The main head's loss and the weighted sum of the auxiliary heads' (V1 §5), both in nats."""
    parts = {name: F.cross_entropy(out.float(), labels, label_smoothing=recipe.label_smoothing)
             for name, out in outputs.items()}
    main = parts.pop("main")
    return main, recipe.aux_weight * sum(parts.values(), start=torch.zeros_like(main))


def first_gradient(network: nn.Module, images: Tensor, labels: Tensor, recipe: Recipe) -> dict[str, float]:
    """‖∂L/∂W‖ at the first convolution, from the main loss, from the weighted auxiliary losses, and from their sum.

    On a copy without dropout, so that looking changes neither the weights nor any statistic.
    """
    probe = copy.deepcopy(network).train()
    for module in probe.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    first = next(p for p in probe.parameters() if p.ndim == 4).requires_grad_()  # also where it learns nothing
    main, aux = loss(probe(images), labels, recipe)
    of_main = torch.autograd.grad(main, first, retain_graph=True)[0]
    of_aux = torch.autograd.grad(aux, first)[0] if aux.requires_grad else torch.zeros_like(of_main)
    return {"grad_main": of_main.norm().item(), "grad_aux": of_aux.norm().item(),
            "grad_total": (of_main + of_aux).norm().item()}
