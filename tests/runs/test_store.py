"""Runs as files: committed last, read back equal, refused in one sentence when foreign, trained by one process only."""
from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crew import ended
from forked import Program
from waiting import HANG

from replication import files, paths
from replication.errors import BadInput
from replication.runs import store

pytestmark = pytest.mark.usefixtures("out")

HISTORY: list[store.Epoch] = [{"epoch": 0.0, "loss": math.inf, "error": 0.9},
                            {"epoch": 1.0, "loss": 1e-9, "error": 0.125}]
SUMMARY: dict[str, Any] = {"status": "done", "val_error": 0.125, "parts": [{"low": 1, "error": 0.5}], "x": None,
                           "é": "×"}
RECORD: dict[str, Any] = {"numerics": 1, "experiment": {"is": "Experiment", "lr": 0.1}, "seed": 0}
ADDRESS = files.digest(RECORD)
FILES = ("experiment.json", "history.csv", "provenance.json", "summary.json")


def commit(seed: int = 0) -> store.Run:
    record = {**RECORD, "seed": seed}
    return store.commit(files.digest(record), record, HISTORY, SUMMARY, {"commit": "abc", "dirty": False})


def one_sentence(problem: pytest.ExceptionInfo[BadInput]) -> None:
    text = str(problem.value)
    assert "\n" not in text
    assert text.endswith(".")
    assert "delete" in text or "update" in text or "free some space" in text


# -- committed ----------------------------------------------------------------------------------------------------
def test_read_back_equals_written() -> None:
    made = commit()
    found = store.find(ADDRESS)
    assert found == made
    assert found is not None
    assert found.record == RECORD
    assert list(found.history) == HISTORY
    assert found.summary == {**SUMMARY, "format": 1}
    assert found.provenance == {"commit": "abc", "dirty": False}
    assert sorted(p.name for p in store.folder(ADDRESS).iterdir()) == sorted(FILES)


def test_numbers_keep_nine_digits_and_what_is_not_finite() -> None:
    row = {"a": 0.1 + 0.2, "b": math.nan, "c": -math.inf, "d": 1.23456789e-30, "e": 123456789.0}
    got = store.commit(ADDRESS, RECORD, [row], {}, {}).history[0]
    assert math.isnan(got.pop("b"))
    assert got == pytest.approx({k: v for k, v in row.items() if k != "b"}, rel=1e-8)


def test_the_summary_comes_last_and_each_file_by_rename(monkeypatch: pytest.MonkeyPatch) -> None:
    moves = []
    rename = Path.replace

    def replace(self: Path, target: Path) -> Path:
        moves.append(target.name)
        assert self.parent == target.parent
        assert not target.exists()
        assert not store.exists(ADDRESS)
        assert store.find(ADDRESS) is None
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    commit()
    assert moves[-1] == "summary.json"
    assert sorted(moves) == sorted(FILES)


@pytest.mark.parametrize("there", [(), ("experiment.json",), ("experiment.json", "history.csv", "provenance.json")])
def test_without_a_summary_there_is_no_run(there: tuple[str, ...]) -> None:
    commit()
    for name in FILES:
        if name not in there:
            (store.folder(ADDRESS) / name).unlink()
    assert store.find(ADDRESS) is None
    assert not store.exists(ADDRESS)
    assert store.everything(paths.mine()) == []
    assert commit() == store.find(ADDRESS)


@pytest.mark.parametrize("full", range(4))
def test_a_full_disk_loses_nothing(monkeypatch: pytest.MonkeyPatch, full: int) -> None:
    commit(seed=1)
    written: list[str] = []
    write = Path.write_text

    def full_disk(self: Path, text: str, **more: Any) -> int:
        if len(written) == full:
            write(self, text[:10], **more)
            raise OSError(28, "No space left on device")
        written.append(self.name)
        return write(self, text, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full_disk)
        with pytest.raises(BadInput, match="No space left on device") as problem:
            commit()
    one_sentence(problem)
    assert store.find(ADDRESS) is None
    assert not list(store.folder(ADDRESS).glob(".*"))
    assert [run.record["seed"] for run in store.everything(paths.mine())] == [1]
    assert commit() == store.find(ADDRESS)


# -- foreign ------------------------------------------------------------------------------------------------------
def spoil(name: str, change: Callable[[str], str]) -> None:
    path = store.folder(ADDRESS) / name
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def other(**more: Any) -> Callable[[str], str]:
    return lambda text: json.dumps({**json.loads(text), **more})


@pytest.mark.parametrize(("name", "change"), [
    ("summary.json", lambda text: text[:20]),
    ("summary.json", lambda text: ""),
    ("summary.json", lambda text: "[1, 2]"),
    ("summary.json", lambda text: "\0" * 100),
    ("summary.json", other(format=2)),
    ("summary.json", other(format="new")),
    ("summary.json", other(format=None)),
    ("experiment.json", lambda text: text[:20]),
    ("experiment.json", other(seed=7)),
    ("experiment.json", lambda text: "{}"),
    ("provenance.json", lambda text: text[:5]),
    ("history.csv", lambda text: text[:-5].rpartition(",")[0]),
    ("history.csv", lambda text: text.replace("inf", "much")),
    ("history.csv", lambda text: text.splitlines()[0] + "\n"),
    ("history.csv", lambda text: ""),
    ("history.csv", lambda text: "\0" * 100),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_cannot_be_trusted_is_refused_in_one_sentence(name: str, change: Callable[[str], str]) -> None:
    commit()
    commit(seed=1)
    spoil(name, change)
    with pytest.raises(BadInput, match=ADDRESS) as problem:
        store.find(ADDRESS)
    one_sentence(problem)
    with pytest.warns(UserWarning, match=ADDRESS) as warned:
        kept = store.everything(paths.mine())
    assert [run.record["seed"] for run in kept] == [1]
    assert len(warned) == 1


@pytest.mark.parametrize("name", FILES[:3])
def test_a_missing_file_is_refused(name: str) -> None:
    commit()
    (store.folder(ADDRESS) / name).unlink()
    with pytest.raises(BadInput, match=name) as problem:
        store.find(ADDRESS)
    one_sentence(problem)


def test_binary_files_are_refused() -> None:
    commit()
    for name in FILES[1:]:
        kept = (store.folder(ADDRESS) / name).read_bytes()
        (store.folder(ADDRESS) / name).write_bytes(b"\xff\xfe\x00\x93")
        with pytest.raises(BadInput, match=name):
            store.find(ADDRESS)
        (store.folder(ADDRESS) / name).write_bytes(kept)
    assert store.find(ADDRESS) is not None


def test_a_newer_format_says_so() -> None:
    commit()
    spoil("summary.json", other(format=store.FORMAT + 1))
    with pytest.raises(BadInput, match=r"newer version \(format 2; this one reads up to 1\): update the code"):
        store.find(ADDRESS)


def test_a_run_under_another_address_names_its_own() -> None:
    commit()
    shutil.move(store.folder(ADDRESS), store.folder("0" * 12))
    with pytest.raises(BadInput, match=f"does not belong to that address .it hashes to {ADDRESS}"):
        store.find("0" * 12)


def test_files_that_are_no_runs_are_passed_over(recwarn: pytest.WarningsRecorder) -> None:
    commit()
    (paths.mine() / "runs" / ".DS_Store").write_text("x")
    (paths.mine() / "runs" / "notes").mkdir()
    (paths.mine() / "runs" / "notes" / "README").write_text("x")
    assert [run.address for run in store.everything(paths.mine())] == [ADDRESS]
    assert not recwarn
    assert store.everything(paths.mine() / "nowhere") == []


# -- yours and published ------------------------------------------------------------------------------------------
@pytest.fixture
def published(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that is published and not yours."""
    monkeypatch.setattr(paths, "PUBLISHED", tmp_path / "results")
    commit()
    out.rename(tmp_path / "results")
    return tmp_path / "results"


def test_a_published_run_serves_where_yours_is_missing(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REPLICATION_READ")
    found = store.find(ADDRESS)
    assert found is not None
    assert found.summary["val_error"] == 0.125
    assert store.exists(ADDRESS)
    assert not paths.mine().exists()  # reading creates nothing


def test_yours_comes_before_the_published(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REPLICATION_READ")
    before = {path: path.read_bytes() for path in published.rglob("*") if path.is_file()}
    store.commit(ADDRESS, RECORD, HISTORY, {"mine": True}, {})
    found = store.find(ADDRESS)
    assert found is not None
    assert found.summary.get("mine")
    assert {path: path.read_bytes() for path in published.rglob("*") if path.is_file()} == before


def test_reproducing_reads_only_yours(published: Path) -> None:
    assert store.find(ADDRESS) is None
    assert not store.exists(ADDRESS)


# -- twins --------------------------------------------------------------------------------------------------------
def test_twins_are_runs_of_stores_of_their_own(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another result under the same address, by the label of its store; the run itself is not touched."""
    made = commit()
    assert store.twins(ADDRESS) == {}
    for label, error in (("gpu", 0.25), ("two threads", 0.5)):
        monkeypatch.setenv("REPLICATION_OUT", str(out / "twins" / label))
        store.commit(ADDRESS, RECORD, HISTORY, {"val_error": error}, {})
    commit(seed=1)
    monkeypatch.setenv("REPLICATION_OUT", str(out))
    assert {label: run.summary["val_error"] for label, run in store.twins(ADDRESS).items()} == {
        "gpu": 0.25, "two threads": 0.5}
    assert store.find(ADDRESS) == made
    assert [run.address for run in store.everything(out)] == [ADDRESS]
    (store.folder(ADDRESS, out / "twins" / "gpu") / "summary.json").unlink()
    assert list(store.twins(ADDRESS)) == ["two threads"]


def test_twins_are_published_too_and_yours_come_first(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(published / "runs", published / "twins" / "gpu" / "runs")
    assert store.twins(ADDRESS) == {}  # reproducing reads only yours
    monkeypatch.delenv("REPLICATION_READ")
    assert store.twins(ADDRESS) == {"gpu": store.find(ADDRESS)}
    monkeypatch.setenv("REPLICATION_OUT", str(paths.mine() / "twins" / "gpu"))
    mine = store.commit(ADDRESS, RECORD, HISTORY, {"mine": True}, {})
    monkeypatch.setenv("REPLICATION_OUT", str(paths.mine().parent.parent))
    assert store.twins(ADDRESS) == {"gpu": mine}


def test_a_twin_that_cannot_be_trusted_is_refused(out: Path) -> None:
    commit()
    shutil.copytree(out / "runs", out / "twins" / "gpu" / "runs")
    (out / "twins" / "gpu" / "runs" / ADDRESS / "history.csv").write_text("")
    with pytest.raises(BadInput, match=r"gpu.*history\.csv") as problem:
        store.twins(ADDRESS)
    one_sentence(problem)


# -- one process a run --------------------------------------------------------------------------------------------
HOLD = """
import sys, time
from replication.runs import store
with store.lease(sys.argv[1], wait=len(sys.argv) < 3) as got:
    print(got, flush=True)
    time.sleep(1800 if got and len(sys.argv) < 3 else 0)
"""


def test_a_lease_is_given_back_when_its_holder_is_killed() -> None:
    def start(*more: str) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", HOLD, ADDRESS, *more], stdout=subprocess.PIPE, text=True)

    holder = start()
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        with store.lease(ADDRESS, wait=False) as mine:
            assert not mine
        assert start("now").communicate(timeout=HANG)[0] == "False\n"
        with store.lease("another", wait=False) as mine:
            assert mine
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait(timeout=HANG)
        with store.lease(ADDRESS) as mine:
            assert mine
        assert start("now").communicate(timeout=HANG)[0] == "True\n"  # and given back at the end of `with`
    finally:
        holder.kill()
        holder.communicate()


TWICE = """
import os, queue, sys, time
from pathlib import Path
from replication.studies import workers
from replication.studies.compose import compose
from replication.studies.setting import Setting
from replication.training import loop
setting = Setting(images=60, val_images=20, resolution=32, width=0.125, stem=4, epochs=1, batch=20)
jobs = [(f"run {seed}", compose("googlenet", setting), seed) for seed in range(3)]
before = loop.steps
def counted(experiment, seed, *more):
    with open(sys.argv[1], "a") as file:
        file.write(f"{seed} {os.getpid()}\\n")
    return before(experiment, seed, *more)
loop.steps = counted
workers.follow = lambda: None
todo, news = queue.Queue(), queue.Queue()
for i in (0, 1, 2, None):
    todo.put(i)
Path(sys.argv[2]).touch()  # go together
while not all((Path(sys.argv[2]).parent / name).exists() for name in ("here0", "here1")):
    time.sleep(0.01)
workers._work(jobs, 1, todo, news)
while not news.empty():
    kind, i, what = news.get()
    print(kind, i, what) if kind != "progress" else None
"""


def test_two_processes_that_want_the_same_runs_train_each_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    (tmp_path / "twice.py").write_text(TWICE)
    both = ended([Program(tmp_path / "twice.py", log, tmp_path / f"here{k}", OMP_NUM_THREADS="1") for k in range(2)])
    said = [text for _, text, _ in both]
    for text in said:  # both are told of all three, the same
        assert [line.split()[:2] for line in text.splitlines()] == [["done", str(i)] for i in range(3)]
    assert said[0].count("top-1 error") == 3
    assert said[0] == said[1]
    trained = [line.split()[0] for line in log.read_text().splitlines()]
    assert sorted(trained) == ["0", "1", "2"]


def test_a_store_that_cannot_be_written_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "file"))
    with pytest.raises(BadInput, match="REPLICATION_OUT"), store.lease(ADDRESS):
        pass
    with pytest.raises(BadInput, match="REPLICATION_OUT"):
        commit()


# -- sealed -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "old", "new"), [
    ("history.csv", "0.125", "0.225"), ("summary.json", "0.125", "0.225"), ("provenance.json", "abc", "abd")])
def test_another_digit_is_noticed(name: str, old: str, new: str) -> None:
    commit()
    spoil(name, lambda text: text.replace(old, new))
    with pytest.raises(BadInput, match="by its seal") as problem:
        store.find(ADDRESS)
    one_sentence(problem)


def test_runs_of_before_have_no_seal() -> None:
    made = commit()
    path = store.folder(ADDRESS) / "provenance.json"
    held = json.loads(path.read_text(encoding="utf-8"))
    assert "seal" in held
    assert "seal" not in made.provenance
    path.write_text(json.dumps({key: value for key, value in held.items() if key != "seal"}), encoding="utf-8")
    assert store.find(ADDRESS) == made
