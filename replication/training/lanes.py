"""Several runs in turns on one device, each with a stream and a random state of its own.

A small network leaves most of a GPU idle: its kernels are short, and one stream executes them one after the other. Runs
that take turns, a step each, keep as many streams busy. Whoever is asked for its next step only queues it, so one
process and one thread drive all of them, and none sees another's random numbers: each ends where it would alone.
"""
from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

Done = TypeVar("Done")
TOGETHER = 16     # runs at once, at most
SKIP = 20         # rounds before a number of runs is timed: their first steps compile, warm up and are recorded
TRIAL = 2.5       # seconds of steps by which each number is timed: ten for 1, 2, 4 and 8
WORTH = 1.1       # twice as many runs must together be so many times as fast


class Trial:
    """How many runs of one size take turns: twice as many, as long as all of them together get faster by it. It is
    found by the steps that they take anyway. `asked` settles it beforehand; `now` is a clock, in seconds."""

    def __init__(self, asked: int | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self.at_once, self.settled, self.now = asked or 1, asked is not None, now
        self.best = 0.0  # images a second, of half as many
        self.images, self.took = 0, 0.0  # by as many as there are now
        self.anew()

    def anew(self) -> None:
        """A run has begun, whose first steps tell nothing. What was timed before counts: runs may be shorter than a
        TRIAL."""
        self.rounds, self.since = 0, math.inf

    def round(self, runs: int, images: int) -> None:
        """`runs` have taken a step each, with so many images in all."""
        if self.settled:
            return
        if runs != self.at_once:
            self.anew()
            return
        self.rounds, now = self.rounds + 1, self.now()
        if self.rounds > SKIP:
            self.images, self.took = self.images + images, self.took + now - self.since
        self.since = now
        if self.took >= TRIAL:
            rate = self.images / self.took
            if rate < WORTH * self.best:
                self.settle(self.at_once // 2)
            elif 2 * self.at_once > TOGETHER:
                self.settle(self.at_once)
            else:
                self.best, self.at_once = rate, 2 * self.at_once
            self.images, self.took = 0, 0.0
            self.anew()

    def settle(self, count: int) -> None:
        """So many and no more: also what is left when one does not fit beside the others."""
        self.at_once, self.settled = max(1, count), True


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

    def join(self) -> None:
        """What comes next on the stream outside waits for all that was queued within."""
        if self.cuda:
            torch.cuda.current_stream().wait_stream(self.stream)


def finish(run: Generator[None, None, Done]) -> Done:
    """Takes all steps of a run, one after the other; what it returns."""
    while True:
        try:
            next(run)
        except StopIteration as end:
            return end.value
