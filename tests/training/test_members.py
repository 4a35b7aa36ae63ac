"""Trained runs read again: the error of the kept logits is the error that training reported."""
from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest
import torch

from replication.errors import BadInput
from replication.runs import experiments, store
from replication.training import logits, loop, members

pytestmark = pytest.mark.usefixtures("out")
Tiny = Callable[..., experiments.Experiment]


def test_members_are_the_runs(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tiny("bn", epochs=1)
    runs = [loop.train(made, seed) for seed in (0, 1)]
    with monkeypatch.context() as patch:
        patch.setattr(members, "network", None)  # what training said is read, and not said again
        both = [members.member(made, seed) for seed in (0, 1)]
    for run, one in zip(runs, both, strict=True):
        assert logits.errors(one.logits["main"], one.labels) == pytest.approx(
            {"error": run.summary["val_error"], "error5": run.summary["val_error5"]})
        assert list(one.logits) == ["main", "4a", "4d"]
    np.testing.assert_allclose(logits.softmax_mean(np.stack([one.logits["main"] for one in both])),
                               logits.ensemble(both))
    ten = [members.member(made, seed, 10) for seed in (0, 1)]
    logits.ensemble([both[0], ten[1]])  # other views of the same images
    assert np.abs(ten[0].logits["main"] - both[0].logits["main"]).max() > 1e-3
    assert len(logits.subsets(ten)) == 3

    weights = store.weights(runs[0].address)
    kept = torch.load(weights, weights_only=True)
    weights.unlink()
    np.testing.assert_array_equal(members.member(made, 0, 10).logits["4a"], ten[0].logits["4a"])
    with pytest.raises(BadInput, match="There are no weights at"):
        members.member(made, 0, 12)
    with pytest.raises(BadInput, match="There are no weights at"):
        members.network(made, 0)

    kept["linear.bias"] += 1000 * torch.arange(len(kept["linear.bias"]))  # as if trained again
    torch.save(kept, weights)
    later = store.logits(runs[0].address).stat().st_mtime + 1
    os.utime(weights, (later, later))
    assert set(members.member(made, 0).logits["main"].argmax(1)) == {len(kept["linear.bias"]) - 1}
