"""Where things lie. Published results are read; your own are written; nothing here creates a folder."""
from __future__ import annotations

import os
from pathlib import Path

from replication.errors import word

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = ROOT / "results"


def mine() -> Path:
    """Your own store: REPLICATION_OUT, or `out/` of the checkout."""
    return _place("REPLICATION_OUT", "out")


def stores() -> tuple[Path, ...]:
    """The stores a study reads, yours first; `make reproduce` sets REPLICATION_READ=mine, or it would prove nothing."""
    return (mine(),) if word("REPLICATION_READ", "mine") else (mine(), PUBLISHED)


def tables(kind: str) -> list[Path]:
    """Every table `<kind>-<device>.csv` that `bench` wrote, yours before the published one of the same name; a quick
    one is no measurement."""
    found = {path.name: path for place in reversed(stores()) for path in (place / "tables").glob(f"{kind}-*.csv")
             if not path.stem.endswith("-quick")}
    return [found[name] for name in sorted(found)]


def data() -> Path:
    """Data sets and their decoded caches: REPLICATION_DATA, or `data/` of the checkout."""
    return _place("REPLICATION_DATA", "data")


def kept(name: str) -> Path:
    """Where a kind of what is made of data sets is written, decoded images say: beside them, or, where that is not ours
    to write, in your own store. Data that are all there can so lie in a place that is only read."""
    place = data() / name
    there = next(path for path in (place, *place.parents) if os.path.exists(path))
    return place if os.access(there, os.W_OK) else mine() / "data" / name


def found(name: str) -> tuple[Path, ...]:
    """Where such things are read: where they are written, and beside the data."""
    return kept(name), data() / name


def _place(variable: str, default: str) -> Path:
    """What an environment variable says, or a folder of the checkout. Not every shell has the ~ of `make NAME=~/x`."""
    return Path(os.path.expanduser(os.environ.get(variable) or ROOT / default)).resolve()
