"""Runs carried from one machine to another: a small compressed tar of records and of tables that `bench` wrote, and
checkpoints in files beside it.

No torch but for looking into a checkpoint.
"""
from __future__ import annotations

import csv
import gzip
import io
import math
import os
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Collection
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from replication import checked, files, paths
from replication.errors import BadInput
from replication.runs import experiments, store

LIMIT = 16_000_000  # bytes of a file that is to be carried
UNPACKED = 20 * LIMIT  # bytes that one may grow to; its text shrinks to less than a tenth
FILES = ("experiment.json", "history.csv", "provenance.json", "summary.json")
MEMBER = re.compile(rf"runs/([0-9a-f]{{12}})/({'|'.join(map(re.escape, FILES))})")
TABLE = re.compile(r"tables/((?:smoke|bench|roofline|savings|sparsity|streaming)-[a-z0-9-]+\.csv)")
CHECKPOINT = re.compile(r".*\.([0-9a-f]{12})(?:\.(\d+)of(\d+))?\.pt")


def check(path: Path) -> None:
    """Raises BadInput, before hours are spent, where no bundle could be written."""
    if not path.parent.is_dir() or path.is_dir() or path.suffix != ".tar":
        raise BadInput(f"--bundle {path} must name a file ending in .tar, in a folder that exists.")


def pack(path: Path, addresses: Collection[str] = ()) -> None:
    """Writes every finished run of your store, and its tables of speed, to `path`, and for every unfinished run a copy
    of its checkpoint to `<path without .tar>.<address>.pt`, in parts (`<address>.1of3.pt`) where it is over LIMIT; with
    `addresses`, those runs alone and no table. Others may go on training meanwhile. Raises BadInput for a bundle that
    is too large."""
    check(path)
    runs = [run for run in store.everything(paths.mine()) if not addresses or run.address in addresses]
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as tar:
        for run in runs:
            for name in FILES:
                tar.add(store.folder(run.address) / name, f"runs/{run.address}/{name}", recursive=False)
        for table in sorted((paths.mine() / "tables").glob("*.csv")) if not addresses else ():
            if TABLE.fullmatch(f"tables/{table.name}") and (content := _trusted(table)):
                entry = tarfile.TarInfo(f"tables/{table.name}")  # in one go: another may take its place meanwhile
                entry.size, entry.mtime = len(content), int(table.stat().st_mtime)
                tar.addfile(entry, io.BytesIO(content))
    if len(held.getvalue()) > LIMIT:
        raise BadInput(f"A bundle of {len(runs)} runs has {_mb(len(held.getvalue()))}, over {_mb(LIMIT)}: copy the "
                       f"folder {paths.mine() / 'runs'} itself.")
    said = [f"Packed {len(runs)} finished runs into {path} ({_mb(len(held.getvalue()))})"]
    try:
        with files.whole(path) as partial:
            partial.write_bytes(held.getvalue())
        for old in path.parent.glob(f"{path.stem}.*.pt"):  # of runs that have gone on since
            if CHECKPOINT.fullmatch(old.name):
                old.unlink(missing_ok=True)
        for checkpoint in sorted(store.checkpoint("x").parent.glob("[!.]*.pt")):
            if store.begun(checkpoint.stem) and (not addresses or checkpoint.stem in addresses):
                with suppress(FileNotFoundError):  # its run has finished just now
                    parts = _split(checkpoint, path)
                    said.append(f"a begun run's checkpoint into {parts[0]}" if len(parts) == 1 else
                                f"a begun run's checkpoint into {len(parts)} parts, {parts[0]} and so on")
    except OSError as problem:
        raise store.full(path, problem) from problem
    print("; ".join(said) + ".", flush=True)


def _split(checkpoint: Path, path: Path) -> list[Path]:
    """Copies a checkpoint beside the bundle `path`, in as many files as it takes."""
    written = []
    with checkpoint.open("rb") as file:
        count = max(1, math.ceil(os.fstat(file.fileno()).st_size / LIMIT))
        for i in range(count):
            part = "" if count == 1 else f".{i + 1}of{count}"
            written.append(path.with_name(f"{path.stem}.{checkpoint.stem}{part}.pt"))
            written[-1].write_bytes(file.read(LIMIT))
    return written


def unpack(packed: list[Path]) -> None:
    """Merges bundles, and checkpoints that were packed beside them, into your store: all of each or nothing of it.

    A run that is stored with the same result stays; a checkpoint counts where it is further than what is here, a table
    where it is newer. Raises BadInput for a file that is truncated or no bundle, a record that cannot be trusted (see
    store.read), is of a newer format or of another numerics, once the other files have arrived; and, before anything
    has, for a run that two of them, or one and the store, have with different results.
    """
    mine = paths.mine()
    spoiled: list[str] = []
    try:
        mine.mkdir(parents=True, exist_ok=True)
        with ExitStack() as leases:
            leases.enter_context(store.lease("import"))
            for left in mine.glob(".import*"):  # of an import that was killed: there is no other now
                shutil.rmtree(left, ignore_errors=True)
            here = Path(leases.enter_context(tempfile.TemporaryDirectory(prefix=".import", dir=mine)))
            for path in packed:
                if not CHECKPOINT.fullmatch(path.name):
                    apart = Path(tempfile.mkdtemp(dir=here))  # two bundles with the same run are compared, not mixed
                    try:
                        _records(path, apart)
                    except BadInput as problem:
                        spoiled.append(str(problem))
                    else:
                        _merge(apart, here)
            for (_, address, count), parts in _parts(packed).items():
                try:
                    _checkpoint(address, int(count), parts, here)
                except BadInput as problem:
                    spoiled.append(str(problem))
            if spoiled and not any((here / kind).exists() for kind in ("runs", "tables", "checkpoints")):
                raise BadInput(f"Nothing was imported: {'; '.join(spoiled)}.")
            runs = [folder for folder in sorted((here / "runs").glob("*")) if _new(folder, store.folder(folder.name))]
            checkpoints = [path for path in sorted((here / "checkpoints").glob("*"))
                           if not store.exists(path.stem) and not (here / "runs" / path.stem).exists()
                           and _step(path) > _step(store.checkpoint(path.stem))]
            for path in (*runs, *checkpoints):
                if not leases.enter_context(store.lease(path.stem, wait=False)):
                    raise _nothing(f"run {path.stem} is being trained by another process: wait for it, or end it")
            runs = [folder for folder in runs if _new(folder, store.folder(folder.name))]  # one may have ended just now
            tables = [path for path in sorted((here / "tables").glob("*")) if _later(path, mine / "tables" / path.name)]
            for folder in runs:
                there = store.folder(folder.name)
                shutil.rmtree(there, ignore_errors=True)  # without a summary, or it would not be new
                there.parent.mkdir(parents=True, exist_ok=True)
                folder.rename(there)
            for path in tables:
                checked.write(mine / "tables" / path.name, path.read_bytes())
            for path in checkpoints:
                store.checkpoint(path.stem).parent.mkdir(parents=True, exist_ok=True)
                path.replace(store.checkpoint(path.stem))
    except OSError as problem:
        raise store.full(mine, problem) from problem
    more = f", {len(tables)} tables" if tables else ""
    print(f"Imported {len(runs)} runs{more} and {len(checkpoints)} checkpoints into {mine}; what else the files held "
          f"was here already.")
    if spoiled:
        raise BadInput(f"Not imported: {'; '.join(spoiled)}.")


def _records(path: Path, apart: Path) -> None:
    """Extracts a bundle to `apart` by its files' names alone, so that no path can lead out, and reads each run back."""
    for kind in ("runs", "tables"):
        (apart / kind).mkdir()
    for name, content in _members(path):
        if match := TABLE.fullmatch(name):
            if not _utc(content):
                raise BadInput(f"{path} holds {match[1]}, which is no table that bench wrote: this is not one of "
                               f"our bundles")
        elif match := MEMBER.fullmatch(name):
            (apart / "runs" / match[1]).mkdir(exist_ok=True)
        else:
            raise BadInput(f"{path} holds {name!r}, which is no part of a run: this is not one of our bundles")
        (apart / name).write_bytes(content)
    for folder in sorted((apart / "runs").iterdir()):
        try:
            run = store.read(folder)
        except BadInput as problem:
            what = str(problem).rpartition(":")[0].replace(str(folder), f"run {folder.name}")
            raise BadInput(f"{path}: {what}: update the code, or fetch the bundle again") from problem
        if run.record.get("numerics") != experiments.NUMERICS:
            raise BadInput(f"{path}: run {run.address} was trained by code of numerics {run.record.get('numerics')}, "
                           f"and this is {experiments.NUMERICS}: use that code for it")


def _merge(apart: Path, here: Path) -> None:
    """A bundle's runs and tables into `here`, of a table the latest. Raises BadInput for a run that is there with
    another result."""
    for kind in ("runs", "tables"):
        (here / kind).mkdir(exist_ok=True)
    for folder in sorted((apart / "runs").iterdir()):
        if _new(folder, here / "runs" / folder.name):
            folder.rename(here / "runs" / folder.name)
    for table in sorted((apart / "tables").iterdir()):
        if _later(table, here / "tables" / table.name):
            table.replace(here / "tables" / table.name)


def _later(path: Path, there: Path) -> bool:
    """Raises BadInput where what is there was changed since: which is right is for a person to say."""
    return not there.exists() or _utc(path.read_bytes()) > _utc(checked.content(there))


def _trusted(table: Path) -> bytes | None:
    """A table that can be unpacked; one that was changed since stays here, and is said."""
    try:
        content = checked.content(table)
    except BadInput as problem:
        print(f"Not packed: {problem}", flush=True)
        return None
    return content if _utc(content) else None


def _utc(content: bytes) -> str:
    """When the latest line of a table was measured; nothing where that is not told."""
    try:
        lines = csv.DictReader(io.StringIO(content.decode(), newline=""))
        return max((line["utc"] or "" for line in lines), default="")
    except (KeyError, UnicodeDecodeError, csv.Error):
        return ""


def _members(path: Path) -> list[tuple[str, bytes]]:
    """(name, content) of everything in a compressed tar, whose checksum covers all of it. Links and the like have no
    content, and no name of ours."""
    try:
        with gzip.open(path) as file:
            plain = file.read(UNPACKED + 1)
        if len(plain) > UNPACKED:
            raise BadInput(f"{path} unpacks to more than {_mb(UNPACKED)}: this is not one of our bundles")
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as tar:
            return [(one.name if one.isreg() else f"{one.name} (no plain file)", _content(tar, one)) for one in tar]
    except (gzip.BadGzipFile, EOFError, zlib.error, tarfile.TarError) as problem:
        raise BadInput(f"{path} is truncated or no bundle: fetch it again") from problem
    except OSError as problem:
        raise BadInput(f"{path} cannot be read ({problem.strerror}): name a bundle, as --bundle wrote it") from problem


def _content(tar: tarfile.TarFile, one: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(one) if one.isreg() else None
    return file.read() if file else b""


def _new(folder: Path, there: Path) -> bool:
    """Whether no run is stored there yet. Raises BadInput if one is, with another result: which is right is for a
    person to say. When and where they were trained may differ."""
    if not (there / "summary.json").exists():
        return True
    store.read(there)
    for name in ("experiment.json", "summary.json", "history.csv"):
        if (folder / name).read_bytes() != (there / name).read_bytes():
            raise _nothing(f"run {folder.name} is here already with another result ({name} differs): delete {there}, "
                           f"or leave this bundle, whichever is wrong")
    return False


def _parts(paths: list[Path]) -> dict[tuple[Path, str, str], dict[int, Path]]:
    """The files of each checkpoint by their number: {(folder, address, how many there should be): {1: path}}."""
    held: dict[tuple[Path, str, str], dict[int, Path]] = {}
    for path in paths:
        if match := CHECKPOINT.fullmatch(path.name):
            held.setdefault((path.parent, match[1], match[3] or "1"), {})[int(match[2] or 1)] = path
    return held


def _checkpoint(address: str, count: int, parts: dict[int, Path], here: Path) -> None:
    """Puts a checkpoint together in `here`, the one that is furthest where there are several. Raises BadInput where a
    part is not among the files, or is not there, and for what is none."""
    if missing := sorted(set(range(1, count + 1)) - set(parts)):
        raise BadInput(f"part {missing[0]} of {count} of run {address}'s checkpoint is missing: name all of them")
    for path in parts.values():
        if not path.exists():
            raise BadInput(f"{path} is not there: name a checkpoint that was packed beside a bundle")
    there = here / "checkpoints" / f"{address}.pt"
    whole = here / f"{address}.pt"
    whole.write_bytes(b"".join(parts[number].read_bytes() for number in sorted(parts)))
    if _step(whole) < 0:
        raise BadInput(f"{parts[min(parts)]} is truncated or no checkpoint of run {address}: fetch it again, or import "
                       f"without it")
    if _step(whole) > _step(there):
        there.parent.mkdir(exist_ok=True)
        whole.replace(there)


def _step(path: Path) -> int:
    """The step a checkpoint was written after; -1 where there is none, or not of the run that the file names."""
    if not path.exists():
        return -1
    import torch
    try:
        if not files.intact(content := path.read_bytes()):
            return -1
        held: Any = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return int(held["state"]["step"]) if held["record"] == path.stem else -1
    except Exception:  # torch's readers raise whatever foreign bytes happen to mean
        return -1


def _nothing(what: str) -> BadInput:
    return BadInput(f"Nothing was imported: {what}.")


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
