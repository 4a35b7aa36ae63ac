"""Files that are whole or not at all, and what a killed process leaves."""
from __future__ import annotations

import io
import os
import signal
import zipfile
from pathlib import Path

import pytest
import torch

from replication import files


def test_what_a_killed_process_left_is_gone_after_the_next_write(tmp_path: Path) -> None:
    pid = os.fork()
    if not pid:
        with files.whole(tmp_path / "x.json") as partial:
            partial.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert len(list(tmp_path.iterdir())) == 1
    files.write(tmp_path / "x.json", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_what_another_is_writing_stays(tmp_path: Path) -> None:
    """This process lives; whoever writes on another machine may."""
    elsewhere = tmp_path / ".x.json.another-host.1"
    elsewhere.write_text("half")
    with files.whole(tmp_path / "x.json") as partial:
        partial.write_text("one")
        files.write(tmp_path / "y.json", "two")
        assert partial.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [elsewhere.name, "x.json", "y.json"]


def _saved() -> bytes:
    held = io.BytesIO()
    torch.save({"a": torch.arange(1000.0)}, held)
    return held.getvalue()


def test_a_whole_file_of_torch_is_intact() -> None:
    assert files.intact(_saved())


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_truncated_one_is_not(share: float) -> None:
    whole = _saved()
    assert not files.intact(whole[:int(share * len(whole))])


def test_nor_one_with_another_bit_in_a_tensor_which_torch_reads_all_the_same() -> None:
    whole = bytearray(_saved())
    with zipfile.ZipFile(io.BytesIO(whole)) as held:
        entry = next(info for info in held.infolist() if info.filename.endswith("data/0"))
    whole[entry.header_offset + entry.file_size // 2] ^= 1
    assert torch.load(io.BytesIO(whole), weights_only=True)["a"].shape == (1000,)
    assert not files.intact(bytes(whole))
