"""Runs that take turns in one process end where each would alone; what does not fit beside others is tried alone."""
from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from trained import weights, work

from replication.data import spec
from replication.runs import experiments, store
from replication.studies import workers
from replication.studies.queue import Job
from replication.training import lanes, loop

pytestmark = pytest.mark.usefixtures("out", "one_thread")
Tiny = Callable[..., experiments.Experiment]
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Three runs take turns, as on a GPU; whose steps were taken, by batch size."""
    monkeypatch.setattr(workers, "_together", lambda: lanes.Trial(3))
    taken: list[int] = []
    before = loop.step

    def step(fabric: Any, network: Any, optimiser: Any, images: Any, *more: Any) -> Any:
        taken.append(len(images))
        return before(fabric, network, optimiser, images, *more)

    monkeypatch.setattr(loop, "step", step)
    return taken


def several(tiny: Tiny) -> list[Job]:
    """Of different networks, recipes and lengths, so that one ends while others go on; all draw random numbers."""
    papers = {"augment": (spec.AreaCrop(32), spec.Flip()), "average": experiments.Average(0.9)}
    return [("lrn", tiny(batch=20), 0), ("bn", tiny("bn", batch=25, epochs=1, **papers), 0),
            ("again", tiny("bn", batch=40), 1), ("last", tiny(batch=50, epochs=1), 2)]


# -- in turns -----------------------------------------------------------------------------------------------------
def test_three_that_take_turns_end_where_each_does_alone(tiny: Tiny, out: Path, turns: list[int],
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = several(tiny)
    assert sorted(work(jobs, monkeypatch))[0][0] == "done"
    assert turns[:9] == [20, 25, 40] * 3
    assert turns.index(50) > turns.index(25) + 7 * 3  # the fourth takes the place of the first that ended
    together = [(store.find(experiments.address(*job[1:])), weights(*job[1:])) for job in jobs]
    monkeypatch.setenv("REPLICATION_OUT", str(out.with_name("alone")))
    for (_, made, seed), (run, kept) in zip(jobs, together, strict=True):
        alone = loop.train(made, seed)
        assert run is not None
        assert str(run.history) == str(alone.history)  # nan, too
        assert run.summary == alone.summary
        assert all(torch.equal(kept[name], value) for name, value in weights(made, seed).items())


def test_asked_to_stop_all_of_them_leave_checkpoints(tiny: Tiny, turns: list[int],
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = several(tiny)
    told = work(jobs, monkeypatch, asked=lambda: len(turns) >= 7)
    assert sorted(told) == [("left", i, None) for i in range(4)]
    assert len(turns) == 7
    steps = [torch.load(store.checkpoint(experiments.address(*job[1:])))["state"]["step"] for job in jobs[:3]]
    assert steps == [3, 2, 2]
    assert not store.begun(experiments.address(*jobs[3][1:]))
    for job in jobs:  # and no lease is held
        with store.lease(experiments.address(*job[1:]), wait=False) as free:
            assert free


def test_one_that_fails_takes_no_other_with_it(tiny: Tiny, turns: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [("ok", tiny("bn", epochs=1), 0), ("refused", tiny(batch=999), 0), ("bug", tiny(precision="fp8"), 0),
            ("ok", tiny("bn", epochs=1), 1)]
    told = {i: kind for kind, i, _ in work(jobs, monkeypatch)}
    assert told == {0: "done", 1: "refused", 2: "failed", 3: "done"}


# -- memory -------------------------------------------------------------------------------------------------------
def test_what_does_not_fit_beside_others_is_tried_alone(tiny: Tiny, out: Path, turns: list[int],
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    """40 images fit while nothing else is trained, 50 never; the others do not notice."""
    before, steps = loop.step, loop.steps
    going: list[int] = []
    tried: list[tuple[int, int]] = []

    def counted(experiment: experiments.Experiment, *more: Any) -> Any:
        going.append(experiment.recipe.batch)
        try:
            return (yield from steps(experiment, *more))
        finally:
            going.remove(experiment.recipe.batch)

    def step(fabric: Any, network: Any, optimiser: Any, images: Any, *more: Any) -> Any:
        if len(images) == 50 or (len(images) == 40 and len(going) > 1):
            tried.append((len(images), len(going)))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return before(fabric, network, optimiser, images, *more)

    monkeypatch.setattr(loop, "steps", counted)
    monkeypatch.setattr(loop, "step", step)
    jobs = [("one", tiny(epochs=1), 0), ("tight", tiny("bn", batch=40, epochs=1), 0), ("huge", tiny(batch=50), 0),
            ("two", tiny("bn", batch=25, epochs=1), 0)]
    told = {i: (kind, what) for kind, i, what in work(jobs, monkeypatch)}
    assert {i: kind for i, (kind, _) in told.items()} == {0: "done", 1: "done", 2: "large", 3: "done"}
    assert "batch=50 does not fit into this device's memory, batch=25 does" in told[2][1]
    assert [size for size, beside in tried if beside > 1] == [40, 50]  # once each beside others ...
    assert [size for size, beside in tried if beside <= 1] == [50]     # ... and alone
    beside = store.find(experiments.address(*jobs[1][1:]))
    monkeypatch.setenv("REPLICATION_OUT", str(out.with_name("alone")))
    alone = loop.train(*jobs[1][1:])
    assert beside is not None
    assert str(beside.history) == str(alone.history)


def test_a_run_that_ends_gives_its_memory_back_at_once(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only once Python looks for cycles: meanwhile others take its place on the device."""
    begun: list[weakref.ref[Any]] = []
    before = loop.Training.__init__

    def noted(self: loop.Training, *arguments: Any) -> None:
        before(self, *arguments)
        begun.extend(map(weakref.ref, (self, self.bare, self.advance)))

    monkeypatch.setattr(loop.Training, "__init__", noted)
    gc.disable()
    try:
        loop.train(tiny(epochs=1), 0)
        with pytest.raises(loop.Stopped):
            loop.train(tiny(epochs=1), 1, stop=lambda: True)
        assert [each() for each in begun] == [None] * 6
    finally:
        gc.enable()


# -- how many -----------------------------------------------------------------------------------------------------
class Device:
    """A stand-in whose runs, a step each of 64 images, take `overhead` seconds of it a step, and where `fill` of them
    fit at a time: `overhead` is waited for by all, as a launch is."""

    def __init__(self, fill: int, begin: float = 3.0) -> None:
        self.fill, self.clock, self.begin = fill, 0.0, begin

    def choose(self, trial: lanes.Trial, seconds: float = 120.0) -> float:
        """Runs as many as the trial says; when it settled."""
        runs, settled = 0, math.nan
        while self.clock < seconds:
            while runs < trial.at_once:
                runs += 1
                self.clock += self.begin  # images, weights
                trial.anew()
            self.clock += 0.01 * max(1, runs / self.fill)
            trial.round(runs, 64 * runs)
            if trial.settled and math.isnan(settled):
                settled = self.clock
        return settled


@pytest.mark.parametrize(("fill", "expected"), [(1, 1), (2, 2), (4, 4), (5, 8), (8, 8), (100, 16)])
def test_as_many_as_make_all_together_faster(fill: int, expected: int) -> None:
    """Eight on a device that five fill are a quarter faster than four; sixteen where it is never full are the most."""
    device = Device(fill)
    trial = lanes.Trial(now=lambda: device.clock)
    settled = device.choose(trial)
    assert trial.at_once == expected
    assert settled < 120


def test_the_trial_takes_ten_seconds_of_steps() -> None:
    device = Device(4, begin=0.0)
    assert device.choose(lanes.Trial(now=lambda: device.clock)) == pytest.approx(
        4 * lanes.TRIAL + 4 * lanes.SKIP * 0.01, abs=0.5)


def test_a_run_that_begins_is_not_counted_as_slowness() -> None:
    """Were its start timed, two would seem slower than one."""
    device = Device(2, begin=30.0)
    trial = lanes.Trial(now=lambda: device.clock)
    device.choose(trial, 300)
    assert trial.at_once == 2


@pytest.mark.parametrize("steps", [200, 750])
def test_runs_shorter_than_the_trial_settle_it_together(steps: int) -> None:
    """Runs of two seconds and more, whose places others take: with eight at once, one ends every 25 rounds."""
    trial, clock, left = lanes.Trial(now=lambda: clock), 0.0, []
    while not trial.settled and clock < 300:
        while len(left) < trial.at_once:
            left.append(steps - 7 * len(left) % steps)
            clock += 0.3
            trial.anew()
        clock += 0.01 * max(1, len(left) / 4)
        left = [each - 1 for each in left if each > 1]
        trial.round(len(left), 64 * len(left))
    assert trial.settled
    assert trial.at_once == 4


def test_what_does_not_fit_ends_the_trial() -> None:
    trial = lanes.Trial()
    trial.settle(3)
    assert (trial.at_once, trial.settled) == (3, True)
    trial.settle(0)
    assert trial.at_once == 1


def test_who_decides_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    from replication.training import device
    monkeypatch.setenv("REPLICATION_JOBS", "5")
    assert workers._together().at_once == 1  # on a CPU each has a process of its own
    monkeypatch.setattr(device, "device", lambda: "cuda")
    assert (workers._together().at_once, workers._together().settled) == (5, True)
    monkeypatch.setenv("REPLICATION_JOBS", "auto")
    assert (workers._together().at_once, workers._together().settled) == (1, False)


def test_more_begin_as_the_trial_goes_on(tiny: Tiny, turns: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a device that is never full: one run, after two of its steps a second, two rounds later four."""
    monkeypatch.setattr(lanes, "SKIP", 1)
    ticks = iter(range(1000))
    trial = lanes.Trial(now=lambda: lanes.TRIAL * next(ticks))
    monkeypatch.setattr(workers, "_together", lambda: trial)
    told = work([("run", tiny(batch=batch, epochs=1), 0) for batch in (20, 22, 24, 26)], monkeypatch)
    assert {kind for kind, *_ in told} == {"done"}
    assert turns[:2 + 2 * 2 + 4] == [20] * 2 + [20, 22] * 2 + [20, 22, 24, 26]


# -- one lane -----------------------------------------------------------------------------------------------------
def test_on_a_cpu_a_lane_changes_nothing() -> None:
    torch.manual_seed(0)
    expected = torch.rand(2), torch.rand(2)
    torch.manual_seed(0)
    first = torch.rand(2)
    with lanes.Lane("cpu")():
        assert torch.equal(torch.rand(2), expected[1])
    assert torch.equal(first, expected[0])


def test_finish_gives_back_what_a_run_returns() -> None:
    def run() -> Iterator[None]:
        yield
        yield
        return 7

    assert lanes.finish(run()) == 7  # type: ignore[arg-type]


@GPU
def test_a_lane_has_numbers_and_a_stream_of_its_own() -> None:
    """What the one draws, the other and the rest do not miss; a seed set in one is set in it alone."""
    a, b = lanes.Lane("cuda"), lanes.Lane("cuda")

    def draws(order: str) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {"a": [], "b": [], "-": []}
        torch.cuda.manual_seed(1)
        for name, lane, seed in (("a", a, 2), ("b", b, 3)):
            with lane():
                torch.cuda.manual_seed(seed)
            found[name] = []
        for name in order:
            if name == "-":
                found[name] += torch.rand(2, device="cuda").tolist()
                continue
            with (a if name == "a" else b)():
                found[name] += torch.rand(2, device="cuda").tolist()
        return found

    assert draws("aabb--") == draws("ab-b-a") == draws("-ba-ab")
    streams = []
    for lane in (a, b):
        with lane():
            streams.append(torch.cuda.current_stream())
    assert len({torch.cuda.default_stream(), *streams}) == 3


@GPU
@pytest.mark.parametrize("fast", ["none", "graph"])
def test_on_a_gpu_runs_together_end_where_each_does_alone(tiny: Tiny, out: Path, fast: str,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the last bits of sums whose order a GPU chooses: far less than another draw of random numbers would do."""
    monkeypatch.setenv("REPLICATION_DEVICE", "cuda")
    monkeypatch.setenv("REPLICATION_JOBS", "4")
    monkeypatch.setenv("REPLICATION_FAST", fast)
    jobs = several(tiny)
    assert sorted((kind, i) for kind, i, _ in work(jobs, monkeypatch)) == [("done", i) for i in range(4)]
    together = [store.find(experiments.address(*job[1:])) for job in jobs]
    monkeypatch.setenv("REPLICATION_OUT", str(out.with_name("alone")))
    for (_, made, seed), run in zip(jobs, together, strict=True):
        alone = loop.train(made, seed)
        assert run is not None
        assert [row["train_loss"] for row in run.history[1:]] == pytest.approx(
            [row["train_loss"] for row in alone.history[1:]], rel=1e-2)
        other = loop.train(made, seed + 10)
        assert abs(other.history[1]["train_loss"] / alone.history[1]["train_loss"] - 1) > 1e-2
