"""`python -m replication gpu` ended in every one of its stages; the suite itself tries two."""
from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from forked import Program

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from test_stages import begin, goes_on

__all__ = ["begin"]


@pytest.mark.usefixtures("one_thread")
def test_ended_in_every_stage_it_goes_on(begin: Callable[..., Program], out: Path, tmp_path: Path,
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on((("smoke", signal.SIGKILL), ("bench", signal.SIGTERM), ("runs", signal.SIGKILL), ("runs", signal.SIGTERM)),
            begin, out, tmp_path, monkeypatch)
