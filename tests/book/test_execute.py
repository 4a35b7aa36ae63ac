from __future__ import annotations

import importlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from tinybook import ROOT, notebook, tool

from replication.studies.profiles import Profile
from replication.studies.setting import Setting

pytestmark = pytest.mark.xdist_group("book")  # which is executed and built once


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


@pytest.fixture
def execute(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_tools"))
    return importlib.import_module("execute")


def of(**parameters: Any) -> Profile:
    return Profile("tiny", "a test", parameters, {}, {})


def test_what_a_profile_leaves_open_is_the_same_for_its_runs_and_its_pages(tmp_path: Path, execute: Any) -> None:
    """A page's own defaults are the cpu profile's; another profile may not name all of them."""
    notebook(tmp_path / "page.ipynb", "# Page", "dataset = 'shapes'\nimages = None\nlr = 0.06\nlr_bn = 0.06\n"
             "epochs = 7")
    given = execute.shared_out(of(dataset="digits", epochs=3), [tmp_path / "page.ipynb"])["page"]
    assert given["lr"] == Setting(dataset="digits", epochs=3).lr != 0.06
    assert given == {"dataset": "digits", "epochs": 3, "lr": Setting().lr}  # images: nobody's to say; lr_bn: the same


def test_a_page_of_studies_is_told_the_profile_alone(tmp_path: Path, execute: Any) -> None:
    """It may say other things of each study, which the page's parameters would override."""
    notebook(tmp_path / "studies.ipynb", "# Studies", "profile = 'cpu-full'\nepochs = None\nlr = None")
    notebook(tmp_path / "result.ipynb", "# Result", "epochs = 1")
    assert execute.shared_out(of(epochs=9), sorted(tmp_path.glob("*.ipynb"))) == {
        "studies": {"profile": "tiny"}, "result": {"epochs": 9}}


def test_a_page_of_studies_is_told_where_a_profile_of_ones_own_lies(tmp_path: Path, execute: Any) -> None:
    """Its name alone would be looked for in profiles/."""
    notebook(tmp_path / "studies.ipynb", "# Studies", "profile = 'cpu-full'\nepochs = None")
    mine = f"{tmp_path / 'mine.yaml'}"
    assert execute.shared_out(of(epochs=9), [tmp_path / "studies.ipynb"], mine) == {"studies": {"profile": mine}}


def test_a_page_that_is_an_example_keeps_its_own_parameters(tmp_path: Path, execute: Any) -> None:
    for name in ("example", "result"):
        notebook(tmp_path / f"{name}.ipynb", "# Page", "epochs = 1")
    made = nbformat.read(tmp_path / "example.ipynb", 4)
    made.cells[1].metadata["tags"].append("own-parameters")
    nbformat.write(made, tmp_path / "example.ipynb")
    assert execute.shared_out(of(epochs=9), sorted(tmp_path.glob("*.ipynb"))) == {
        "example": {}, "result": {"epochs": 9}}


@pytest.mark.parametrize(("jobs", "given", "threads"), [(1, None, "8"), (2, None, "4"), (99, None, "1"), (2, "3", "3")])
def test_the_longest_come_first_and_share_the_cores(execute: Any, monkeypatch: pytest.MonkeyPatch, sources: Path,
                                                    tmp_path: Path, jobs: int, given: str | None,
                                                    threads: str) -> None:
    shutil.copytree(sources, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "out"))
    for name in ("OMP_NUM_THREADS", "TQDM_DISABLE"):  # what main sets ends with the test
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    toc = yaml.safe_load((tmp_path / "book/_toc.yml").read_text())
    toc["parts"][0]["chapters"] += [{"file": name} for name in ("short", "long", "unknown")]
    (tmp_path / "book/_toc.yml").write_text(yaml.dump(toc))
    published = tmp_path / "published"
    mine = tmp_path / "out"
    for place, name, seconds in ((published, "chapter", 30), (published, "short", 90), (mine, "short", 5),
                                 (published, "long", 60), (mine, "unknown", None), (published, "index", 99)):
        path = place / "notebooks" / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        notebook(tmp_path / "book" / f"{name}.ipynb", "# Page", "epochs = 1\nsizes = []")
        path.write_text("{" if seconds is None else json.dumps({"metadata": {"papermill": {"duration": seconds}}}))
    ran: list[str] = []

    def run(source: Path, _: Any) -> tuple[float, str]:
        ran.append(source.stem)
        return 0.0, ""

    monkeypatch.setattr(execute.paths, "PUBLISHED", published)
    monkeypatch.setattr(execute, "cores", lambda: 8)
    monkeypatch.setattr(execute, "run", run)
    monkeypatch.setattr(execute, "ProcessPoolExecutor", lambda *_, **__: ThreadPoolExecutor(1))
    monkeypatch.setattr("sys.argv", ["execute.py", "tiny", "--root", str(tmp_path), "--jobs", str(jobs)])
    assert execute.main() == 0
    assert ran == ["unknown", "long", "chapter", "short", "index", "reproduced"]
    assert os.environ["OMP_NUM_THREADS"] == threads


def test_a_kernel_that_is_killed_leaves_the_copy_before(root: Path) -> None:
    """Though papermill marks the cells after it as completed."""
    before = (root / "out/notebooks/chapter.ipynb").read_text()
    notebook(root / "book/chapter.ipynb", "# Chapter", "epochs = 1\nsizes = []", "{}",
             "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "after = 1")
    done = tool("execute", "tiny", "--root", root, root=root)
    assert done.returncode == 1
    assert "chapter: DeadKernelError" in done.stdout
    assert (root / "out/notebooks/chapter.ipynb").read_text() == before


@pytest.mark.parametrize(("deaths", "calls"), [(0, 1), (1, 2), (2, 2)])
def test_a_kernel_that_dies_unheard_is_started_once_more(execute: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                                         deaths: int, calls: int) -> None:
    tried: list[str] = []

    def start(source: str, *_: Any, **__: Any) -> None:
        tried.append(source)
        if len(tried) <= deaths:
            raise RuntimeError("Kernel died before replying to kernel_info")

    monkeypatch.setattr(execute.papermill, "execute_notebook", start)
    with pytest.raises(RuntimeError) if deaths > 1 else nullcontext():
        execute._execute(tmp_path / "a.ipynb", tmp_path / "b.ipynb", {})
    assert len(tried) == calls


def test_any_other_failure_is_not_tried_again(execute: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tried: list[str] = []

    def start(source: str, *_: Any, **__: Any) -> None:
        tried.append(source)
        raise RuntimeError("Kernel died")

    monkeypatch.setattr(execute.papermill, "execute_notebook", start)
    with pytest.raises(RuntimeError):
        execute._execute(tmp_path / "a.ipynb", tmp_path / "b.ipynb", {})
    assert len(tried) == 1


def test_a_home_that_cannot_be_written_to_gets_a_stand_in(execute: Any, tmp_path: Path,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    """IPython and Jupyter keep things there, as every kernel starts."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert execute.home() is None
    assert Path.home() == tmp_path
    monkeypatch.setenv("HOME", "/proc/none")
    spare = execute.home()
    assert Path.home() == Path(spare.name)
    (Path.home() / "x").touch()
    spare.cleanup()
