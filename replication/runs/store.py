"""Finished runs as small text files, found by address. No torch: the book and a cluster's head node read them too.

A run's folder `<store>/runs/<address>/` holds `experiment.json` (what was asked, hashed to the address), `history.csv`
(a line per epoch), `provenance.json` (who, when, on what, and a seal: a digest of all four) and `summary.json`, written
last and by rename: its existence is the commit. Whatever lacks it is a run that was begun; its checkpoint lies beside
the runs and stays out of git.

A run that was trained again, on another machine say, has the same address and perhaps another result: its twin. Twins
lie in stores of their own, `<store>/twins/<label>/`.
"""
from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from replication import files, paths
from replication.errors import BadInput

FORMAT = 1  # of the files in a run's folder

Epoch = dict[str, float]  # a line of history.csv: what was measured, by name


@dataclass(frozen=True)
class Run:
    """One finished run. `history` has a row per epoch, row 0 the untrained network; `summary` its last state."""
    address: str
    record: dict[str, Any]
    history: tuple[Epoch, ...]
    summary: dict[str, Any]
    provenance: dict[str, Any]


def folder(address: str, store: Path | None = None) -> Path:
    return (store or paths.mine()) / "runs" / address


def checkpoint(address: str) -> Path:
    return paths.mine() / "checkpoints" / f"{address}.pt"


def weights(address: str) -> Path:
    return paths.mine() / "weights" / f"{address}.pt"


def logits(address: str, views: int = 1) -> Path:
    """Of every validation image, over so many views (`members.member`)."""
    return paths.mine() / "logits" / f"{address}.{views}.npz"


def find(address: str, own: bool = False) -> Run | None:
    """The finished run, yours before the published one, or None; with `own` yours alone.

    Raises BadInput for a run that is there and cannot be trusted: truncated, foreign, or of a newer format.
    """
    for store in (paths.mine(),) if own else paths.stores():
        if (folder(address, store) / "summary.json").exists():
            return read(folder(address, store))
    return None


def exists(address: str) -> bool:
    """Whether a finished run is stored, without reading it."""
    return any((folder(address, store) / "summary.json").exists() for store in paths.stores())


def twins(address: str) -> dict[str, Run]:
    """The run as it was trained again, by the label of the store that holds it, published and yours.

    Such a store is filled as any other, with REPLICATION_OUT=out/twins/<label> and REPLICATION_READ=mine for `run` or
    `import`. Raises BadInput as `find` does.
    """
    return {place.name: read(folder(address, place)) for store in reversed(paths.stores())
            for place in sorted((store / "twins").glob("*")) if (folder(address, place) / "summary.json").exists()}


def read(path: Path) -> Run:
    """The run in a folder. Raises BadInput naming the file that is wrong."""
    summary = _json(path / "summary.json")
    if not isinstance(summary.get("format"), int):
        raise _foreign(path / "summary.json")
    if summary["format"] > FORMAT:
        raise BadInput(f"{path} was written by a newer version (format {summary['format']}; this one reads up to "
                       f"{FORMAT}): update the code, or move that folder away.")
    record = _json(path / "experiment.json")
    if files.digest(record) != path.name:
        raise BadInput(f"{path / 'experiment.json'} does not belong to that address (it hashes to "
                       f"{files.digest(record)}): delete the folder to train the run again.")
    history, provenance = _history(path / "history.csv"), _json(path / "provenance.json")
    texts = [(path / name).read_text(encoding="utf-8") for name in ("experiment.json", "history.csv", "summary.json")]
    if (seal := provenance.pop("seal", None)) is not None and seal != _seal(texts, provenance):
        raise BadInput(f"{path} holds another record than was written there, by its seal: delete that folder to train "
                       f"the run again.")
    return Run(path.name, record, history, summary, provenance)


def everything(store: Path) -> list[Run]:
    """All finished runs of one store; what cannot be read is left where it is, with a warning."""
    found = []
    for path in sorted((store / "runs").glob("*/summary.json")):
        try:
            found.append(read(path.parent))
        except BadInput as problem:
            warnings.warn(str(problem), stacklevel=2)
    return found


def begun(address: str) -> bool:
    """Whether a checkpoint waits for the run to go on."""
    return checkpoint(address).exists() and not exists(address)


@contextmanager
def lease(address: str, wait: bool = True) -> Iterator[bool]:
    """Only one process trains a run. Yields False at once if another holds it and `wait` is False.

    The kernel takes the lease back when its holder is killed, so there is no stale one to clear.
    """
    path = paths.mine() / "leases" / f"{address}.lock"
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:  # is an OSError, too
        yield False
        return
    except OSError as problem:
        raise full(path, problem) from problem
    try:
        yield True
    finally:
        lock.release()


def commit(address: str, record: dict[str, Any], history: list[Epoch], summary: dict[str, Any],
           provenance: dict[str, Any]) -> Run:
    """Writes a finished run, `summary.json` last. Raises BadInput when the disk is full."""
    path = folder(address)
    try:
        path.mkdir(parents=True, exist_ok=True)
        files.write(path / "experiment.json", files.as_json(record))
        files.write(path / "history.csv", _csv(history))
        last = files.as_json({"format": FORMAT, **summary})
        seal = _seal([files.as_json(record), _csv(history), last], provenance)
        files.write(path / "provenance.json", files.as_json({**provenance, "seal": seal}))
        files.write(path / "summary.json", last)
    except OSError as problem:
        raise full(path, problem) from problem
    return read(path)


def _seal(texts: list[str], provenance: dict[str, Any]) -> str:
    """Over the files of a run, in this order, and its provenance without it; runs of before have none."""
    return files.digest({"files": texts, "provenance": json.loads(files.as_json(provenance))})


def full(path: Path, problem: OSError) -> BadInput:
    return BadInput(f"Could not write {path} ({problem.strerror}): free some space or set REPLICATION_OUT to another "
                    f"disk, then run the same command; it goes on from the last checkpoint.")


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as problem:
        raise BadInput(f"{path} is missing, truncated or no JSON: delete the folder {path.parent} to train the run "
                       f"again.") from problem
    if not isinstance(value, dict):
        raise _foreign(path)
    return value


def _foreign(path: Path) -> BadInput:
    return BadInput(f"{path} does not hold a run's record: delete the folder {path.parent} to train it again.")


def _csv(history: list[Epoch]) -> str:
    columns = list(history[0])
    return "\n".join([",".join(columns), *(",".join(f"{row[c]:.9g}" for c in columns) for row in history)]) + "\n"


def _history(path: Path) -> tuple[Epoch, ...]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = tuple({k: float(v) for k, v in row.items()} for row in csv.DictReader(file))
        if not rows:
            raise ValueError("no rows")
        return rows
    except (OSError, UnicodeDecodeError, ValueError, TypeError) as problem:
        raise BadInput(f"{path} is missing or truncated: delete the folder {path.parent} to train the run "
                       f"again.") from problem
