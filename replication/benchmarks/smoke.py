"""Whether each fast way of training works on this device, and ends where the plain way does: a minute, one table.

Each case is a whole run of the one training loop, twenty steps on scikit-learn's digits, in a store of its own. What
fails is a row with its reason, and the others go on.
"""
from __future__ import annotations

import math
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from replication.benchmarks import harness, throughput
from replication.data.registry import resolve
from replication.data.spec import Flip
from replication.models import layers, ops
from replication.models.googlenet import googlenet, googlenet_bn
from replication.models.inception_v3 import inception_v3
from replication.runs import experiments
from replication.training import loop

COLUMNS = ("device", "case", "precision", "asked", "status", "how", "train_loss", "val_loss", "against", "seconds",
           "versions", "commit", "utc")
SMALL: dict[str, Any] = {"classes": 10, "width": 0.25, "resolution": 64, "init": ops.He()}
NETWORKS = {
    "GoogLeNet": lambda: googlenet(stem=4, **SMALL),
    "GoogLeNet-BN": lambda: googlenet_bn(stem=4, **SMALL),
    "Inception V3": lambda: inception_v3(strides=(1, 2, 2), **SMALL),
}
WAYS = (("fp32", "none"), ("fp32", "graph"), ("fp32", "graph,merge"), ("fp32", "compile,graph"), ("bf16", "none"),
        ("bf16", "graph"), ("bf16", "compile,graph"))


def run(until: float = math.inf) -> Path:
    """Tries every way on every network, prints a line each, and writes `<your store>/tables/smoke-<device>.csv` after
    each. No case is begun after `until` (by time.monotonic). Returns the table's path."""
    where, path, common = harness.begin("smoke", quick=False)
    rows: list[dict[str, Any]] = []

    def note(**row: Any) -> None:
        rows.append({**{key: common[key] for key in ("device", "versions", "commit", "utc")}, **row})
        harness.write(path, rows, COLUMNS)
        print("  ".join(str(row.get(key, "")) for key in COLUMNS[1:10]), flush=True)

    note(case="LRN's gradient, against float64", **_attempt(lambda: {"against": lrn(where)}))
    ways = [way for way in WAYS if where.type == "cuda" or "graph" not in way[1]]
    if where.type == "cuda":
        for name, make in NETWORKS.items():
            note(case=f"{name}, no waiting for the device", precision="bf16", **_attempt(lambda: waits(make(), where)))  # noqa: B023
    plain: dict[str, float] = {}
    for precision, asked in ways:
        for name, make in NETWORKS.items():
            if time.monotonic() > until:
                note(case=name, precision=precision, asked=asked, status="left out: time is up")
                continue
            found = _attempt(lambda: whole(make(), precision, asked))  # noqa: B023
            loss = found.get("train_loss", math.nan)
            note(case=name, precision=precision, asked=asked, **found,
                 against=loss / plain.setdefault(name, loss) - 1)
    return path


def _attempt(work: Any) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        found = {"status": "ok", **work()}
    except Exception as problem:
        found = {"status": f"failed: {harness.brief(problem)}"}
    return {**found, "seconds": time.perf_counter() - began}


def whole(network: ops.Network, precision: str, asked: str) -> dict[str, Any]:
    """A run of the loop from beginning to end: what it says of how its steps were taken, and its last losses."""
    data = resolve("digits", resolution=64, train_images=1280, val_images=500)
    # Compiled, dropout draws other numbers: none here.
    kept = tuple(row for row in network.rows if not isinstance(row.op, ops.Dropout))
    heads = tuple(replace(head, ops=tuple(op for op in head.ops if not isinstance(op, ops.Dropout)))
                  for head in network.aux)
    recipe = experiments.Recipe(epochs=2, batch=128, lr=0.01, precision=precision, augment=(Flip(),))
    with tempfile.TemporaryDirectory() as folder, patch.dict(
            os.environ, REPLICATION_OUT=folder, REPLICATION_FAST=asked):
        try:
            done = loop.train(experiments.Experiment(replace(network, rows=kept, aux=heads), data, recipe), 0)
        finally:  # what failed to compile must not be left as written for the cases to come
            torch.compiler.reset()
            torch.compiler.set_stance("default")
    last = done.history[-1]
    return {"how": done.provenance["fast"], "train_loss": last["train_loss"], "val_loss": last["val_loss"]}


def lrn(where: torch.device) -> float:
    """‖g − g₆₄‖ / ‖g₆₄‖ of LRN's gradient to its input, bf16 under autocast as in training, maps of norm2's size."""
    op = ops.LRN()
    torch.manual_seed(0)
    x, g = torch.randn(8, 192, 56, 56).relu(), torch.randn(8, 192, 56, 56)
    wide = x.double().requires_grad_()
    layers.LRN(op, 192)(wide).backward(g.double())
    there = x.to(where).requires_grad_()
    with torch.autocast(where.type, torch.bfloat16):
        layers.LRN(op, 192).to(where)(there).backward(g.to(where))
    assert wide.grad is not None
    assert there.grad is not None
    return float((there.grad.double().cpu() - wide.grad).norm() / wide.grad.norm())


def waits(network: ops.Network, where: torch.device) -> dict[str, Any]:
    """Takes steps as written while torch raises at whatever makes the program wait for the device."""
    size = throughput.Size(network.resolution if isinstance(network.resolution, int) else 64, 64, steps=3)
    entry = throughput.Entry("smoke", "ours-none", network, "train", size, where)
    program = throughput.ours(entry, throughput.pictures(64, size.side))
    program.run(harness.Clock(cuda=True), steps=4)
    torch.cuda.synchronize()
    source = list(program.batches(3))
    torch.cuda.set_sync_debug_mode("error")
    try:
        for images, labels in source:
            program.step(images, labels, harness.Clock(cuda=True))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return {}
