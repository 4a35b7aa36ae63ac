from __future__ import annotations

import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from tinybook import ROOT, notebook, tool

from replication.studies import profiles
from replication.studies.setting import Setting


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


def test_what_a_profile_leaves_open_is_the_same_for_its_runs_and_its_pages() -> None:
    """A page's own defaults are the cpu profile's; another profile may not name all of them."""
    sys.path.insert(0, str(ROOT / "book" / "_tools"))
    import execute
    sources = sorted((ROOT / "book").glob("*.ipynb"))
    given = execute.shared_out({"dataset": "digits", "epochs": 3}, sources)["aux_heads"]
    setting = Setting(dataset="digits", epochs=3)
    assert given["lr"] == setting.lr != profiles.profile("cpu").setting("v1.aux").lr
    assert "images" not in given  # nobody's to say
    everything = dict(profiles.profile("cpu").parameters)
    assert execute.shared_out(everything, sources)["aux_heads"] == everything


def test_a_page_that_is_an_example_keeps_its_own_parameters(tmp_path: Path) -> None:
    sys.path.insert(0, str(ROOT / "book" / "_tools"))
    import execute
    for name in ("example", "result"):
        notebook(tmp_path / f"{name}.ipynb", "# Page", "epochs = 1")
    made = nbformat.read(tmp_path / "example.ipynb", 4)
    made.cells[1].metadata["tags"].append("own-parameters")
    nbformat.write(made, tmp_path / "example.ipynb")
    shared = execute.shared_out({"epochs": 9}, sorted(tmp_path.glob("*.ipynb")))
    assert shared == {"example": {}, "result": {"epochs": 9}}
