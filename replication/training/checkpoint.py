"""A run between two steps, on disk: written often, read when it goes on."""
from __future__ import annotations

import copy
import io
import math
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from replication import files
from replication.runs import store
from replication.training import distributed, optim


@dataclass
class State:
    """Everything a checkpoint holds besides weights. `sums` is the loss and the errors of the epoch so far."""
    step: int = 0
    seconds: float = 0.0
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0])
    history: list[store.Epoch] = field(default_factory=list)

    @property
    def finite(self) -> bool:
        last = self.history[-1]
        return math.isfinite(last["val_loss"]) and (last["epoch"] == 0 or math.isfinite(last["train_loss"]))


def resume(address: str, network: nn.Module, optimiser: torch.optim.Optimizer, average: optim.RunningAverage,
           where: torch.device) -> State:
    """Loads a run's checkpoint into its network, optimiser and average; a new state where there is none of this run."""
    path = store.checkpoint(address)
    written = distributed.told(lambda: path.read_bytes() if path.is_file() else None)
    if written is None:
        return State()
    # A checkpoint that half fits leaves traces.
    fresh = copy.deepcopy((network.state_dict(), optimiser.state_dict(), average.state_dict()))
    try:
        if not files.intact(written):
            raise ValueError("it is truncated or damaged")
        held = torch.load(io.BytesIO(written), map_location=where, weights_only=True)
        if not isinstance(held, dict) or held.get("record") != address:
            raise ValueError("it names another run")
        state = State(**held["state"])
        optimiser.load_state_dict(held["optimiser"])
        average.load_state_dict(held["average"])
        network.load_state_dict(held["model"])
    except Exception as problem:  # torch's readers raise whatever foreign bytes happen to mean
        why = str(problem).strip().split("\n")[0]
        warnings.warn(f"{path} is not this run's checkpoint ({why}); the run starts again.", stacklevel=2)
        network.load_state_dict(fresh[0])
        optimiser.load_state_dict(fresh[1])
        average.load_state_dict(fresh[2])
        return State()
    return state


def save(path: Path, value: Any) -> None:
    """The whole file or none of it. Raises BadInput when the disk is full."""
    try:
        with files.whole(path) as partial:
            torch.save(value, partial)
    except (OSError, RuntimeError) as problem:  # torch reports a full disk as a RuntimeError
        raise store.full(path, problem if isinstance(problem, OSError) else OSError(0, str(problem))) from problem
