"""A signal to torchrun itself; the suite sends it to processes without one."""
from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "training"))
from test_distributed import ended, later, step, torchrun_


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM")
def test_a_signal_to_torchrun_leaves_a_checkpoint_and_ends_all(out: Path) -> None:
    agent = torchrun_("command", 5000)
    try:
        before = later(out)
        agent.terminate()
        (_, _, errors), = ended([agent])
    finally:
        agent.kill()
    assert errors.count("the same command goes on from the last checkpoints") == 2
    assert step(out) > before
    assert not list(out.glob("runs/*"))
