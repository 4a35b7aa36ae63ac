"""The smoke test's table: a line a case, and what fails is a line too."""
from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
import torch

from replication.benchmarks import smoke
from replication.models import ops

pytestmark = pytest.mark.usefixtures("out", "one_thread")


def small(channels: int = 3) -> ops.Network:
    rows = (ops.Row("conv", ops.Conv(4, 3, 4)), ops.Row("drop", ops.Dropout(0.5)), ops.Row("linear", ops.Linear(10)))
    return ops.Network("small", rows, 64, init=ops.He(), channels=channels)


def test_what_works_and_what_fails_are_lines(monkeypatch: Any) -> None:
    """A network of one channel cannot take the digits' three: its reason stands in the table and the rest goes on."""
    monkeypatch.setattr(smoke, "NETWORKS", {"wrong": lambda: small(1), "right": small})
    monkeypatch.setattr(smoke, "WAYS", (("fp32", "none"), ("fp32", "merge"), ("fp32", "graph")))  # no graph on a CPU
    table = pd.read_csv(smoke.run()).set_index(["case", "asked"])
    assert len(table) == 1 + 2 * 2
    for asked in ("none", "merge"):
        assert table.status["wrong", asked].startswith("failed: BadInput: small takes (N, 1, ")
        assert table.status["right", asked] == "ok"
    assert table.against["right", "none"] == 0
    assert table.against["right", "merge"] == pytest.approx(0, abs=1e-5)
    assert table.train_loss["right", "none"] > 0


def test_no_case_begins_when_time_is_up(monkeypatch: Any) -> None:
    monkeypatch.setattr(smoke, "NETWORKS", {"right": small})
    status = pd.read_csv(smoke.run(until=0.0)).status
    assert set(status[1:]) == {"left out: time is up"}


def test_cases_that_were_tried_are_not_tried_again(monkeypatch: Any) -> None:
    monkeypatch.setattr(smoke, "NETWORKS", {"wrong": lambda: small(1), "right": small})
    monkeypatch.setattr(smoke, "WAYS", (("fp32", "none"),))
    smoke.run()
    tried: list[str] = []
    whole = smoke.whole
    monkeypatch.setattr(smoke, "whole", lambda network, *how: (tried.append(how[1]), whole(network, *how))[1])
    monkeypatch.setattr(smoke, "WAYS", (("fp32", "none"), ("fp32", "merge")))
    assert list(pd.read_csv(smoke.run(until=0.0, go_on=True)).status[3:]) == ["left out: time is up"] * 2
    assert not tried
    table = pd.read_csv(smoke.run(go_on=True))
    assert tried == ["merge", "merge"]  # a failure is an answer, too; what was left out is none
    assert len(table) == 1 + 2 * 2
    assert table.against[4] == pytest.approx(0, abs=1e-5)  # beside the earlier run's
    smoke.run()
    assert len(tried) == 2 + 4


@pytest.mark.parametrize(("rows", "expected"), [
    ({"graph": ("ok", "graph", 1.0), "graph,merge": ("ok", "graph, merge", 1.001), "compile,graph": ("ok", "all", 1)},
     {}),
    ({"graph": ("ok", "as written (graph failed: RuntimeError: x)", 1.0), "compile,graph": ("ok", "compile", 1.0)},
     {"graph": "net, fp32: as written (graph failed: RuntimeError: x)"}),
    ({"graph": ("ok", "graph", 1.0), "compile,graph": ("failed: E: y", None, None)},
     {"compile": "net, fp32: failed: E: y"}),
    ({"graph": ("ok", "graph", 1.2), "compile,graph": ("ok", "compile, graph", 1.0)},
     {"graph": "net, fp32: a loss of 1.2, and of 1 as written"}),
    ({"graph": ("ok", "graph", float("nan"))}, {"graph": "net, fp32: a loss of nan, and of 1 as written"}),
    ({"graph": (smoke.LEFT_OUT, None, None)}, {}),
])
def test_what_does_not_work_is_named(rows: dict[str, Any], expected: dict[str, str], tmp_path: Any,
                                     monkeypatch: Any) -> None:
    monkeypatch.setattr(smoke, "NETWORKS", {"net": small})
    rows = {"none": ("ok", "as written", 1.0), **rows}
    pd.DataFrame([{"case": "net", "precision": "fp32", "asked": asked, "status": status, "how": how, "train_loss": loss}
                  for asked, (status, how, loss) in rows.items()]).to_csv(tmp_path / "smoke.csv", index=False)
    assert smoke.broken(tmp_path / "smoke.csv") == expected


def test_what_does_not_work_in_one_precision_alone_is_named(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(smoke, "NETWORKS", {"net": small})
    pd.DataFrame([{"case": "net", "precision": precision, "asked": asked, "status": status, "how": asked,
                   "train_loss": 1.0} for precision, asked, status in (
                       ("fp32", "none", "ok"), ("bf16", "none", "ok"), ("fp32", "graph", "ok"),
                       ("bf16", "graph", "failed: E: x"))]).to_csv(tmp_path / "smoke.csv", index=False)
    assert smoke.broken(tmp_path / "smoke.csv") == {"graph": "net, bf16: failed: E: x"}


def test_lrn_s_gradient_is_within_bf16_of_float64_s() -> None:
    """LRN itself runs in fp32 under autocast; its input and gradient are rounded to 8 bits."""
    assert 0 < smoke.lrn(torch.device("cpu")) < 2 ** -8
