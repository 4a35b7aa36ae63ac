"""A notebook's parameters, however often and in whatever order its cells are run."""
from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from replication import paths
from replication.errors import BadInput
from replication.studies.setting import given, setting

DECLARED = 'profile: str = "cpu"  # of profiles/\nepochs: int = 3\nclasses: "Optional[int]" = None\n'
ASKED = "calls_.append(given(globals()))"
OWN = ("parameters = given(globals())\nhead = len(parameters)\nfor seed in range(3):\n    table = [seed]\n"
       "left = table[0]\n")
THREE = {"profile": "cpu", "epochs": 3, "classes": None}


class Kernel:
    """What IPython's keeps: the names of all cells, and their text."""

    def __init__(self, history: bool = True) -> None:
        self.names: dict[str, Any] = {"given": given, "calls_": [], "_oh": {}, "_i1": "x"}
        if history:
            self.names |= {"In": [""], "Out": {}}

    def run(self, *cells: str) -> dict[str, Any]:
        for cell in cells:
            self.names.get("In", []).append(cell)
            exec(cell, self.names)
        return {name: value for name, value in self.names["calls_"][-1].items() if name != "calls_"}


@pytest.mark.parametrize("history", [True, False])
def test_all_cells_twice_and_one_cell_twice(history: bool) -> None:
    """In a kernel, and where a program executes the cells."""
    kernel = Kernel(history)
    for _ in range(3):
        assert kernel.run(DECLARED, ASKED, ASKED, OWN, OWN) == THREE
    assert kernel.run(ASKED) == THREE
    assert kernel.run("epochs = 7", ASKED, OWN, ASKED) == {**THREE, "epochs": 7}
    assert kernel.run(DECLARED.replace("3", "5"), ASKED, OWN, ASKED) == {**THREE, "epochs": 5}


@pytest.mark.parametrize("history", [True, False])
def test_what_papermill_puts_in_counts_and_a_mistyped_name_does_too(history: bool) -> None:
    kernel = Kernel(history)
    put_in = "# Parameters\nepochs = 9\nepoch = 10\nrate = float('inf')\nset = {'recipe.clip': 1.0}\n"
    assert kernel.run(DECLARED, put_in, ASKED) == {
        **THREE, "epochs": 9, "epoch": 10, "rate": float("inf"), "set": {"recipe.clip": 1.0}}


def test_a_cell_of_parameters_that_was_corrected() -> None:
    """Neither the mistyped name nor one that was taken out is left over."""
    kernel = Kernel()
    assert "epoch" in kernel.run(DECLARED.replace("epochs", "epoch"), ASKED)
    assert kernel.run(DECLARED, ASKED, OWN) == THREE
    assert kernel.run(DECLARED + "label_smoothing: float = 0.1\n", ASKED)["label_smoothing"] == 0.1
    assert kernel.run(DECLARED, ASKED) == THREE


def test_what_somebody_writes_down_later_counts() -> None:
    """In a cell of its own, in that which asks, declared anew; and what is computed does not."""
    kernel = Kernel()
    kernel.run(DECLARED, ASKED, OWN)
    assert kernel.run("lr_bn = 1e-2\nbatch = -(2 ** 3)", ASKED) == {**THREE, "lr_bn": 0.01, "batch": -8}
    assert kernel.run("lr: float = 0.5\n" + ASKED)["lr"] == 0.5
    assert kernel.run("a, width = 1, 0.5\n", ASKED)["width"] == 0.5
    assert kernel.run("n = len('x')\nm = left + len('y')", ASKED).get("n") is None
    kernel.names["In"].append("%no python")
    assert kernel.run(DECLARED, ASKED) == THREE


@pytest.mark.parametrize("history", [True, False])
def test_a_declared_name_counts_whatever_it_is(history: bool) -> None:
    """Left out, the profile's would have been taken without a word."""
    numpy = pytest.importorskip("numpy")
    found = Kernel(history).run(DECLARED, "import numpy\nepochs = numpy.int64(7)", ASKED)
    assert found == {**THREE, "epochs": numpy.int64(7)}
    with pytest.raises(BadInput, match=r"epochs=np.int64\(7\) is an int64; it must be an int"):
        setting(epochs=found["epochs"])


def cells(notebook: Path) -> list[dict[str, Any]]:
    return [{**cell, "source": "".join(cell["source"])} for cell in json.loads(notebook.read_text("utf-8"))["cells"]
            if cell["cell_type"] == "code"]


ASKING = [path for path in sorted((paths.ROOT / "book").glob("*.ipynb"))
          if any("given(globals())" in cell["source"] for cell in cells(path))]


@pytest.mark.parametrize("notebook", ASKING, ids=lambda path: path.stem)
def test_no_notebook_s_own_names_are_its_parameters(notebook: Path) -> None:
    """All that its cells name is a number after the first time."""
    code = cells(notebook)
    first, = (cell["source"] for cell in code if "parameters" in cell["metadata"].get("tags", []))
    kernel = Kernel()
    before = kernel.run(first, ASKED)
    for cell in code:
        if cell["source"] == first:
            continue
        kernel.names["In"].append(cell["source"])
        for part in ast.parse(cell["source"]).body:
            for name in ast.walk(part):
                if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                    kernel.names[name.id] = 1
    assert kernel.run(first, ASKED) == before


def test_a_real_kernel_keeps_its_cells_so(python: Any, tmp_path: Path) -> None:
    code = f"""
from traitlets.config import Config
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell(config=Config(HistoryManager={{"enabled": False}}))
cells = ["calls_ = []\\nfrom replication.studies.setting import given", {DECLARED!r}, {ASKED!r}, {OWN!r}]
for cell in cells * 2:
    shell.run_cell(cell, store_history=True).raise_error()
print(shell.user_ns["calls_"][-1] == {THREE!r})
"""
    done = python(code, IPYTHONDIR=str(tmp_path))
    assert done.stdout.strip() == "True", done.stdout + done.stderr
