"""How fast this machine trains, before anything is begun: real steps of a run that is kept nowhere."""
from __future__ import annotations

import time
from contextlib import closing

from replication.models import cost
from replication.runs import experiments
from replication.training import loop

NOBODY = 2**32 - 1  # the seed: no run has it, so none is resumed


def pace(experiment: experiments.Experiment, seconds: float) -> float:
    """Multiply-adds a second (cost.whole_run) that steps of an experiment reach for so long in this process, on a CPU;
    the first step, which is slow, counts not. 0.0 for what has fewer than two. Raises BadInput as loop.steps does."""
    run = loop.Training(experiment, NOBODY)
    run.network.train()
    began, steps = time.monotonic(), -1
    with closing(run.batches()) as batches:
        for steps, batch in enumerate(batches):
            run.step(batch)
            now = time.monotonic()
            if not steps:
                began = now
            elif now - began > seconds:
                break
    images = max(0, steps) * experiment.recipe.batch
    return cost.whole_run(cost.multiply_adds(experiment.network), 1, images, 0) / (now - began) if images else 0.0
