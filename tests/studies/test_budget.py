"""A budget is spent in order, ended in time, and leaves what the same command goes on from."""
from __future__ import annotations

import itertools
import math
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from forked import Program
from trained import weights, work
from waiting import HANG, until

from replication import files, provenance
from replication.__main__ import main
from replication.data import spec
from replication.errors import BadInput
from replication.models import cost
from replication.runs import experiments, store
from replication.studies import estimate, profiles, study, workers
from replication.studies.compose import compose
from replication.studies.setting import Setting
from replication.training import loop

real = profiles.profile
pytestmark = pytest.mark.usefixtures("out", "one_thread", "one_core")
Tiny = Callable[..., experiments.Experiment]


def measured(seconds: float = 100.0, device: str = "CPU", multiply_adds: int = 10, seed: int = 99,
             trained: bool = True, **more: Any) -> None:
    """A finished run that trained 1,000 images: 10 × (3 × 1,000 + 100 × 2) multiply-adds in so many seconds. `more` is
    written of where it ran."""
    record = {"numerics": experiments.NUMERICS, "seed": seed}
    store.commit(files.digest(record), record, [{"epoch": 1.0}],
                 {"status": "done", "epoch": 1.0, "val_images": 100, "multiply_adds": multiply_adds},
                 provenance.collect(device=device, seconds=seconds, images_per_s=1000 / seconds if trained else None,
                                    **more))


# -- words --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("text", "seconds"), [
    ("90", 90), ("90s", 90), ("25m", 1500), ("1h", 3600), ("1.5h", 5400), (" 2 m ", 120), (".5m", 30)])
def test_times(text: str, seconds: float) -> None:
    assert estimate.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "0", "0m", "-5m", "25 minutes", "1h30m", "nan", "inf", "1e3", "٣m", "5d"])
def test_what_is_no_time_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--profile", "cpu", f"--budget={text}"]) == 2
    assert capsys.readouterr().err == (f"{text!r} is no time to spend: give seconds (90 or 90s), minutes (25m) or "
                                       f"hours (1.5h).\n")


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (5999, "100 min"),
                                               (6000, "1.7 h")])
def test_clock(seconds: float, said: str) -> None:
    assert estimate.clock(seconds) == said


# -- what a run costs ---------------------------------------------------------------------------------------------
def test_a_run_s_cost_by_hand(tiny: Tiny) -> None:
    """Two epochs of 200 images, forward and backward, and three looks at 100."""
    made = tiny()
    assert experiments.work(made) == cost.multiply_adds(made.network) * (3 * 2 * 200 + 3 * 100)
    assert experiments.work(tiny(epochs=0)) == cost.multiply_adds(made.network) * 100


def test_speed_is_the_median_of_like_hardware() -> None:
    assert estimate.speed() is None
    measured(10.0, seed=8, trained=False)
    assert estimate.speed() == (provenance.processor(), pytest.approx(10 * 200 / 10))  # before any has trained
    for seed, seconds in enumerate((100.0, 200.0, 400.0)):
        measured(seconds, seed=seed)
    measured(1.0, "Some GPU", seed=7)
    here = provenance.processor()
    assert estimate.speed(here) == (here, pytest.approx(10 * 3200 / 200))
    assert estimate.speed("Some GPU") == ("Some GPU", pytest.approx(10 * 3200))
    assert estimate.speed("Another GPU") is None


def test_another_processor_s_runs_count_by_the_matrix_rate(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """10 × 3,200 multiply-adds in 200 s at 40 GFLOP/s: a quarter of it where a thread does 10 GFLOP/s."""
    made, asked = tiny(), []

    def rate(threads: int) -> float | None:
        asked.append(threads)
        return here

    monkeypatch.setattr("replication.training.device.matmul_gflops", rate)
    here: float | None = 10.0
    measured(1.0, processor="AMD EPYC", seed=1, threads=1)  # of both kinds, and published before rates were known
    measured(1.0, "Some GPU", seed=2, threads=1, matmul_gflops=None)
    assert estimate.estimates([made]) == [math.inf]
    assert not asked  # nothing to compare with
    for seed, (seconds, gflops) in enumerate(((100.0, 40.0), (200.0, 40.0), (800.0, 20.0)), 3):
        measured(seconds, processor=f"Another {seed}", seed=seed, threads=1, matmul_gflops=gflops)
    measured(1.0, processor="With more threads", seed=6, threads=8, matmul_gflops=1.0)
    measured(1.0, processor="Judged only", seed=7, trained=False, threads=1, matmul_gflops=1.0)
    assert estimate.estimates([made]) == pytest.approx([experiments.work(made) / (10 * 3200 / 200 / 40 * 10)])
    assert asked == [1]
    here = None  # on a GPU
    assert estimate.estimates([made]) == [math.inf]
    measured(50.0, seed=8, threads=1, matmul_gflops=99.0)  # this one's own
    assert estimate.estimates([made]) == pytest.approx([experiments.work(made) / (10 * 3200 / 50)])
    assert len(asked) == 2
    assert estimate.speed("AMD EPYC") == ("AMD EPYC", pytest.approx(10 * 3200))


def test_runs_that_tell_no_speed_are_passed_over(recwarn: pytest.WarningsRecorder) -> None:
    record = {"seed": 1}
    store.commit(files.digest(record), record, [{"epoch": 0.0}], {"status": "done"},
                 {"images_per_s": None, "seconds": 0})
    broken = store.folder("0" * 12)
    broken.mkdir()
    (broken / "summary.json").write_text("{")
    assert estimate.speed() is None
    assert not recwarn


def test_list_shows_what_is_begun_whose_turn_it_is_and_how_long(capsys: pytest.CaptureFixture[str]) -> None:
    measured(100.0, multiply_adds=10**9)
    first, second, *_ = [cell.experiment for cell in study.stored("v1.aux", "worth").cells]
    record = experiments.record(first, 0)
    store.commit(files.digest(record), record, [{"epoch": 0.0}], {"status": "done"}, {})
    path = store.checkpoint(experiments.address(second, 0))
    path.parent.mkdir(parents=True)
    path.touch()
    assert main(["list", "--profile", "worth"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("v1.aux")]
    took = estimate.clock(experiments.work(first) / (1e9 * 3200 / 100))
    assert " 1 / 5      –     8 " in lines[0]  # the seven other variants' first seeds, then it
    assert " 0 / 5      1     1 " in lines[1]
    assert all(f" {took} " in line for line in lines)


# -- asked to stop ------------------------------------------------------------------------------------------------
PAPERS: dict[str, Any] = {  # V1 §6's images and V3 §8's optimiser
    "optimiser": experiments.RMSProp(), "clip": experiments.ClipValue(2.0), "average": experiments.Average(0.9),
    "augment": (spec.AreaCrop(32), spec.Flip(), spec.Photometric())}


@pytest.mark.parametrize("recipe", [{}, PAPERS], ids=["plain", "papers"])
def test_stopped_and_resumed_ends_at_the_same_bits(tiny: Tiny, out: Path, monkeypatch: pytest.MonkeyPatch,
                                                   recipe: dict[str, Any]) -> None:
    """After steps of the first epoch, between epochs, and of the second; of five a epoch."""
    made = tiny("bn", batch=40, **recipe)
    address = experiments.address(made, 0)
    straight, ended = loop.train(made, 0), weights(made)
    for stops in ([0, 3, 5, 9], [1, 2, 5, 8]):
        monkeypatch.setenv("REPLICATION_OUT", str(out.with_name("-".join(map(str, stops)))))
        for step in stops:
            before = torch.load(store.checkpoint(address))["state"]["step"] if store.begun(address) else 0
            more = iter([False] * (step - before) + [True])
            with pytest.raises(loop.Stopped):
                loop.train(made, 0, stop=more.__next__)
            assert torch.load(store.checkpoint(address))["state"]["step"] == step
            assert store.begun(address)
            assert store.find(address) is None
        run = loop.train(made, 0)
        assert not store.begun(address)
        assert str(run.history) == str(straight.history)  # nan, too
        assert all(torch.equal(ended[name], value) for name, value in weights(made).items())


def test_a_worker_starts_nothing_it_could_not_use(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds left: nothing whose length is unknown, and once it is known only what is short."""
    jobs = [("long", tiny("bn", epochs=1000), 0), ("short", tiny("bn", epochs=0), 0)]
    monkeypatch.setattr(workers.time, "monotonic", lambda: 0.0)
    assert work(jobs, monkeypatch, until=10.0) == [("left", 0, None), ("left", 1, None)]
    measured(100.0, multiply_adds=10**7)  # the long one would take hours, the other one seconds
    (left, _, _), (done, _, _) = work(jobs, monkeypatch, until=10.0)
    assert (left, done) == ("left", "done")


def test_a_worker_that_is_asked_ends_between_two_steps(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [("one", tiny("bn"), 0), ("two", tiny("bn"), 1)]
    answers = iter([False] * 6 + [True] * 9)
    assert work(jobs, monkeypatch, asked=answers.__next__) == [("left", 0, None), ("left", 1, None)]
    assert torch.load(store.checkpoint(experiments.address(*jobs[0][1:])))["state"]["step"] == 5
    assert not store.begun(experiments.address(*jobs[1][1:]))


def test_with_little_time_a_run_of_another_process_is_left_to_it(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [("one", tiny("bn", epochs=0), 0), ("two", tiny("bn", epochs=0), 1)]
    hold = ("import sys\nfrom replication.runs import store\nwith store.lease(sys.argv[1]):\n"
            "    print('held', flush=True)\n    sys.stdin.read()\n")
    other = subprocess.Popen([sys.executable, "-c", hold, experiments.address(*jobs[0][1:])], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        told = work(jobs, monkeypatch, until=time.monotonic() + HANG)
    finally:
        other.kill()
        other.communicate()
    assert [kind for kind, *_ in told] == ["left", "done"]


# -- a budget -----------------------------------------------------------------------------------------------------
def test_too_short_a_budget_says_what_would_do(tiny: Tiny) -> None:
    jobs = [("one", tiny(), 0)]
    with pytest.raises(BadInput, match=r"too short for any of the 1 runs: the shortest useful one is 45s\.$"):
        workers.train(jobs, time.monotonic() + 44)
    measured(100.0, multiply_adds=10**9)
    with pytest.raises(BadInput, match=r"the shortest useful one is 26s\.$"):  # the run itself is over in an instant
        workers.train(jobs, time.monotonic() + 24)
    workers.train([], time.monotonic())


def test_priority_is_the_profile_s_order_seed_by_seed() -> None:
    profile = replace(profiles.profile("worth"), studies={"v1.aux": {}, "v1.gradient": {}})
    titles = [title for title, *_ in study.missing(study.of_profile(profile)).values()]
    assert [title.split()[0] for title in titles] == ["v1.aux"] * 40 + ["v1.gradient"] * 30
    assert [title.split()[-1] for title in titles[:40]] == [str(seed) for seed in range(5) for _ in range(8)]


def test_a_profile_with_a_budget_is_trained_two_seeds_of_a_study_at_a_time() -> None:
    """By hand from profiles/cpu.yaml: what trains nothing; the one network; two seeds of each study, for one has no
    interval; then the third of all, and the fourth of that which has one. Smoothing 0 is the average head."""
    profile = profiles.profile("cpu")
    assert profile.budget < math.inf
    grids = study.of_profile(profile)
    order = study.missing(grids, by_seed=True)
    assert set(order) == set(study.missing(grids))
    arms = ("average", "fc", "0.1", "bn-inception", "v3")
    named = {cell.address: (each.name, *(key for key in cell.keys.values() if key in arms), cell.seed)
             for each in reversed(grids) for cell in each.cells}
    assert [name for name, *_ in map(named.__getitem__, order)][:30] == ["v1.gradient"] * 30
    assert [named[address] for address in list(order)[30:]] == [
        ("googlenet_bn", 0), *(("v3.networks", arm, seed) for seed in (100, 101) for arm in ("bn-inception", "v3")),
        *(("v1.head", arm, seed) for seed in (100, 101) for arm in ("average", "fc")),
        ("v3.smoothing", "0.1", 100), ("v3.smoothing", "0.1", 101),
        ("v1.head", "average", 102), ("v1.head", "fc", 102), ("v3.smoothing", "0.1", 102),
        ("v1.head", "average", 103), ("v1.head", "fc", 103)]


@pytest.mark.parametrize(("asked", "left"), [
    (["--profile", "cpu", "--budget", "profile"], 420.0), (["--profile", "cpu"], math.inf),
    (["--profile", "cpu", "--budget", "none"], math.inf), (["--profile", "cpu", "--budget", "90s"], 90.0),
    (["--profile", "worth", "--budget", "profile"], math.inf)])
def test_a_profile_s_own_budget(monkeypatch: pytest.MonkeyPatch, asked: list[str], left: float) -> None:
    """Only where it is asked for; the profile worth has none."""
    monkeypatch.setattr(profiles, "profile", lambda name: replace(real(name), budget=420.0 if name == "cpu" else
                                                                  real(name).budget))
    given: list[float] = []
    monkeypatch.setattr(workers, "train", lambda jobs, until, asked: given.append(until))
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    assert main(["run", *asked]) == 0
    assert given == [1000 + left]


def test_a_budget_ends_in_time(tiny: Tiny, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """The estimate is far too low, so the run is begun and must be cut; what comes after it is not begun."""
    measured(1.0, multiply_adds=10**12)
    monkeypatch.setattr(workers, "START", 0.0)
    before = time.monotonic()
    workers.train([("first", tiny("bn", epochs=0), 1)])
    start = time.monotonic() - before  # of a worker, on this machine as it is now; to end takes less
    long, next_ = experiments.address(tiny("bn", epochs=5000), 0), experiments.address(tiny("bn", epochs=0), 0)
    for slower in (1, 4, 16, 64):  # meanwhile others may have come
        monkeypatch.setattr(workers, "MARGIN", slower * start)
        end = time.monotonic() + 3 * slower * start
        workers.train([("long", tiny("bn", epochs=5000), 0), ("next", tiny("bn", epochs=0), 0)], end)
        if time.monotonic() < end and store.begun(long):
            break
    else:
        pytest.fail("never in time")
    assert torch.load(store.checkpoint(long))["state"]["step"] > 0
    assert not store.exists(next_)
    assert "0 runs finished in this time. Of the 2 left, 1 have a checkpoint" in capfd.readouterr().out


def test_cut_by_the_clock_and_gone_on_first_of_all(tiny: Tiny, out: Path, monkeypatch: pytest.MonkeyPatch,
                                                   capfd: pytest.CaptureFixture[str]) -> None:
    """The run that was begun comes first although it was asked for last, and ends at the bits of one never cut."""
    measured(1.0, multiply_adds=10**12)
    cut, new = tiny("bn", epochs=10), tiny("bn", epochs=0)
    with monkeypatch.context() as patch:  # every look at the clock takes a second
        patch.setattr(workers.time, "monotonic", map(float, itertools.count()).__next__)
        assert work([("cut", cut, 0)], patch, until=60.0) == [("left", 0, None)]
    assert 0 < torch.load(store.checkpoint(experiments.address(cut, 0)))["state"]["step"] < 100
    workers.train([("new", new, 0), ("cut", cut, 0)])
    said = capfd.readouterr().out
    assert said.index("1/2  cut") < said.index("2/2  new")
    resumed = weights(cut)
    monkeypatch.setenv("REPLICATION_OUT", str(out.with_name("straight")))
    loop.train(cut, 0)
    assert all(torch.equal(resumed[name], value) for name, value in weights(cut).items())


# -- ended from outside -------------------------------------------------------------------------------------------
def began(out: Path, what: str) -> str:
    """The address of the first run for which the store has such a file."""
    return until(lambda: list(out.glob(what)), what)[0].stem


# The command, whose worker is of its group and does not try for three seconds how fast the machine is.
COMMAND = """
import multiprocessing, signal, sys
from replication.studies import workers
workers.TRIED = 0.1

class Born(multiprocessing.context.ForkProcess):
    def run(self):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as in a new interpreter
        signal.signal(signal.SIGINT, signal.default_int_handler)
        super().run()

if __name__ == "__main__":
    context = multiprocessing.context.ForkContext()
    context.Process = Born
    multiprocessing.get_context = lambda _: context
    from replication.__main__ import main
    sys.exit(main())
"""


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_group_leaves_checkpoints_and_a_bundle(out: Path, tmp_path: Path, sent: int) -> None:
    """SIGTERM twice, as `timeout` sends it; Ctrl-C once."""
    small = {"images": 60, "val_images": 20, "batch": 20, "width": 0.125, "epochs": 5000}  # soon a first epoch, no last
    (tmp_path / "command.py").write_text(COMMAND)
    running = Program(tmp_path / "command.py", "run", "v1.aux", "--profile", "cpu", "--bundle", tmp_path / "out.tar",
                      *(word for name, value in small.items() for word in ("--set", f"{name}={value}")))
    address = began(out, "checkpoints/[!.]*.pt")
    for _ in range(2 if sent == signal.SIGTERM else 1):
        os.killpg(running.pid, sent)
        time.sleep(0.01)
    said, problem = running.communicate(timeout=HANG)
    assert running.returncode == 130
    assert problem == "Stopped; the same command goes on from the last checkpoints.\n"
    assert "Packed 0 finished runs" in said
    assert store.begun(address)
    assert torch.load(store.checkpoint(address))["record"] == address
    assert sorted(path.name for path in tmp_path.glob("out.*")) == [f"out.{address}.pt", "out.tar"]
    with store.lease(address, wait=False) as free:
        assert free


def test_a_killed_parent_leaves_a_run_that_goes_on(out: Path, parent: Program) -> None:
    address = began(out, "checkpoints/[!.]*.pt")
    parent.kill()
    with store.lease(address):  # once the worker has seen it
        at = torch.load(store.checkpoint(address))["state"]["step"]
        setting = Setting(images=60, val_images=20, resolution=32, width=0.125, stem=4, epochs=5000, batch=20)
        more = iter([False, False, True])
        with pytest.raises(loop.Stopped):
            loop.train(compose("googlenet", setting), 0, stop=more.__next__)
    assert torch.load(store.checkpoint(address))["state"]["step"] == at + 2 > 2


# -- memory -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("holds", "said"), [(5, r"batch=20 does not fit .*, batch=5 does: use that"),
                                             (0, r"batch=20 does not fit .*, and no smaller one does")])
def test_what_is_too_large_says_which_batch_would_fit(tiny: Tiny, monkeypatch: pytest.MonkeyPatch, holds: int,
                                                      said: str) -> None:
    before = loop.step

    def step(fabric: Any, network: Any, optimiser: Any, images: Any, *more: Any) -> Any:
        if len(images) > holds:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return before(fabric, network, optimiser, images, *more)

    monkeypatch.setattr(loop, "step", step)
    (large, _, what), (done, _, _) = work([("large", tiny("bn"), 0), ("other", tiny("bn", epochs=0), 0)], monkeypatch)
    assert (large, done) == ("large", "done")
    with pytest.raises(BadInput, match=said):
        raise BadInput(what)


def test_the_others_go_on_and_the_sentence_comes_last(tiny: Tiny, capfd: pytest.CaptureFixture[str]) -> None:
    news: queue.Queue[Any] = queue.Queue()
    for item in (("large", 0, "too much."), ("done", 1, "top-1 error 9.0%"), ("large", 2, "too much.")):
        news.put(item)
    with pytest.raises(BadInput, match=r"^zero: too much\. \(1 more runs are too large, too; see above\.\)$"):
        workers._watch([(name, tiny(), i) for i, name in enumerate(("zero", "one", "two"))], [], news)
    assert "1/3  one: top-1 error" in capfd.readouterr().out


@pytest.mark.parametrize(("speed", "about"), [(0.0, "."), (1e7, " (about {} of one worker).")])
def test_what_is_left_takes_as_long_as_was_seen(tiny: Tiny, capsys: pytest.CaptureFixture[str], speed: float,
                                                about: str) -> None:
    """Before any run has finished here: by the speed of the workers, and no number where none has moved."""
    rest = [("one", tiny(), 0), ("two", tiny("bn", epochs=3), 1)]
    store.checkpoint(experiments.address(*rest[1][1:])).parent.mkdir(parents=True)
    store.checkpoint(experiments.address(*rest[1][1:])).touch()
    assert estimate.estimates([made for _, made, _ in rest]) == [math.inf] * 2
    workers._say_left(rest, 3, speed)
    took = estimate.clock(sum(experiments.work(made) for _, made, _ in rest) / 1e7)
    assert capsys.readouterr().out == (
        "3 runs finished in this time. Of the 2 left, 1 have a checkpoint; the others were not begun, or too little "
        "time was left to be worth it. The same command goes on" + about.format(took) + "\n")


def test_a_finished_run_tells_how_long_the_rest_takes(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    measured(100.0, multiply_adds=10**6)
    made = tiny()
    took = experiments.work(made) / (10**6 * 3200 / 100)
    assert estimate.estimates([made]) == pytest.approx([took])
    workers._say_left([("one", made, 0)], 1, 1.0)  # the speed that was seen counts no longer
    assert f"(about {estimate.clock(took)} of one worker)" in capsys.readouterr().out
