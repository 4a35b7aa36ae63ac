"""`python -m replication gpu`, rehearsed on a CPU with stages of seconds: ended in every one of them, it goes on, does
nothing twice and loses nothing."""
from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from forked import Program
from waiting import HANG, until

from replication import paths
from replication.__main__ import main
from replication.benchmarks import harness, stages
from replication.errors import BadInput
from replication.runs import bundle, store
from replication.studies import estimate, profiles, study

pytestmark = pytest.mark.usefixtures("out", "one_thread", "one_core")
PROFILE = """about: a test
parameters: {images: 60, val_images: 20, resolution: 32, width: 0.125, stem: 4, epochs: 2, batch: 20, seeds: 1}
studies: [v1.long]
"""
# Every process of it reads this file again, so that all of them have the small sizes, and the place to wait in.
PROGRAM = """
import os, sys, time
from pathlib import Path
from replication.benchmarks import harness, smoke, throughput
from replication.models import ops
from replication.runs import experiments, store
from replication.training import loop

def small():
    rows = (ops.Row("conv", ops.Conv(4, 3, 4)), ops.Row("linear", ops.Linear(10)))
    return ops.Network("small", rows, 64, init=ops.He())

def wait(stage, over=lambda: False):
    "Where the test says so, until the test ends it."
    if os.environ.get("WAIT") == stage:
        Path(os.environ["REPLICATION_OUT"], "waiting").touch()
        while not over():
            time.sleep(0.02)

smoke.NETWORKS, smoke.WAYS = {"small": small}, (("fp32", "none"), ("fp32", "merge"))
throughput.CPU = tuple(throughput.Size(32, batch, steps=1, width=0.125) for batch in (2, 3))
harness.PHASES, harness.ceilings = ("train",), lambda where: (1.0, 10.0)
before = smoke.whole
smoke.whole = lambda network, precision, asked: (wait("smoke") if asked == "merge" else None,
                                                 before(network, precision, asked))[1]
turn = throughput.Entry.turn
throughput.Entry.turn = lambda entry, number: (wait("bench") if entry.size.batch == 3 and number == 1 else None,
                                               turn(entry, number))[1]
loop.CHECKPOINT_EVERY = 0.0
steps = loop.steps
loop.steps = lambda experiment, seed, watch, stop: steps(experiment, seed, watch, lambda: (
    experiment.network.name != "small" and store.begun(experiments.address(experiment, seed)) and wait("runs", stop),
    stop())[1])

if __name__ == "__main__":
    from replication.__main__ import main
    sys.exit(main(sys.argv[1:]))
"""
Ends = tuple[tuple[str, int], ...]


@pytest.fixture
def begin(out: Path, tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """begin("bench") starts the command, to wait there; all of it is gone in the end."""
    (tmp_path / "tiny.yaml").write_text(PROFILE)
    (tmp_path / "gpu.py").write_text(PROGRAM)
    made: list[Program] = []
    out.mkdir()

    def start(wait: str = "") -> Program:
        (out / "waiting").unlink(missing_ok=True)
        made.append(Program(tmp_path / "gpu.py", "gpu", "--budget", "99h", "--profile", tmp_path / "tiny.yaml",
                            WAIT=wait))
        return made[-1]

    yield start
    for process in made:
        process.kill()
        process.gone()


def stored() -> dict[str, Any]:
    """What is finished: of every case of smoke, turn of bench and run, when it was."""
    found: dict[str, Any] = {}
    for path in (paths.mine() / "tables").glob("*.csv"):
        for line in pd.read_csv(path).to_dict("records"):
            if path.name.startswith("smoke"):
                found["smoke", line["case"], line["asked"]] = line["seconds"]
            elif line["turns"] == 5:
                found["bench", line["batch"], ""] = line["images_per_s"]
    return {**found, **{("run", run.address, ""): run.provenance["utc"] for run in store.everything(paths.mine())}}


def test_ended_it_goes_on(begin: Callable[..., Program], out: Path, tmp_path: Path,
                          monkeypatch: pytest.MonkeyPatch) -> None:
    """In every stage in tests/ordeal/slow."""
    goes_on((("smoke", signal.SIGKILL), ("runs", signal.SIGTERM)), begin, out, tmp_path, monkeypatch)


def goes_on(ends: Ends, begin: Callable[..., Program], out: Path, tmp_path: Path,
            monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[str, Any] = {}
    for stage, number in ends:
        process = begin(stage)
        until((out / "waiting").exists, by=process)
        process.send_signal(number)
        said = "".join(process.communicate(timeout=HANG))
        assert process.returncode == (130 if number == signal.SIGTERM else -number), said
        process.gone()
        if number == signal.SIGTERM:
            assert "Stopped; the same command goes on" in said
            assert f"| {'runs of tiny' if stage == 'runs' else stage} |" in (out / "seen.md").read_text()
        now = stored()
        assert known.items() <= now.items()  # nothing is lost, and nothing was done again
        assert len(now) > len(known) or stage == "runs"
        known = now
    begun = {path.stem for path in (out / "checkpoints").glob("[!.]*.pt")}
    assert begun
    said = "".join((process := begin()).communicate(timeout=HANG))
    assert process.returncode == 0, said
    assert known.items() <= stored().items()
    asked = [cell.address for grid in study.of_profile(profiles.profile(str(tmp_path / "tiny.yaml")))
             for cell in grid.cells]
    assert {run.address for run in store.everything(paths.mine())} == set(asked)
    before = stored()
    said = "".join((process := begin()).communicate(timeout=HANG))
    assert process.returncode == 0, said
    assert stored() == before
    assert "0 runs finished, 0 are left" in (out / "seen.md").read_text()

    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "home"))
    bundle.unpack([out / "bundle.tar"])
    assert stored() == before


# -- the parts ----------------------------------------------------------------------------------------------------
def _fails(until: float, asked: Callable[[], bool]) -> str:
    raise BadInput("There is no such thing: bring it.")


def _dies(until: float, asked: Callable[[], bool]) -> str:
    os.kill(os.getpid(), signal.SIGABRT)  # as a driver's error may
    return "never"


def _sleeps(until: float, asked: Callable[[], bool]) -> str:
    time.sleep(4 * HANG)
    return "never"


def _counts(until: float, asked: Callable[[], bool]) -> str:
    return "three of three"


@pytest.mark.parametrize(("work", "status"), [
    (_fails, "left out: There is no such thing: bring it."), (_counts, "three of three"),
    (_dies, f"failed: its process ended with status {-signal.SIGABRT}")])
def test_a_stage_says_what_came_of_it(work: stages.Work, status: str) -> None:
    stage, saved = stages.Stage("one", 1.0), []
    stages._stage(stage, work, time.monotonic() + HANG, lambda: False, lambda: saved.append(stage.status))
    assert stage.status == status
    assert saved[-1] == status


def test_a_stage_that_takes_longer_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """So whatever comes after it has its turn; whoever asks it to stop waits no longer, either."""
    monkeypatch.setattr(stages, "GRACE", 0.5)
    stage, began = stages.Stage("one", 1.0), time.monotonic()
    stages._stage(stage, _sleeps, began, lambda: False, lambda: None)
    assert stage.status == "time was up; what it had measured stays"
    stages._stage(stage, _sleeps, began + 2 * HANG, lambda: True, lambda: None)
    assert stage.status == "stopped; the same command goes on"
    assert time.monotonic() - began < HANG


def test_what_does_not_work_is_left_out(monkeypatch: pytest.MonkeyPatch, out: Path) -> None:
    assert stages._what_works() == "auto"
    (out / "tables").mkdir(parents=True)
    (out / "tables" / "smoke-x.csv").touch()
    for broken, left in (({}, "auto"), ({"compile": "x"}, "graph"), ({"graph": "x"}, "none"), ({"merge": "x"}, "auto")):
        monkeypatch.setattr(stages.smoke, "broken", lambda _, broken=broken: broken)
        assert stages._what_works() == left


def _leaves_a_child(until: float, asked: Callable[[], bool]) -> str:
    child = os.fork()
    if not child:  # as a loader's processes, which are open to whoever is told
        time.sleep(4 * HANG)
        os._exit(0)
    Path(os.environ["LEFT"]).write_text(str(child))
    os._exit(3)


def test_what_a_stage_left_behind_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEFT", str(tmp_path / "left"))
    stage = stages.Stage("one", 1.0)
    stages._stage(stage, _leaves_a_child, time.monotonic() + HANG, lambda: False, lambda: None)
    os.kill(int((tmp_path / "left").read_text()), signal.SIGKILL)  # so it was still there
    assert stage.status == "failed: its process ended with status 3"
    assert stage.seconds < HANG


@pytest.mark.parametrize("content", [
    "", "a,b\n1,2\n", "device,case\n", "\0\xff", "device,case,precision,asked,status\nx,n"])
def test_a_file_that_is_no_table_ends_nothing(content: str, out: Path, tmp_path: Path) -> None:
    """It is said or ignored, packed it is not, and other things are saved all the same."""
    (out / "tables").mkdir(parents=True)
    for kind in ("smoke", "bench"):
        (out / "tables" / f"{kind}-x.csv").write_bytes(content.encode("latin1"))
    assert stages._what_works() == "auto"
    assert harness.so_far(out / "tables" / "smoke-x.csv", {"device": "d", "versions": "v", "commit": "c"}) == []
    assert estimate.gpu()
    (tmp_path / "tiny.yaml").write_text(PROFILE)
    stages._save(tmp_path / "a.tar", [], [str(tmp_path / "tiny.yaml")])
    assert "## Runs of tiny" in (tmp_path / "seen.md").read_text()
    bundle.unpack([tmp_path / "a.tar"])


def test_what_cannot_be_packed_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(bundle, "LIMIT", 0)
    stages._save(tmp_path / "a.tar", [], [])
    assert "over 0.0 MB" in capsys.readouterr().err


def test_a_store_that_cannot_be_made_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "file" / "out"))
    assert main(["gpu", "--budget", "6s"]) == 2
    assert capsys.readouterr().err.startswith("Could not write")


def test_one_sentence_for_what_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in ((["--profile", "gpus"], "Unknown profile 'gpus'"), (["--budget", "soon"], "no time to spend"),
                        (["--bundle", str(tmp_path / "x" / "a.tar")], "must name a file ending in .tar")):
        assert main(["gpu", *words]) == 2
        printed, problem = capsys.readouterr()
        assert said in problem
        assert (printed, problem.count("\n")) == ("", 1)
