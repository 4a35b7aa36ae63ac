"""Bytes and operations by hand, the bound that follows, and a table with a line for every row."""
from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from replication.__main__ import main
from replication.benchmarks import harness, roofline
from replication.models import ops
from replication.models.googlenet import googlenet

ROWS = ["conv1", "pool1", "norm1", "conv2_reduce", "conv2", "norm2", "pool2", "3a", "3b", "pool3", "4a", "4b", "4c",
        "4d", "4e", "pool4", "5a", "5b", "avgpool", "linear"]  # V1 Table 1 and Fig. 3
IMAGES, GREY = 3 * 224 * 224, 64 * 112 * 112  # numbers in an input and in what conv1 makes of it

# For two images in fp32, from the table's filter counts alone.
CONV1 = 2 * (IMAGES + GREY) + (49 * 3 * 64 + 64)
POOL1 = 2 * (64 * 112 * 112 + 64 * 56 * 56)
# The module's maps are 28×28. In 192, out 64 + 128 + 32 + 32; between: four branches' ends, two reductions, the pool.
MODULE = 2 * 28 * 28 * (192 + 256 + 2 * (256 + 96 + 16 + 192)) + (163_328 + 64 + 96 + 128 + 16 + 32 + 32)
LINEAR = 2 * (1024 + 1000) + 1024 * 1000 + 1000


@pytest.mark.parametrize(("row", "numbers", "multiply_adds"), [
    ("conv1", CONV1, 49 * 3 * 64 * 112 * 112), ("pool1", POOL1, 0), ("norm1", 2 * 2 * 64 * 56 * 56, 0),
    ("3a", MODULE, 163_328 * 28 * 28), ("linear", LINEAR, 1_024_000)])
def test_work_by_hand(row: str, numbers: int, multiply_adds: int) -> None:
    network, batch = roofline.table1(2)
    infer, train = (roofline.works(network, batch, phase, 4)[row] for phase in harness.PHASES[::-1])
    assert infer == roofline.Work(4 * numbers, 2 * 2 * multiply_adds)
    images = 2 * IMAGES if row == "conv1" else 0  # get no gradient: that product and its writing are not done
    ways = 2 if row == "conv1" else 3
    assert train == roofline.Work(4 * (3 * numbers - images), 2 * 2 * multiply_adds * ways)
    assert roofline.works(network, batch, "infer", 2)[row] == roofline.Work(2 * numbers, infer.operations)


def test_it_is_the_published_network() -> None:
    network, batch = roofline.table1(16)
    assert batch == 16
    assert network.rows == googlenet().rows
    assert network.resolution == 224


def test_a_prediction_by_hand() -> None:
    """conv1 on two images: 2 × (150,528 + 802,816) + 9,472 numbers of four bytes, 2 × 2 × 118,013,952 operations."""
    work = roofline.works(*roofline.table1(2), "infer", 4)["conv1"]
    assert work == roofline.Work(7_664_640, 472_055_808)
    # at 1 TFLOP/s and 10 GB/s
    assert work.predicted(1, 10) == (pytest.approx(0.766464), "bytes")
    assert work.predicted(0.5, 10) == (pytest.approx(0.944111616), "arithmetic")  # a slower processor
    assert work.predicted(1, 100) == (pytest.approx(0.472055808), "arithmetic")   # a faster memory
    ridge = 1e12 / work.intensity / 1e9
    assert work.predicted(1, ridge)[0] == pytest.approx(work.predicted(1, 100)[0])


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    thin = googlenet(width=0.125, resolution=32, aux=())
    monkeypatch.setattr(roofline, "table1", lambda batch: (thin, batch))
    monkeypatch.setattr(harness, "ceilings", lambda where: (1.0, 10.0))


def test_a_line_for_each_row(small: None, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--roofline", "--quick"]) == 0
    path = next((out / "tables").glob("roofline-*-quick.csv"))
    assert str(path) in capsys.readouterr().out
    table = pd.read_csv(path)
    assert list(table.columns) == list(roofline.COLUMNS)
    for phase in harness.PHASES:
        assert list(table[table.phase == phase].row) == ROWS
    assert set(table.status) == {"ok"}
    assert set(table.turns) == {roofline.QUICK_TURNS}
    assert ((table.ms_low <= table.ms) & (table.ms <= table.ms_high) & (table.ms_low > 0)).all()
    assert table.ratio.to_numpy() == pytest.approx((table.ms / table.predicted_ms).to_numpy(), rel=1e-4)
    assert table.tflops.to_numpy() == pytest.approx((table.operations / table.ms / 1e9).to_numpy(), rel=1e-4)
    done = {phase: table[table.phase == phase].operations.to_numpy() for phase in harness.PHASES}
    assert (done["train"] == done["infer"] * [2, *[3] * 19]).all()
    assert ((table.bound == "bytes") == (table.intensity < 100)).all()  # the ridge of 1 TFLOP/s and 10 GB/s
    assert table[["device", "threads", "versions", "commit", "utc"]].notna().all(axis=None)


def test_the_ceilings_set_the_bound(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    before = pd.read_csv(roofline.run(quick=True)).set_index(["row", "phase"])
    monkeypatch.setattr(harness, "ceilings", lambda where: (1e-3, 1e6))  # hardly any processor, a memory without end
    after = pd.read_csv(roofline.run(quick=True)).set_index(["row", "phase"])
    calculates = before.operations > 0
    assert (before.bound == "bytes").all()
    assert (after.bound[calculates] == "arithmetic").all()
    assert (after.bound[~calculates] == "bytes").all()
    assert after.predicted_ms["3a", "infer"] == pytest.approx(after.operations["3a", "infer"] / 1e6, rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_is_given_what_it_gets_in_the_network(small: None, monkeypatch: pytest.MonkeyPatch,
                                                    dtype: torch.dtype) -> None:
    """The shapes that reach each row when the network runs as a whole; and the way back reaches every parameter."""
    network, _ = roofline.table1(2)
    seen: dict[str, tuple[Any, ...]] = {}
    built = roofline.build(network).eval()
    for name, row in built.named_children():
        row.register_forward_hook(lambda _, given, out, name=name: seen.__setitem__(name, (given[0].shape, out.shape)))
    built(torch.zeros(2, 3, 32, 32))
    alone: dict[str, tuple[Any, ...]] = {}
    monkeypatch.setattr(harness, "forward", lambda row, maps: lambda: (maps.shape, row(maps).shape))
    calls = list(roofline._calls(network, 2, torch.device("cpu"), dtype))
    alone |= {name: call() for name, phase, call in calls if phase == "infer"}
    assert alone == {name: shapes for name, shapes in seen.items() if name != "dropout"}
    for name, phase, call in calls:
        if phase == "train":
            wanted = sum(1 for _ in getattr(built, name).parameters()) + (name != "conv1")
            gradients = call()
            assert len(gradients) == wanted, name
            assert {gradient.dtype for gradient in gradients} == {dtype}


def test_a_failure_is_a_line(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(row: torch.nn.Module, *_: torch.Tensor) -> Any:
        def call() -> None:
            if isinstance(row, torch.nn.MaxPool2d):
                raise torch.OutOfMemoryError("Tried to allocate 9 TiB\nand more")
        return call
    monkeypatch.setattr(harness, "both", broken)
    table = pd.read_csv(roofline.run(quick=True)).set_index(["row", "phase"])
    assert table.status["pool2", "train"] == "failed: OutOfMemoryError: Tried to allocate 9 TiB"
    assert math.isnan(table.ms["pool2", "train"])
    assert table.predicted_ms["pool2", "train"] > 0
    assert table.status["pool2", "infer"] == table.status["conv2", "train"] == "ok"


def test_separable_and_other_rows_have_their_work_too() -> None:
    """The rule is of ops, not of GoogLeNet: a chain of two writes and reads what lies between."""
    branch = ops.Split(((ops.Conv(2), ops.Conv(2)),))
    chain = ops.Network("chain", (ops.Row("a", ops.Conv(4)), ops.Row("b", branch)), 5, channels=1)
    found = roofline.works(chain, 1, "infer", 1)["b"]
    # 4 in, 2 between, 2 at the branch's end, 2 concatenated; 8 and 4 weights, 2 and 2 biases
    assert found == roofline.Work(25 * (4 + 2 * 2 + 2 * 2 + 2) + 8 + 2 + 4 + 2, 2 * 25 * (8 + 4))
