"""Kills while papermill runs a notebook: of papermill, of the kernel, or of what trains for it."""
from __future__ import annotations

import random
import shutil
import sys
import time
from pathlib import Path

import nbformat
import psutil

from ordeal import forked, tiny
from ordeal.report import Result, result
from replication import paths

CELLS = (
    "from replication.pages import html, metrics\nfrom replication.studies import study",
    "grid = study.single('googlenet', images=40, val_images=20, width=0.125, epochs=4, batch=20, seeds=2).train()",
    "html.neat(grid.errors(), 1)",
    "metrics.write_page('tiny', [], [grid], runs=len(grid.summary()))")
VICTIMS = ("papermill", "the kernel", "what trains")


def _source(place: Path) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text, id=f"c{n}") for n, text in enumerate(CELLS)])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(made, place / "tiny.ipynb")
    return place / "tiny.ipynb"


def _execute(source: Path) -> int:
    """As book/_tools/execute.py does it for each page."""
    sys.path.insert(0, str(paths.ROOT / "book" / "_tools"))
    import execute
    _, error = execute.run(source, {})
    print(error)
    return int(bool(error))


def _bits(place: Path) -> dict[str, str]:
    """Of the executed copy and of the page's numbers only that they are there: they tell of time."""
    found = tiny.bits(place / "out")
    return {name: "there" if name.startswith(("notebooks/", "metrics/")) else digest for name, digest in found.items()}


def kills(number: int) -> list[Result]:
    with forked.scratch() as place:
        source = _source(place)
        began = time.monotonic()
        ended = forked.run(lambda: _execute(source), _env(place / "whole"))
        if ended.code:
            return [result("notebook", "undisturbed", "it fails", ended.said)]
        seconds, wanted = time.monotonic() - began, _bits(place / "whole")
        return [_case(n, source, place / f"{n}", seconds, wanted) for n in range(number)]


def _env(place: Path) -> dict[str, str]:
    # the kernel is another interpreter: the package is this one, wherever it was installed from
    return forked.store_at(place, PYTHONPATH=str(paths.ROOT), OMP_NUM_THREADS="1")


def _case(number: int, source: Path, place: Path, seconds: float, wanted: dict[str, str]) -> Result:
    drawn, began = random.Random(f"notebook {number}"), time.monotonic()
    victim, share = VICTIMS[number % len(VICTIMS)], drawn.uniform(0.05, 0.95)
    case = f"{victim}, {number}"
    child = forked.Child(lambda: _execute(source), _env(place))
    time.sleep(share * seconds)
    found: psutil.Process | None = None
    while psutil.pid_exists(child.pid) and found is None:  # it may not have begun yet
        found = _found(child.pid, victim)
        if psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE:
            break
        time.sleep(0.02)
    if found is not None:
        found.kill()
    first = child.wait()
    if victim == "papermill":
        _gone(place)
    again = forked.run(lambda: _execute(source), _env(place))
    wrong = "resuming failed" if again.code else ""
    left = _bits(place)
    wrong = wrong or ", ".join(
        [f"{name} is left over" for name in left if name not in wanted]
        + [f"{name} is missing" for name in wanted if name not in left]
        + [f"{name} differs" for name in wanted if name in left and left[name] != wanted[name]])
    said = f"killed at {share:.2f} of its time" if found is not None else f"it had ended before ({first.code})"
    shutil.rmtree(place, ignore_errors=True)
    return result("notebook", case, wrong, f"{said}; {again.said[-500:]}" if wrong else said,
                  time.monotonic() - began)


def _found(pid: int, victim: str) -> psutil.Process | None:
    """A kernel is known by its module, what trains by that it was spawned."""
    try:
        own = psutil.Process(pid)
        if victim == "papermill":
            return own
        for one in own.children(recursive=True):
            line = " ".join(one.cmdline())
            if ("ipykernel_launcher" in line) if victim == "the kernel" else ("spawn_main" in line):
                return one
    except psutil.Error:
        pass
    return None


def _gone(place: Path) -> None:
    """Waits for a kernel whose papermill was killed to notice it."""
    until = time.monotonic() + forked.LONG
    while time.monotonic() < until:
        mine = [one for one in psutil.process_iter() if _of(one, place)]
        if not mine:
            return
        time.sleep(0.1)


def _of(one: psutil.Process, place: Path) -> bool:
    try:
        return (one.status() != psutil.STATUS_ZOMBIE and "ipykernel_launcher" in " ".join(one.cmdline())
                and one.environ().get("REPLICATION_OUT", "").startswith(str(place)))
    except psutil.Error:
        return False
