"""Runs carried from one machine to another: a small compressed tar of records, and checkpoints in files beside it.

No torch but for looking into a checkpoint.
"""
from __future__ import annotations

import gzip
import io
import re
import shutil
import tarfile
import tempfile
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from replication import places, spec, store
from replication.errors import BadInput

LIMIT = 16_000_000  # bytes of a file that is to be carried
UNPACKED = 20 * LIMIT  # bytes that one may grow to; its text shrinks to less than a tenth
FILES = ("experiment.json", "history.csv", "provenance.json", "summary.json")
MEMBER = re.compile(rf"runs/([0-9a-f]{{12}})/({'|'.join(map(re.escape, FILES))})")
CHECKPOINT = re.compile(r".*\.([0-9a-f]{12})\.pt")


def check(path: Path) -> None:
    """Raises BadInput, before hours are spent, where no bundle could be written."""
    if not path.parent.is_dir() or path.is_dir() or path.suffix != ".tar":
        raise BadInput(f"--bundle {path} must name a file ending in .tar, in a folder that exists.")


def pack(path: Path) -> None:
    """Writes every finished run of your store to `path`, and for every unfinished one a copy of its checkpoint to
    `<path without .tar>.<address>.pt`; says which checkpoint is too large. Raises BadInput for a bundle that is."""
    check(path)
    runs = store.everything(places.mine())
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as tar:
        for run in runs:
            for name in FILES:
                tar.add(store.folder(run.address) / name, f"runs/{run.address}/{name}", recursive=False)
    if len(held.getvalue()) > LIMIT:
        raise BadInput(f"A bundle of {len(runs)} runs has {_mb(len(held.getvalue()))}, over {_mb(LIMIT)}: copy the "
                       f"folder {places.mine() / 'runs'} itself.")
    said = [f"Packed {len(runs)} finished runs into {path} ({_mb(len(held.getvalue()))})"]
    try:
        path.write_bytes(held.getvalue())
        for old in path.parent.glob(f"{path.stem}.*.pt"):  # of runs that have gone on since
            if CHECKPOINT.fullmatch(old.name):
                old.unlink()
        for checkpoint in sorted(store.checkpoint("x").parent.glob("[!.]*.pt")):
            if store.begun(checkpoint.stem):
                beside = path.with_name(f"{path.stem}.{checkpoint.name}")
                if (size := checkpoint.stat().st_size) > LIMIT:
                    said.append(f"the checkpoint {checkpoint} is too large to carry ({_mb(size)}, over {_mb(LIMIT)})")
                else:
                    shutil.copyfile(checkpoint, beside)
                    said.append(f"a begun run's checkpoint into {beside}")
    except OSError as problem:
        raise store.full(path, problem) from problem
    print("; ".join(said) + ".", flush=True)


def unpack(paths: list[Path]) -> None:
    """Merges bundles, and checkpoints that were packed beside them, into your store: all of it or nothing.

    A run that is stored with the same result stays; a checkpoint counts where it is further than what is here. Raises
    BadInput for a file that is truncated or no bundle, a record that cannot be trusted (see store.read), is of a newer
    format or of another numerics, and a run that is stored with another result.
    """
    mine = places.mine()
    try:
        mine.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".import", dir=mine) as temporary, ExitStack() as leases:
            here = Path(temporary)
            for path in paths:
                (_checkpoint if CHECKPOINT.fullmatch(path.name) else _records)(path, here)
            runs = [folder for folder in sorted((here / "runs").glob("*")) if _new(folder, store.folder(folder.name))]
            checkpoints = [path for path in sorted((here / "checkpoints").glob("*"))
                           if not store.exists(path.stem) and not (here / "runs" / path.stem).exists()
                           and _step(path) > _step(store.checkpoint(path.stem))]
            for path in (*runs, *checkpoints):
                if not leases.enter_context(store.lease(path.stem, wait=False)):
                    raise _nothing(f"run {path.stem} is being trained by another process: wait for it, or end it")
            for folder in runs:
                there = store.folder(folder.name)
                shutil.rmtree(there, ignore_errors=True)  # without a summary, or it would not be new
                there.parent.mkdir(parents=True, exist_ok=True)
                folder.rename(there)
            for path in checkpoints:
                store.checkpoint(path.stem).parent.mkdir(parents=True, exist_ok=True)
                path.replace(store.checkpoint(path.stem))
    except OSError as problem:
        raise store.full(mine, problem) from problem
    print(f"Imported {len(runs)} runs and {len(checkpoints)} checkpoints into {mine}; what else the files held was "
          f"here already.")


def _records(path: Path, here: Path) -> None:
    """Extracts a bundle's runs to `here` by their names alone, so that no path can lead out, and reads each back."""
    found = set()
    apart = Path(tempfile.mkdtemp(dir=here))  # so that two bundles with the same run are compared and not mixed
    for name, content in _members(path):
        if not (match := MEMBER.fullmatch(name)):
            raise _nothing(f"{path} holds {name!r}, which is no part of a run: this is not one of our bundles")
        folder = apart / match[1]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / match[2]).write_bytes(content)
        found.add(folder)
    for folder in sorted(found):
        try:
            run = store.read(folder)
        except BadInput as problem:
            what = str(problem).rpartition(":")[0].replace(str(folder), f"run {folder.name}")
            raise _nothing(f"{path}: {what}: update the code, or fetch the bundle again") from problem
        if run.record.get("numerics") != spec.NUMERICS:
            raise _nothing(f"{path}: run {run.address} was trained by code of numerics {run.record.get('numerics')}, "
                           f"and this is {spec.NUMERICS}: use that code for it")
        if _new(folder, here / "runs" / run.address):
            (here / "runs").mkdir(exist_ok=True)
            folder.rename(here / "runs" / run.address)


def _members(path: Path) -> list[tuple[str, bytes]]:
    """(name, content) of everything in a compressed tar, whose checksum covers all of it. Links and the like have no
    content, and no name of ours."""
    try:
        with gzip.open(path) as file:
            plain = file.read(UNPACKED + 1)
        if len(plain) > UNPACKED:
            raise _nothing(f"{path} unpacks to more than {_mb(UNPACKED)}: this is not one of our bundles")
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as tar:
            return [(one.name if one.isreg() else f"{one.name} (no plain file)", _content(tar, one)) for one in tar]
    except (gzip.BadGzipFile, EOFError, zlib.error, tarfile.TarError) as problem:
        raise _nothing(f"{path} is truncated or no bundle: fetch it again") from problem
    except OSError as problem:
        raise _nothing(f"{path} cannot be read ({problem.strerror})") from problem


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


def _checkpoint(path: Path, here: Path) -> None:
    match = CHECKPOINT.fullmatch(path.name)
    assert match is not None
    if not path.exists():
        raise _nothing(f"{path} is not there")
    if _step(path, match[1]) < 0:
        raise _nothing(f"{path} is truncated or no checkpoint of run {match[1]}: fetch it again, or import without it")
    (here / "checkpoints").mkdir(exist_ok=True)
    shutil.copyfile(path, here / "checkpoints" / f"{match[1]}.pt")


def _step(path: Path, address: str | None = None) -> int:
    """The step a checkpoint was written after; -1 where there is none, or not of that run."""
    if not path.exists():
        return -1
    import torch
    try:
        held: Any = torch.load(path, map_location="cpu", weights_only=True)
        return int(held["state"]["step"]) if held["record"] == (address or path.stem) else -1
    except Exception:  # torch's readers raise whatever foreign bytes happen to mean
        return -1


def _nothing(what: str) -> BadInput:
    return BadInput(f"Nothing was imported: {what}.")


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
