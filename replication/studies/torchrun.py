"""Runs one after the other, each trained by several processes together: `torchrun ... -m replication run`.

All processes go through the runs of the first, which alone holds the leases, writes and prints. How many there are is
no part of an experiment; `train` says what depends on it all the same.
"""
from __future__ import annotations

import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from tqdm import tqdm

from replication.errors import BadInput
from replication.runs import experiments, store
from replication.studies.queue import Job, line, total_images
from replication.training import distributed


@contextmanager
def crew() -> Iterator[None]:
    """Within it, several processes that train together have met, and one that fails says why and is gone at once, so
    that those that wait for it see its connections close, say so and go, too. An interpreter that ends in its own time
    would keep them waiting, and on GPUs wait for what they never send."""
    if distributed.world() == 1:
        yield
        return
    from replication.training.device import device
    try:
        distributed.fabric(device())
        yield
    except Exception as problem:
        if isinstance(problem, BadInput):
            print(problem, file=sys.stderr)
        elif distributed.lost(problem):
            print(f"Another of the {distributed.world()} processes that train together has ended, and has said why, or "
                  f"was killed. The same command goes on from the last checkpoint.", file=sys.stderr)
        else:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(2)


def train(jobs: list[Job], until: float = math.inf, asked: Callable[[], bool] = lambda: False) -> None:
    """Trains every job that is not stored yet, those begun first, else in the order given; returns when all are, or
    soon after `until` (by time.monotonic) with a checkpoint of the one at hand. Once `asked` says yes, to any process,
    it ends the same way with KeyboardInterrupt. A run that another program is training is left to it.

    Raises BadInput for a run that cannot be trained or is too large for a device's memory.
    """
    from torch import OutOfMemoryError

    from replication.training.device import device
    from replication.training.loop import Stopped
    distributed.fabric(device())  # here they meet, if they have not yet
    first, left = distributed.rank() == 0, 0
    jobs = distributed.told(lambda: sorted(jobs, key=lambda job: not store.begun(experiments.address(*job[1:]))))

    def over() -> bool:
        return asked() or time.monotonic() > until

    for i, (name, experiment, seed) in enumerate(jobs, 1):
        try:
            if distributed.any_of(over()):
                raise Stopped
            run = _one(name, experiment, seed, over)
        except Stopped:
            if distributed.any_of(asked()):  # also waits for the first to have written its checkpoint
                raise KeyboardInterrupt from None
            if first:
                print(f"Time is up: {len(jobs) - i + 1 + left} of {len(jobs)} runs are left. The same command goes on.",
                      flush=True)
            return
        except OutOfMemoryError as problem:
            raise BadInput(f"{name}: a share of {experiment.recipe.batch // distributed.world()} images of batch="
                           f"{experiment.recipe.batch} does not fit into a device's memory: use more processes, or a "
                           f"smaller batch, width or resolution.") from problem
        except BadInput as problem:
            raise BadInput(f"{name}: {problem}") from problem
        left += run is None
        if first:
            print(f"{i}/{len(jobs)}  {name}: {line(run) if run else 'another program is training it'}",
                  flush=True)


def _one(name: str, experiment: experiments.Experiment, seed: int, stop: Callable[[], bool]) -> store.Run | None:
    """None where another program holds the lease."""
    from replication.training.loop import train as train_one
    address, first = experiments.address(experiment, seed), distributed.rank() == 0
    with store.lease(address, wait=False) if first else nullcontext(True) as held:
        run, free = distributed.told(lambda: (store.find(address, own=True), held))
        if run is not None or not free:
            return run
        with tqdm(total=total_images(experiment), desc=name, unit=" images", unit_scale=True, file=sys.stdout,
                  leave=False, mininterval=0.5 if sys.stdout.isatty() else 10, disable=not first) as bar:
            def watch(progress: Any) -> None:
                bar.update(progress.images - bar.n)
            return train_one(experiment, seed, watch=watch, stop=stop)
