"""python -m tests.interop [NAME ...]"""
from __future__ import annotations

import argparse
import csv
import io
import os
import platform
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]  # whichever way this file was called
os.environ["OMP_NUM_THREADS"] = "1"

RUNTIMES = "runtimes"


def main() -> int:
    import interop
    from interop import libraries
    parser = argparse.ArgumentParser(prog="python -m tests.interop", description=interop.__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    known = (*libraries.LIBRARIES, RUNTIMES)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)} (default: all)")
    parser.add_argument("--place", type=Path, help="a folder for the libraries, which is kept and used again")
    asked = parser.parse_args()
    if wrong := [name for name in asked.names if name not in known]:
        parser.error(f"there is no {wrong[0]!r}: name some of {', '.join(known)}")
    names, failed = asked.names or list(known), False
    if theirs := [name for name in names if name != RUNTIMES]:
        with tempfile.TemporaryDirectory() as spare:
            rows, failed = networks(theirs, asked.place or Path(spare))
        if theirs == list(libraries.LIBRARIES) and not failed:
            print(write("networks", rows))
    if RUNTIMES in names:
        from interop import runtimes
        rows = []
        for found in runtimes.rows():
            print(*found.values(), sep="  ", flush=True)
            rows.append(found)
        print(write(RUNTIMES, rows))
    return int(failed)


def networks(names: Iterable[str], place: Path) -> tuple[list[dict[str, Any]], bool]:
    """A row an aspect of a network of a library, and whether one failed to run."""
    from interop import carried, libraries
    rows, failed = [], False
    for name in names:
        files, problem = libraries.ran(name, place)
        if problem:
            print(f"{name}: not run: {problem}", flush=True)
            failed = True
        for file in files:
            for row in carried.rows(file):
                print(*row, sep="  ", flush=True)
                rows.append(dict(zip(("network", "library", "version", "aspect", "text"), row, strict=True)))
            file.unlink()  # weights of a quarter of a gigabyte
    return rows, failed


def write(kind: str, rows: Iterable[dict[str, Any]]) -> Path:
    """The table, each line with when, where and of which code."""
    from replication import checked, paths, provenance
    made = provenance.collect()
    where = {"utc": made["utc"], "commit": made["commit"] or "", "dirty": made["dirty"],
             "python": platform.python_version(), "torch": made["versions"]["torch"]}
    rows = [{**row, **where} for row in rows]
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    path = paths.mine() / "tables" / f"interop-{kind}.csv"
    checked.write(path, text.getvalue())
    return path


if __name__ == "__main__":
    sys.exit(main())
