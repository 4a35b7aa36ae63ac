"""Optimisers and learning-rate schedules, made from the values in `spec`."""
from __future__ import annotations

import math

import torch
from torch import nn

from replication.spec import Constant, Cosine, Poly, Recipe, Step


def rate(recipe: Recipe, step: int, steps: int) -> float:
    """The learning rate of step `step` (from 0) of `steps`: a straight warm-up, then the schedule over what is left."""
    warm = round(recipe.warmup * steps)
    if step < warm:
        return recipe.lr * (step + 1) / warm
    progress = (step - warm) / max(1, steps - warm)
    match recipe.schedule:
        case Constant():
            return recipe.lr
        case Poly(power):
            return recipe.lr * (1 - progress) ** power
        case Cosine():
            return recipe.lr * 0.5 * (1 + math.cos(math.pi * progress))
        case Step(gamma, epochs):
            return recipe.lr * gamma ** (step * recipe.epochs // (epochs * steps))


def optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD with momentum; only matrices and kernels decay, as in BVLC's prototxt (decay_mult 0 for biases)."""
    kernels = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    sgd = recipe.optimiser
    groups = [{"params": kernels, "weight_decay": sgd.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.SGD([g for g in groups if g["params"]], lr=recipe.lr, momentum=sgd.momentum,
                           nesterov=sgd.nesterov, fused=True)
