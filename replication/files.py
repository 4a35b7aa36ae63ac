"""Values as JSON, and files that are there whole or not at all."""
from __future__ import annotations

import glob
import hashlib
import io
import json
import os
import platform
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """A value as JSON: each dataclass carries its name under "is". What is None is left out, so that a part added to
    the vocabulary later leaves the addresses of runs without it as they were."""
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ((f.name, getattr(value, f.name)) for f in fields(value))
        return {"is": type(value).__name__, **{k: plain(v) for k, v in pairs if v is not None}}
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    return value


def digest(record: dict[str, Any]) -> str:
    """The address of a record: twelve hex digits of SHA-256 over its canonical JSON."""
    return hashlib.sha256(json.dumps(record, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:12]


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Another name to write a file under, which then appears at `path` by rename: a kill leaves the file before or the
    file after. Makes its folder. Raises OSError as writing does."""
    host = re.sub(r"\W", "-", platform.node())
    partial = path.with_name(f".{path.name}.{host}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{glob.escape(path.name)}.{host}.*"):
            if not _alive(left.suffix[1:]):  # whoever wrote it was killed
                left.unlink(missing_ok=True)
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _alive(pid: str) -> bool:
    """Whether this machine has such a process; whatever is no number may be alive."""
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except (ValueError, OSError):
        return True
    return True


def intact(content: bytes) -> bool:
    """Whether a zip, as torch and numpy write them, is whole by its own checksums: their readers ask for none. Where
    torch was told to write none (`torch.serialization.set_crc32_options`), all are 0, and there is nothing to ask."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as held:
            return not any(member.CRC for member in held.infolist()) or held.testzip() is None
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError, OSError):
        return False


def write(path: Path, text: str) -> None:
    """The whole file or none of it."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def as_json(value: Any) -> str:
    """As it stands in a file."""
    return json.dumps(value, indent=1, sort_keys=True) + "\n"
