"""Processes at one store, all at once: they run, list, import, pack, publish and reproduce. What is there at the end is
what one alone would have left, and nobody waited without an end."""
from __future__ import annotations

import json
import os
import random
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ordeal import forked, sentence, tiny, writes
from ordeal.report import Result, result
from replication import paths
from replication.__main__ import main
from replication.data.load import load
from replication.data.registry import resolve
from replication.runs import bundle, experiments, store
from replication.training import loop, members

MANY = 8          # processes
MINUTES = 10.0
AHEAD = 3         # runs that are open at a time, at which all of them train
NAMES = tuple(tiny.EXPERIMENTS)


def _run_of(number: int) -> tuple[str, int]:
    return NAMES[number % len(NAMES)], number


@cache
def _address(number: int) -> str:
    name, seed = _run_of(number)
    return experiments.address(tiny.EXPERIMENTS[name], seed)


def _open(place: Path) -> int:
    """The first run that is not stored yet."""
    done = {path.parent.name for path in (paths.mine() / "runs").glob("*/summary.json")}
    return next(n for n in range(100_000) if _address(n) not in done)


# -- what each does -------------------------------------------------------------------------------------------------
def _train(place: Path, drawn: random.Random) -> None:
    tiny.train(*_run_of(_open(place) + drawn.randrange(AHEAD)))


def _list(place: Path, drawn: random.Random) -> None:
    missing = " --missing" if drawn.random() < 0.5 else ""
    _verb(f"list --profile {shlex.quote(str(place / 'tiny.yaml'))}{missing}")


def _verb(line: str) -> None:
    if main(shlex.split(line)):
        raise AssertionError(f"{line} was refused")


def _import(place: Path, drawn: random.Random) -> None:
    """What somebody packed, a moment ago or at the beginning."""
    packed = sorted(place.glob("packed-*.tar"))
    bundle.unpack([drawn.choice(packed)])


def _pack(place: Path, drawn: random.Random) -> None:
    bundle.pack(place / f"packed-{drawn.randrange(3)}-{os.getpid()}.tar")


def _publish(place: Path, drawn: random.Random) -> None:
    writes.publishes(place)


def _read(place: Path, drawn: random.Random) -> None:
    """All runs, and what one of them says of its images."""
    number = _open(place)
    store.everything(paths.mine())
    if number:
        name, seed = _run_of(drawn.randrange(number))
        members.member(tiny.EXPERIMENTS[name], seed)


def _decode(place: Path, drawn: random.Random) -> None:
    """A set that another may be decoding just now."""
    load(resolve(f"folder:{place / 'pictures'}", resolution=16 + drawn.randrange(40)))


def _reproduce(place: Path, drawn: random.Random) -> None:
    """As `make reproduce` does: trains what is missing of a profile, all by itself, then lists and compares."""
    name, seed = _run_of(_open(place) + drawn.randrange(AHEAD))
    tiny.train(name, seed)
    _verb(f"list --profile {shlex.quote(str(place / 'tiny.yaml'))}")
    _verb("compare")


ACTS: list[tuple[Callable[[Path, random.Random], None], int]] = [
    (_train, 6), (_list, 2), (_import, 2), (_pack, 1), (_publish, 2), (_read, 2), (_decode, 1), (_reproduce, 2)]
# What one may say to another: come again. Each of it is a sentence of BadInput.
LATER = ("is being trained by another process",)


def _one(place: Path, number: int, until: float) -> None:
    """Acts until time is up; notes what each act took, and every commit."""
    drawn = random.Random(number)
    notes = os.open(place / "notes", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    whole = loop.Training.commit

    def commit(self: Any) -> store.Run:
        os.write(notes, f"commit {self.address}\n".encode())
        return whole(self)

    loop.Training.commit = commit  # type: ignore[method-assign]
    acts, weights = zip(*ACTS, strict=True)
    while time.monotonic() < until:
        act, began, said = drawn.choices(acts, weights)[0], time.monotonic(), ""
        try:
            act(place, drawn)
        except ValueError as problem:  # BadInput
            said = str(problem)
        except Exception as problem:
            said = f"{type(problem).__name__}: {problem}"
        line = ["act", act.__name__[1:], round(time.monotonic() - began, 3), said]
        os.write(notes, f"{json.dumps(line)}\n".encode())


# -- all of them, and what they leave -------------------------------------------------------------------------------
def run(share: float, jobs: int) -> list[Result]:
    seconds = 60 * MINUTES * share
    with forked.scratch() as place:
        env = forked.store_at(place, PYTHONPATH=str(Path(__file__).resolve().parents[2]), OMP_NUM_THREADS="1")
        made = forked.run(lambda: _prepare(place), env)
        if made.code:
            raise RuntimeError(f"The crowd's store could not be made:\n{made.said}")
        until = time.monotonic() + seconds
        crew = [forked.Child(lambda n=n: _one(place, n, until), env) for n in range(MANY)]
        ended = [child.wait(seconds + forked.LONG) for child in crew]
        lines = (place / "notes").read_text().splitlines()
        commits = Counter(line.split()[1] for line in lines if line.startswith("commit "))
        acts = [json.loads(line)[1:] for line in lines if line.startswith("[")]
        judged = forked.run(lambda: _judge(place), {**env, "CROWD": json.dumps(commits)}, within=3600)
        return [*_of_acts(acts, ended), *_of_store(judged, commits)]


def _prepare(place: Path) -> None:
    writes.published(place)
    tiny.train(*_run_of(0))
    bundle.pack(place / "packed-first.tar")
    tiny.pictures(place / "pictures")


def _of_acts(acts: list[list[Any]], ended: list[forked.Ended]) -> list[Result]:
    """A line a kind of act, and one for the processes themselves."""
    found = []
    for name in dict.fromkeys(act.__name__[1:] for act, _ in ACTS):
        mine = [(took, said) for kind, took, said in acts if kind == name]
        bad = [said for _, said in mine if said and not any(word in said for word in LATER)]
        told = [wrong for _, said in mine if said and (wrong := sentence.wrong(said))]
        longest = max((took for took, _ in mine), default=0.0)
        found.append(result("acts", f"{name}, {len(mine)} times", (f"{len(bad)} failed" if bad else told[0] if told else
                            "never done" if not mine else ""), bad[0][-500:] if bad else
                            f"the longest took {longest:.1f} s", sum(took for took, _ in mine)))
    wrong = next((f"one ends with {one.code}" for one in ended if one.code), "")
    wrong = "one waits without an end" if any(one.stuck for one in ended) else wrong
    said = next((one.said[-500:] for one in ended if one.said), "")
    return [*found, result("processes", f"{len(ended)} at once", wrong, said if wrong else "", ended[0].seconds)]


def _judge(place: Path) -> None:
    """What is wrong with the store, as JSON on stdout."""
    committed: dict[str, int] = json.loads(os.environ["CROWD"])
    stored = [n for n in range(_open(place) + AHEAD) if store.exists(_address(n))]
    # a run that came by import was trained before it was packed
    wrong = {"double": [a for a, times in committed.items() if times > 1],
             "lost": [a for a in committed if not store.exists(a)], "unreadable": [], "other": [], "left": []}
    for n in stored:
        try:
            store.read(store.folder(_address(n)))
        except ValueError as problem:
            wrong["unreadable"].append(str(problem))
    own = paths.mine()
    for n in stored[:: max(1, len(stored) // 6)]:  # trained again, alone
        os.environ["REPLICATION_OUT"] = str(place / "again")
        tiny.train(*_run_of(n))
        os.environ["REPLICATION_OUT"] = str(own)
        for name in ("history.csv", "summary.json"):
            one, other = (base / "runs" / _address(n) / name for base in (own, place / "again"))
            if one.read_bytes() != other.read_bytes():
                wrong["other"].append(f"{name} of {_address(n)}")
    for base in (own, place / "results", place / "data"):
        wrong["left"] += [str(path.relative_to(place)) for path in base.rglob("*")
                          if path.name.startswith(".") or path.name.endswith((".partial", ".part"))]
        for path in base.rglob("*"):
            if path.is_file() and path.suffix in (".json", ".pt", ".npz", ".npy"):
                found = tiny._digest(path, place) if path.suffix != ".npy" else str(np.load(path).shape)
                if found.startswith("cannot be read"):
                    wrong["unreadable"].append(f"{path.relative_to(place)} {found}")
                if path.suffix == ".json":
                    json.loads(path.read_text())
    wrong["runs"] = [str(len(stored))]
    print(json.dumps(wrong), file=sys.stdout)


def _of_store(judged: forked.Ended, commits: Counter[str]) -> list[Result]:
    if judged.code:
        return [result("store", "judged", "it cannot be", judged.said[-500:])]
    found = json.loads(judged.told.strip().splitlines()[-1])
    what = {"double": "no run was trained twice", "lost": "no run is lost", "unreadable": "every file can be read",
            "other": "runs are those of one process alone", "left": "no file is left over"}
    return [result("store", words, ", ".join(found[kind][:3]), f"of {found['runs'][0]} runs, {sum(commits.values())} "
                   "trained") for kind, words in what.items()]
