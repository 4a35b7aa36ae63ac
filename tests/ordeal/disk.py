"""A full disk at each kind of write, a place that cannot be written, a store of a newer version, damaged files."""
from __future__ import annotations

from ordeal import damaged, full, newer
from ordeal.report import Result


def run(share: float, jobs: int) -> list[Result]:
    return [*full.run(share, jobs), *newer.run(jobs), *damaged.run(share, jobs)]
