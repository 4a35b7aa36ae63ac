"""What is to be trained, and what is said of it once it is: for one process and for many. No torch."""
from __future__ import annotations

from replication.runs import experiments, store

Job = tuple[str, experiments.Experiment, int]  # what to call it, what it is, its seed


def starts(jobs: list[Job]) -> list[Job]:
    """The runs that others start from and whose weights are not here, each once."""
    found: dict[str, Job] = {}
    for name, experiment, seed in jobs:
        of = experiments.start(experiment, seed)
        if of is not None and not store.weights(address := experiments.address(*of)).exists():
            found.setdefault(address, (f"what {name} starts from", *of))
    return list(found.values())


def total_images(experiment: experiments.Experiment) -> int:
    """Images a run will see, for the bar; one at least, so that a look at an untrained network counts too."""
    return max(1, experiment.recipe.epochs * (experiment.data.train_images or 1))


def line(run: store.Run) -> str:
    """What is said of a finished run."""
    if run.summary["status"] == "diverged":
        return f"diverged after {run.summary['epoch']:.0f} epochs"
    return f"top-1 error {run.summary['val_error']:.1%} in {run.provenance['seconds']:.0f} s"
