"""Tables of a store, `<store>/tables/<name>.csv`: plain csv, and beside each its SHA-256 in `<name>.csv.sha256`, as
`sha256sum` writes it, for a digit that changed looks as good as any other.

`sha256sum -c *.sha256` checks them too. A file of its own for each, so that tables of two machines merge, and a folder
can be copied by hand. A table that has none beside it, as those of before, is read as it stands.
"""
from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

from filelock import FileLock

from replication import files, paths
from replication.errors import BadInput


def write(path: Path, content: str | bytes) -> None:
    """A table and its sum. Killed between the two it leaves a table without one. Raises OSError as writing does."""
    held = content.encode() if isinstance(content, str) else content
    lock = paths.mine() / "leases" / "tables.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):  # or the sum of one writer may end beside the table of another
        with files.whole(path) as partial:
            partial.write_bytes(held)
            _beside(path).unlink(missing_ok=True)
        files.write(_beside(path), f"{_sum(held)}  {path.name}\n")


def content(path: Path) -> bytes:
    """A table's bytes. Raises BadInput where they are not those that were written, or cannot be read."""
    try:
        for _ in range(3):  # another may be writing just now
            held = path.read_bytes()
            if _told(path) in (None, _sum(held)):
                return held
    except OSError as problem:
        raise BadInput(f"{problem.filename or path} cannot be read ({problem.strerror}): move it away and measure "
                       f"again, or take it from git.") from problem
    raise BadInput(f"{path} is not what was written there, by its checksum in {_beside(path).name}: delete both and "
                   f"measure again, or take both from git.")


def read(path: Path, **how: Any) -> Any:
    """A table as `pandas.read_csv` gives it. Raises BadInput as `content` does, and for what is no table."""
    import pandas as pd
    held = content(path)
    try:
        return pd.read_csv(io.BytesIO(held), **how)
    except ValueError as problem:  # pandas' own complaints are such
        raise BadInput(f"{path} is no table: delete it and measure again, or take it from git.") from problem


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _sum(held: bytes) -> str:
    return hashlib.sha256(held).hexdigest()


def _told(path: Path) -> str | None:
    """The sum that lies beside a table, whatever name it gives it; None where there is none."""
    try:
        said = _beside(path).read_text(encoding="utf-8", errors="replace").split()
    except FileNotFoundError:
        return None
    return said[0] if said else ""
