from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
import yaml
from tinybook import notebook, stage, tool

pytestmark = pytest.mark.xdist_group("book")  # which is executed and built once


def outputs_in_source(root: Path) -> None:
    shutil.copy(root / "out/notebooks/chapter.ipynb", root / "book/chapter.ipynb")


def edited(root: Path) -> None:
    nb = nbformat.read(root / "book/chapter.ipynb", 4)
    nb.cells[0].source += " More."
    nbformat.write(nb, root / "book/chapter.ipynb")


def missing(root: Path) -> None:
    (root / "out/notebooks/chapter.ipynb").unlink()


def no_numbers(root: Path) -> None:
    (root / "out/metrics/chapter.json").unlink()


def other_parameters(root: Path) -> None:
    path = root / "out/metrics/chapter.json"
    numbers = json.loads(path.read_text())
    numbers["provenance"]["parameters"]["epochs"] = 7
    path.write_text(json.dumps(numbers))


def half_run(root: Path) -> None:
    path = root / "out/notebooks/chapter.ipynb"
    nb = nbformat.read(path, 4)
    last = [cell for cell in nb.cells if cell.cell_type == "code"][-1]
    last.execution_count, last.outputs = None, []
    nbformat.write(nb, path)


@pytest.mark.parametrize(("spoil", "said"), [
    (outputs_in_source, "holds outputs"), (edited, "is stale"), (missing, "was never run"),
    (half_run, "was not run to its end"),
    (no_numbers, "was never run"), (other_parameters, "another run"),
])
def test_a_page_that_is_not_what_its_source_says_fails(root: Path, spoil: Callable[[Path], None], said: str) -> None:
    spoil(root)
    staged = stage("out", root)
    assert staged.returncode == 1
    assert "chapter" in staged.stderr
    assert said in staged.stderr


def test_the_page_of_a_reader_is_not_in_the_published_book(root: Path) -> None:
    shutil.copytree(root / "out", root / "results")
    (root / "results/notebooks/reproduced.ipynb").unlink()
    assert stage("results", root).returncode == 0
    published = root / "build/published/src"
    assert not (published / "reproduced.ipynb").exists()
    assert "reproduced" not in (published / "_toc.yml").read_text()
    assert [part["caption"] for part in yaml.safe_load((published / "_toc.yml").read_text())["parts"]] == [
        "Chapters", "Back matter"]


def test_a_caption_is_prose_and_needs_no_run(root: Path) -> None:
    source = nbformat.read(root / "book/chapter.ipynb", 4)
    for cell in source.cells:
        if "mystnb" in cell.metadata:
            cell.metadata["mystnb"]["figure"]["caption"] += " Said better."
    nbformat.write(source, root / "book/chapter.ipynb")
    assert stage("out", root).returncode == 0
    staged = nbformat.read(root / "build/reproduced/src/chapter.ipynb", 4)
    assert [cell.metadata["mystnb"]["figure"]["caption"] for cell in staged.cells if "mystnb" in cell.metadata] == [
        "What was counted. Said better.", "Drawn. Said better."]


def test_the_footer_gives_the_line_that_made_the_page(root: Path) -> None:
    assert stage("out", root).returncode == 0
    footer = json.loads((root / "build/reproduced/src/_pages/chapter.json").read_text())
    assert footer["command"] == """papermill book/chapter.ipynb out.ipynb -p epochs 2 -y '{"sizes": [3, 4]}'"""


@pytest.mark.parametrize(("words", "typed"), [
    ("The error fell by 3.2 points.", ["3.2"]), ("It is 25 % lower.", ["25 %"]), ("```{note}\nOnly 0.5.\n```", ["0.5"]),
    ("| a | 1.5 |", ["1.5"]), ("Inception V3, 5×5, {val}`a.b:.1f` %, $x = 0.9$, `0.9`, Section 3.1, v1.aux", []),
    ("```python\nlr = 0.1\n```\n\nThen 7.5.", ["7.5"]), ("$$\n\\alpha = 0.5\n$$", []), ("See [4.2](x.md)", ["4.2"]),
])
def test_typed_numbers_are_found(tmp_path: Path, words: str, typed: list[str]) -> None:
    notebook(tmp_path / "page.ipynb", words)
    done = tool("lint_prose", tmp_path / "page.ipynb", root=tmp_path)
    assert done.returncode == bool(typed)
    assert done.stdout.count("typed number") == len(typed)
    assert all(repr(number) in done.stdout for number in typed)
