"""Some minutes of a GPU, in stages: whether each fast way of training works there, how fast it is beside torchvision,
then the runs of profiles, first those of the study that decides most claims per second.

A stage is a process of its own and saves as it goes, so whatever ends one, a driver's error, a signal or its time,
leaves the next a clean device and loses nothing. The same command goes on: what this code has tried, measured or
trained here is not done again.
"""
from __future__ import annotations

import multiprocessing as mp
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from replication import files, paths
from replication.benchmarks import smoke, throughput
from replication.errors import BadInput
from replication.pages import lent
from replication.runs import bundle, experiments, store
from replication.studies import profiles, study, workers

# Is given until when it may begin things, and whether it was asked to stop; returns what came of it, in a few words.
Work = Callable[[float, Callable[[], bool]], str]
CLOSE = 5.0         # seconds for the last bundle and page
GRACE = 20.0        # seconds a stage has beyond its time, or once asked to stop, to write what it has and go
UNREAD = "stopped: nobody reads what it prints"
PACK_EVERY = 60.0   # seconds: whoever takes the machine away may not ask first


@dataclass
class Stage:
    """Some of the work, which is to have at most a `share` of all the time; of training, the runs of a `profile`.
    `status` is what came of it, in a few words."""
    name: str
    share: float
    profile: str = ""
    status: str = "not begun"
    seconds: float = 0.0


def run(until: float, packed: Path, names: Sequence[str] = lent.PROFILES) -> None:
    """Goes through all stages until then (by time.monotonic). After each, and every minute, there are `packed`, a
    bundle of runs and tables, and beside it a page of what was seen (`seen.md`).

    Raises KeyboardInterrupt after SIGINT or SIGTERM, with all of that written, and BadInput for a profile or a place
    that cannot be.
    """
    bundle.check(packed)
    known = {name: profiles.profile(name) for name in names}
    for of in known.values():
        study.of_profile(of)  # says now what cannot be
    asked = _asked(signal.SIGINT, signal.SIGTERM)
    end = until - CLOSE
    budget = end - time.monotonic()
    stages = [*(Stage(name, share) for name, share in lent.BEFORE.items()),
              *(Stage(f"runs of {of.name}", 1.0, name) for name, of in known.items())]
    save = partial(_save, packed, stages, names)
    with ThreadPoolExecutor(1) as beside:  # takes seconds, in which the GPU is tried out
        turns = beside.submit(lent.turns, names)
        for stage in stages:
            if asked() or time.monotonic() >= end:
                break
            work: Work = {"smoke": _smoke, "bench": _bench}.get(stage.name) or partial(
                _train, stage.profile, [turn.study for turn in turns.result()[stage.profile]])
            _stage(stage, work, min(end, time.monotonic() + stage.share * budget), asked, save)
            if stage.name == "smoke" and not os.environ.get("REPLICATION_FAST"):
                os.environ["REPLICATION_FAST"] = _what_works()
    save()
    came = "\n".join(f"{stage.name}, {stage.seconds:.0f} s: {stage.status}" for stage in stages)
    print(f"\n{came}\nWhat was seen: {packed.parent / 'seen.md'}. To carry home: {packed}.", flush=True)
    if asked():
        raise KeyboardInterrupt


def _stage(stage: Stage, work: Work, until: float, asked: Callable[[], bool], save: Callable[[], None]) -> None:
    """Does the work in a process of its own to its end, or to GRACE after its time or after it was asked to stop."""
    context = mp.get_context("spawn")
    hears, says = context.Pipe(duplex=False)
    process = context.Process(target=_alone, args=(work, until, says))
    began = saved = time.monotonic()
    process.start()
    says.close()
    last = until
    while process.is_alive():
        process.join(0.2)
        now = time.monotonic()
        if asked() and last > now:
            last = now
            process.terminate()
        if now > last + GRACE:
            process.kill()
        if now - saved > PACK_EVERY:
            saved = now
            save()
    stage.seconds = time.monotonic() - began
    try:
        if not hears.poll():  # what it had begun itself, loaders of images say, may be open to it for seconds yet
            raise EOFError
        stage.status = hears.recv()
    except EOFError:
        stage.status = ("stopped; the same command goes on" if asked() else
                        "time was up; what it had measured stays" if time.monotonic() > last else
                        f"failed: its process ended with status {process.exitcode}")
    save()
    if stage.status == UNREAD:
        raise BrokenPipeError


def _alone(work: Work, until: float, says: Connection) -> None:
    """What the process of a stage does; it says what came of it in a few words."""
    threading.Thread(target=workers.follow, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's reaches all processes: the parent passes it on
    try:
        says.send(work(until, _asked(signal.SIGTERM)))
    except KeyboardInterrupt:
        says.send("stopped; the same command goes on")
    except BrokenPipeError:
        says.send(UNREAD)
    except BadInput as problem:
        says.send(f"left out: {problem}")
    except Exception as problem:
        traceback.print_exc()
        says.send(f"failed: {type(problem).__name__}: {str(problem).splitlines()[0][:200] if str(problem) else ''}")


def _asked(*signals: int) -> Callable[[], bool]:
    """Says whether this process has been asked to stop, by one of these."""
    heard: list[int] = []
    for number in signals:
        signal.signal(number, lambda number, _: heard.append(number))
    return lambda: bool(heard)


def _smoke(until: float, asked: Callable[[], bool]) -> str:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # its table is written after each case: nothing is lost
    return f"see {smoke.run(until, go_on=True).name}"


def _bench(until: float, asked: Callable[[], bool]) -> str:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return f"see {throughput.run(until=until, go_on=True).name}"


def _train(name: str, studies: list[str], until: float, asked: Callable[[], bool]) -> str:
    """The missing runs of a profile, study by study in this order."""
    grids = {each.study.name: each for each in study.of_profile(profiles.profile(name))}
    jobs = list(study.missing([grids[each] for each in studies]).values())
    print(f"{len(jobs)} runs of {name} to train", flush=True)
    workers.train(jobs, until, asked)
    left = sum(not store.exists(address) for address in (experiments.address(*job[1:]) for job in jobs))
    return f"{len(jobs) - left} runs finished, {left} are left"


def _what_works() -> str:
    """For REPLICATION_FAST: auto, or what is left of it once broken tricks are left out."""
    tables = sorted((paths.mine() / "tables").glob("smoke-*.csv"), key=lambda path: path.stat().st_mtime)
    try:
        broken = smoke.broken(tables[-1]) if tables else {}
    except (ValueError, KeyError, TypeError, AttributeError):
        print(f"{tables[-1]} is no table that smoke wrote: nothing is left out.", flush=True)
        broken = {}
    if not {"graph", "compile"} & broken.keys():
        return "auto"
    for trick, why in broken.items():
        print(f"From here on without {trick}: {why}", flush=True)
    return "none" if "graph" in broken else "graph"


def _save(packed: Path, stages: list[Stage], names: Sequence[str]) -> None:
    """What cannot be written ends nothing: it is said, and the store has it all."""
    try:
        bundle.pack(packed)
        came = [(stage.name, stage.seconds, stage.status) for stage in stages]
        files.write(packed.parent / "seen.md", lent.seen(came, names))
    except BadInput as problem:
        print(problem, file=sys.stderr, flush=True)
    except OSError as problem:
        print(store.full(packed.parent / "seen.md", problem), file=sys.stderr, flush=True)
