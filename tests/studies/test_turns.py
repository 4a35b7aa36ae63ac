"""Runs that take turns in one process under a budget: some end, rather than all being begun."""
from __future__ import annotations

import queue
from collections.abc import Callable, Generator
from types import SimpleNamespace
from typing import Any

import pytest

from replication.data import spec
from replication.models import ops
from replication.runs import experiments
from replication.studies import workers
from replication.training import lanes
from replication.training.loop import Stopped

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = experiments.Experiment(ops.Network("n", (), 32), spec.Data("shapes", 32, 10, 100, 50),
                               experiments.Recipe(1, 10, 0.1))
STEPS = 100  # of a run; each takes a second of a clock of our own


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, float], dict[int, str]]:
    """work(runs, until): what became of each of so many runs, four of which may take turns."""
    clock = [0.0]

    def one(job: Any, tell: Callable[[Any], None], until: float, *_: Any) -> Generator[None, None, Any]:
        for step in range(STEPS):
            if clock[0] > until:
                raise Stopped
            clock[0] += 1
            tell(SimpleNamespace(images=step + 1, total=STEPS))
            yield
        return SimpleNamespace(summary={"status": "done", "val_error": 0.5}, provenance={"seconds": 1.0})

    monkeypatch.setattr(workers, "_one", one)
    monkeypatch.setattr(workers, "_together", lambda: lanes.Trial(4))
    monkeypatch.setattr(workers, "follow", lambda: None)
    monkeypatch.setattr(workers.time, "monotonic", lambda: clock[0])
    monkeypatch.setenv("REPLICATION_DEVICE", "cpu")

    def run(runs: int, until: float) -> dict[int, str]:
        todo: queue.Queue[int | None] = queue.Queue()
        news: queue.Queue[Any] = queue.Queue()
        for i in (*range(runs), None):
            todo.put(i)
        workers._work([("run", SMALL, i) for i in range(runs)], 1, todo, news, until)
        heard = [news.get() for _ in range(news.qsize())]
        return {i: kind for kind, i, _ in heard if kind != "progress"}
    return run


def test_in_time_for_all_all_take_turns_and_end(work: Callable[..., dict[int, str]]) -> None:
    assert work(6, 700.0) == dict.fromkeys(range(6), "done")


def test_in_time_for_some_the_oldest_end_and_the_youngest_wait(work: Callable[..., dict[int, str]]) -> None:
    """Four in turns would need 400 s, and none would have ended after 250."""
    found = work(8, 250.0)
    assert [found[i] for i in (0, 1)] == ["done", "done"]
    assert set(found.values()) == {"done", "left"}
    assert len(found) == 8


def test_in_time_for_none_each_is_left_with_its_checkpoint(work: Callable[..., dict[int, str]]) -> None:
    assert work(3, 30.0) == dict.fromkeys(range(3), "left")
