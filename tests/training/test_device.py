"""The matrix rate of a machine, by a product whose time is known."""
from __future__ import annotations

import pytest
import torch

from replication.training import device


def test_a_rate_is_operations_over_the_best_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """2 x 256^3 operations in 10 ms are 3.36 G a second; slower ones do not count."""
    threads, pauses, clock = [], iter([0.03, 0.01, 0.03, *[0.04] * 9]), [0.0]

    def product(a: torch.Tensor, b: torch.Tensor) -> None:
        assert a.shape == b.shape == (256, 256)
        assert a.dtype == b.dtype == torch.float32
        threads.append(torch.get_num_threads())
        clock[0] += next(pauses)

    monkeypatch.setattr(device, "device", lambda: "cpu")
    monkeypatch.setattr(torch, "mm", product)
    monkeypatch.setattr(device.time, "perf_counter", lambda: clock[0])
    before, drawn = torch.get_num_threads(), torch.get_rng_state()
    rate = device.matmul_gflops(before + 1)
    assert rate == 3.4
    assert set(threads) == {before + 1}
    assert torch.get_num_threads() == before
    assert torch.equal(torch.get_rng_state(), drawn)  # a run's own numbers are not touched


def test_on_a_gpu_the_processor_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "device", lambda: "cuda")
    assert device.matmul_gflops() is None
