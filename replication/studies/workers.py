"""Independent runs side by side. On a CPU one process a core, one thread each; two such beat one process with two
threads. On a GPU one process whose runs take turns (`lanes`).

One setting, REPLICATION_JOBS: how many runs at once ("auto": the cores, at most 8; on a GPU as many as make it faster).
Threads are what OMP_NUM_THREADS says, else what is left of the cores.

Whatever ends the work early (a budget, Ctrl-C, SIGTERM, a run that is refused), workers are asked to write a checkpoint
and end; those that have not after MARGIN seconds are killed, and lose what came after their last checkpoint.
"""
from __future__ import annotations

import math
import multiprocessing as mp
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator
from functools import cache, partial
from itertools import accumulate
from typing import Any

from tqdm import tqdm

from replication import provenance
from replication.errors import BadInput, count
from replication.models import cost
from replication.provenance import cores
from replication.runs import experiments, store
from replication.studies import estimate, torchrun
from replication.studies.queue import Job, line, starts, total_images
from replication.training import distributed

START = 15.0   # seconds until a new process takes its first step: imports, images, the look at the untrained network
USEFUL = 20.0  # seconds of training, as long as between two checkpoints, that are worth beginning a run for
SETTLED = 4.0  # seconds after which a run's pace is believed
MARGIN = 10.0  # seconds a worker has, once asked, to end its step, write its checkpoint and go
TRIED = 3.0    # seconds of steps by which each worker measures the machine before it begins


def workers(runs: int) -> int:
    """How many processes train: one for all runs of a GPU. Raises BadInput for a REPLICATION_JOBS that is no positive
    number."""
    from replication.training.device import device  # torch: only once something must be trained
    asked = count("REPLICATION_JOBS")
    if device() == "cuda":
        return 1
    return min(runs, asked or max(1, min(8, cores())))


def threads_each(workers: int) -> int:
    """Threads of each of so many processes: those that OMP_NUM_THREADS allows, else its part of the cores."""
    said = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # "4,2": of those within them, which do not occur
    return int(said) if said.isdecimal() and int(said) else max(1, cores() // workers)


def train(jobs: list[Job], until: float = math.inf, asked: Callable[[], bool] = lambda: False) -> None:
    """Trains every job that is not stored yet, those begun first, else in the order given; returns when all are, or
    shortly before `until` (by time.monotonic) with checkpoints of those that are not. Once `asked` says yes, it ends
    the same way with KeyboardInterrupt.

    A run that another process is training is waited for. What runs start from is trained before all of them where its
    weights are not here, though it be published: weights stay on the machine that trained. Raises BadInput, with all
    other work kept, when a run cannot be trained, a worker is killed, or `until` is too near for anything to be worth
    its start. A run too large for the device's memory, or that failed otherwise (RuntimeError), does not end the
    others; that comes last.
    Where several processes train each run together (`distributed`), it is for `torchrun` to do.
    """
    if first := starts(jobs):
        train(first, until, asked)
        if until - time.monotonic() < START + USEFUL + MARGIN:  # it took the time there was
            return
    if distributed.world() > 1:
        return torchrun.train(jobs, until - MARGIN, asked)
    if not jobs:
        return
    jobs = sorted(jobs, key=lambda job: not store.begun(experiments.address(*job[1:])))
    if until < math.inf and until - time.monotonic() < (
            shortest := START + min(USEFUL, *estimate.estimates([experiment for _, experiment, _ in jobs])) + MARGIN):
        raise BadInput(f"The budget is too short for any of the {len(jobs)} runs: the shortest useful one is "
                       f"{math.ceil(shortest)}s.")
    count = workers(len(jobs))
    context = mp.get_context("spawn")
    over: Any = context.Event()
    todo: Any = context.Queue()
    news: Any = context.Queue()
    for i in range(len(jobs)):
        todo.put(i)
    for _ in range(count):
        todo.put(None)
    threads = threads_each(count)
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read by the children's libraries as they are loaded
    crew = [context.Process(target=_work, args=(jobs, threads, todo, news, until - MARGIN, over.is_set, _tried(jobs)),
                            daemon=True) for _ in range(count)]
    # A terminal's Ctrl-C and a scheduler's SIGTERM reach the whole group. Workers are born deaf to both: it is for the
    # parent to ask them to stop, and for them to do it between two steps.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    for process in crew:
        process.start()
    os.environ.pop("OMP_NUM_THREADS") if before is None else os.environ.update(OMP_NUM_THREADS=before)
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _watch(jobs, crew, news, until, asked)
    finally:
        over.set()
        try:
            end = min(until, time.monotonic() + MARGIN)
            for process in crew:
                process.join(max(0.0, end - time.monotonic()))
        finally:  # also when asked a second time
            for process in crew:
                process.kill()
                process.join()


def _watch(jobs: list[Job], crew: list[Any], news: Any, until: float = math.inf,
           asked: Callable[[], bool] = lambda: False) -> None:
    """One bar for all of it, in a terminal, a log and a notebook alike. How long the rest takes is the board's to say:
    the bar's own guess counts the start, and runs without images."""
    tty = sys.stdout.isatty()
    with tqdm(total=sum(total_images(experiment) for _, experiment, _ in jobs), unit_scale=True, file=sys.stdout,
              bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} images [{elapsed}{postfix}]", leave=False,
              mininterval=0.5 if tty else 10, dynamic_ncols=tty) as bar:
        board = _Board(jobs, bar, len(crew), until)
        while not board.over and time.monotonic() < until:
            if asked():
                raise KeyboardInterrupt
            try:
                heard = news.get(timeout=1)
            except queue.Empty:
                heard = None
            if heard is None:
                _look_after(crew)
            else:
                board.hear(*heard)
    if rest := [job for i, job in enumerate(jobs) if i not in {*board.done, *board.large, *board.failed}]:
        _say_left(rest, len(board.done), board.speed)
    if board.failed:
        raise RuntimeError("\n".join(board.failed.values()))
    if large := list(board.large.values()):
        more = f" ({len(large) - 1} more runs are too large, too; see above.)" if len(large) > 1 else ""
        raise BadInput(large[0] + more)


def _look_after(crew: list[Any]) -> None:
    """Raises BadInput once a worker has ended otherwise than at the end of its work."""
    codes = [process.exitcode for process in crew if process.exitcode]
    if any(code < 0 for code in codes):
        raise BadInput("A training process was killed from outside (often: out of memory). Nothing finished is lost; "
                       "run the same command again, with REPLICATION_JOBS=1 to use less memory.")
    if codes:
        raise BadInput("A training process could not start; its error is printed above. A script of your own must "
                       "train below if __name__ == '__main__', since processes read it again.")


class _Board:
    """What has been heard of each job, and the bar that shows it."""

    def __init__(self, jobs: list[Job], bar: Any, workers: int = 1, until: float = math.inf) -> None:
        self.jobs, self.bar, self.workers, self.until = jobs, bar, workers, until
        # Of each worker before it began: multiply-adds a second of training, GFLOP/s of matrices.
        self.tried: list[tuple[float, float]] = []
        self.seen = [0] * len(jobs)
        self.done: set[int] = set()
        self.left: set[int] = set()  # for want of time
        self.large: dict[int, str] = {}  # for want of memory, and what to say
        self.failed: dict[int, str] = {}
        self.first: dict[int, tuple[float, int]] = {}  # when progress was heard of first, and the images seen by then
        self.speed = 0.0  # multiply-adds a second of one worker
        self.work = [experiments.work(experiment) for _, experiment, _ in jobs]
        self.before: dict[int, float] = {}  # share of a run's work that was done when it was heard of first
        self.share = [0.0] * len(jobs)      # the same now
        self.began = math.inf  # when a run with images was heard of first

    @property
    def over(self) -> bool:
        return len(self.done) + len(self.left) + len(self.large) + len(self.failed) >= len(self.jobs)

    def hear(self, kind: str, i: int, what: Any) -> None:
        """What a worker says of job `i` (see `_work`). Raises BadInput for one that was refused."""
        name = self.jobs[i][0]
        if kind == "refused":
            raise BadInput(f"{name}: {what}")
        if kind == "failed":
            self.failed[i] = f"{name} failed:\n{what}"
            self.bar.write(f"{name} failed: {what.strip().splitlines()[-1]}", file=sys.stdout)
        elif kind == "tried":
            self.tried.append(what)
            if len(self.tried) == self.workers and min(self.tried)[0] > 0:
                self.bar.write(_forecast(self.jobs, self.tried, self.until - time.monotonic() - MARGIN),
                               file=sys.stdout)
        elif kind == "left":
            self.left.add(i)
        elif kind == "large":
            self.large[i] = f"{name}: {what}"
            self.bar.write(self.large[i], file=sys.stdout)
        elif kind == "done":
            self.done.add(i)
            self.share[i] = 1.0
            self._seen(i, total_images(self.jobs[i][1]))
            self.bar.write(f"{len(self.done)}/{len(self.jobs)}  {name}: {what}", file=sys.stdout)
        else:
            self._progress(i, what)

    def _seen(self, i: int, images: int) -> None:
        self.bar.update(images - self.seen[i])
        self.seen[i] = images

    def _progress(self, i: int, what: Any) -> None:
        experiment = self.jobs[i][1]
        total = total_images(experiment)
        self._seen(i, min(total, round(total * what.images / max(1, what.total))))
        if what.total:
            self.share[i] = what.images / what.total
            self.before.setdefault(i, self.share[i])
            self.began = min(self.began, time.monotonic())
        if what.loss == what.loss:  # the last word of a run has none
            self.bar.set_postfix_str(f"{self.rest()}epoch {what.epoch}, loss {what.loss:.2f}, error {what.error:.0%}",
                                     refresh=False)
        since, images = self.first.setdefault(i, (time.monotonic(), what.images))
        if what.images > images:
            self.speed = cost.whole_run(cost.multiply_adds(experiment.network), 1, what.images - images, 0) / (
                time.monotonic() - since)


    def rest(self) -> str:
        """"about 12 min left, " by the work done since a run with images was heard of; nothing before that tells."""
        took = time.monotonic() - self.began
        done = sum(self.work[i] * (self.share[i] - share) for i, share in self.before.items())
        if took < SETTLED or not done:
            return ""
        left = sum(work * (1 - share) for work, share in zip(self.work, self.share, strict=True))
        return f"about {estimate.clock(left * took / done)} left, "


def _tried(jobs: list[Job]) -> experiments.Experiment | None:
    """What workers measure a CPU with: the first run that trains, from weights of its own, where there is more than one
    to foretell. Of a GPU nothing is known before its steps are compiled and recorded."""
    from replication.training.device import device
    trained = [experiment for _, experiment, _ in jobs
               if experiment.recipe.epochs and experiment.recipe.start is None]
    return trained[0] if len(trained) > 1 and device() == "cpu" else None


def _forecast(jobs: list[Job], tried: list[tuple[float, float]], left: float) -> str:
    """How long all takes at so many multiply-adds a second of each worker, and how far `left` seconds reach; with the
    GFLOP/s of matrices that all workers reached together, by which to compare machines."""
    speed, gflops = map(sum, zip(*tried, strict=True))
    needs = [experiments.work(experiment) / speed for _, experiment, _ in jobs]
    at_once = f"{len(tried)} at once, " if len(tried) > 1 else ""
    said = (f"The {len(jobs)} runs take about {estimate.clock(sum(needs))} on this machine ({at_once}"
            f"{provenance.processor()}, {gflops:.0f} GFLOP/s of matrices, measured just now)")
    if left == math.inf:
        return said + "."
    reached = sum(end <= left for end in accumulate(needs))
    return said + (", and there is time for all of them." if reached == len(jobs) else
                   f"; in the {estimate.clock(max(0.0, left))} there are for it, about {reached} of them. The same "
                   f"command goes on.")


def _say_left(rest: list[Job], done: int, speed: float) -> None:
    """What a budget did not reach. `speed` (multiply-adds a second of one worker, 0: none seen) serves until a run has
    finished on this device."""
    begun = sum(store.begun(experiments.address(*job[1:])) for job in rest)
    needs = sum(estimate.estimates([experiment for _, experiment, _ in rest]))
    if needs == math.inf and speed:
        needs = sum(experiments.work(experiment) for _, experiment, _ in rest) / speed
    print(f"{done} runs finished in this time. Of the {len(rest)} left, {begun} have a checkpoint; the others were not "
          f"begun, or too little time was left to be worth it. The same command goes on"
          + (f" (about {estimate.clock(needs)} of one worker)." if needs < math.inf else "."), flush=True)


def _work(jobs: list[Job], threads: int, todo: Any, news: Any, until: float = math.inf,
          asked: Callable[[], bool] = lambda: False, tried: experiments.Experiment | None = None) -> None:
    """Tells how fast it trains what is to be `tried`. Then trains what `todo` names until it says None, or to a
    checkpoint once time is up (time.monotonic is the machine's, the same in every process) or the parent has asked to
    stop. On a GPU several runs take turns (`lanes`); where the oldest would not end in time, the youngest wait: one run
    that ends is worth more than two that are begun."""
    import torch

    from replication.training import lanes
    from replication.training.device import device, matmul_gflops
    from replication.training.loop import Stopped, too_large
    threading.Thread(target=follow, daemon=True).start()
    torch.set_num_threads(threads)
    if tried is not None:
        news.put(("tried", 0, (_pace(tried), matmul_gflops() or 0.0)))
    going: list[tuple[int, Generator[None, None, store.Run], lanes.Lane]] = []
    free: list[lanes.Lane] = []
    alone: list[int] = []  # what did not fit beside others
    paces = [_Pace() for _ in jobs]
    waiting = 0  # of the youngest
    trials: dict[tuple[str, int], lanes.Trial] = {}

    @cache
    def trial(i: int) -> lanes.Trial:
        """That of runs whose steps are about as long: within a factor of two, of one precision."""
        experiment = jobs[i][1]
        step = cost.multiply_adds(experiment.network) * experiment.recipe.batch
        return trials.setdefault((experiment.recipe.precision, step.bit_length()), _together())

    @cache
    def takes() -> list[float]:
        return estimate.estimates([experiment for _, experiment, _ in jobs])  # reads the whole store

    def begin(i: int) -> None:
        run = _one(jobs[i], partial(_tell, news, i, paces[i]), until, asked, lambda: takes()[i])
        going.append((i, run, free.pop() if free else lanes.Lane(device())))
        trial(i).anew()

    coming = todo.get()
    while coming is not None or going or alone:
        while coming is not None and not waiting and len(going) < trial(coming).at_once:
            begin(coming)
            coming = todo.get()
        if alone and not going:
            begin(alone.pop(0))
        if waiting and (asked() or time.monotonic() > until):
            waiting = 0  # each writes its checkpoint
        elif waiting < len(going) - 1 and paces[going[0][0]].end > until:
            waiting += 1
            for pace in paces:
                pace.anew()
        for turn in going[:len(going) - waiting]:
            i, run, lane = turn
            try:
                with lane():
                    next(run)
                continue
            except StopIteration as end:
                news.put(("done", i, line(end.value)))
            except Stopped:
                news.put(("left", i, None))
            except torch.OutOfMemoryError as problem:
                if len(going) > 1:
                    alone.append(i)
                    trial(i).settle(len(going) - 1)
                else:
                    news.put(("large", i, str(too_large(jobs[i][1], problem))))
            except BadInput as problem:
                news.put(("refused", i, str(problem)))
            except Exception:
                news.put(("failed", i, traceback.format_exc()))
            going.remove(turn)
            free.append(lane)
            waiting = 0
            for pace in paces:
                pace.anew()
        if len({id(trial(i)) for i, *_ in going}) == 1:
            trial(going[0][0]).round(len(going) - waiting, sum(jobs[i][1].recipe.batch for i, *_ in going))


def _pace(experiment: experiments.Experiment) -> float:
    from replication.training.pace import pace
    try:
        return pace(experiment, TRIED)
    except Exception:  # said when it is that run's turn
        return 0.0


class _Pace:
    """How fast a run goes, and when it will end if it goes on so: known once it was heard of for some seconds."""

    def __init__(self) -> None:
        self.anew()

    def anew(self) -> None:
        """From now on, since more or fewer take turns."""
        self.first: tuple[float, int] | None = None
        self.end = 0.0

    def hear(self, progress: Any) -> None:
        now = time.monotonic()
        since, images = self.first = self.first or (now, progress.images)
        if now - since > SETTLED and progress.images > images:
            self.end = now + (progress.total - progress.images) * (now - since) / (progress.images - images)


def _together() -> Any:
    """How many runs take turns in a process (lanes.Trial): on a GPU REPLICATION_JOBS, or what is found by trying."""
    from replication.training import lanes
    from replication.training.device import device
    return lanes.Trial(1 if device() == "cpu" else count("REPLICATION_JOBS"))


def _one(job: Job, tell: Callable[[Any], None], until: float, asked: Callable[[], bool],
         takes: Callable[[], float]) -> Generator[None, None, store.Run]:
    """A job's run under its lease, a step at a time; it is thought to take so many seconds. Raises Stopped where
    another process has the lease, or where too little time is left to be worth a beginning."""
    from replication.training import loop
    _, experiment, seed = job
    address, rest = experiments.address(experiment, seed), until - time.monotonic()
    if asked() or rest <= 0 or (rest < USEFUL and rest < takes()):
        raise loop.Stopped
    with store.lease(address, wait=until == math.inf) as free:
        if not free:
            raise loop.Stopped  # time is better spent on the next
        done = store.find(address, own=True)
        if done is None:
            done = yield from loop.steps(experiment, seed, tell, lambda: asked() or time.monotonic() > until)
        return done


def follow() -> None:
    """Ends this process with its parent: a worker, or a stage, whose parent was killed would go on for nobody, and in
    the way of who comes next. What it has done is on disk at any moment."""
    if (parent := mp.parent_process()) is not None:
        parent.join()
        os._exit(1)


def _tell(news: Any, i: int, pace: _Pace, progress: Any) -> None:
    pace.hear(progress)
    news.put(("progress", i, progress))
