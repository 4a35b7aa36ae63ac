"""What a run left behind, read without the package's own reader."""
from __future__ import annotations

import torch

from replication.runs import experiments, store


def weights(experiment: experiments.Experiment, seed: int = 0) -> dict[str, torch.Tensor]:
    return torch.load(store.weights(experiments.address(experiment, seed)), weights_only=True)
