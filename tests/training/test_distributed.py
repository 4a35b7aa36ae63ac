"""One run over two processes or four: the run of one process where nothing belongs to a device, a loop written by hand
where batch normalisation does; they stop, resume and refuse as one, and none waits for one that has gone.

Run as a script, this file is one of the processes.
"""
from __future__ import annotations

import copy
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import crew
import pytest
import torch
from crew import ended
from forked import Program, beside
from waiting import HANG, until

from replication.__main__ import main
from replication.data import spec
from replication.data.load import load
from replication.data.transforms import augment, order
from replication.errors import BadInput
from replication.models import ops
from replication.models.build import build
from replication.runs import experiments, store
from replication.studies import grid, profiles, torchrun
from replication.studies.compose import compose
from replication.studies.setting import Setting
from replication.training import distributed, evaluate, loop, optim

TINY: dict[str, Any] = {"images": 200, "val_images": 50, "resolution": 32, "crop": 28, "width": 0.125, "stem": 4,
                        "epochs": 2, "batch": 20, "seeds": 1}
STOP = 7  # steps, in the first of two epochs of ten
SHARED = pytest.mark.xdist_group("shared")  # by what two processes trained once
AVERAGE = experiments.Average(0.9)


def made(norm: str = "lrn", dropout: float = 0.0, **recipe: Any) -> experiments.Experiment:
    """One module, crops and flips. Through many normalised layers, last bits would grow to other weights."""
    plain = compose("googlenet", Setting(**TINY), grid.NORM[norm].sets)
    rows = (ops.Row("conv1", ops.Conv(8, 3, 2)), ops.Row("3a", ops.Inception(8, 8, 8, 8, 8, 8)),
            ops.Row("avgpool", ops.AvgPool()), ops.Row("dropout", ops.Dropout(dropout)),
            ops.Row("linear", ops.Linear(plain.data.classes or 2)))
    return replace(plain, network=replace(plain.network, rows=rows, aux=()), recipe=replace(plain.recipe, **recipe))


Record = list[tuple[torch.Tensor, torch.Tensor, int]]


def recorded(patch: Callable[[Any, str, Any], None]) -> Record:
    """What every step from now on is given, and how the generator was seeded for it."""
    seen: Record = []
    before = loop.step

    def step(fabric: Any, network: Any, optimiser: Any, images: Any, labels: Any, *more: Any) -> Any:
        seen.append((images.clone(), labels.clone(), torch.initial_seed()))
        return before(fabric, network, optimiser, images, labels, *more)

    patch(loop, "step", step)
    return seen


# -- what each process does ---------------------------------------------------------------------------------------
def into(place: Path, name: str) -> None:
    """From now on. Only the first's files may appear there."""
    os.environ["REPLICATION_OUT"] = str(place / f"{name}-{distributed.rank()}")


def straight(place: Path) -> Record:
    """What any number of processes does, and what their steps are given."""
    torch.set_num_threads(1)
    into(place, "straight")
    seen = recorded(setattr)
    loop.train(made(), 0)
    torch.save(seen, place / f"seen-{distributed.rank()}.pt")
    loop.train(made(average=AVERAGE), 0)
    return seen


def share(place: Path) -> None:
    """All that is tried with two processes that have met once."""
    said: dict[str, Any] = {}
    seen = straight(place)
    loop.train(made("bn"), 0)
    seen.clear()
    loop.train(made(dropout=0.5, epochs=1), 0)
    said["seeds"] = [seed for *_, seed in seen]

    into(place, "streamed")
    os.environ["REPLICATION_RESIDENT"] = "no"
    loop.train(made(), 0)
    os.environ["REPLICATION_RESIDENT"] = "auto"

    into(place, "resumed")
    seen.clear()
    try:  # only the second is asked to stop
        loop.train(made("bn"), 0, stop=lambda: distributed.rank() == 1 and len(seen) == STOP)
    except loop.Stopped:
        said["stopped"] = len(seen)
    loop.train(made("bn"), 0)
    said["all"] = len(seen)

    into(place, "refused")
    try:
        loop.train(made(batch=25), 0)
    except BadInput as problem:
        said["refused"] = str(problem)
    one = made("bn", batch=2)
    rows = tuple(row for row in one.network.rows if row.name != "3a")
    late = ops.Row("late", ops.Conv(8))  # on a map that is averaged to 1×1
    try:
        loop.train(replace(one, network=replace(one.network, rows=(*rows[:2], late, *rows[2:]))), 0)
    except BadInput as problem:
        said["alone"] = str(problem)
    end = time.monotonic() + (-1 if distributed.rank() == 1 else 1000)
    torchrun.train([("one", made(), 0), ("two", made(), 1)], end)
    (place / f"said-{distributed.rank()}.json").write_text(json.dumps(said))


def command(epochs: str, *words: str) -> None:
    """`python -m replication run` under a tiny profile."""
    torch.set_num_threads(1)
    profile = profiles.Profile("tiny", "for tests", {**TINY, "epochs": int(epochs)}, {"v1.long": {}})
    profiles.profile = lambda _: profile  # type: ignore[assignment]
    status = main(["run", "--profile", "tiny", *words])
    print("brought", [name for name in ("torchmetrics", "torchvision", "lightning") if name in sys.modules])
    sys.exit(status)


def full(epochs: str) -> None:
    """The same on a disk that is full after one checkpoint."""
    before, saved = torch.save, []

    def save(value: Any, path: Path) -> None:
        saved.append(path)
        if len(saved) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        before(value, path)

    torch.save = save  # type: ignore[assignment]
    command(epochs)


# -- starting them ------------------------------------------------------------------------------------------------
def start(*arguments: object, world: int = 2, **environment: str) -> list[Program]:
    """So many processes under torchrun's variables, without torchrun."""
    return crew.start(__file__, *arguments, world=world, **environment)


def torchrun_(*arguments: object) -> subprocess.Popen[str]:
    """The same of two processes by torchrun itself."""
    return subprocess.Popen([sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
                             __file__, *map(str, arguments)], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env={**os.environ, **beside()})


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes have left what `share` makes."""
    place = tmp_path_factory.mktemp("shared")
    found = ended(start("share", place, REPLICATION_READ="mine", REPLICATION_DEVICE="cpu"))
    assert [status for status, *_ in found] == [0, 0], found
    assert "Time is up: 2 of 2 runs are left. The same command goes on." in found[0][1]
    assert "Time is up" not in found[1][1]
    return place


def weights(store_: Path, experiment: experiments.Experiment) -> dict[str, torch.Tensor]:
    return torch.load(store_ / "weights" / f"{experiments.address(experiment, 0)}.pt", weights_only=True)


def said(place: Path) -> list[dict[str, Any]]:
    return [json.loads((place / f"said-{rank}.json").read_text()) for rank in (0, 1)]


def close(got: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], network: ops.Network) -> None:
    """Apart by at most a hundredth of the way gone from the start."""
    torch.manual_seed(loop.stream(0, "init"))
    begun = build(network).state_dict()
    assert got.keys() == expected.keys()
    for name in got:
        went, apart = (expected[name] - begun[name]).double().norm(), (got[name] - expected[name]).double().norm()
        assert went > 0, name
        assert apart <= 0.01 * went, (name, (apart / went).item())


# -- the same run -------------------------------------------------------------------------------------------------
@SHARED
@pytest.mark.usefixtures("one_thread")
def test_two_processes_end_where_one_does(shared: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four do in tests/ordeal/slow."""
    end_where_one_does(shared, 2, out, monkeypatch)


def end_where_one_does(there: Path, world: int, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights, averaged weights, losses and errors; and each image comes in the very crop that it has in one process.
    """
    seen = recorded(monkeypatch.setattr)
    run = loop.train(made(), 0)
    close(weights(there / "straight-0", made()), weights(out, made()), made().network)
    both = store.read(there / "straight-0" / "runs" / run.address)
    assert len(both.history) == len(run.history) == 3
    for a, b in zip(both.history, run.history, strict=True):
        assert a == pytest.approx(b, rel=1e-3, nan_ok=True)
    assert both.history[1]["train_error"] == run.history[1]["train_error"]
    assert (both.provenance["device"], run.provenance["device"]) == (f"{world} × CPU", "CPU")
    parts = [torch.load(there / f"seen-{rank}.pt", weights_only=True) for rank in range(world)]
    assert {len(seen), *map(len, parts)} == {20}
    for whole, *shares in zip(seen, *parts, strict=True):
        for rank, one in enumerate(shares):
            assert torch.equal(one[0], whole[0][rank::world])
            assert torch.equal(one[1], whole[1][rank::world])
    averaged = made(average=AVERAGE)
    loop.train(averaged, 0)
    close(weights(there / "straight-0", averaged), weights(out, averaged), averaged.network)
    with pytest.raises(AssertionError):  # it is not so near by itself
        close(weights(there / "straight-0", averaged), weights(out, made()), averaged.network)


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("op", [spec.RandomCrop(20, pad=4), spec.Flip(), spec.TimeShift(5), spec.AreaCrop(20),
                                spec.Photometric()], ids=lambda op: type(op).__name__)
def test_what_is_drawn_does_not_depend_on_how_many_share_a_batch(op: Any, world: int) -> None:
    images = torch.randint(256, (30, 3, 24, 24)).to(torch.float32 if isinstance(op, spec.TimeShift) else torch.uint8)

    def drawn(part: torch.Tensor, *share: int) -> torch.Tensor:
        torch.manual_seed(1)
        return augment(part, (op, op), *share)

    whole = drawn(images)
    for rank in range(world):
        assert torch.equal(drawn(images[rank::world], rank, world), whole[rank::world])


def by_hand(experiment: experiments.Experiment) -> dict[str, torch.Tensor]:
    """Two halves of each batch through two copies of the network, so that each normalises by its own statistics; the
    mean of their gradients moves both; what is kept of the statistics is the first's."""
    recipe, data = experiment.recipe, load(experiment.data).train
    torch.manual_seed(loop.stream(0, "init"))
    halves = [build(experiment.network).to(memory_format=torch.channels_last)]
    halves.append(copy.deepcopy(halves[0]))
    sgd = optim.optimiser(halves[0], recipe)
    pairs = list(zip(*(half.parameters() for half in halves), strict=True))
    for k in range(20):
        epoch, i = divmod(k, 10)
        chosen = order(len(data.labels), 0, epoch)[i * 20:(i + 1) * 20]
        torch.manual_seed(loop.stream(0, "step", k))
        images = augment(data.images[chosen], recipe.augment)
        for rank, half in enumerate(halves):
            half.zero_grad()
            sum(evaluate.loss(half(images[rank::2]), data.labels[chosen][rank::2], recipe)).backward()
        for a, b in pairs:
            a.grad = (a.grad + b.grad) / 2
        torch.nn.utils.clip_grad_norm_(halves[0].parameters(), recipe.clip)
        for group in sgd.param_groups:
            group["lr"] = optim.rate(recipe, k, 20)
        sgd.step()
        with torch.no_grad():
            for a, b in pairs:
                b.copy_(a)
    return halves[0].state_dict()


@SHARED
@pytest.mark.usefixtures("one_thread")
def test_each_device_normalises_by_its_own_images(shared: Path, out: Path) -> None:
    got = weights(shared / "straight-0", made("bn"))
    close(got, by_hand(made("bn")), made("bn").network)
    loop.train(made("bn"), 0)
    alone = weights(out, made("bn"))
    name = "3a.3x3.norm.running_var"
    assert (got[name] - alone[name]).norm() > 0.01 * alone[name].norm()  # it is another run than one process's


@SHARED
def test_dropout_draws_anew_in_each_process_and_step(shared: Path) -> None:
    first, second = (one["seeds"] for one in said(shared))
    assert len(first) == len(second) == 10
    assert len({*first, *second}) == 20


@SHARED
def test_images_that_come_batch_by_batch_are_shared_alike(shared: Path) -> None:
    a, b = (weights(shared / name, made()) for name in ("straight-0", "streamed-0"))
    assert all(torch.equal(a[name], b[name]) for name in a)
    address = experiments.address(made(), 0)
    found = [store.read(shared / f"{name}-0" / "runs" / address) for name in ("straight", "streamed")]
    assert str(found[0].history) == str(found[1].history)
    assert [run.provenance["resident"] for run in found] == [True, False]


# -- as one -------------------------------------------------------------------------------------------------------
@SHARED
def test_a_stop_that_one_hears_stops_both_and_both_go_on(shared: Path) -> None:
    """To the same bits, from a checkpoint that only the first can read."""
    assert [one["stopped"] for one in said(shared)] == [STOP, STOP]
    assert [one["all"] for one in said(shared)] == [20, 20]
    a, b = (weights(shared / name, made("bn")) for name in ("straight-0", "resumed-0"))
    assert all(torch.equal(a[name], b[name]) for name in a)
    address = experiments.address(made("bn"), 0)
    histories = [(shared / name / "runs" / address / "history.csv").read_text() for name in ("straight-0", "resumed-0")]
    assert histories[0] == histories[1]


@SHARED
def test_only_the_first_writes(shared: Path) -> None:
    assert sorted(path.name for path in shared.iterdir() if path.is_dir()) == ["resumed-0", "straight-0", "streamed-0"]
    assert not list((shared / "resumed-0" / "checkpoints").iterdir())


@SHARED
def test_a_batch_that_cannot_be_shared_is_refused_by_both(shared: Path) -> None:
    assert {one["refused"] for one in said(shared)} == {
        "batch=25 does not divide over 2 processes: use a multiple of 2, or another number of processes."}


def test_one_image_each_is_too_few_for_normalisation(shared: Path) -> None:
    assert {one["alone"].partition(" normalises")[0] for one in said(shared)} == {
        "GoogLeNet cannot be trained on batch=2 over 2 processes: late"}


@pytest.mark.usefixtures("out")
def test_processes_that_were_not_started_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in distributed.NEEDED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert (distributed.world(), distributed.rank()) == (1, 0)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(BadInput, match=r"WORLD_SIZE=2 .* LOCAL_RANK, MASTER_ADDR, MASTER_PORT is not set: start "
                                       r"them with torchrun"):
        loop.train(made(), 0)


def test_more_processes_than_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("WORLD_SIZE", "4"), ("LOCAL_WORLD_SIZE", "2"), *((name, "0") for name in distributed.NEEDED)):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(BadInput, match="2 processes train together on a machine with 1 GPUs"):
        distributed.fabric("cuda")


# -- the command --------------------------------------------------------------------------------------------------
def test_torchrun_trains_a_profile(out: Path) -> None:
    """One of two runs, since another program holds the other's lease; said once. Fabric would bring torchmetrics, for
    its version, and that torchvision: neither starts with what it does not need."""
    setting = Setting(**{**TINY, "epochs": 1})
    one, two = [experiment for _, experiment in grid.experiments(grid.named("v1.long"), setting)]
    with store.lease(experiments.address(two, 0)):
        (status, printed, errors), = ended([torchrun_("command", 1)])
    assert status == 0, errors
    lines = [line for line in printed.splitlines() if "/2  " in line or "profile" in line]
    assert lines[0] == "profile tiny: 0 of 2 runs are stored, 2 to train"
    assert lines[1].startswith("1/2  v1.long norm=bn seed 0: top-1 error ")
    assert lines[2] == "2/2  v1.long norm=lrn seed 0: another program is training it"
    assert len(lines) == 3
    assert printed.count("brought []\n") == 2
    run = store.find(experiments.address(one, 0))
    assert run is not None
    assert run.provenance["device"] == "2 × CPU"
    assert store.find(experiments.address(two, 0)) is None


# -- one that goes ------------------------------------------------------------------------------------------------
GONE = "Another of the 2 processes that train together has ended, and has said why, or was killed."


def step(out: Path) -> int:
    """After which the only checkpoint was written; 0 where there is none."""
    return max((int(torch.load(path, weights_only=True)["state"]["step"]) for path in out.glob("checkpoints/[!.]*.pt")),
               default=0)


def later(out: Path, than: int = 0) -> int:
    """The step of the first checkpoint that is further."""
    found = until(lambda: step(out) != than and step(out), f"no step after {than}")
    assert found > than, "it has started again"
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_none_waits_for_one_that_has_gone_and_all_go_on(out: Path) -> None:
    """Twice the same run: the first's disk is full; then, from the checkpoint that this left, one process is killed."""
    (status, _, full), (other, _, gone) = ended(start("full", 5000))
    assert (status, other) == (2, 2)
    assert "No space left on device): free some space" in full
    assert gone.count(GONE) == 1
    assert "gloo" not in full + gone  # but one sentence each
    before = step(out)
    assert before > 0

    both = start("command", "5000")
    try:
        later(out, before)
        both[1].kill()
        both[0].wait(HANG)
    finally:
        for process in both:
            process.kill()
        found = ended(both)
    assert [found[0][0], found[1][0]] == [2, -signal.SIGKILL]
    assert found[0][2].count(GONE) == 1
    assert "Traceback" not in found[0][2]


@pytest.mark.usefixtures("out")
def test_what_one_alone_is_refused_ends_the_other() -> None:
    """Only the first looks at where the bundle shall lie."""
    found = ended(start("command", 1, "--bundle", "/nowhere/x.tar"))
    assert [status for status, *_ in found] == [2, 2]
    assert found[0][2].splitlines()[-1].startswith("--bundle /nowhere/x.tar must name a file")
    assert found[1][2].splitlines()[-1].startswith(GONE)


@pytest.mark.parametrize("rank", ["0", "1"])
def test_one_that_does_not_come_is_not_waited_for_long(rank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is another or the first."""
    for name, value in {"WORLD_SIZE": "2", "RANK": rank, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1",
                        "MASTER_PORT": str(crew.port())}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(distributed, "MEET", timedelta(seconds=1))
    with pytest.raises(BadInput, match=r"Only some of the 2 processes have come to 127.0.0.1:\d+ within 1 s"):
        distributed.fabric("cpu")


if __name__ == "__main__":
    verb, *rest = sys.argv[1:]
    {"share": lambda place: share(Path(place)), "straight": lambda place: straight(Path(place)), "command": command,
     "full": full}[verb](*rest)
