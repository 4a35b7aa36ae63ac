"""A wave is fitted back to its parameters, a square holds what it says, and noise is no wave."""
from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from replication.runs import experiments, store
from replication.training import loop, scales


@pytest.mark.parametrize(("angle", "wave", "phase"), [(0, 4.0, 0.3), (math.pi / 4, 5.0, 1.0), (math.pi / 2, 3.0, 2.0)])
def test_a_gabor_fitted_back(angle: float, wave: float, phase: float) -> None:
    at = np.arange(7) - 3.0
    along = at[None] * math.cos(angle) + at[:, None] * math.sin(angle)
    window = np.exp(-(at[None] ** 2 + at[:, None] ** 2) / (2 * 1.8 ** 2))
    drawn = window * np.cos(2 * math.pi * along / wave + phase)
    kernel = np.stack([drawn, -0.5 * drawn, 0 * drawn])  # colours of its own
    found = scales.fit(kernel)
    assert found.share == pytest.approx(1)
    assert (found.angle, found.wave, found.width, found.middle) == (pytest.approx(angle), wave, 1.8, (0, 0))
    np.testing.assert_allclose(found.drawn, kernel, atol=1e-12)


def test_noise_is_little_of_a_wave() -> None:
    shares = [scales.fit(np.random.default_rng(n).normal(size=(3, 7, 7))).share for n in range(8)]
    assert 0.04 < np.mean(shares) < 0.3  # two directions of 49, the best of many


def test_the_square_by_hand() -> None:
    energy = np.zeros((11, 11))
    energy[4:7, 4:7] = 1
    assert scales.side(energy) == 3
    energy[5, 5] = 1000
    assert scales.side(energy) == 1
    assert scales.side(np.ones((9, 9))) == 9


def test_a_run_looked_at(out: Path, tiny: Callable[..., experiments.Experiment]) -> None:
    experiment = tiny("bn")
    loop.train(experiment, 0)
    found = scales.look(experiment, 0)
    fields = found.fields.set_index("row")
    assert list(fields.columns) == ["arithmetic", "trained", "untrained"]
    assert fields.arithmetic["conv1"] == 7
    assert (fields.loc[["conv1", "conv2", "pool2"], ["trained", "untrained"]].le(fields.arithmetic, axis=0).loc[
        ["conv1", "conv2", "pool2"]]).all(axis=None)
    assert found.waves.share.between(0, 1).all()
    assert dict(found.waves.network.value_counts()) == {"trained": 8, "untrained": 8}
    weights = torch.load(store.weights(experiments.address(experiment, 0)), weights_only=True)
    first, = (tensor for name, tensor in weights.items() if tensor.shape == (8, 3, 7, 7))
    np.testing.assert_allclose(found.filters["trained"], first.double().numpy())
    assert not np.allclose(found.filters["untrained"], found.filters["trained"])
