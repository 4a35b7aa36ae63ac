"""Finished runs as networks again, and as members of an ensemble."""
from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import torch

from replication import files
from replication.data.load import Split, load
from replication.errors import BadInput
from replication.models.build import Net, build
from replication.runs import experiments, store
from replication.training import logits, views
from replication.training.device import device


def network(experiment: experiments.Experiment, seed: int) -> Net:
    """The trained network of a finished run, on the CPU in eval mode. Raises BadInput where its weights are not here:
    they stay on the machine that trained, or are damaged."""
    path = store.weights(experiments.address(experiment, seed))
    if not path.exists():
        raise BadInput(f"There are no weights at {path}; look on the machine that trained the run, or train it again "
                       f"with REPLICATION_READ=mine.")
    found = build(experiment.network)
    try:
        content = path.read_bytes()
        if not files.intact(content):
            raise ValueError("it is truncated or damaged")
        found.load_state_dict(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
    except Exception as problem:  # torch's readers raise whatever foreign bytes happen to mean
        why = str(problem).strip().split("\n")[0]
        raise BadInput(f"{path} does not hold the weights of that run ({why}): delete it, and train the run again with "
                       f"REPLICATION_READ=mine.") from problem
    return found.eval()


def begin(network: Net, trained: Net) -> None:
    """Gives a network the weights and statistics of a trained one, but for every head's last layer, whose classes may
    be others. Raises BadInput where the trained one has no such weights."""
    last = set(network.classifiers())
    own = {f"{name}.{part}" for name, module in network.named_modules() if module in last
           for part in module.state_dict()}
    wanted = {name: value for name, value in network.state_dict().items() if name not in own}
    held = trained.state_dict()
    for name, value in wanted.items():
        if name not in held or held[name].shape != value.shape:
            there = f"are {tuple(held[name].shape)}" if name in held else "are not"
            raise BadInput(f"{network.network.name} cannot start from the weights of {trained.network.name}: {name} is "
                           f"{tuple(value.shape)} here, and there they {there}.")
    network.load_state_dict({name: held[name] for name in wanted}, strict=False)


def member(experiment: experiments.Experiment, seed: int, number: int = 1) -> logits.Scores:
    """What a finished run says of its validation images over 1, 2, 10, 12 or 144 views (views.of_network): read where
    it is kept, else made from the run's weights and kept. Raises BadInput as `network` does."""
    def look(trained: Net, split: Split) -> logits.Scores:
        return views.of_network(trained, experiment, split, number)

    return _kept(store.logits(experiments.address(experiment, seed), number), experiment, seed, look)


def by_rule(experiment: experiments.Experiment, seed: int, number: int, first: int) -> logits.Scores:
    """What a finished run says of its `first` validation images over so many views, these made one by each rule
    (views.by_rule). Kept, read and refused as by `member`."""
    def look(trained: Net, split: Split) -> logits.Scores:
        return views.by_rule(trained, experiment, Split(split.images[:first], split.labels[:first]), number)

    path = store.logits(experiments.address(experiment, seed), number).with_suffix(f".{first}.npz")
    return _kept(path, experiment, seed, look)


def _kept(path: Path, experiment: experiments.Experiment, seed: int,
          look: Callable[[Net, Split], logits.Scores]) -> logits.Scores:
    if not path.exists() or _older(path, store.weights(experiments.address(experiment, seed))):
        where, split = device(), load(experiment.data).val
        trained = network(experiment, seed).to(where).to(memory_format=torch.channels_last)
        with torch.autocast(where, torch.bfloat16, enabled=experiment.recipe.precision == "bf16"):
            logits.keep(path, look(trained, split))
    return logits.read(path)


def _older(path: Path, weights: Path) -> bool:
    """Whether the run has been trained again since."""
    return weights.exists() and path.stat().st_mtime_ns < weights.stat().st_mtime_ns
