"""How long a second of sound takes the keyword network on one core: its features, and the network, also exported.

A made-up recording lies on the disk as a wav file of 8 kHz, as those of the spoken digits do. *Features* reads it and
makes its cepstral coefficients, *network* is torch as it comes, in evaluation, on one clip and one thread, *exported*
the same network as ONNX in onnxruntime. A turn is the mean of some calls, and the three take turns.
"""
from __future__ import annotations

import tempfile
import time
import wave
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from replication import provenance
from replication.benchmarks import harness
from replication.data import sound, speech
from replication.models import onnx
from replication.models.build import build
from replication.models.kws import kws_inception

TURNS, CALLS = 100, 10
COLUMNS = ("device", "kind", "turns", "calls", "ms", "ms_low", "ms_high", "threads", "load", "versions", "commit",
           "utc")


def run() -> Path:
    """Measures, prints and writes `<your store>/tables/latency-<processor>.csv`; returns its path."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        _, path, common = harness.begin("latency", quick=False, of=provenance.processor())
        with tempfile.TemporaryDirectory() as place, torch.inference_mode():
            calls = _calls(Path(place))
            found: dict[str, list[float]] = {kind: [] for kind in calls}
            for turn in range(TURNS + 1):  # the first, which loads and allocates, does not count
                for kind, call in calls.items():
                    began = time.perf_counter()
                    for _ in range(CALLS):
                        call()
                    if turn:
                        found[kind].append(1000 * (time.perf_counter() - began) / CALLS)
        frame = harness.write(path, [{**common, "kind": kind, "turns": TURNS, "calls": CALLS, **middle(ms)}
                                     for kind, ms in found.items()], COLUMNS)
    finally:
        torch.set_num_threads(threads)
    print(harness.shown(frame, COLUMNS[1:7]))
    return path


def middle(ms: list[float]) -> dict[str, float]:
    """The median of the turns, and the ends of the middle 95 % of them."""
    low, median, high = np.percentile(ms, [2.5, 50, 97.5])
    return {"ms": float(median), "ms_low": float(low), "ms_high": float(high)}


def _calls(place: Path) -> dict[str, Callable[[], Any]]:
    of = speech.SETS["fsdd"].features
    clip = speech.Clip(place / "0_nobody_0.wav")
    noise = np.random.default_rng(0).integers(-2 ** 13, 2 ** 13, of.rate // 2).astype("<i2")  # half a second, as digits
    with wave.open(str(clip.path), "wb") as file:
        file.setparams((1, 2, of.rate, 0, "NONE", ""))
        file.writeframes(noise.tobytes())

    def heard() -> Any:
        return sound.features(sound.seconds([clip], of), of)

    torch.manual_seed(0)
    network = build(kws_inception(classes=10, features=of.features, frames=of.frames)).eval()
    images = torch.from_numpy(heard()).permute(0, 3, 1, 2)
    calls: dict[str, Callable[[], Any]] = {"features": heard, "network": lambda: network(images)}
    if find_spec("onnxruntime") is None:
        return calls
    with torch.inference_mode(False):
        answer = harness.runtime(onnx.save(network, place / "network.onnx"), threads=1)
    given = images.contiguous().numpy()
    return {**calls, "exported": lambda: answer(given)}
