"""SIGKILL in the middle of each kind of work, which is then done again: the same bits, no file more, nothing twice."""
from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ordeal import forked, notebook, server, tiny
from ordeal.fuse import Fuse, Where
from ordeal.report import Result, result
from replication import paths
from replication.data import cache, download
from replication.runs import bundle, experiments, store
from replication.training import checkpoint, loop

TRIES = 6  # kills that may come too late


@dataclass(frozen=True)
class Work:
    """`prepare` makes what lies in a folder before; `do` is what is killed somewhere `where` it is, and then done
    again. `trains`: the run whose steps are counted."""
    kind: str
    form: str
    prepare: Callable[[Path], Any]
    do: Callable[[Path], Any]
    where: Where
    trains: tuple[experiments.Experiment, int] | None = None

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.form}"


# -- what is done ---------------------------------------------------------------------------------------------------
def training(kind: str, name: str, where: Where) -> Work:
    return Work(kind, name, lambda place: None, lambda place: tiny.train(name, 0), where, (tiny.EXPERIMENTS[name], 0))


def half_trained(place: Path) -> None:
    """A run that is stored, another that was begun, and nothing else."""
    tiny.train("SGD, LRN, two heads", 1)
    asked = iter(range(3))
    experiment = tiny.EXPERIMENTS["RMSProp, BN, averaged"]
    try:
        loop.train(experiment, 2, stop=lambda: next(asked, None) is None)
    except loop.Stopped:
        return
    raise AssertionError("it was to stop in the middle")


def brought(place: Path) -> None:
    """A bundle of what another store holds, beside an empty one."""
    half_trained(place)
    bundle.pack(place / "bundle.tar")
    shutil.rmtree(place / "out")


def archived(place: Path) -> None:
    content = tiny.packed({f"set/{n}.bin": bytes(range(n, 256)) * 4000 for n in range(5)})
    (place / "archive.zip").write_bytes(content)


def fetched(web: server.Server, place: Path) -> None:
    archive = place / "archive.zip"
    download.obtain(web.url("/set.zip"), download.checksum(archive), paths.data() / "set")


def unpacked(place: Path) -> None:
    bundle.unpack([place / "bundle.tar", *sorted(place.glob("bundle.*.pt"))])


def works(web: server.Server) -> list[tuple[Work, int]]:
    """Each with how many kills of 200."""
    names = list(tiny.EXPERIMENTS)
    phases: dict[str, tuple[Where, int]] = {
        "training": (((loop.Training, "step"),), 15), "validation": (((loop.Training, "note"),), 12),
        "checkpoint": (((checkpoint, "save"),), 15), "commit": (((loop.Training, "commit"),), 15)}
    found = [(training(kind, name, where), n) for kind, (where, n) in phases.items() for name in names]
    found += [
        (Work("bundle", "a run and a checkpoint", half_trained, lambda place: bundle.pack(place / "bundle.tar"),
              ((bundle, "pack"),)), 20),
        (Work("import", "a run and a checkpoint", brought, unpacked, ((bundle, "unpack"),)), 20),
        (Work("decoding", "a folder", lambda place: tiny.pictures(place / "pictures"),
              lambda place: tiny.decode(f"folder:{place / 'pictures'}"), ((cache, "keep"),)), 14),
        (Work("decoding", "shards", lambda place: tiny.shards(place / "data" / "imagenet"),
              lambda place: tiny.decode("imagenet"), ((cache, "keep"),)), 6),
        (Work("download", "an archive", archived, partial(fetched, web), ((download, "obtain"),)), 16)]
    return found


# -- once, undisturbed ----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Whole:
    """What has to be there before, what the work leaves, and how many lines and seconds its phase has."""
    prepared: Path
    bits: dict[str, str]
    lines: int
    seconds: float


def whole(work: Work, place: Path) -> Whole:
    """Twice: with lines counted, and as fast as it is."""
    made, found = place / "prepared", {}
    made.mkdir(parents=True)
    ended = forked.run(lambda: work.prepare(made), forked.store_at(made))
    if ended.code:
        raise RuntimeError(f"{work.name} cannot be prepared:\n{ended.said}")
    for lines in (True, False):
        here = place / ("lines" if lines else "clock")
        shutil.copytree(made, here)

        def counted(here: Path = here, lines: bool = lines) -> None:
            fuse = Fuse(work.where, lines=lines)
            _do(work, here)
            (here.parent / "counted.json").write_text(json.dumps([fuse.lines, fuse.last - fuse.first]))

        ended = forked.run(counted, forked.store_at(here))
        if ended.code:
            raise RuntimeError(f"{work.name} fails undisturbed:\n{ended.said}")
        found[lines] = json.loads((place / "counted.json").read_text())
    left = [tiny.bits(place / name) for name in ("lines", "clock")]
    if left[0] != left[1]:
        raise RuntimeError(f"{work.name} does not repeat undisturbed: {_apart(*left)}")
    return Whole(made, left[0], found[True][0], found[False][1])


def _do(work: Work, place: Path) -> None:
    """With a checkpoint after every step, and a note of every step outside of what is compared."""
    loop.CHECKPOINT_EVERY = 0.0
    notes = os.open(place.with_suffix(".steps"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(notes, b"begin\n")
    if work.trains is not None:
        address = experiments.address(*work.trains)
        held = tiny.STEPS if store.exists(address) else max(0, bundle._step(store.checkpoint(address)))
        os.write(notes, f"held {held}\n".encode())
    step = loop.Training.step

    def noted(self: Any, batch: Any) -> None:
        os.write(notes, f"step {self.state.step}\n".encode())
        step(self, batch)

    loop.Training.step = noted  # type: ignore[method-assign]
    work.do(place)


def _twice(notes: str) -> str:
    """What was trained again although it was stored: after each beginning the steps from the one that is held on."""
    for part in notes.split("begin\n")[1:]:
        lines = [line.split() for line in part.splitlines()]
        held = [int(n) for word, n in lines if word == "held"]
        steps = [int(n) for word, n in lines if word == "step"]
        if held and steps != list(range(held[0], held[0] + len(steps))):
            return f"from step {held[0]}, which was stored, it took the steps {steps}"
    return ""


# -- killed, and again ----------------------------------------------------------------------------------------------
def case(work: Work, known: Whole, number: int, place: Path) -> Result:
    """Every second kill at a line, the others at a moment; one that comes too late is drawn again, earlier."""
    drawn, began = random.Random(f"{work.name} {number}"), time.monotonic()
    share, by_line = drawn.random(), number % 2 == 0
    for _ in range(TRIES):
        shutil.rmtree(place, ignore_errors=True)
        place.with_suffix(".steps").unlink(missing_ok=True)
        shutil.copytree(known.prepared, place)
        code = _killed(work, known, share, by_line, place)
        if code == -signal.SIGKILL:
            break
        share *= 0.7
    said = f"killed at {share:.4f} of its {'lines' if by_line else 'time'}"
    if code != -signal.SIGKILL:
        return result(work.kind, f"{work.form}, {number}", "it could not be killed", said)
    again = forked.run(lambda: _do(work, place), forked.store_at(place))
    wrong = "resuming failed" if again.code else ""
    wrong = wrong or _apart(known.bits, tiny.bits(place)) or _twice(place.with_suffix(".steps").read_text())
    shutil.rmtree(place, ignore_errors=True)
    return result(work.kind, f"{work.form}, {number}", wrong, f"{said}; {again.said[-500:]}" if wrong else said,
                  time.monotonic() - began)


def _killed(work: Work, known: Whole, share: float, by_line: bool, place: Path) -> int:
    """The code with which it ended."""
    read, write = os.pipe()

    def do() -> None:
        os.close(read)
        Fuse(work.where, int(share * known.lines) if by_line else float("inf"), lambda: os.write(write, b"."), by_line)
        _do(work, place)

    child = forked.Child(do, forked.store_at(place))
    os.close(write)
    if os.read(read, 1) and not by_line:
        time.sleep(share * known.seconds)
        child.kill()
    os.close(read)
    return child.wait().code


def _apart(wanted: dict[str, str], found: dict[str, str]) -> str:
    """In which files two folders differ."""
    words = [(f"{name} is left over", name in found and name not in wanted) for name in found]
    words += [(f"{name} is missing", name not in found) for name in wanted]
    words += [(f"{name} differs", name in found and found[name] != wanted[name]) for name in wanted]
    return ", ".join([text for text, true in words if true][:5])


def run(share: float, jobs: int) -> list[Result]:
    """All of them; `share` of 200."""
    with forked.scratch() as place, server.serving() as web:
        web.show("/set.zip", _archive(place))
        cases = []
        for n, (work, kills) in enumerate(works(web)):
            known = whole(work, place / f"whole{n}")
            cases += [(work, known, number, place / f"{n}-{number}") for number in range(max(1, round(kills * share)))]
        found = forked.lanes(cases, lambda one: case(*one), jobs)
    return found + notebook.kills(max(1, round(14 * share)))


def _archive(place: Path) -> bytes:
    archived(place)
    return (place / "archive.zip").read_bytes()
