"""What a run left behind, read without the package's own reader, and what a worker tells of its runs."""
from __future__ import annotations

import queue
from typing import Any

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
