"""Optimisers, learning-rate schedules, clipping and running averages, made from the values in `experiments`.

Nothing here waits for the device: rates may be tensors on it, and so is what counts the steps of an average.
"""
from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from replication.errors import unknown
from replication.runs import experiments
from replication.runs.experiments import Constant, Cosine, OneCycle, Poly, Recipe, Step


# -- the learning rate --------------------------------------------------------------------------------------------
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
        case OneCycle(rise, start, end):
            low, last = recipe.lr / start, steps - warm - 1
            peak = rise * (steps - warm) - 1  # as torch counts: the last step of a share of `rise`
            if step - warm < peak:
                return _half_cosine(low, recipe.lr, (step - warm) / peak)
            return _half_cosine(recipe.lr, low / end, (step - warm - peak) / (last - peak))


def _half_cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * progress))


def set_rate(optimiser: torch.optim.Optimizer, value: float | Tensor) -> None:
    """The learning rate of the next step; for biases that have a factor, times it. Where a group's rate is a tensor it
    stays that tensor, so that a recorded graph sees the new value."""
    for group in optimiser.param_groups:
        scaled = value * group.get("factor", 1.0)
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(scaled)
        else:
            group["lr"] = scaled


# -- the optimiser ------------------------------------------------------------------------------------------------
def optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """What `recipe.optimiser` names, over the parameters that learn, in groups of one weight decay and one factor
    of the rate.

    Raises BadInput for a `decays` that is not known.
    """
    found = _groups(network, recipe)
    match recipe.optimiser:
        case experiments.SGD(momentum=momentum, nesterov=nesterov):
            return torch.optim.SGD(found, lr=recipe.lr, momentum=momentum, nesterov=nesterov, fused=True)
        case experiments.RMSProp(decay=decay, momentum=momentum, epsilon=epsilon):
            return RMSProp(found, recipe.lr, decay, momentum, epsilon)
        case experiments.TorchRMSProp(decay=decay, momentum=momentum, epsilon=epsilon):
            # capturable: a recorded graph reads the rate from the device
            return torch.optim.RMSprop(found, recipe.lr, decay, epsilon, momentum=momentum,
                                       capturable=next(network.parameters()).is_cuda)


def _groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Kernels and matrices first, then the rest; biases by themselves where they have a rate of their own."""
    value = recipe.optimiser
    if value.decays not in (None, "all"):
        raise unknown("choice of what decays", value.decays, (None, "all"))
    biases = {id(module.bias) for module in network.modules()
              if getattr(module, "bias", None) is not None and not isinstance(module, _BatchNorm)}
    kernels = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in network.parameters() if p.requires_grad and p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": kernels, "weight_decay": value.weight_decay},
                                    {"params": others, "weight_decay": value.weight_decay if value.decays else 0.0}]
    if value.bias_rate is not None:
        groups[1]["params"] = [p for p in others if id(p) not in biases]
        groups.append({**groups[1], "params": [p for p in others if id(p) in biases], "factor": value.bias_rate,
                       "lr": recipe.lr * value.bias_rate})
    return [group for group in groups if group["params"]]


class RMSProp(torch.optim.Optimizer):
    """TF1's ApplyRMSProp: square ← decay square + (1 - decay) g²; velocity ← momentum velocity + lr g / √(square +
    epsilon); w ← w - velocity; square starts at one and velocity at zero (tensorflow/python/training/rmsprop.py).

    torch.optim.RMSprop adds epsilon outside the root, starts at zero and multiplies its velocity, not the gradient in
    it, by the rate. Weight decay is added to the gradient. `lr` is a number or a tensor of no dimension.
    """

    def __init__(self, params: Iterable[Any], lr: float | Tensor, decay: float = 0.9, momentum: float = 0.9,
                 epsilon: float = 1.0, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "decay": decay, "momentum": momentum, "epsilon": epsilon,
                                  "weight_decay": weight_decay})
        for group in self.param_groups:  # now, so that a step allocates nothing a recorded graph would miss
            for p in group["params"]:
                self.state[p] = {"square": torch.ones_like(p), "velocity": torch.zeros_like(p)}

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step on the gradients there are; a parameter without one is left as it is."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            if not weights:
                continue
            gradients = [p.grad for p in weights]
            if group["weight_decay"]:
                gradients = list(torch._foreach_add(gradients, weights, alpha=group["weight_decay"]))
            squares, velocities = ([self.state[p][name] for p in weights] for name in ("square", "velocity"))
            torch._foreach_mul_(squares, group["decay"])
            torch._foreach_addcmul_(squares, gradients, gradients, value=1 - group["decay"])
            roots = torch._foreach_add(squares, group["epsilon"])
            torch._foreach_sqrt_(roots)
            moves = torch._foreach_div(gradients, roots)
            torch._foreach_mul_(moves, group["lr"])
            torch._foreach_mul_(velocities, group["momentum"])
            torch._foreach_add_(velocities, moves)
            torch._foreach_sub_(weights, velocities)
        return loss


# -- clipping -----------------------------------------------------------------------------------------------------
def clip(parameters: Iterable[Tensor], limit: float | experiments.ClipValue | None) -> None:
    """Gradients made smaller in place: all by one factor to a norm of at most `limit`, each entry by a ClipValue.

    Give the parameters in one order throughout a run (the optimiser's): the last bit of the norm depends on it.
    """
    match limit:
        case None:
            return
        case experiments.ClipValue(bound):
            nn.utils.clip_grad_value_(parameters, bound)
        case _:
            nn.utils.clip_grad_norm_(parameters, limit)


# -- the running average ------------------------------------------------------------------------------------------
class RunningAverage:
    """The running average of a network's weights (V1 §6, V3 §8), in float32; with `average` None, nothing at all.

    Statistics of batch normalisation are averaged with the weights, as Google's research/inception does ("double
    average", inception_train.py): current ones would belong to other weights. Counters are left as they are.
    """

    def __init__(self, network: nn.Module, average: experiments.Average | None) -> None:
        self.decay = average.decay if average else 0.0
        self.live = {name: value for name, value in network.state_dict(keep_vars=True).items()
                     if average and value.is_floating_point()}
        self.mean = {name: value.detach().float().clone() for name, value in self.live.items()}
        where = next(iter(self.mean.values())).device if self.mean else None
        self.steps = torch.zeros((), device=where)  # stands still at 2**24, where the decay rules

    @torch.no_grad()
    def update(self) -> None:
        """After every step of the optimiser: mean ← mean + (1 - d) (weights - mean) with d = min(decay, (1 + t) /
        (10 + t)) at step t, from one: TensorFlow's ExponentialMovingAverage with num_updates."""
        if not self.mean:
            return
        self.steps += 1
        means = list(self.mean.values())
        away = torch._foreach_sub([value.float() for value in self.live.values()], means)
        torch._foreach_mul_(away, (9 / (10 + self.steps)).clamp(min=1 - self.decay))
        torch._foreach_add_(means, away)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within it the network has the averages in the place of its weights; afterwards its weights, to the bit."""
        before = {name: value.detach().clone() for name, value in self.live.items()}
        self._write(self.mean)
        try:
            yield
        finally:
            self._write(before)

    @torch.no_grad()
    def _write(self, values: dict[str, Tensor]) -> None:
        for name, value in self.live.items():
            value.copy_(values[name])

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "mean": self.mean}

    @torch.no_grad()
    def load_state_dict(self, held: dict[str, Any]) -> None:
        """In place. Raises KeyError or RuntimeError for the averages of another network."""
        if held["mean"].keys() != self.mean.keys():
            raise KeyError("these are the averages of another network")
        self.steps.copy_(held["steps"])
        for name, value in self.mean.items():
            value.copy_(held["mean"][name])
