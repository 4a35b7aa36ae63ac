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


def main() -> int:
    import interop
    from interop.libraries import LIBRARIES, ran
    parser = argparse.ArgumentParser(prog="python -m tests.interop", description=interop.__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    known = (*LIBRARIES, "runtimes")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)} (default: all)")
    asked = parser.parse_args().names
    if wrong := [name for name in asked if name not in known]:
        parser.error(f"there is no {wrong[0]!r}: name some of {', '.join(known)}")
    from interop import carried, runtimes
    failed, tables = False, {"networks": [], "runtimes": []}
    with tempfile.TemporaryDirectory() as place:
        for name in asked or LIBRARIES:
            if name == "runtimes":
                continue
            files, problem = ran(name, Path(place))
            if problem:
                failed = True
                print(f"{name}: not run: {problem}", flush=True)
            for file in files:
                for row in carried.rows(file):
                    print(*row, sep="  ", flush=True)
                    tables["networks"].append(dict(zip(("network", "library", "version", "aspect", "text"), row,
                                                       strict=True)))
    if not asked or "runtimes" in asked:
        for found in runtimes.rows():
            print(*found.values(), sep="  ", flush=True)
            tables["runtimes"].append(found)
    if not asked:
        for kind, rows in tables.items():
            print(write(kind, rows))
    return int(failed)


def write(kind: str, rows: Iterable[dict[str, Any]]) -> Path:
    """The table, each line with when, where and of which code."""
    from replication import files, paths, provenance
    made = provenance.collect()
    where = {"utc": made["utc"], "commit": made["commit"] or "", "dirty": made["dirty"],
             "python": platform.python_version(), "torch": made["versions"]["torch"]}
    rows = [{**row, **where} for row in rows]
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    path = paths.mine() / "tables" / f"interop-{kind}.csv"
    files.write(path, text.getvalue())
    return path


if __name__ == "__main__":
    sys.exit(main())
