"""A full disk, with more or less room left, and a disk that cannot be written, at each kind of write."""
from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ordeal import forked, sentence, server, tiny, writes
from ordeal.report import NOT_RUN, Result, result

SIZE = 24_000_000  # bytes of the small disk
ROOMS = (0, 4096, 12_288, 32_768, 65_536, 131_072, 262_144, 524_288, 1_048_576)  # left on it
FILLER = "filler"


@contextmanager
def small(place: Path) -> Iterator[Path]:
    """A disk of SIZE in memory. Raises OSError where this process may mount none."""
    place.mkdir(parents=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)], capture_output=True,
                          text=True)
    if done.returncode:
        raise OSError(done.stderr.strip() or "mount failed")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def run(share: float, jobs: int) -> list[Result]:
    with forked.scratch() as place, server.serving() as web:
        try:
            with small(place / "try"):
                pass
        except OSError as problem:
            return [Result(kind, "", NOT_RUN, f"a small disk cannot be mounted here ({problem})")
                    for kind in ("full disk", "read-only disk")]
        whole = place / "archive"
        whole.mkdir()
        web.show("/set.zip", _archive(whole))
        rooms = ROOMS[::max(1, round(1 / share))]
        cases = [(n, one, room) for n, one in enumerate(writes.writes(web)) for room in (*rooms, None)]
        cases += [(99, writes.NOTEBOOK, 0), (99, writes.NOTEBOOK, None)]
        return forked.lanes(cases, lambda case: _case(place / f"{case[0]}-{case[2]}", case[1], case[2]), jobs)


def _archive(place: Path) -> bytes:
    from ordeal import kills
    kills.archived(place)
    return (place / "archive.zip").read_bytes()


def _case(place: Path, one: writes.Write, room: int | None) -> Result:
    """`room`: None for a disk that cannot be written."""
    kind = "read-only disk" if room is None else "full disk"
    case = one.name if room is None else f"{one.name}, {room:,} bytes left"
    env = forked.store_at(place / "disk", PYTHONPATH=str(Path(__file__).resolve().parents[2]))
    with small(place / "disk") as disk:
        made = forked.run(lambda: one.prepare(disk), env)
        if made.code:
            return result(kind, case, "it cannot be prepared", made.said[-400:])
        before = tiny.bits(disk)
        if room is None:
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        else:
            _fill(disk, room)
        ended = forked.run(lambda: one.do(disk), env, within=120)
        if room is None:
            subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        else:
            (disk / FILLER).unlink()
        after = tiny.bits(disk)
        wrong = "it does not end" if ended.stuck else ""
        if not wrong and ended.code == 2:
            wrong = sentence.wrong(ended.said)
        elif not wrong and ended.code:
            wrong = f"it ends with {ended.code}"
        lost = [name for name, held in before.items() if after.get(name) != held]
        wrong = wrong or (f"{lost[0]} is lost or changed" if lost and ended.code else "")
        if not wrong:
            again = forked.run(lambda: one.do(disk), env, within=120)
            wrong = "" if not again.code else f"with room again it ends with {again.code}: {again.said[-300:]}"
            left = [path for path in disk.rglob("*") if path.name.startswith(".") or path.name.endswith(".partial")]
            wrong = wrong or (f"{left[0].relative_to(disk)} is left over" if left else "")
        said = ended.said.strip().replace(str(disk), "…") or "there was room"
    shutil.rmtree(place, ignore_errors=True)
    return result(kind, case, wrong, said[-700:], ended.seconds)


def _fill(disk: Path, room: int) -> None:
    """Up to so many bytes, in blocks of the disk."""
    free = os.statvfs(disk)
    with open(disk / FILLER, "wb") as file:
        left = free.f_bavail * free.f_frsize - room
        while left > 0:
            left -= file.write(b"\0" * min(left, 1 << 20))
