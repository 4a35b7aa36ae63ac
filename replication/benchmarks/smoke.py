"""Whether each fast way of training works on this device, and ends where the plain way does: a minute, one table.

Each case is a whole run of the one training loop, twenty steps on scikit-learn's digits, in a store of its own. What
fails is a row with its reason, and the others go on.
"""
from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from replication import checked
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
# Compiling takes longest, so it comes last.
WAYS = (("fp32", "none"), ("bf16", "none"), ("fp32", "graph"), ("bf16", "graph"), ("fp32", "graph,merge"),
        ("fp32", "compile,graph"), ("bf16", "compile,graph"))
SAME = {"fp32": 0.01, "bf16": 0.1}  # of a loss after twenty steps: rounding's share, and far less than a mistake's
CASE = ("case", "precision", "asked")
LEFT_OUT = "left out: time is up"


def run(until: float = math.inf, go_on: bool = False) -> Path:
    """Tries every way on every network, prints a line each, and writes `<your store>/tables/smoke-<device>.csv` after
    each. No case is begun after `until` (by time.monotonic). `go_on`: cases that this code has tried here already are
    not tried again. Returns the table's path."""
    where, path, common = harness.begin("smoke", quick=False)
    rows = [row for row in harness.so_far(path, common) if row["status"] != LEFT_OUT] if go_on else []
    tried = {tuple(row[key] for key in CASE): row for row in rows}

    def note(work: Callable[[], dict[str, Any]], case: str, precision: str = "fp32", asked: str = "none") -> None:
        if (case, precision, asked) in tried:
            return
        found = {"status": LEFT_OUT} if time.monotonic() > until else _attempt(work)
        row = {**{key: common[key] for key in ("device", "versions", "commit", "utc")}, "case": case,
               "precision": precision, "asked": asked, **found}
        plain = tried.get((case, "fp32", "none"), row)
        if "train_loss" in row:
            row["against"] = row["train_loss"] / plain.get("train_loss", math.nan) - 1
        tried[case, precision, asked] = row
        rows.append(row)
        harness.write(path, rows, COLUMNS)
        print("  ".join(str(row.get(key, "")) for key in COLUMNS[1:10]), flush=True)

    note(lambda: {"against": lrn(where)}, "LRN's gradient, against float64", "bf16")
    if where.type == "cuda":
        for name, make in NETWORKS.items():
            note(lambda: waits(make(), where), f"{name}, no waiting for the device", "bf16")  # noqa: B023
    for precision, asked in WAYS:
        for name, make in NETWORKS.items():
            if where.type == "cuda" or "graph" not in asked:
                note(lambda: whole(make(), precision, asked), name, precision, asked)  # noqa: B023
    return path


def broken(path: Path) -> dict[str, str]:
    """The tricks that do not work here, and why, by a table of this kind: those with which a case failed, or did not
    end where it does as written, while the same case went well without them."""
    lines = {tuple(row[key] for key in CASE): row for row in checked.read(path).to_dict("records")}
    found: dict[str, str] = {}
    good: set[tuple[str, str]] = set()
    for (case, precision, asked), row in lines.items():
        tricks = {trick for trick in asked.split(",") if (precision, trick) not in good} - {"none", *found}
        plain = lines.get((case, precision, "none"))
        if len(tricks) != 1 or plain is None or plain["status"] != "ok" or row["status"] == LEFT_OUT:
            continue
        trick, = tricks
        if row["status"] != "ok":
            found[trick] = f"{case}, {precision}: {row['status']}"
        elif f"{trick} failed" in row["how"]:
            found[trick] = f"{case}, {precision}: {row['how']}"
        elif not abs(row["train_loss"] / plain["train_loss"] - 1) <= SAME[precision]:
            found[trick] = (f"{case}, {precision}: a loss of {row['train_loss']:.4g}, and of {plain['train_loss']:.4g} "
                            f"as written")
        elif case == list(NETWORKS)[-1]:  # and with all the others
            good.add((precision, trick))
    return found


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
