"""One file from the net, resumed, checked and unpacked, or one sentence that says what to do instead."""
from __future__ import annotations

import errno
import hashlib
import http.client
import shutil
import ssl
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from filelock import FileLock
from tqdm import tqdm

from replication.errors import BadInput

TIMEOUT = 30.0  # seconds without a byte
PIECE = 1 << 20
CUT = (ConnectionError, TimeoutError, ssl.SSLError, http.client.HTTPException)


def obtain(url: str, md5: str | None, folder: Path, inside: str | None = None) -> None:
    """`folder` as it lies in the archive at `url`: what is in its folder `inside` (default: the one of the same name;
    "": everything). Nothing if it is there.

    The archive stays beside the folder; one that was put there by hand is used instead of the net. Two processes that
    want the same folder fetch it once. Raises BadInput (see `fetch` and `unpack`).
    """
    archive = folder.parent / url.rsplit("/", 1)[-1]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.is_dir():
                fetch(url, archive, md5)
                unpack(archive, folder, inside)
    except OSError as error:
        raise _unwritable(folder.parent, error) from error


def fetch(url: str, target: Path, md5: str | None) -> None:
    """Downloads `url` to `target`, going on from `target.part` where an earlier try was cut. Without `md5`, damage
    shows when it is unpacked.

    Raises BadInput where there is no network, no such file, no space or not the expected content. A wrong download is
    removed; a wrong `target` that was already there is the reader's, and is left.
    """
    if target.exists():
        if md5 and checksum(target) != md5:
            raise BadInput(f"{target} is not the file at {url}: its md5 is not {md5}; remove it to have it downloaded.")
        return
    part = target.with_name(f"{target.name}.part")
    by_hand = f"Or put the file from {url} at {target} by hand."
    try:
        whole = False
        while not whole:
            before = _size(part)
            whole = _stream(url, part)
            if not whole and _size(part) <= before:
                raise ConnectionError("the connection is cut again and again")
    except urllib.error.HTTPError as error:
        raise BadInput(f"{url} answers {error.code} {error.reason}. {by_hand}") from error
    except (urllib.error.URLError, *CUT) as error:
        raise BadInput(f"{url} cannot be reached ({getattr(error, 'reason', error)}); try again with a network, "
                       f"what has come so far is kept. {by_hand}") from error
    except OSError as error:
        raise _unwritable(target.parent, error) from error
    if md5 and checksum(part) != md5:
        part.unlink()
        raise BadInput(f"What came from {url} is damaged or another file: its md5 is not {md5}; try again. {by_hand}")
    part.replace(target)


def _stream(url: str, part: Path) -> bool:
    """Appends what `part` lacks; False where the connection ended early."""
    have = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return True  # nothing is left to fetch; whether it is the right thing the checksum says
        raise
    with answer:
        resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        if resumed and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink()
            return False
        have = have if resumed else 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=part.stem, disable=None)
        with bar, open(part, "ab" if resumed else "wb") as file:
            try:
                while piece := answer.read(PIECE):
                    file.write(piece)
                    have += len(piece)
                    bar.update(len(piece))
            except CUT:
                return False
    return total is None or have >= total


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def unpack(archive: Path, folder: Path, inside: str | None = None) -> None:
    """Puts the archive's folder of that name, or `inside`, at `folder`, entirely or not at all; zip and tar.

    Raises BadInput for an entry that would leave the folder, a link, a damaged archive or a full disk.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for name, size, content in _entries(archive):
            target = (partial / name).resolve()
            if not target.is_relative_to(partial.resolve()):
                raise BadInput(f"{archive} holds '{name}', which would be written outside {folder.parent}; nothing "
                               f"was unpacked, do not trust this file.")
            target.parent.mkdir(parents=True, exist_ok=True)
            with content, open(target, "wb") as file:
                shutil.copyfileobj(content, file, min(PIECE, size + 1))
        found = partial / (folder.name if inside is None else inside)
        if not found.is_dir():
            raise BadInput(f"{archive} holds no folder '{found.name}'; it is not the archive that was expected.")
        found.rename(folder)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
        raise BadInput(f"{archive} is damaged ({error}); remove it to have it downloaded again.") from error
    except OSError as error:
        raise _unwritable(folder.parent, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _entries(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    """The files of a zip or tar, as (name, bytes, content); links and devices are refused."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as held:
            for info in tqdm(held.infolist(), unit="file", desc=archive.name, disable=None):
                if not info.filename:
                    raise BadInput(f"{archive} holds a file without a name; do not trust it.")
                if not info.is_dir():
                    yield info.filename, info.file_size, held.open(info)
    else:
        with tarfile.open(archive) as tar:
            for member in tqdm(tar, unit="file", desc=archive.name, disable=None):
                if member.isfile():
                    content = tar.extractfile(member)
                    assert content is not None
                    yield member.name, member.size, content
                elif not member.isdir():
                    raise BadInput(f"{archive} holds '{member.name}', which is no plain file; do not trust it.")


def checksum(path: Path) -> str:
    """The md5 of a file, in hex: a check against accidents, as published beside the archives."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _unwritable(folder: Path, error: OSError) -> BadInput:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return BadInput(f"The disk of {folder} is full; free some space and run again, or set REPLICATION_DATA to a "
                        f"folder with more.")
    return BadInput(f"{folder} cannot be written ({error.strerror or error}); set REPLICATION_DATA to a folder of "
                    f"yours.")
