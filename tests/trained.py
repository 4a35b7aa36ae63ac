"""What a run left behind, read without the package's own reader, what a worker tells of its runs, and workers that
start at once."""
from __future__ import annotations

import os
import queue
from collections.abc import Callable
from multiprocessing import forkserver, get_context
from types import SimpleNamespace
from typing import Any

import crew
import pytest
import torch

from replication.runs import experiments, store
from replication.studies import workers
from replication.studies.queue import Job


def weights(experiment: experiments.Experiment, seed: int = 0) -> dict[str, torch.Tensor]:
    return torch.load(store.weights(experiments.address(experiment, seed)), weights_only=True)


def work(jobs: list[Job], monkeypatch: pytest.MonkeyPatch, **more: Any) -> list[tuple[str, int, Any]]:
    """What a worker tells that is given all jobs, but for progress; it is this process, with one thread."""
    monkeypatch.setattr(workers, "follow", lambda: None)
    todo: queue.Queue[Any] = queue.Queue()
    news: queue.Queue[Any] = queue.Queue()
    for i in (*range(len(jobs)), None):
        todo.put(i)
    before = torch.get_num_threads()
    workers._work(jobs, 1, todo, news, **more)
    torch.set_num_threads(before)
    told = [news.get() for _ in range(news.qsize())]
    return [item for item in told if item[0] != "progress"]


def warm(_: str) -> SimpleNamespace:
    """What workers and stages need of multiprocessing, with processes that are forked from one that has imported all
    they need, once for the whole session. They are given this process's environment as it is now."""
    context: Any = get_context("forkserver")
    context.set_forkserver_preload(["trained", "preloaded"])
    with pytest.MonkeyPatch.context() as patch:  # Python 3.11 hands no sys.path on, and skips what it cannot import
        patch.setenv("PYTHONPATH", crew.beside()["PYTHONPATH"])
        forkserver.ensure_running()

    def process(target: Callable[..., None], args: tuple[Any, ...], daemon: bool = False) -> Any:
        return context.Process(target=_within, args=(dict(os.environ), target, args), daemon=daemon)

    return SimpleNamespace(Event=context.Event, Queue=context.Queue, Pipe=context.Pipe, Process=process)


def _within(environment: dict[str, str], target: Callable[..., None], args: tuple[Any, ...]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    workers.TRIED = 0.1
    target(*args)
