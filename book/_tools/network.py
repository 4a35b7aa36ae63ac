"""Write the network that the page *Try it* runs: the first published batch-normalised GoogLeNet with both heads.

    REPLICATION_OUT=STORE python book/_tools/network.py     # a store that holds the run's weights

Whoever has none trains the run first, `python -m replication run v1.aux --profile cpu-full --only norm=bn --only
aux=4a+4d`. What was written is committed; tests/book/test_try_it.py compares it with the published run.
"""
from __future__ import annotations

import sys
from pathlib import Path

from replication.errors import BadInput
from replication.studies import study
from replication.training import in_page

FOLDER = Path(__file__).resolve().parents[1] / "_static" / "network"


def main() -> int:
    cell = study.only([study.asked("v1.aux", profile="cpu-full")], {"norm": ("bn",), "aux": ("4a+4d",)})[0].cells[0]
    try:
        path = in_page.save(cell.experiment, cell.seed, FOLDER)
    except BadInput as e:
        sys.exit(str(e))
    print(f"{cell.address}: {path} ({path.stat().st_size / 1e3:.0f} kB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
