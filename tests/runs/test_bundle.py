"""Runs that are carried: all of a bundle is merged or nothing, and nothing that cannot be trusted."""
from __future__ import annotations

import gzip
import io
import json
import math
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from replication import checked, files, paths
from replication.__main__ import main
from replication.errors import BadInput
from replication.runs import bundle, experiments, store

pytestmark = pytest.mark.usefixtures("out")
Tree = dict[str, bytes]


def commit(seed: int = 0, error: float = 0.125, **record: Any) -> str:
    whole = {"numerics": experiments.NUMERICS, "experiment": {"is": "Experiment"}, "seed": seed, **record}
    store.commit(files.digest(whole), whole, [{"epoch": 0.0, "loss": math.nan}, {"epoch": 1.0, "loss": 0.5}],
                 {"status": "done", "val_error": error}, {"commit": "abc", "device": "CPU"})
    return files.digest(whole)


def begin(address: str, step: int, size: int = 10) -> Path:
    path = store.checkpoint(address)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": torch.zeros(size), "state": {"step": step}, "record": address}, path)
    return path


def step(address: str) -> int:
    return int(torch.load(store.checkpoint(address))["state"]["step"])


def tree(place: Path) -> Tree:
    """What matters of a store: everything but leases."""
    return {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*"))
            if path.is_file() and "leases" not in path.parts}


@pytest.fixture
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs and a checkpoint of another machine's; the store is empty again."""
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "other"))
    commit(0)
    commit(1)
    begin("a" * 12, 7)
    bundle.pack(tmp_path / "out.tar")
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "out"))
    return tmp_path / "out.tar"


def refused(capsys: pytest.CaptureFixture[str], *files: Path) -> str:
    """What import says when it changes nothing."""
    before = tree(paths.mine())
    capsys.readouterr()
    assert main(["import", *map(str, files)]) == 2
    text = capsys.readouterr().err
    assert text.startswith("Nothing was imported: ")
    assert text.endswith(".\n")
    assert text.count("\n") == 1
    assert tree(paths.mine()) == before
    assert not list(paths.mine().glob(".import*"))
    return text


def made(path: Path, members: dict[str, Any]) -> Path:
    """A bundle of one's own: name to bytes, or to the TarInfo's type and link."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            one = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                one.size = len(content)
                tar.addfile(one, io.BytesIO(content))
            else:
                one.type, one.linkname = content
                tar.addfile(one)
    return path


def members(path: Path) -> dict[str, Any]:
    with tarfile.open(path) as tar:
        return {one.name: tar.extractfile(one).read() for one in tar}  # type: ignore[union-attr]


# -- there and back -----------------------------------------------------------------------------------------------
def test_round_trip(packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = tmp_path / f"out.{'a' * 12}.pt"
    assert sorted(path.name for path in tmp_path.glob("out.*")) == [checkpoint.name, "out.tar"]
    assert main(["import", str(packed), str(checkpoint)]) == 0
    assert "Imported 2 runs and 1 checkpoints" in capsys.readouterr().out
    assert tree(tmp_path / "out") == tree(tmp_path / "other")
    assert not list(paths.mine().glob(".import*"))
    assert main(["import", str(packed), str(checkpoint)]) == 0
    assert "Imported 0 runs and 0 checkpoints" in capsys.readouterr().out
    assert tree(tmp_path / "out") == tree(tmp_path / "other")


def test_what_is_here_stays(packed: Path, tmp_path: Path) -> None:
    """Two trainings to the same result differ in when and where; the first keeps its provenance."""
    mine = commit(0)
    third = commit(3)
    provenance = store.folder(mine) / "provenance.json"
    provenance.write_text('{"commit": "mine"}\n')
    assert main(["import", str(packed)]) == 0
    assert len(store.everything(paths.mine())) == 3
    assert store.exists(third)
    assert provenance.read_text() == '{"commit": "mine"}\n'


HEAD = "device,status,utc\n"


def measured(utc: str, name: str = "bench-x.csv") -> Path:
    path = paths.mine() / "tables" / name
    checked.write(path, f"{HEAD}X,ok,2026-01-01T00:00:00+00:00\nX,ok,{utc}\n")
    return path


def test_tables_of_speed_travel_and_the_latest_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                      capsys: pytest.CaptureFixture[str]) -> None:
    for n, month in enumerate((3, 5, 4)):
        monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / str(n)))
        measured(f"2026-0{month}-01T00:00:00+00:00")
        measured("2026-03-01T00:00:00+00:00", f"smoke-{n}.csv")
        measured("2026-03-01T00:00:00+00:00", "sheet-music.csv")  # of others
        bundle.pack(tmp_path / f"{n}.tar")
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "here"))
    bundle.unpack([tmp_path / "0.tar", tmp_path / "1.tar", tmp_path / "2.tar"])
    assert "Imported 0 runs, 4 tables and 0 checkpoints" in capsys.readouterr().out
    assert "2026-05-01" in (tmp_path / "here/tables/bench-x.csv").read_text()
    assert {path.name for path in (tmp_path / "here/tables").iterdir()} == {
        f"{name}.csv{more}" for name in ("bench-x", "smoke-0", "smoke-1", "smoke-2") for more in ("", ".sha256")}
    measured("2026-07-01T00:00:00+00:00")
    bundle.unpack([tmp_path / "1.tar"])
    assert "2026-07-01" in (tmp_path / "here/tables/bench-x.csv").read_text()


def test_a_table_that_was_changed_since_is_not_packed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured("2026-03-01T00:00:00+00:00", "smoke-x.csv")
    changed = measured("2026-03-01T00:00:00+00:00")
    changed.write_text(changed.read_text().replace("2026-03", "2026-08"))
    bundle.pack(tmp_path / "one.tar")
    assert f"Not packed: {changed} is not what was written there" in capsys.readouterr().out
    assert {name for name, _ in bundle._members(tmp_path / "one.tar")} == {"tables/smoke-x.csv"}


def test_nor_does_it_give_way_to_another_or_stay_without_a_word(tmp_path: Path) -> None:
    commit(0)
    changed = measured("2026-03-01T00:00:00+00:00")
    bundle.pack(tmp_path / "one.tar")
    shutil.rmtree(store.folder(commit(0)))
    changed.write_text(changed.read_text().replace("2026-03", "2026-02"))
    with pytest.raises(BadInput, match=rf"{changed} is not what was written there"):
        bundle.unpack([tmp_path / "one.tar"])
    assert not store.everything(paths.mine())
    assert "2026-02" in changed.read_text()
    changed.unlink()
    changed.with_name(f"{changed.name}.sha256").unlink()
    bundle.unpack([tmp_path / "one.tar"])
    assert len(store.everything(paths.mine())) == 1
    assert b"2026-03" in checked.content(changed)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\xff\xfe", HEAD.encode()])
def test_what_is_no_table_is_refused(content: bytes, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w:gz") as tar:
        info = tarfile.TarInfo("tables/bench-x.csv")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    with pytest.raises(BadInput, match=r"holds bench-x.csv, which is no table that bench wrote"):
        bundle.unpack([tmp_path / "a.tar"])
    assert not (paths.mine() / "tables").exists()


def test_a_run_that_ends_while_it_is_packed_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin("a" * 12, 7)
    monkeypatch.setattr(store, "begun", lambda address: store.checkpoint(address).unlink() is None)
    bundle.pack(tmp_path / "one.tar")
    assert [path.name for path in tmp_path.glob("one.*")] == ["one.tar"]


def test_some_runs_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = commit(0), commit(1)
    begin("a" * 12, 7)
    begin("b" * 12, 7)
    bundle.pack(tmp_path / "some.tar", [one, "b" * 12])
    packed = sorted(path for path in tmp_path.glob("some.*"))
    assert [path.name for path in packed] == [f"some.{'b' * 12}.pt", "some.tar"]
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "elsewhere"))
    bundle.unpack(packed)
    assert [run.address for run in store.everything(paths.mine())] == [one]


def test_several_bundles_at_once(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "third"))
    commit(1)
    commit(2)
    bundle.pack(tmp_path / "elsewhere" / "out.tar")
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "out"))
    assert main(["import", str(packed), str(tmp_path / "elsewhere" / "out.tar")]) == 0
    assert sorted(run.record["seed"] for run in store.everything(paths.mine())) == [0, 1, 2]


def test_what_was_trained_again_elsewhere_is_taken_over_as_a_twin(packed: Path, tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    """Another result is no conflict in a store of its own."""
    address = commit(1, error=0.25)
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "out" / "twins" / "zen 3"))
    assert main(["import", str(packed)]) == 0
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "out"))
    twin, own = store.twins(address)["zen 3"], store.find(address)
    assert own is not None
    assert (twin.summary["val_error"], own.summary["val_error"]) == (0.125, 0.25)


def test_a_folder_that_was_begun_is_replaced(packed: Path) -> None:
    address = commit(0)
    (store.folder(address) / "summary.json").unlink()
    assert main(["import", str(packed)]) == 0
    assert store.find(address) is not None


@pytest.mark.parametrize(("here", "after"), [(None, 7), (3, 7), (7, 7), (9, 9)])
def test_the_further_checkpoint_counts(packed: Path, here: int | None, after: int) -> None:
    if here is not None:
        begin("a" * 12, here)
    assert main(["import", str(packed.with_name(f"out.{'a' * 12}.pt"))]) == 0
    assert step("a" * 12) == after


def test_a_checkpoint_of_a_finished_run_is_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = commit(0)
    path = begin(address, 5).rename(tmp_path / f"x.{address}.pt")
    assert main(["import", str(path)]) == 0
    assert not store.checkpoint(address).exists()


def test_a_finished_run_s_checkpoint_is_not_packed(tmp_path: Path) -> None:
    """What an earlier bundle of that name left goes, in one file or in parts."""
    begin(commit(0), 9)
    for name in (f"out.{'c' * 12}.pt", f"out.{'c' * 12}.1of2.pt", "out.other.pt"):
        (tmp_path / name).touch()
    bundle.pack(tmp_path / "out.tar")
    assert sorted(path.name for path in tmp_path.glob("out.*")) == ["out.other.pt", "out.tar"]


def test_a_large_checkpoint_travels_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    address = "b" * 12
    begin(address, 3, size=bundle.LIMIT // 2)  # numbers of four bytes
    before = store.checkpoint(address).read_bytes()
    bundle.pack(tmp_path / "out.tar")
    said = capsys.readouterr().out
    parts = [tmp_path / f"out.{address}.{i}of3.pt" for i in (1, 2, 3)]
    assert f"checkpoint into 3 parts, {parts[0]}" in said
    assert sorted(tmp_path.glob("out.*.pt")) == parts
    assert max(part.stat().st_size for part in parts) <= bundle.LIMIT
    assert b"".join(part.read_bytes() for part in parts) == before
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "other"))
    assert f"part 2 of 3 of run {address}'s checkpoint is missing" in refused(capsys, parts[0], parts[2])
    assert main(["import", *map(str, reversed(parts))]) == 0
    assert store.checkpoint(address).read_bytes() == before


def test_a_bundle_is_small(tmp_path: Path) -> None:
    for seed in range(50):
        commit(seed)
    bundle.pack(tmp_path / "out.tar")
    assert (tmp_path / "out.tar").stat().st_size < 50 * 500


def test_too_large_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit()
    monkeypatch.setattr(bundle, "LIMIT", 100)
    with pytest.raises(bundle.BadInput, match="copy the folder"):
        bundle.pack(tmp_path / "out.tar")
    assert not (tmp_path / "out.tar").exists()


@pytest.mark.parametrize("name", ["nowhere/out.tar", "out", "out.zip", "folder.tar"])
def test_where_no_bundle_can_be_is_said_before_anything_is_trained(tmp_path: Path, name: str,
                                                                   capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder.tar").mkdir()
    assert main(["run", "--profile", "cpu", "--bundle", str(tmp_path / name)]) == 2
    assert "must name a file ending in .tar" in capsys.readouterr().err


# -- refused ------------------------------------------------------------------------------------------------------
def test_another_result_is_a_conflict(packed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = commit(1, error=0.25)
    text = refused(capsys, packed)
    assert f"run {address} is here already with another result (summary.json differs): delete" in text


def test_bundles_that_contradict_each_other(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "third"))
    commit(1, error=0.5)
    bundle.pack(tmp_path / "more.tar")
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "out"))
    assert "with another result" in refused(capsys, packed, tmp_path / "more.tar")


@pytest.mark.parametrize("keep", [0, 1, 10, 0.3, 0.5, 0.9, -1, -8])
def test_truncated(packed: Path, keep: float, capsys: pytest.CaptureFixture[str]) -> None:
    whole = packed.read_bytes()
    packed.write_bytes(whole[:keep if isinstance(keep, int) else int(keep * len(whole))])
    assert "is truncated or no bundle: fetch it again" in refused(capsys, packed)


@pytest.mark.parametrize("at", [0.2, 0.5, 0.8])
def test_a_flipped_bit(packed: Path, at: float, capsys: pytest.CaptureFixture[str]) -> None:
    whole = bytearray(packed.read_bytes())
    whole[int(at * len(whole))] ^= 4
    packed.write_bytes(whole)
    refused(capsys, packed)


@pytest.mark.parametrize("content", [b"text", b"PK\x03\x04", gzip.compress(b"no tar", mtime=0), b"\0" * 2000])
def test_what_is_no_bundle(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.tar").write_bytes(content)
    refused(capsys, tmp_path / "x.tar")


@pytest.mark.parametrize("name", ["missing.tar", f"missing.{'a' * 12}.pt", "folder"])
def test_files_that_cannot_be_read(packed: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder").mkdir()
    refused(capsys, tmp_path / name)


@pytest.mark.parametrize("spoiled", ["cut", "foreign", "not trusted", "missing", "checkpoint"])
def test_one_that_is_spoiled_keeps_none_of_the_others(packed: Path, tmp_path: Path, spoiled: str,
                                                      monkeypatch: pytest.MonkeyPatch,
                                                      capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing of itself arrives, not even its first run, and it is named."""
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "third"))
    third = [commit(2), commit(3)]
    bad = tmp_path / (f"more.{A}.pt" if spoiled == "checkpoint" else "more.tar")
    bundle.pack(tmp_path / "more.tar")
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "out"))
    if spoiled == "foreign":
        made(bad, {**members(bad), "z.txt": b"x"})
    elif spoiled == "not trusted":
        last = f"runs/{max(third)}/summary.json"
        made(bad, {**members(bad), last: members(bad)[last].replace(b"0.125", b"0.250")})
    elif spoiled == "missing":
        bad.unlink()
    else:
        bad.write_bytes((tmp_path / "more.tar").read_bytes()[:100])
    (paths.mine() / ".import-killed").mkdir(parents=True)
    assert main(["import", str(bad), str(packed)]) == 2
    said = capsys.readouterr()
    assert "\nImported 2 runs" in said.out
    assert said.err.startswith("Not imported: ")
    assert str(bad) in said.err
    assert said.err.count("\n") == 1
    assert {run.address for run in store.everything(paths.mine())}.isdisjoint(third)
    assert len(store.everything(paths.mine())) == 2
    assert not list(paths.mine().glob(".import*"))


A = "a" * 12


@pytest.mark.parametrize(("name", "content"), [
    ("../escaped", b"x"), ("/tmp/escaped", b"x"), (f"runs/{A}/../../../escaped", b"x"), (f"runs/{A}/weights.pt", b"x"),
    (f"runs/{A}", (tarfile.DIRTYPE, "")), (f"runs/{A}/summary.json", (tarfile.SYMTYPE, "/etc/passwd")),
    (f"runs/{A}/summary.json", (tarfile.LNKTYPE, "../../x")), (f"runs/{A}/summary.json", (tarfile.FIFOTYPE, "")),
    (f"runs/{A}\n/summary.json", b"x"), (f"runs/{A}/summary.json\n", b"x"), (f"./runs/{A}/summary.json", b"x"),
    (f"runs/{A.upper()}/summary.json", b"x")])
def test_what_is_no_part_of_a_run(packed: Path, tmp_path: Path, name: str, content: Any,
                                  capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(tmp_path.rglob("*"))
    text = refused(capsys, made(packed, {**members(packed), name: content}))
    assert "is no part of a run" in text
    assert sorted(path for path in tmp_path.rglob("*") if (tmp_path / "out") not in (path, *path.parents)) == before


def test_a_bundle_that_would_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(bundle, "UNPACKED", 10**6)
    path = made(tmp_path / "x.tar", {f"runs/{A}/summary.json": b"\0" * 2 * 10**6})
    assert "unpacks to more than 1.0 MB" in refused(capsys, path)


def other(**more: Any) -> Callable[[bytes], bytes]:
    return lambda text: json.dumps({**json.loads(text), **more}).encode()


@pytest.mark.parametrize(("name", "change", "said"), [
    ("summary.json", other(format=2), "was written by a newer version (format 2; this one reads up to 1)"),
    ("summary.json", lambda text: text[:20], "summary.json is missing, truncated or no JSON"),
    ("experiment.json", other(seed=9), "experiment.json does not belong to that address"),
    ("history.csv", lambda text: b"", "history.csv is missing or truncated"),
    ("provenance.json", lambda text: b"[]", "does not hold a run's record"),
    ("provenance.json", None, "provenance.json is missing"),
    ("summary.json", None, "summary.json is missing"),
])
def test_records_that_cannot_be_trusted(packed: Path, name: str, change: Any, said: str,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    held = members(packed)
    path = max(path for path in held if path.endswith(name))
    content = held.pop(path)
    if change is not None:
        held[path] = change(content)
    text = refused(capsys, made(packed, held))
    assert said in text
    assert f"{packed}: run {path.split('/')[1]}" in text
    assert ".import" not in text


def test_runs_of_other_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                            capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "other"))
    address = commit(0, numerics=experiments.NUMERICS + 1)
    bundle.pack(tmp_path / "x.tar")
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "out"))
    newer = f"run {address} was trained by code of numerics {experiments.NUMERICS + 1}, and this is "
    assert (f"{newer}{experiments.NUMERICS}"
            in refused(capsys, tmp_path / "x.tar"))


@pytest.mark.parametrize("content", ["truncated", "text", "another"])
def test_checkpoints_that_are_not_that_run_s(packed: Path, content: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = packed.with_name(f"out.{A}.pt")
    whole = path.read_bytes()
    path.write_bytes({"truncated": whole[:-100], "text": b"x", "another": whole}[content])
    if content == "another":
        path = path.rename(packed.with_name(f"out.{'b' * 12}.pt"))
    assert "is truncated or no checkpoint of run" in refused(capsys, path)


def test_a_run_in_training_is_left_alone(packed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hold = ("import sys, time\nfrom replication.runs import store\nwith store.lease(sys.argv[1]):\n"
            "    print('held', flush=True)\n    time.sleep(1800)\n")
    address = next(iter(members(packed))).split("/")[1]
    process = subprocess.Popen([sys.executable, "-c", hold, address], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert f"run {address} is being trained by another process" in refused(capsys, packed)
    finally:
        process.kill()
        process.communicate()
    assert main(["import", str(packed)]) == 0


def test_a_stored_run_that_cannot_be_trusted_says_so(packed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = commit(0)
    (store.folder(address) / "history.csv").unlink()
    assert main(["import", str(packed)]) == 2
    assert f"{address}/history.csv is missing or truncated: delete" in capsys.readouterr().err
