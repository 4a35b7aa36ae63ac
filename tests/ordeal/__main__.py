"""python -m tests.ordeal [PART ...]"""
from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]  # whichever way this file was called
os.environ.update(OMP_NUM_THREADS="1", TQDM_DISABLE="1")  # before torch: sums in one order, and threads do not fork

PARTS = ("inputs", "strangers", "disk", "kills", "crowd", "environments")


def main() -> int:
    import ordeal
    parser = argparse.ArgumentParser(prog="python -m tests.ordeal", description=ordeal.__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--share", type=float, default=1.0, help="of the cases, and of the time of crowd (default: 1)")
    parser.add_argument("--jobs", type=int, default=2, help="cases at once (default: 2)")
    asked = parser.parse_args()
    if wrong := [part for part in asked.parts if part not in PARTS]:
        parser.error(f"there is no part {wrong[0]!r}: name some of {', '.join(PARTS)}")
    import torch
    torch.set_num_threads(1)
    from ordeal import report
    failed, began = False, time.monotonic()
    for part in asked.parts or PARTS:
        results = importlib.import_module(f"ordeal.{part}").run(asked.share, asked.jobs)
        path = report.write(part, results, asked.share)
        print(report.told(part, results), f"  {path}", sep="\n", flush=True)
        failed |= any(one.status == report.FAILED for one in results)
    print(f"{time.monotonic() - began:.0f} s")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
