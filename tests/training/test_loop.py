"""The training loop: against closed forms, against a loop written by hand, and against being killed."""
from __future__ import annotations

import hashlib
import math
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from crew import ended
from forked import Program
from torch.optim.optimizer import register_optimizer_step_pre_hook
from trained import weights

from replication import files
from replication.data import spec
from replication.errors import BadInput
from replication.models import ops
from replication.models.build import build
from replication.runs import experiments, store
from replication.training import evaluate, loop, optim
from replication.training.device import device

pytestmark = pytest.mark.usefixtures("out", "one_thread")
Tiny = Callable[..., experiments.Experiment]


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# -- schedules ----------------------------------------------------------------------------------------------------
def rates(schedule: Any, steps: int = 100, **recipe: Any) -> list[float]:
    made = experiments.Recipe(**{"epochs": 10, "batch": 1, "lr": 0.5, "schedule": schedule, **recipe})
    return [optim.rate(made, step, steps) for step in range(steps)]


@pytest.mark.parametrize(("schedule", "closed"), [
    (experiments.Constant(), lambda k: 0.5),
    (experiments.Poly(), lambda k: 0.5 - 0.5 * k / 100),
    (experiments.Poly(0.5), lambda k: 0.5 * math.sqrt((100 - k) / 100)),
    (experiments.Cosine(), lambda k: 0.5 * math.cos(math.pi * k / 200) ** 2),
    (experiments.Step(0.1, 3), lambda k: 0.5 * 0.1 ** [0, 0, 0, 1, 1, 1, 2, 2, 2, 3][k // 10]),
])
def test_schedule_is_its_closed_form(schedule: Any, closed: Callable[[int], float]) -> None:
    assert rates(schedule) == pytest.approx([closed(k) for k in range(100)], rel=1e-12)


def test_v1_lowers_the_rate_by_4_percent_every_8_epochs() -> None:
    """V1 §6, over BVLC's 250 epochs of 7 steps."""
    expected, rate = [], 0.01
    for epoch in range(250):
        if epoch and epoch % 8 == 0:
            rate *= 0.96
        expected += [rate] * 7
    assert rates(experiments.Step(0.96, 8), steps=250 * 7, epochs=250, lr=0.01) == pytest.approx(expected, rel=1e-9)


def test_warm_up_is_a_straight_line_to_the_full_rate() -> None:
    found = rates(experiments.Poly(), warmup=0.2)
    assert found[:20] == pytest.approx([0.5 * (k + 1) / 20 for k in range(20)])
    assert found[20:] == pytest.approx([0.5 * (80 - k) / 80 for k in range(80)])
    assert max(found) == pytest.approx(0.5)


# -- what is optimised --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("norm", ["lrn", "bn"])
def test_only_kernels_and_matrices_decay(tiny: Tiny, norm: str) -> None:
    made = tiny(norm, optimiser=experiments.SGD(momentum=0.8, weight_decay=0.125, nesterov=True))
    network = build(made.network)
    groups = optim.optimiser(network, made.recipe).param_groups
    names = {id(p): name for name, p in network.named_parameters()}
    decayed = {names[id(p)]: group["weight_decay"] for group in groups for p in group["params"]}
    assert decayed.keys() == set(names.values())
    modules = dict(network.named_modules())
    for name, decay in decayed.items():
        owner, kind = modules[name.rpartition(".")[0]], name.rpartition(".")[2]
        is_norm = isinstance(owner, torch.nn.modules.batchnorm._BatchNorm)
        assert decay == (0.125 if kind == "weight" and not is_norm else 0.0), name
    assert {(g["momentum"], g["nesterov"]) for g in groups} == {(0.8, True)}


def test_auxiliary_losses_count_three_tenths(tiny: Tiny) -> None:
    made = tiny("bn")
    torch.manual_seed(0)
    network = build(made.network).eval()
    images, labels = torch.randn(8, 3, 32, 32), torch.arange(8)
    outputs = network.logits(images, ("main", "4a", "4d"))
    parameters = list(network.parameters())
    got = torch.autograd.grad(sum(evaluate.loss(outputs, labels, made.recipe)), parameters, retain_graph=True)

    def nats(name: str) -> torch.Tensor:
        return -outputs[name].log_softmax(1)[torch.arange(8), labels].mean()

    expected = torch.autograd.grad(nats("main") + 0.3 * (nats("4a") + nats("4d")), parameters)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b)
    assert made.recipe.aux_weight == 0.3


def test_a_network_without_heads_has_its_main_loss_alone() -> None:
    main, aux = evaluate.loss({"main": torch.randn(4, 3)}, torch.tensor([0, 1, 2, 0]), experiments.Recipe(1, 1, 0.1))
    assert aux.item() == 0
    assert main.item() > 0


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_label_smoothing_is_a_mixture_with_the_uniform_distribution(smoothing: float) -> None:
    """V3 §7: (1 - ε) H(q, p) + ε H(u, p)."""
    logits, labels = torch.randn(16, 10, dtype=torch.float64).float(), torch.arange(16) % 10
    p = logits.double().log_softmax(1)
    expected = -(1 - smoothing) * p[torch.arange(16), labels].mean() - smoothing * p.mean(1).mean()
    main, _ = evaluate.loss({"main": logits}, labels, experiments.Recipe(1, 1, 0.1, label_smoothing=smoothing))
    assert main.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(("clip", "clipped"), [(2.0, True), (None, False)])
def test_gradients_are_clipped_by_their_global_norm(tiny: Tiny, clip: float | None, clipped: bool) -> None:
    norms = []

    def look(optimiser: torch.optim.Optimizer, *_: Any) -> None:
        parts = [p.grad.double().square().sum() for group in optimiser.param_groups for p in group["params"]]
        norms.append(torch.stack(parts).sum().sqrt().item())

    hook = register_optimizer_step_pre_hook(look)
    try:
        loop.train(tiny(clip=clip, epochs=1), 0)
    finally:
        hook.remove()
    assert len(norms) == 10
    assert (max(norms) <= 2 + 1e-4) == clipped
    assert max(norms) > 1.99


def test_errors_against_a_ranking_by_hand() -> None:
    torch.manual_seed(1)
    logits, labels = torch.randn(200, 10), torch.randint(10, (200,))
    ranks = [sorted(range(10), key=lambda c: -row[c]).index(label)
             for row, label in zip(logits.tolist(), labels.tolist(), strict=True)]
    found = evaluate.errors(logits, labels)
    assert found["val_error"] == pytest.approx(np.mean([rank > 0 for rank in ranks]), abs=1e-6)
    assert found["val_error5"] == pytest.approx(np.mean([rank > 4 for rank in ranks]), abs=1e-6)
    chosen = np.exp(logits.double().numpy())
    chosen = chosen[range(200), labels] / chosen.sum(1)
    assert found["val_loss"] == pytest.approx(-np.log(chosen).mean(), rel=1e-5)


def test_error_by_size_splits_into_equal_shares() -> None:
    logits, labels = torch.eye(10), torch.arange(10)
    labels[7:] = 0  # the last three are wrong
    parts = evaluate.error_by(logits, labels, torch.arange(10.0).flip(0), parts=5)
    assert [part["images"] for part in parts] == [2] * 5
    assert [part["error"] for part in parts] == [1.0, 0.5, 0.0, 0.0, 0.0]
    assert [(part["low"], part["high"]) for part in parts] == [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]


# -- looking changes nothing --------------------------------------------------------------------------------------
@pytest.mark.parametrize("norm", ["lrn", "bn"])
def test_the_first_gradient_is_autograd_s_and_leaves_no_trace(tiny: Tiny, norm: str) -> None:
    made = tiny(norm)
    torch.manual_seed(0)
    network = build(made.network)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images, labels = torch.randn(16, 3, 32, 32), torch.arange(16) % 10
    found = evaluate.first_gradient(network, images, labels, made.recipe)
    assert equal(before, network.state_dict())
    assert network.training
    assert all(p.grad is None for p in network.parameters())

    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    outputs = network(images)
    cross = {name: torch.nn.functional.cross_entropy(out, labels) for name, out in outputs.items()}
    aux = 0.3 * (cross["4a"] + cross["4d"])
    kernel = network.conv1.weight
    for name, loss in (("grad_main", cross["main"]), ("grad_aux", aux), ("grad_total", cross["main"] + aux)):
        gradient = torch.autograd.grad(loss, kernel, retain_graph=True)[0]
        assert found[name] == pytest.approx(gradient.double().square().sum().sqrt().item(), rel=1e-4), name


def test_training_ends_at_the_same_weights_unseen(tiny: Tiny, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tiny("bn")
    loop.train(made, 0)
    seen = weights(made)
    monkeypatch.setenv("REPLICATION_OUT", str(out.with_name("unseen")))
    row = {"grad_main": 0.0, "grad_aux": 0.0, "grad_total": 0.0}
    monkeypatch.setattr(evaluate, "first_gradient", lambda *_: row)
    monkeypatch.setattr(evaluate, "logits", lambda network, split, *_: torch.eye(10)[split.labels])
    loop.train(made, 0)
    assert equal(seen, weights(made))


# -- the loop -----------------------------------------------------------------------------------------------------
DECAY = 0.1  # that can be seen after ten steps


def by_hand(made: experiments.Experiment, seed: int, exactly: bool) -> dict[str, torch.Tensor]:
    """Ten steps without Fabric or anything of replication but the network and the images: what design.md and the
    docstrings say, written again. `exactly`: with torch's loss, clipping and SGD; else these by hand, too."""
    from replication.data.load import load

    def place(*where: object) -> int:
        return int(hashlib.sha256(repr((seed, *where)).encode()).hexdigest()[:16], 16) // 2

    def smooth(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if exactly:
            return torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
        p = logits.log_softmax(1)
        return -(0.9 * p[torch.arange(len(p)), labels] + 0.1 * p.mean(1)).mean()

    recipe, data = made.recipe, load(made.data).train
    torch.manual_seed(place("init"))
    network = build(made.network).to(memory_format=torch.channels_last)
    kernels, others = ([p for p in network.parameters() if (p.ndim > 1) == kernel] for kernel in (True, False))
    sgd = torch.optim.SGD([{"params": kernels, "weight_decay": DECAY}, {"params": others}], lr=1.0, momentum=0.9,
                          fused=True)
    velocity = [torch.zeros_like(p) for p in network.parameters()]
    order = np.random.RandomState([seed, 0]).permutation(len(data.labels))
    for k in range(10):
        torch.manual_seed(place("step", k))
        chosen = torch.from_numpy(order[k * recipe.batch:(k + 1) * recipe.batch])
        mirrored = torch.rand(len(chosen)) < 0.5
        images = data.images[chosen].float() * (1 / 63.75) - 2  # 0 ... 255 to -2 ... 2
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        outputs = {name: smooth(out, data.labels[chosen]) for name, out in network(images).items()}
        network.zero_grad()
        (outputs["main"] + 0.3 * (outputs["4a"] + outputs["4d"])).backward()
        rate = recipe.lr * (k + 1) / 2 if k < 2 else recipe.lr * (1 - (k - 2) / 8)  # warm-up: .15 of ten steps are two
        if exactly:
            torch.nn.utils.clip_grad_norm_(kernels + others, 2.0)
            for group in sgd.param_groups:
                group["lr"] = rate
            sgd.step()
            continue
        norm = math.sqrt(sum(p.grad.double().square().sum().item() for p in network.parameters()))
        with torch.no_grad():
            for v, p in zip(velocity, network.parameters(), strict=True):
                g = p.grad * min(1.0, 2.0 / norm)
                v.mul_(0.9).add_(g + DECAY * p if p.ndim > 1 else g)
                p -= rate * v
    return network.state_dict()


@pytest.mark.parametrize(("norm", "lr", "exactly"), [("lrn", 0.02, True), ("bn", 0.06, True), ("lrn", 1e-3, False)])
def test_a_run_is_a_plain_loop(tiny: Tiny, norm: str, lr: float, exactly: bool) -> None:
    """To the last bit with torch's own parts; within a percent of the way gone without them, where small steps keep
    ReLUs and pools from making the last bits' differences large."""
    made = tiny(norm, epochs=1, lr=lr, optimiser=experiments.SGD(weight_decay=DECAY), label_smoothing=0.1)
    assert made.recipe.augment == (spec.Flip(),)
    assert made.recipe.warmup == 0.15
    loop.train(made, 3)
    torch.manual_seed(loop.stream(3, "init"))
    start = build(made.network).state_dict()
    got, expected = weights(made, 3), by_hand(made, 3, exactly)
    assert got.keys() == expected.keys()
    for name in got:
        went, apart = (expected[name] - start[name]).double().norm(), (got[name] - expected[name]).double().norm()
        assert went > 0, name
        assert apart <= (0 if exactly else 0.01) * went, name


def test_what_a_run_records(tiny: Tiny) -> None:
    made = tiny("bn")
    run = loop.train(made, 1)
    assert run.record == experiments.record(made, 1)
    assert [row["epoch"] for row in run.history] == [0, 1, 2]
    assert math.isnan(run.history[0]["train_loss"])
    assert run.summary["status"] == "done"
    assert run.summary["steps"] == 20
    assert run.summary["val_error"] == pytest.approx(run.history[-1]["val_error"], rel=1e-8)
    assert {"commit", "dirty", "versions", "utc", "device", "threads", "seconds", "images_per_s"} <= set(run.provenance)
    assert run.provenance["matmul_gflops"] > 0
    assert store.read(store.folder(run.address)) == run or math.isnan(run.history[0]["train_loss"])
    assert not store.checkpoint(run.address).exists()

    network = build(made.network).eval()
    network.load_state_dict(weights(made, 1))
    from replication.data.load import load
    val = load(made.data).val
    with torch.no_grad():
        chosen = network((val.images.float() / 255 - 0.5) / 0.25).argmax(1)
    assert run.summary["val_error"] == pytest.approx((chosen != val.labels).float().mean().item(), abs=1e-6)
    assert sum(part["images"] for part in run.summary["error_by_radius"]) == 100
    mean = np.mean([part["error"] for part in run.summary["error_by_radius"]])
    assert mean == pytest.approx(run.summary["val_error"], abs=1e-6)


def test_seeds_differ_and_repeat(tiny: Tiny, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tiny("bn", epochs=1)
    loop.train(made, 0)
    loop.train(made, 1)
    first = weights(made, 0)
    assert not torch.equal(first["conv1.weight"], weights(made, 1)["conv1.weight"])
    monkeypatch.setenv("REPLICATION_OUT", str(out.with_name("again")))
    loop.train(made, 0)
    assert equal(first, weights(made, 0))


def test_initial_weights_and_order_have_seeds_of_their_own(tiny: Tiny) -> None:
    """Seed 1 that starts as seed 0 and sees the images as seed 0 does is seed 0."""
    def run(seed: int, epochs: int, **seeds: int) -> dict[str, torch.Tensor]:
        made = tiny("bn", epochs=epochs)
        made = replace(made, recipe=replace(made.recipe, **seeds))
        loop.train(made, seed)
        return weights(made, seed)

    assert equal(run(1, 0, init_seed=0), run(0, 0))
    assert not equal(run(1, 0, order_seed=0), run(0, 0))
    whole = run(0, 1)
    assert equal(run(1, 1, init_seed=0, order_seed=0), whole)
    assert not equal(run(1, 1, init_seed=0), whole)
    assert not equal(run(1, 1, order_seed=0), whole)


def test_no_epochs_look_at_the_untrained_network(tiny: Tiny) -> None:
    run = loop.train(tiny(epochs=0), 0)
    assert [row["epoch"] for row in run.history] == [0]
    assert run.summary["steps"] == 0
    assert run.summary["status"] == "done"
    assert run.history[0]["grad_total"] > 0


def test_no_epochs_need_no_batch(tiny: Tiny) -> None:
    assert loop.train(tiny(epochs=0, batch=1000), 0).summary["status"] == "done"


def test_a_divergence_is_a_result(tiny: Tiny) -> None:
    run = loop.train(tiny(lr=1e30, clip=None), 0)
    assert run.summary["status"] == "diverged"
    assert [row["epoch"] for row in run.history] == [0, 1]
    assert math.isfinite(run.history[0]["val_loss"])
    assert not math.isfinite(run.history[1]["train_loss"])
    assert run.summary["val_loss"] is None
    assert store.find(run.address) is not None


# -- refused ------------------------------------------------------------------------------------------------------
def test_a_batch_larger_than_the_data(tiny: Tiny) -> None:
    with pytest.raises(BadInput, match=r"batch=201 is more than the 200 training images"):
        loop.train(tiny(batch=201), 0)


def test_one_image_at_a_time_where_normalisation_needs_two(tiny: Tiny, out: Path) -> None:
    """Said before anything is trained; the last batch is never a smaller one."""
    made = tiny("bn", aux=(), batch=1)
    late = (ops.Row("late", ops.Conv(8)), made.network.rows[-1])  # on a map that is averaged to 1×1
    made = replace(made, network=replace(made.network, rows=(*made.network.rows[:-1], *late)))
    with pytest.raises(BadInput, match=r"GoogLeNet cannot be trained on batch=1: late normalises .* at least two"):
        loop.train(made, 0)
    assert not list(out.rglob("history.csv"))
    assert not list(out.rglob("*.pt"))
    recipe = replace(made.recipe, epochs=1, batch=199)  # one of 200 images is left over
    assert loop.train(replace(made, recipe=recipe), 0).summary["steps"] == 1


def test_a_gpu_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadInput, match="GPU"):
        device("cuda")
    monkeypatch.setenv("REPLICATION_DEVICE", "cuda")
    with pytest.raises(BadInput, match="REPLICATION_DEVICE=cuda"):
        device()
    assert device("auto") == "cpu"
    with pytest.raises(BadInput, match="Did you mean 'cuda'"):
        device("cuda0")


def test_a_full_disk_keeps_the_checkpoint(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tiny("bn", epochs=1)

    def write(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "write", write)
        with pytest.raises(BadInput, match="No space left on device"):
            loop.train(made, 0)
    address = experiments.address(made, 0)
    assert store.find(address) is None
    assert store.checkpoint(address).exists()
    with monkeypatch.context() as patch:  # no step is trained again
        patch.setattr(loop, "augment", lambda *_: pytest.fail("trained again"))
        loop.train(made, 0)
    assert store.find(address) is not None
    assert not list(store.folder(address).glob(".*"))


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("PytorchStreamWriter failed")])
def test_a_checkpoint_on_a_full_disk(tiny: Tiny, out: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """It is half-written, refused in one sentence, and neither it nor a run is left behind."""
    def half(value: Any, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise error
    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(BadInput, match=r"Could not write .*free some space"):
        loop.train(tiny("bn", epochs=1), 0)
    assert [path for path in out.rglob("*") if path.is_file()] == []


# -- resumed ------------------------------------------------------------------------------------------------------
def foreign(kind: str, address: str) -> bytes:
    if kind == "truncated":
        return store.checkpoint(address).read_bytes()[:-1000]
    if kind in ("tensor", "other run", "other network", "other state"):
        path = store.checkpoint(address)
        held = torch.load(path, weights_only=True)
        if kind == "other run":
            held["record"] = "0" * 12
        if kind == "other network":
            held["model"] = {name: value + 1 for name, value in held["model"].items() if "linear" not in name}
        if kind == "other state":
            held["state"]["unheard_of"] = 1
        torch.save(torch.zeros(3) if kind == "tensor" else held, path)
        return path.read_bytes()
    return {"empty": b"", "text": b"not a checkpoint\n", "pickle": b"\x80\x02}q\x00.", "stop": b".", "noise": b"K",
            "zeros": bytes(5000)}[kind]


@pytest.mark.parametrize("kinds", [["empty", "text", "pickle", "stop", "noise", "zeros"],
                                   ["truncated", "tensor", "other run", "other network", "other state"]])
def test_what_is_no_checkpoint_of_this_run_starts_it_again(tiny: Tiny, monkeypatch: pytest.MonkeyPatch,
                                                           kinds: list[str]) -> None:
    made = tiny("bn", epochs=1, batch=50)
    address = experiments.address(made, 0)
    path = store.checkpoint(address)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_commit", lambda *_: None)  # stops with the last checkpoint
        loop.train(made, 0)
    last = path.read_bytes()
    path.unlink()
    loop.train(made, 0)
    straight = weights(made)
    for kind in kinds:
        shutil.rmtree(store.folder(address))
        store.weights(address).unlink()
        path.write_bytes(last)
        path.write_bytes(foreign(kind, address))
        with pytest.warns(UserWarning, match="not this run's checkpoint"):
            loop.train(made, 0)
        assert equal(straight, weights(made)), kind


# The child warms up once; every life is a fork of it.
LIVES = """
import os, random, signal, sys
import torch
torch.set_num_threads(1)
from dataclasses import replace
from pathlib import Path
from replication.data.load import load
from replication.runs import experiments, store
from replication.studies import grid
from replication.studies.compose import compose
from replication.studies.setting import Setting
from replication.training import distributed, loop

mode, straight, killed = sys.argv[1:4]
setting = Setting(images=40, val_images=20, resolution=32, width=0.125, stem=4, batch=20,
                  epochs=1 if mode == "everywhere" else 3)
made = compose("googlenet", setting, grid.NORM["bn"].sets)
rows = tuple(row for row in made.network.rows if row.name not in ("3b", "4b", "4c", "4e", "5a"))  # each life is short
made = replace(made, network=replace(made.network, rows=rows))
load(made.data)
distributed.fabric("cpu")  # imports the rest
loop.matmul_gflops = lambda: 1.0  # a tenth of a second of each life
loop.CHECKPOINT_EVERY = 0.0 if mode == "everywhere" else 0.02

def live(place, seed=0, prepare=lambda: None, after=None):
    pid = os.fork()
    if pid == 0:
        try:
            os.environ["REPLICATION_OUT"] = place
            prepare()
            if after is not None:  # of its own processor time, so that a busy machine kills no sooner
                signal.setitimer(signal.ITIMER_PROF, after)
            loop.train(made, seed)
            os._exit(0)
        except BaseException as problem:
            print("FAILED", repr(problem), flush=True)
            os._exit(1)
    _, status, used = os.wait4(pid, 0)
    spent.append(used.ru_utime + used.ru_stime)
    return status

spent = []

def done(place, seed):
    return (Path(place) / "runs" / experiments.address(made, seed) / "summary.json").exists()

def same(seed, other, finished=False):
    address = experiments.address(made, seed)
    for name in ("history.csv", "summary.json", "experiment.json"):
        a, b = ((Path(p) / "runs" / address / name).read_text() for p in (straight, other))
        assert a == b, (name, seed, a, b)
    a, b = (torch.load(Path(p) / "weights" / f"{address}.pt") for p in (straight, other))
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a), seed
    left = list((Path(other) / "checkpoints").glob(f"{address}*"))
    assert finished or not left, left

if mode == "random":
    choose, kills, seed = random.Random(1), 0, 0
    while kills < 8:
        assert live(straight, seed) == 0
        whole = spent[-1]
        while not done(killed, seed):  # up to beyond a whole life: however dear it is to begin, one will end
            kills += os.WIFSIGNALED(live(killed, seed, after=choose.uniform(0.1, 1.5) * whole))
        same(seed, killed, finished=True)
        seed += 1
    print("killed", kills, "times over", seed, "runs")
else:  # at the n-th change of a folder: a rename, or the checkpoint's end
    assert live(straight) == 0
    rename, unlink, n, status = Path.replace, Path.unlink, 0, -9
    while status:
        place, count = f"{killed}{n}", 0
        def due():
            global count
            if count == n:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1
        def replace_(self, target):
            due()
            return rename(self, target)
        def unlink_(self, missing_ok=False):
            if self.suffix == ".pt":
                due()
            return unlink(self, missing_ok)
        def prepare():
            Path.replace, Path.unlink = replace_, unlink_
        status = live(place, prepare=prepare)
        if status:
            assert os.WIFSIGNALED(status)
            finished = done(place, 0)
            assert finished or live(place) == 0
            same(0, place, finished)
        n += 1
    print("killed at", n - 1, "changes")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.parametrize("mode", ["random", "everywhere"])
def test_killed_and_resumed_ends_at_the_same_bits(tmp_path: Path, mode: str) -> None:
    """Killed at eight random moments, and at every change on the disk of a run that checkpoints at every step."""
    (tmp_path / "lives.py").write_text(LIVES)
    (status, said, problem), = ended([Program(tmp_path / "lives.py", mode, tmp_path / "straight", tmp_path / "killed")])
    assert status == 0, said + problem
    assert "FAILED" not in said
    number = int(said.split("killed")[1].split()[-2 if mode == "everywhere" else 0])
    assert number >= (10 if mode == "everywhere" else 8), said
