from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest
from tinybook import notebook, tool


def test_a_notebook_takes_of_the_profile_what_it_declares(executed: Path) -> None:
    def given(name: str) -> dict[str, object]:
        return nbformat.read(executed / f"out/notebooks/{name}.ipynb", 4).metadata.papermill.parameters

    assert given("chapter") == {"epochs": 2, "sizes": [3, 4]}
    assert given("index") == {}


def test_copies_hold_nothing_of_this_machine(executed: Path) -> None:
    for copy in (executed / "out/notebooks").iterdir():
        assert str(executed) not in copy.read_text()
        nb = nbformat.read(copy, 4)
        assert [cell.id for cell in nb.cells] == [f"cell-{n}" for n in range(len(nb.cells))]
        assert set(nb.metadata.papermill) == {"parameters", "version", "duration"}


@pytest.mark.parametrize(("profile", "said"), [
    ("about: x\nstudies: []\nparameters: {epoch: 2}\n", "Unknown parameter in the profile: 'epoch'. Did you mean"),
    (None, "Unknown profile 'tiny'"),
])
def test_a_profile_that_is_wrong_runs_nothing(sources: Path, tmp_path: Path, profile: str | None, said: str) -> None:
    shutil.copytree(sources, tmp_path, dirs_exist_ok=True)
    (tmp_path / "profiles" / "tiny.yaml").unlink()
    if profile:
        (tmp_path / "profiles" / "tiny.yaml").write_text(profile)
    done = tool("execute", "tiny", "--root", tmp_path, root=tmp_path)
    assert done.returncode == 1
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_failing_notebook_leaves_the_copy_before(root: Path) -> None:
    before = (root / "out/notebooks/chapter.ipynb").read_text()
    notebook(root / "book/chapter.ipynb", "# Chapter", "epochs = 1\nsizes = []", "{}", "raise ValueError('too\\nmany')")
    done = tool("execute", "tiny", "--root", root, root=root)
    assert done.returncode == 1
    assert "chapter: ValueError: many" in done.stdout
    assert "index" not in done.stdout, "what draws on the others must not run on old results"
    assert (root / "out/notebooks/chapter.ipynb").read_text() == before
    assert (root / "out/failed/chapter.ipynb").exists()
