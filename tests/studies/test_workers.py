"""Runs side by side: the same results however many, and one sentence when something ends them."""
from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from trained import warm, work
from waiting import until

from replication import paths, provenance
from replication.data import spec
from replication.errors import BadInput
from replication.models import ops
from replication.runs import experiments, store
from replication.studies import estimate, workers
from replication.training import loop

pytestmark = pytest.mark.usefixtures("out")


@pytest.fixture(autouse=True)
def no_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows the parent has none where a test itself plays the worker; real workers read the module anew."""
    monkeypatch.setattr(workers, "follow", lambda: None)


Tiny = Callable[..., experiments.Experiment]


@pytest.mark.parametrize("asked", ["0", "-1", "two", "1.5", " ", "²", "1 2"])
def test_jobs_that_are_no_number(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    monkeypatch.setenv("REPLICATION_JOBS", asked)
    with pytest.raises(BadInput, match=r"REPLICATION_JOBS=.* must be auto or a whole number of at least 1"):
        workers.workers(3)


@pytest.mark.parametrize(("asked", "cores", "runs", "expected"), [
    ("auto", 4, 9, 4), ("auto", 4, 3, 3), ("auto", 64, 99, 8), ("auto", 1, 5, 1), ("", 2, 5, 2), ("3", 1, 9, 3),
    ("3", 8, 2, 2), ("1", 8, 9, 1)])
def test_how_many_at_once(monkeypatch: pytest.MonkeyPatch, asked: str, cores: int, runs: int, expected: int) -> None:
    monkeypatch.setenv("REPLICATION_JOBS", asked)
    monkeypatch.setattr(workers, "cores", lambda: cores)
    assert workers.workers(runs) == expected


def test_one_at_a_time_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATION_JOBS", "auto")
    monkeypatch.setenv("REPLICATION_DEVICE", "cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert workers.workers(9) == 1


def test_threads_are_those_that_are_asked_for_else_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "cores", lambda: 8)
    for said, threads in (("3", 3), ("4,2", 4), ("", 2), ("0", 2), ("many", 2)):
        monkeypatch.setenv("OMP_NUM_THREADS", said)
        assert workers.threads_each(4) == threads
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert [workers.threads_each(count) for count in (1, 3, 8, 9)] == [8, 2, 1, 1]


def test_nothing_to_train_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.mp, "get_context", lambda *_: pytest.fail("a process was started"))
    workers.train([])


def test_one_and_two_at_once_end_at_the_same_bits(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                  capfd: pytest.CaptureFixture[str]) -> None:
    """With one thread each; with other numbers of threads sums are taken in another order, and last bits differ."""
    monkeypatch.setattr(multiprocessing, "get_context", warm)
    made = tiny("bn", epochs=1)
    jobs = [("first", made, 0), ("second", made, 1), ("first again", made, 0)]
    found = []
    for count in (1, 2):
        monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / str(count)))
        monkeypatch.setenv("REPLICATION_JOBS", str(count))
        monkeypatch.setattr(workers, "cores", lambda: 2)  # OMP_NUM_THREADS, which is 1 here, comes before them
        workers.train(jobs)
        runs = sorted(store.everything(paths.mine()), key=lambda run: run.record["seed"])
        assert [run.record["seed"] for run in runs] == [0, 1]
        assert {run.provenance["threads"] for run in runs} == {1}
        found.append([(run.summary, torch.load(store.weights(run.address))) for run in runs])
    for (one, a), (two, b) in zip(*found, strict=True):
        assert one == two
        assert all(torch.equal(a[name], b[name]) for name in a)
    said = capfd.readouterr().out
    assert said.count("first again: top-1 error") == 2
    assert "3/3" in said


def test_a_killed_worker_is_a_sentence_and_what_is_finished_stays(tiny: Tiny, one_core: None) -> None:
    short, long = tiny("bn", epochs=1), tiny("bn", epochs=500)

    def kill() -> None:
        until(lambda: store.begun(experiments.address(long, 0)) or over.is_set())
        for process in multiprocessing.active_children():
            if process.pid is not None:
                os.kill(process.pid, signal.SIGKILL)

    over = threading.Event()
    thread = threading.Thread(target=kill)
    thread.start()
    try:
        with pytest.raises(BadInput, match=r"killed from outside .*Nothing finished is lost; run the same command"):
            workers.train([("short", short, 0), ("long", long, 0)])
    finally:
        over.set()
        thread.join()
    assert store.find(experiments.address(short, 0)) is not None
    assert not store.exists(experiments.address(long, 0))
    with store.lease(experiments.address(long, 0), wait=False) as free:
        assert free
    assert multiprocessing.active_children() == []


def test_workers_end_with_their_parent(out: Path, parent: subprocess.Popen[bytes]) -> None:
    """Killed, it cannot end them itself; the run's lease is then free."""
    address = until(lambda: list(out.glob("checkpoints/[!.]*.pt")))[0].stem
    with store.lease(address, wait=False) as free:
        assert not free
    parent.kill()
    parent.wait()
    with store.lease(address) as free:  # waits for as long as the worker lives
        assert free


def test_a_refused_run_s_sentence_reaches_the_parent(tiny: Tiny, one_core: None) -> None:
    good, bad = tiny("bn", epochs=1), tiny("bn", batch=300)
    with pytest.raises(BadInput) as problem:
        workers.train([("good", good, 0), ("v1.aux norm=bn seed 0", bad, 0)])
    assert str(problem.value) == ("v1.aux norm=bn seed 0: batch=300 is more than the 200 training images: use a "
                                  "smaller batch.")
    assert store.exists(experiments.address(good, 0))
    assert "OMP_NUM_THREADS" not in os.environ or os.environ["OMP_NUM_THREADS"] == BEFORE


BEFORE = os.environ.get("OMP_NUM_THREADS")


class Worker:
    """A process, as far as the watch looks at it."""
    def __init__(self, exitcode: int | None) -> None:
        self.exitcode = exitcode


def watched(*news: tuple[Any, ...], exitcode: int | None = None) -> None:
    made: queue.Queue[Any] = queue.Queue()
    for item in news:
        made.put(item)
    data = spec.Data("shapes", 32, 10, 100, 50)
    experiment = experiments.Experiment(ops.Network("n", (), 32), data, experiments.Recipe(1, 10, 0.1))
    workers._watch([("one", experiment, 0), ("two", experiment, 1)], [Worker(0), Worker(exitcode)], made)


def test_the_watch_ends_when_all_are_done(capfd: pytest.CaptureFixture[str]) -> None:
    watched(("done", 1, "top-1 error 9.0%"), ("done", 0, "diverged after 1 epochs"))
    assert [line for line in capfd.readouterr().out.splitlines() if ":" in line and "/2  " in line] == [
        "1/2  two: top-1 error 9.0%", "2/2  one: diverged after 1 epochs"]


def test_a_bar_promises_nothing_before_images_were_trained(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten runs without images in a hundred seconds of start tell nothing of the hundred that train; nor does what was
    trained before this process. A tenth of two runs each in fifty seconds leaves a hundred runs' 4,900 s."""
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    look, run = tiny("bn", epochs=0), tiny("bn")
    monkeypatch.setattr(experiments, "work", lambda made: float(made is run))
    said: list[str] = []
    bar = Mock(set_postfix_str=lambda text, refresh: said.append(text))
    board = workers._Board([*[("look", look, i) for i in range(10)], *[("run", run, i) for i in range(100)]], bar)
    clock[0] = 100.0
    for i in range(10):
        board.hear("progress", i, loop.Progress("a", 0, 0, 0))
        board.hear("done", i, "")
    for clock[0], images in ((200.0, 200), (203.0, 204), (250.0, 240)):
        for i in (10, 11):
            board.hear("progress", i, loop.Progress("a", images, 400, 1, 2.0, 0.5))
    assert said[:4] == ["epoch 1, loss 2.00, error 50%"] * 4
    assert said[-1] == f"about {estimate.clock(50 * (98 + 2 * 0.4) / 0.2)} left, epoch 1, loss 2.00, error 50%"
    for i in range(10, 110):
        board.hear("done", i, "")
    assert board.over
    assert board.rest() == "about 0 s left, "


def test_workers_measure_before_they_begin(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real steps, of which nothing stays; what cannot be trained is no number, and refused at its turn."""
    made = tiny("bn", epochs=1)
    jobs = [("look", tiny("bn", epochs=0), 0), ("one", made, 0), ("two", made, 1)]
    assert workers._tried(jobs) is made
    assert workers._tried(jobs[:2]) is None
    monkeypatch.setattr(workers, "TRIED", 0.1)
    told = work(jobs[:1], monkeypatch, tried=made)
    assert [kind for kind, *_ in told] == ["tried", "done"]
    assert min(told[0][2]) > 0
    assert [run.address for run in store.everything(paths.mine())] == [experiments.address(jobs[0][1], 0)]
    assert list(store.checkpoint("x").parent.glob("*.pt")) == []
    assert work(jobs[:1], monkeypatch, tried=tiny(batch=999))[0][2][0] == 0.0


@pytest.mark.parametrize(("left", "said"), [
    (float("inf"), "."), (30, ", and there is time for all of them."),
    (16, "; in the 16 s there are for it, about 3 of them. The same command goes on.")])
def test_the_forecast(tiny: Tiny, monkeypatch: pytest.MonkeyPatch, left: float, said: str) -> None:
    """Five runs of 100 at 5 and 15 a second."""
    monkeypatch.setattr(experiments, "work", lambda _: 100.0)
    monkeypatch.setattr(provenance, "processor", lambda: "Some CPU")
    jobs = [("run", tiny(), i) for i in range(5)]
    about = ("The 5 runs take about 25 s on this machine (2 at once, Some CPU, 70 GFLOP/s of matrices, measured just "
             "now)")
    assert workers._forecast(jobs, [(5.0, 30.0), (15.0, 40.0)], left) == about + said


def test_a_bug_comes_with_its_traceback() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)two failed:\n.*KeyError"):
        watched(("done", 0, "x"), ("failed", 1, "Traceback\n  KeyError"))


@pytest.mark.parametrize(("exitcode", "match"), [(-9, "killed from outside"), (1, "__main__")])
def test_a_worker_that_died_is_told_from_one_that_never_started(exitcode: int, match: str) -> None:
    with pytest.raises(BadInput, match=match):
        watched(("done", 0, "x"), exitcode=exitcode)


def test_what_a_worker_tells(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run stored is told of and not trained; a refusal and a bug end one run and not the worker."""
    made = tiny("bn", epochs=0)
    jobs = [("ok", made, 0), ("refused", tiny(batch=999), 0), ("bug", tiny(precision="fp8"), 0), ("ok", made, 0)]
    todo: queue.Queue[Any] = queue.Queue()
    news: queue.Queue[Any] = queue.Queue()
    for i in (0, 1, 2, 3, None):
        todo.put(i)
    before = torch.get_num_threads()
    workers._work(jobs, 1, todo, news)
    torch.set_num_threads(before)
    told = [item for item in iter(lambda: news.get_nowait() if not news.empty() else None, None)
            if item[0] != "progress"]
    assert [(kind, i) for kind, i, _ in told] == [("done", 0), ("refused", 1), ("failed", 2), ("done", 3)]
    assert told[0][2] == told[3][2]
    assert "KeyError" in told[2][2]


def test_a_stored_run_that_cannot_be_trusted_is_refused_not_trained_over(tiny: Tiny) -> None:
    made = tiny(epochs=0)
    folder = store.folder(experiments.address(made, 0))
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text("{")
    todo: queue.Queue[Any] = queue.Queue()
    news: queue.Queue[Any] = queue.Queue()
    for i in (0, None):
        todo.put(i)
    before = torch.get_num_threads()
    workers._work([("broken", replace(made), 0)], 1, todo, news)
    torch.set_num_threads(before)
    assert news.get_nowait()[:2] == ("refused", 0)
    assert (folder / "summary.json").read_text() == "{"
