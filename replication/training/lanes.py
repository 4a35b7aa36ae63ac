"""Several runs in turns on one device, each with a stream and a random state of its own.

A small network leaves most of a GPU idle: its kernels are short, and one stream executes them one after the other. Runs
that take turns, a step each, keep as many streams busy. Whoever is asked for its next step only queues it, so one
process and one thread drive all of them, and none sees another's random numbers: each ends where it would alone.
"""
from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

Done = TypeVar("Done")
TOGETHER = 8      # runs at once, at most
ENOUGH = 6e11     # multiply-adds a step, forward and back, that keep a large GPU busy (seen on an H200)


def count(multiply_adds: float, batch: int) -> int:
    """How many runs with steps of this size to train at once: `multiply_adds` of one image's forward pass."""
    return max(1, min(TOGETHER, round(ENOUGH / (3 * multiply_adds * batch))))


class Lane:
    """Within it, work goes to a stream of its own and draws from a random state of its own. On a CPU, where a run seeds
    the generator anew before every draw, there is nothing to keep apart."""

    def __init__(self, device: str) -> None:
        self.cuda = device == "cuda"
        if self.cuda:
            torch.cuda.init()  # or there is no generator to keep apart
            self.stream = torch.cuda.Stream()
            self.state = torch.Generator("cuda").graphsafe_get_state()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        if not self.cuda:
            yield
            return
        shared = torch.cuda.default_generators[torch.cuda.current_device()]
        before = shared.graphsafe_get_state()
        shared.graphsafe_set_state(self.state)  # a recorded step reads the state that was current when it was recorded
        try:
            with torch.cuda.stream(self.stream):
                yield
        finally:
            shared.graphsafe_set_state(before)


def finish(run: Generator[None, None, Done]) -> Done:
    """Takes all steps of a run, one after the other; what it returns."""
    while True:
        try:
            next(run)
        except StopIteration as end:
            return end.value
