"""The speed table: what is timed is what trains, its arithmetic is torch's, and a failure costs its own row alone."""
from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from replication import checked
from replication.benchmarks import harness, throughput
from replication.data import spec
from replication.data.load import Loaded, Split
from replication.data.transforms import evaluate_view
from replication.models import cost, ops
from replication.models.build import build
from replication.models.googlenet import googlenet, googlenet_bn
from replication.pages import speed
from replication.runs import experiments, store
from replication.training import accelerate, evaluate, loop

pytestmark = pytest.mark.usefixtures("out", "one_thread")
CPU = torch.device("cpu")
TINY = throughput.Size(32, 2, steps=2)
REQUIRED = ("device", "network", "variant", "phase", "resolution", "batch", "images_per_s", "images_per_s_low",
            "images_per_s_high", "ms_per_step", "tflops", "peak_memory_mb")  # by these the table is read elsewhere


def few(network: ops.Network) -> ops.Network:
    """Four modules of nine, with both heads."""
    return replace(network, rows=tuple(row for row in network.rows if row.name not in ("3b", "4b", "4c", "4e", "5a")))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Two images a step, and of ours a thin network: torchvision's has no width. Called, it leaves only some variants
    and one phase."""
    def variants(size: throughput.Size, phase: str = "train", cuda: bool = False) -> list[tuple[str, str, ops.Network]]:
        thin = few(googlenet(resolution=size.resolution, width=0.125))
        same = throughput.torchvision_table(size)
        return [("googlenet", "ours", thin), ("googlenet_torchvision", "torchvision-reference", same),
                ("googlenet_torchvision", "torchvision-tuned", same)]

    def only(*names: str) -> None:
        monkeypatch.setattr(throughput, "_variants", lambda size, *_: [v for v in variants(size) if v[1] in names])
        monkeypatch.setattr(harness, "PHASES", ("train",))

    monkeypatch.setattr(throughput, "CPU", (TINY,))
    monkeypatch.setattr(throughput, "_variants", variants)
    monkeypatch.setattr(harness, "ceilings", lambda where: (1.0, 10.0))
    return only


def numbers(name: str) -> list[str]:
    return [name, f"{name}_low", f"{name}_high"]


def test_quick_writes_the_table(small: object, out: Path, capsys: pytest.CaptureFixture[str],
                                monkeypatch: pytest.MonkeyPatch) -> None:
    """By this process's own time: beside others, the medians of parts and of the whole are of different turns."""
    monkeypatch.setattr(harness.Clock, "_now", lambda _: time.process_time())
    path = throughput.run(quick=True)
    assert path.parent == out / "tables"
    assert path.name.startswith("bench-")
    table = pd.read_csv(path)
    assert list(table.columns) == list(throughput.COLUMNS)
    assert set(REQUIRED) <= set(table.columns)
    assert list(table.phase) == ["train"] * 3 + ["infer"] * 3
    assert set(table.status) == {"ok"}
    assert set(table.turns) == {throughput.QUICK_TURNS}
    for name in (*numbers("images_per_s"), "ms_per_step", "ms_data", "ms_forward", "tflops", "matmul_share",
                 "copy_share", "first_step_s"):
        assert (table[name] > 0).all(), name
        assert table[name].map(math.isfinite).all(), name
    assert (table.peak_memory_mb >= 0).all()
    trained = table[table.phase == "train"]
    assert (trained[["ms_backward", "ms_optimiser"]] > 0).all(axis=None)
    assert table[table.phase == "infer"][["ms_backward", "ms_optimiser"]].isna().all(axis=None)
    ours = table[table.variant == "ours"]
    for name, rows in (("images_per_s", table), ("times_reference", ours)):
        middle, low, high = (rows[column] for column in numbers(name))
        assert ((low <= middle) & (middle <= high)).all(), name
    assert table[table.variant != "ours"].times_reference.isna().all()
    assert ours.times_tuned.isna().all()  # other mathematics
    parts = trained[[f"ms_{part}" for part in throughput.PARTS]].sum(axis=1)
    assert (abs(parts / trained.ms_per_step - 1) < 0.5).all()  # medians of parts and the median of the whole
    shown = capsys.readouterr().out
    assert "train, 32 px, batch 2" in shown
    assert str(path) in shown


@pytest.mark.parametrize("late", [False, True])
def test_a_failure_is_a_row(small: Callable[..., None], monkeypatch: pytest.MonkeyPatch, late: bool) -> None:
    """At once, or after a turn has been measured: that turn stays."""
    program = throughput.theirs

    def broken(entry: throughput.Entry, folder: Path) -> harness.Program:
        works = program(entry, folder)
        if entry.variant != "torchvision-tuned":
            return works
        steps = 2 + TINY.steps if late else 0  # the warm-up and a turn

        def step(*arguments: Any) -> None:
            nonlocal steps
            steps -= 1
            if steps < 0:
                raise torch.OutOfMemoryError("Tried to allocate 9 TiB\nand more")
            works.step(*arguments)
        return replace(works, step=step)

    monkeypatch.setattr(throughput, "theirs", broken)
    small("ours", "torchvision-tuned")
    table = pd.read_csv(throughput.run(quick=True)).set_index("variant")
    assert table.loc["ours"].status == "ok"
    assert table.loc["ours"].turns == throughput.QUICK_TURNS
    failed = table.loc["torchvision-tuned"]
    assert failed.status == "failed: OutOfMemoryError: Tried to allocate 9 TiB"
    assert failed.turns == int(late)
    assert math.isnan(failed.images_per_s) != late


def test_what_is_measured_stays_when_it_is_stopped(small: Callable[..., None], monkeypatch: pytest.MonkeyPatch,
                                                   out: Path) -> None:
    turn = throughput.Entry.turn

    def stopped(entry: throughput.Entry, number: int) -> None:
        if number == 1:
            raise KeyboardInterrupt
        turn(entry, number)

    monkeypatch.setattr(throughput.Entry, "turn", stopped)
    small("ours")
    with pytest.raises(KeyboardInterrupt):
        throughput.run(quick=True)
    table = pd.read_csv(next((out / "tables").glob("bench-*.csv")))
    assert (table.images_per_s > 0).all()
    assert set(table.turns) == {1}


def test_it_goes_on_with_what_is_not_measured_yet(small: Callable[..., None], monkeypatch: pytest.MonkeyPatch,
                                                  out: Path, tmp_path: Path) -> None:
    """A size that was measured stays, a published one too; what another version measured, or too few turns did, is
    measured. Nothing is begun once time is up."""
    small("ours")
    other, third, fourth = (replace(TINY, batch=batch) for batch in (3, 4, 5))
    published = tmp_path / "published"
    monkeypatch.setattr(throughput, "CPU", (third,))
    path = throughput.run()
    (published / "tables").mkdir(parents=True)
    path.rename(published / "tables" / path.name)
    monkeypatch.setattr(throughput, "CPU", (TINY, other))
    monkeypatch.setattr(throughput.paths, "PUBLISHED", published)
    before = pd.read_csv(throughput.run())
    assert list(before.batch) == [2, 3]
    started: list[int] = []
    start = throughput.Entry.start
    monkeypatch.setattr(throughput.Entry, "start", lambda entry, *more: (started.append(entry.size.batch),
                                                                         start(entry, *more))[1])
    monkeypatch.setattr(throughput, "CPU", (TINY, other, third, fourth))
    throughput.run(until=0.0, go_on=True)
    assert not started
    table = pd.read_csv(throughput.run(go_on=True))
    assert started == [5]
    assert sorted(table.batch) == [2, 3, 4, 5]
    assert set(table[table.batch < 4].images_per_s) == set(before.images_per_s)
    again = [table[table.batch != 3].assign(turns=1), table[table.batch == 3].assign(versions="torch 1.0")]
    checked.write(path, pd.concat(again).to_csv())
    started.clear()
    assert sorted(pd.read_csv(throughput.run(go_on=True)).batch) == [2, 3, 4, 5]
    assert started == [2, 3, 5]  # the published one is left


def test_several_runs_take_turns_in_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of three trainings takes a step of its own network: its weights are those of one that is alone."""
    size = replace(TINY, runs=3, width=0.125)
    assert (size.images, size.batch) == (6, 2)
    table = googlenet_bn(resolution=32, width=0.125, stem=4, init=ops.He())
    moved: list[list[torch.Tensor]] = []
    step = loop.step

    def seen(fabric: Any, network: Any, *more: Any) -> Any:
        done = step(fabric, network, *more)
        moved.append([value.clone() for value in network.parameters()])
        return done

    monkeypatch.setattr(loop, "step", seen)
    images = throughput.pictures(8, size.side)
    entry = throughput.Entry("googlenet_bn", "ours", table, "train", size, CPU)
    torch.manual_seed(0)
    throughput.several(entry, images).run(harness.Clock(cuda=False), steps=2)
    together = moved[:]
    moved.clear()
    torch.manual_seed(0)
    parts = [throughput.ours(replace(entry, size=replace(size, runs=1)), images) for _ in range(3)]
    for part in parts:
        part.run(harness.Clock(cuda=False), steps=2)
    assert len(together) == len(moved) == 6
    for i, alone in enumerate(moved):  # of the first both steps, then of the second
        turn = together[i % 2 * 3 + i // 2]
        assert all(torch.equal(a, b) for a, b in zip(alone, turn, strict=True))


class Called(accelerate.Steps):
    """A recorded step that is called each time: a CPU cannot replay one."""
    def __call__(self, chosen: torch.Tensor) -> None:
        self.take(chosen)


@pytest.mark.parametrize("recorded", [False, True])
def test_what_is_timed_is_what_trains(recorded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same weights, to the bit, as two steps of `loop.train`."""
    if recorded:
        monkeypatch.setattr(throughput, "_tricks", lambda entry: frozenset({"graph"}))
        monkeypatch.setattr(accelerate, "Steps", Called)
    built: list[nn.Module] = []
    monkeypatch.setattr(throughput, "build", lambda network: built.append(build(network)) or built[-1])
    size = replace(TINY, batch=4)
    images = throughput.pictures(8, size.side)
    entry = throughput.Entry("googlenet", "ours", googlenet(resolution=32, width=0.125, classes=10), "train", size, CPU)
    torch.manual_seed(loop.stream(0, "init"))
    clock = harness.Clock(cuda=False)
    throughput.ours(entry, images).run(clock, steps=2)
    assert set(clock.milliseconds()) == {"data", *(["step"] if recorded else throughput.PARTS)}

    split = Split(images, torch.arange(8))
    monkeypatch.setattr(loop, "load", lambda _: Loaded(tuple("0123456789"), split, split))
    recipe = experiments.Recipe(epochs=1, batch=4, lr=0.01, augment=(spec.RandomCrop(32), spec.Flip()))
    experiment = experiments.Experiment(entry.table, spec.Data("digits", size.side), recipe)
    loop.train(experiment, 0)
    trained = torch.load(store.weights(experiments.address(experiment, 0)), weights_only=True)
    timed = built[0].state_dict()
    assert all(torch.equal(timed[name], trained[name]) for name in trained)


@pytest.mark.parametrize("stem", [8, 2])
def test_arithmetic_is_what_torch_counts(stem: int) -> None:
    """Forward and back: three times the forward pass, less the gradient of the images, which nobody asks for."""
    size = throughput.Size(32, 2, stem=stem)
    network = throughput.torchvision_table(size)
    built, images = build(network).to("meta"), torch.empty(2, 3, 32, 32, device="meta")
    with FlopCounterMode(display=False) as counter:
        main, aux = evaluate.loss(built(images), torch.zeros(2, dtype=torch.long, device="meta"),
                                  experiments.Recipe(epochs=1, batch=2, lr=0.1))
        (main + aux).backward()
    first = next(row["multiply_adds"] for row in cost.table(network) if row["name"] == "conv1")
    forward = cost.multiply_adds(network, aux=True)
    assert counter.get_total_flops() == 2 * 2 * (3 * forward - first)
    assert throughput.tflops(forward, "train", 2) * 1e12 == 3 * 2 * 2 * forward
    assert throughput.tflops(forward, "infer", 2) * 1e12 == 2 * 2 * forward


def test_inception_v3_is_torchvisions_in_every_variant() -> None:
    """The same mathematics, so that the tuned one is a yardstick: as many operations as torch counts in theirs."""
    size = throughput.Size(299, 2, v3=True)
    kinds = throughput._variants(size, "train", cuda=True)
    assert [variant for _, variant, _ in kinds] == ["ours", "torchvision-reference", "torchvision-tuned"]
    assert len({network for network, *_ in kinds}) == 1
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        torchvision.models.inception_v3(init_weights=False, aux_logits=True).train()(torch.empty(2, 3, 299, 299))
    assert all(cost.multiply_adds(table, aux=True) == counter.get_total_flops() / 4 for *_, table in kinds)


@pytest.mark.parametrize("phase", harness.PHASES)
@pytest.mark.parametrize(("sizes", "cuda"), [(throughput.CPU, False), (throughput.GPU, True)])
def test_every_size_has_ours_beside_both_of_theirs(sizes: tuple[throughput.Size, ...], cuda: bool, phase: str) -> None:
    for size in (size for size in sizes if size.width == 1):
        kinds = throughput._variants(size, phase, cuda)
        for variant in ("ours", "torchvision-reference", "torchvision-tuned"):
            tables = [table for network, v, table in kinds if v == variant and network == kinds[-1][0]]
            assert [table.resolution for table in tables] == [size.resolution]
        if not size.v3:
            assert {network for network, v, _ in kinds if v == "ours"} == {"googlenet", "googlenet_bn",
                                                                           "googlenet_torchvision"}
    assert any(size.v3 for size in sizes)
    assert {64, 32, 224} <= {size.resolution for size in sizes}


@pytest.mark.parametrize(("variant", "device", "phase", "expected"), [
    ("ours", "cuda", "train", {"compile", "graph"}), ("ours", "cuda", "infer", set()),
    ("ours", "cpu", "train", {"fold", "memory"}), ("ours", "cpu", "infer", {"fold", "memory"}),
    ("ours-none", "cuda", "train", set()), ("ours-none", "cpu", "infer", set()),
    ("ours-memory+merge", "cpu", "train", {"memory", "merge"}),
    ("ours-compile+graph+merge", "cuda", "train", {"compile", "graph", "merge"}),
])
def test_a_variant_names_its_tricks(variant: str, device: str, phase: str, expected: set[str]) -> None:
    made = throughput.Entry("googlenet", variant, throughput.torchvision_table(TINY), phase, TINY, torch.device(device))
    assert throughput._tricks(made) == expected


def test_the_data_path_of_a_recorded_step_is_timed_alone() -> None:
    made = entry("ours", [10, 30, 10])
    made.data = {0: 0.25, 1: 0.5, 2: 0.125}
    assert throughput.row(made, [made], 1, 1)["ms_data"] == 0.25


def entry(variant: str, ms: list[float], network: str = "googlenet_torchvision") -> throughput.Entry:
    """Two images a step, each turn of so many milliseconds."""
    made = throughput.Entry(network, variant, throughput.torchvision_table(TINY), "train", TINY, CPU)
    made.turns = {number: {"data": 0.0, "forward": passed} for number, passed in enumerate(ms)}
    return made


@pytest.mark.parametrize("variant", ["ours", "ours-eager"])
def test_every_variant_of_ours_is_compared(variant: str) -> None:
    """Within a turn: the machine was three times as slow in the second one."""
    entries = [entry(variant, [10, 30, 10]), entry("torchvision-reference", [20, 90, 40]),
               entry("torchvision-tuned", [5, 15, 5])]
    line = throughput.row(entries[0], entries, 1, 1)
    assert [line[name] for name in numbers("times_reference")] == pytest.approx([3, 2, 4])
    assert [line[name] for name in numbers("times_tuned")] == pytest.approx([0.5, 0.5, 0.5])
    assert line["images_per_s"] == pytest.approx(200)
    assert line["precision"] == "fp32"
    on_gpu = throughput.Entry("googlenet", variant, entries[0].table, "train", TINY, torch.device("cuda"))
    assert on_gpu.precision == "bf16"
    other = entry(variant, [10, 30, 10], "googlenet")  # other mathematics: no matter how fast
    line = throughput.row(other, [other, *entries[1:]], 1, 1)
    assert "times_tuned" not in line
    assert [line[name] for name in numbers("times_normalised")] == pytest.approx([0.5, 0.5, 0.5])
    normed = entry(variant, [10, 30, 10], "googlenet_bn")
    assert not {"times_tuned", "times_normalised"} & set(throughput.row(normed, [normed, *entries[1:]], 1, 1))
    assert "times_reference" not in throughput.row(entries[2], entries, 1, 1)


def test_a_variant_of_ours_runs_our_program(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    for whose in ("ours", "theirs", "exported"):
        def program(*_: Any, whose: str = whose) -> harness.Program:
            started.append(whose)
            return harness.Program(lambda n: iter(()), lambda *_: None)
        monkeypatch.setattr(throughput, whose, program)
    for variant in ("ours", "ours-none", "torchvision-tuned", "onnxruntime", "openvino"):
        entry(variant, []).start(torch.empty(0), Path())
    assert started == ["ours", "ours", "theirs", "exported", "exported"]


@pytest.mark.parametrize("runtime", speed.RUNTIMES)
def test_a_runtime_says_what_torch_says(runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same images, cut as ours are, the logits that torch computes. (OpenVINO refuses maps that its last pool,
    rounding up, is larger than: so 64 px.)"""
    pytest.importorskip(runtime)
    torch.manual_seed(0)
    network = build(few(googlenet_bn(resolution=64, width=0.125, classes=10, init=ops.He())))
    monkeypatch.setattr(throughput, "build", lambda _: network)
    said: list[Any] = []
    made = throughput.Entry("googlenet_bn", runtime, network.network, "infer", replace(TINY, resolution=64), CPU)
    images = throughput.pictures(3, made.size.side)  # two steps of two: the first picture comes again
    program = throughput.exported(made, images, tmp_path, lambda logits: said.append(logits.copy()))
    program.run(harness.Clock(cuda=False), steps=2)
    seen = evaluate_view(images[[0, 1, 2, 0]], (spec.RandomCrop(64),))
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(np.concatenate(said)), network.eval()(seen), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("cores", "workers"), [(None, 1), (1, 1), (2, 2), (64, 16)])
def test_the_script_loads_with_workers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cores: int | None,
                                       workers: int) -> None:
    """Sixteen by default, and no more than there are cores; never none, which would be another program."""
    asked: list[int] = []
    monkeypatch.setattr(throughput.os, "cpu_count", lambda: cores)
    monkeypatch.setattr(throughput, "DataLoader", lambda *_, num_workers, **__: asked.append(num_workers) or [])
    throughput._write_jpegs(throughput.pictures(2, TINY.side), tmp_path)
    list(throughput.theirs(entry("torchvision-reference", []), tmp_path).batches(1))
    assert asked == [workers]
