"""How long a clip takes: what is measured, and what the page makes of it."""
from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from replication import __main__
from replication.benchmarks import latency
from replication.pages import keywords


def test_the_table_and_the_page(monkeypatch: pytest.MonkeyPatch, out: Path) -> None:
    monkeypatch.setattr(latency, "TURNS", 3)
    monkeypatch.setattr(latency, "CALLS", 2)
    before = torch.get_num_threads()
    assert __main__.main(["bench", "--latency"]) == 0
    assert torch.get_num_threads() == before
    path, = (out / "tables").glob("latency-*.csv")
    table = pd.read_csv(path)
    assert list(table.kind) == list(keywords.KINDS)
    assert set(table.threads) == {1}
    assert set(table.turns) == {3}
    assert (table.ms_low > 0).all()
    assert (table.ms_low <= table.ms).all()
    assert (table.ms <= table.ms_high).all()
    found = keywords.latencies()
    assert list(found) == [table.device[0]]
    assert keywords.latency(found).count(" <small>[") == 3


def test_the_middle_of_the_turns() -> None:
    """Of 0 to 40: a fortieth lies below 1, a fortieth above 39."""
    assert latency.middle([float(n) for n in range(41)]) == {"ms": 20, "ms_low": 1, "ms_high": 39}


def test_the_exported_network_says_the_same(tmp_path: Path) -> None:
    with torch.inference_mode():
        calls = latency._calls(tmp_path)
        eager = calls["network"]()
        assert eager.shape == (1, 10)
        torch.testing.assert_close(torch.from_numpy(calls["exported"]()), eager, rtol=1e-3, atol=1e-4)
        assert calls["features"]().shape == (1, 49, 1, 30)
