"""One run over four processes is the run of one; the suite itself tries two."""
from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "training"))
from test_distributed import end_where_one_does, ended, start


@pytest.mark.usefixtures("one_thread")
def test_four_processes_end_where_one_does(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ended(start("straight", tmp_path, world=4, REPLICATION_READ="mine", REPLICATION_DEVICE="cpu"))
    assert [status for status, *_ in found] == [0] * 4, found
    end_where_one_does(tmp_path, 4, out, monkeypatch)
