"""Where a number comes from: commit, versions, hardware, time. No torch."""
from __future__ import annotations

import datetime
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from replication import paths

CODE = ("replication", "book", "profiles")  # what a run or a page depends on; results and notes do not make it dirty
PACKAGES = ("torch", "torchvision", "lightning", "numpy", "pandas", "seaborn")


def collect(**more: Any) -> dict[str, Any]:
    """Commit (and whether the code differs from it), Python, package versions, processor, UTC time; plus `more`.

    A box that has the files and not git is told the commit by REPLICATION_COMMIT.
    """
    return {
        "commit": _git("rev-parse", "HEAD") or os.environ.get("REPLICATION_COMMIT"),
        "dirty": bool(_git("status", "--porcelain", "--", *CODE)),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "utc": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **more,
    }


def processor() -> str:
    """The processor's own name where the system tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(*command: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(paths.ROOT), *command], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
