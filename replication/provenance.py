"""Where a number comes from: commit, versions, hardware, time. No torch."""
from __future__ import annotations

import datetime
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from replication import paths

CODE = ("replication", "book", "profiles")  # what a run or a page depends on; results and notes do not make it dirty
OWN = "replication/provenance.py"
ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE")
PACKAGES = ("torch", "torchvision", "lightning", "numpy", "pandas", "seaborn")
CPUINFO = Path("/proc/cpuinfo")
# A flag of that file, and what it stands for; the widest first.
WIDTHS = {"amx_tile": "AMX", "avx512f": "AVX-512", "avx2": "AVX2", "sse": "SSE", "sve": "SVE", "asimd": "NEON",
          "neon": "NEON"}
NUMBERS = {"cpu family": "family", "model": "model", "CPU implementer": "implementer", "CPU part": "part"}


def collect(**more: Any) -> dict[str, Any]:
    """Commit (and whether the code differs from it), Python, package versions, processor, UTC time; plus `more`.

    Where REPLICATION_COMMIT is set, it says which commit the files are of: a box that has them and not git is told so.
    Else a commit is None that nobody knows.
    """
    head = _head()
    return {
        "commit": os.environ.get("REPLICATION_COMMIT", "").strip() or head,
        "dirty": head is not None and bool(_git("status", "--porcelain", "--", *CODE)),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "utc": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **more,
    }


def commit(made: Mapping[str, Any]) -> str:
    """Of what `collect` gave, for a line of a table: the commit, "and changes" where there were some, or "unknown"."""
    return f"{made['commit'] or 'unknown'}{' and changes' if made['dirty'] else ''}"


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """On Linux name, family, model and widest arithmetic, "AMD EPYC (family 25, model 1; AVX2)": processors of one name
    can differ by a factor of four. Elsewhere the name that the system gives, or the architecture."""
    try:
        return described(CPUINFO.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        brand = _said("sysctl", "-n", "machdep.cpu.brand_string") if platform.system() == "Darwin" else None
        return brand or platform.processor() or platform.machine()


def described(cpuinfo: str) -> str:
    """The first processor of a text like /proc/cpuinfo, in one line. What the text does not say is left out; without a
    name (ARM) it is the architecture's."""
    said: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        said.setdefault(key.strip(), " ".join(value.split()))
    flags = {*said.get("flags", "").split(), *said.get("Features", "").split()}
    numbers = ", ".join(f"{word} {said[key]}" for key, word in NUMBERS.items() if said.get(key))
    widest = next((width for flag, width in WIDTHS.items() if flag in flags), "")
    more = "; ".join(filter(None, (numbers, widest)))
    return (said.get("model name") or platform.machine()) + (f" ({more})" if more else "")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _head() -> str | None:
    """The commit that is checked out, where this folder is the top of a repository and its commit holds this file: in
    somebody else's, or a zip unpacked in a new one, the last commit says nothing of this code."""
    if _git("rev-parse", "--show-prefix") != "" or _git("cat-file", "-e", f"HEAD:{OWN}") is None:
        return None
    return _git("rev-parse", "HEAD")


def _git(*command: str) -> str | None:
    """Of this folder's own repository: a hook of another one says by the environment where that lies. Who else owns the
    files (a container's, a mounted disk's) does not matter to a program that already runs them."""
    others = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    return _said("git", "-c", f"safe.directory={paths.ROOT}", "-C", str(paths.ROOT), *command, env=others)


def _said(*command: str, env: dict[str, str] | None = None) -> str | None:
    """What a program prints; None where there is no such program, or it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=True, env=env)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
