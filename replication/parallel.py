"""Independent runs side by side: one process a core, one thread each; two such beat one process with two threads.

One setting, REPLICATION_JOBS: how many runs at once ("auto": the cores, at most 8, or 1 on a GPU).
"""
from __future__ import annotations

import multiprocessing as mp
import os
import queue
import sys
import threading
import traceback
from functools import partial
from typing import Any

from tqdm import tqdm

from replication import spec, store
from replication.errors import BadInput

Job = tuple[str, spec.Experiment, int]  # what to call it, what it is, its seed


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def workers(runs: int) -> int:
    """How many runs to train at once. Raises BadInput for a REPLICATION_JOBS that is no positive number."""
    asked = os.environ.get("REPLICATION_JOBS") or "auto"
    if asked == "auto":
        from replication.train import device  # torch: only once something must be trained
        return max(1, min(runs, 8, cores() if device() == "cpu" else 1))
    if not asked.isdecimal() or int(asked) < 1:
        raise BadInput(f"REPLICATION_JOBS={asked!r} must be auto or a whole number of at least 1.")
    return min(runs, int(asked))


def train(jobs: list[Job]) -> None:
    """Trains every job that is not stored yet, in the order given; returns when all are.

    A run that another process is training is waited for. Raises BadInput, with all other work kept, when a run cannot
    be trained or a worker is killed.
    """
    if not jobs:
        return
    count = workers(len(jobs))
    context = mp.get_context("spawn")
    todo: Any = context.Queue()
    news: Any = context.Queue()
    for i in range(len(jobs)):
        todo.put(i)
    for _ in range(count):
        todo.put(None)
    threads = max(1, cores() // count)
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read by the children's libraries as they are loaded
    crew = [context.Process(target=_work, args=(jobs, threads, todo, news), daemon=True) for _ in range(count)]
    for process in crew:
        process.start()
    os.environ.pop("OMP_NUM_THREADS") if before is None else os.environ.update(OMP_NUM_THREADS=before)
    try:
        _watch(jobs, crew, news)
    finally:
        for process in crew:
            process.terminate()
        for process in crew:
            process.join()


def _watch(jobs: list[Job], crew: list[Any], news: Any) -> None:
    """One bar for all of it, in a terminal, a log and a notebook alike."""
    seen = [0] * len(jobs)
    done = 0
    tty = sys.stdout.isatty()
    with tqdm(total=sum(_images(experiment) for _, experiment, _ in jobs), unit=" images", unit_scale=True,
              file=sys.stdout, leave=False, mininterval=0.5 if tty else 10, smoothing=0.05, dynamic_ncols=tty) as bar:
        while done < len(jobs):
            try:
                kind, i, what = news.get(timeout=1)
            except queue.Empty:
                codes = [process.exitcode for process in crew if process.exitcode]
                if any(code < 0 for code in codes):
                    raise BadInput("A training process was killed from outside (often: out of memory). Nothing "
                                   "finished is lost; run the same command again, with REPLICATION_JOBS=1 to use "
                                   "less memory.") from None
                if codes:
                    raise BadInput("A training process could not start; its error is printed above. A script of your "
                                   "own must train below if __name__ == '__main__', since processes read it again."
                                   ) from None
                continue
            if kind == "refused":
                raise BadInput(f"{jobs[i][0]}: {what}")
            if kind == "failed":
                raise RuntimeError(f"{jobs[i][0]} failed:\n{what}")
            total = _images(jobs[i][1])
            if kind == "done":
                done += 1
                bar.update(total - seen[i])
                seen[i] = total
                bar.write(f"{done}/{len(jobs)}  {jobs[i][0]}: {what}", file=sys.stdout)
            else:
                share = min(total, round(total * what.images / max(1, what.total)))
                bar.update(share - seen[i])
                seen[i] = share
                if what.loss == what.loss:  # the last word of a run has none
                    bar.set_postfix_str(f"epoch {what.epoch}, loss {what.loss:.2f}, error {what.error:.0%}",
                                        refresh=False)


def _images(experiment: spec.Experiment) -> int:
    """Images a run will see, for the bar; one at least, so that a look at an untrained network counts too."""
    return max(1, experiment.recipe.epochs * (experiment.data.train_images or 1))


def _work(jobs: list[Job], threads: int, todo: Any, news: Any) -> None:
    import torch

    from replication.train import train as train_one
    threading.Thread(target=_follow, daemon=True).start()
    torch.set_num_threads(threads)
    while (i := todo.get()) is not None:
        _, experiment, seed = jobs[i]
        try:
            with store.lease(spec.address(experiment, seed)):
                run = store.find(spec.address(experiment, seed)) or train_one(
                    experiment, seed, watch=partial(_tell, news, i))
            news.put(("done", i, _line(run)))
        except BadInput as problem:
            news.put(("refused", i, str(problem)))
        except Exception:
            news.put(("failed", i, traceback.format_exc()))


def _follow() -> None:
    """A worker whose parent was killed would train on for nobody; its checkpoint is on disk at any moment."""
    if (parent := mp.parent_process()) is not None:
        parent.join()
        os._exit(1)


def _tell(news: Any, i: int, progress: Any) -> None:
    news.put(("progress", i, progress))


def _line(run: store.Run) -> str:
    if run.summary["status"] == "diverged":
        return f"diverged after {run.summary['epoch']:.0f} epochs"
    return f"top-1 error {run.summary['val_error']:.1%} in {run.provenance['seconds']:.0f} s"
