"""The grid by Snakemake, on this machine: what is killed goes on, two at once train no run twice, and what is stored
stays as it is."""
from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch
import yaml
from waiting import HANG, until

from replication import paths
from replication.__main__ import main
from replication.runs import store
from replication.studies import profiles, study

HERE = ("bin/snakemake", "Scripts/snakemake.exe")
SNAKEMAKE = shutil.which("snakemake") or next(
    (str(path) for path in (paths.ROOT / "build/snakemake" / name for name in HERE) if path.exists()), None)
needed = pytest.mark.skipif(SNAKEMAKE is None or sys.platform == "win32", reason="needs snakemake, in an environment "
                            "of its own: README.md, Many machines, says how to make it")
Make = Callable[..., "subprocess.Popen[str]"]

# One run whose every epoch leaves a checkpoint, for some seconds.
TINY = {"about": "a test", "studies": [{"v1.long": {"only": {"norm": "bn"}}}],
        "parameters": {"images": 20, "val_images": 10, "resolution": 32, "crop": 28, "width": 0.125, "stem": 4,
                       "batch": 20, "seeds": 1, "epochs": 60}}


@pytest.fixture
def profile(tmp_path: Path) -> str:
    path = tmp_path / "my tiny's.yaml"  # what a shell would take apart
    path.write_text(yaml.safe_dump(TINY))
    return str(path)


@pytest.fixture
def snakemake(profile: str, out: Path, tmp_path: Path) -> Iterator[Make]:
    """snakemake(core, "budget=1h"): one in a checkout's place, on a core of its own, as a terminal would start it."""
    (tmp_path / "profiles").symlink_to(paths.ROOT / "profiles")
    started = []

    def make(core: int = 0, *config: str) -> subprocess.Popen[str]:
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        here = {"PYTHONPATH": str(paths.ROOT), "OMP_NUM_THREADS": "1"}
        made = subprocess.Popen(
            [str(SNAKEMAKE), "--profile", "profiles/snakemake", "--cores", "1", "--config", f"profile={profile}",
             f"python={sys.executable}", *config], cwd=tmp_path, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env={**os.environ, **here}, start_new_session=True)
        if cores:
            os.sched_setaffinity(made.pid, {cores[core % len(cores)]})
        started.append(made)
        return made

    yield make
    for process in started:
        end(process)


def end(process: subprocess.Popen[str]) -> None:
    """With all that it has started, at once."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def trainers(snakemake: subprocess.Popen[str]) -> list[int]:
    """The processes `replication run` of one Snakemake."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 3) for line in listed.splitlines()]
    return [int(pid) for pid, group, program, words in (row for row in rows if len(row) == 4)
            if int(group) == snakemake.pid and "python" in program and words.startswith("-m replication run")]


@needed
def test_what_is_killed_goes_on_and_is_trained_once(snakemake: Make, profile: str, out: Path, tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    cell, = study.study("v1.long", **profiles.profile(profile).parameters).cells[:1]
    summary, checkpoint = store.folder(cell.address) / "summary.json", store.checkpoint(cell.address)
    written: set[tuple[int, int]] = set()  # every file that has ever stood there
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.005):
            if summary.exists():
                written.add((summary.stat().st_ino, summary.stat().st_mtime_ns))

    def step() -> int:
        return int(torch.load(checkpoint, weights_only=True)["state"]["step"])

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        # The job is killed: Snakemake says so, and the checkpoint stays.
        first = snakemake()
        until(checkpoint.exists)
        job, = trainers(first)
        os.kill(job, signal.SIGKILL)
        said = first.communicate(timeout=HANG)[0]
        assert first.returncode == 1, said
        assert "Error in rule train" in said
        before = step()
        assert 0 < before < 60

        # Two at once, of which one waits for the other's lease; then one is killed, with its job.
        two = [snakemake(core) for core in (0, 1)]
        until(lambda: all(len(trainers(one)) == 1 for one in two))
        until(lambda: not checkpoint.exists() or step() > before)
        assert checkpoint.exists(), "trained before the other came"
        end(two[0])
        assert step() > before
        said = two[1].communicate(timeout=HANG)[0]
        assert two[1].returncode == 0, said
        assert "v1.long norm=bn seed 0: top-1 error" in said
        run = store.find(cell.address)
        assert run is not None
        assert (run.summary["steps"], run.summary["status"], len(run.history)) == (60, "done", 61)

        # Nothing is left, whatever else is asked of each job.
        again = snakemake(0, "budget=1h")
        said = again.communicate(timeout=HANG)[0]
        assert again.returncode == 0, said
        assert "Nothing is left to train." in said
        assert "rule train" not in said
    finally:
        over.set()
        watching.join()
    assert len(written) == 1

    # The bundle carries the run to a machine that does not see this store.
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "elsewhere"))
    assert main(["import", str(tmp_path / "out/bundles" / f"{cell.address}.tar")]) == 0
    assert "Imported 1 runs" in capsys.readouterr().out
    assert str(store.find(cell.address)) == str(run)  # what is not a number equals nothing


@needed
def test_an_unknown_profile_is_said_once(snakemake: Make, profile: str) -> None:
    Path(profile).unlink()
    one = snakemake()
    said = one.communicate(timeout=HANG)[0]
    assert one.returncode != 0
    assert f"There is no file {profile}" in said
    assert "Traceback" not in said
