#!/usr/bin/env bash
# One would guess that papermill, when the kernel is killed in a cell, as it is where memory runs out, marks that cell as
# failed and leaves those after it pending.
# It marks all of them as completed, although those after it never ran and have no execution count. The exception is raised
# and the file is written, so the exit status tells what happened, and the states in the file do not. Where a cell raises
# an error, that one is marked as failed and those after it stay pending.
# Versions: papermill 2.7.0, nbclient 0.11.0, ipykernel 7.4.0.
# It matters for whoever looks into an executed notebook to see how far it got.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet papermill==2.7.0 nbclient==0.11.0 ipykernel==7.4.0
HOME="$dir" "$dir/venv/bin/python" -W ignore - "$dir" <<'EOF'
import logging
import sys
from importlib.metadata import version
from pathlib import Path

import nbformat
import papermill

logging.disable(logging.ERROR)
print(*(f"{name} {version(name)}" for name in ("papermill", "nbclient", "ipykernel")))
folder = Path(sys.argv[1])


def states(what):
    cells = [nbformat.v4.new_code_cell(text) for text in ("a = 1", what, "b = 2", "c = 3")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "given.ipynb")
    try:
        papermill.execute_notebook(folder / "given.ipynb", folder / "made.ipynb", kernel_name="python3",
                                   progress_bar=False)
    except Exception as problem:
        print(f"{what!r}: {type(problem).__name__}")
    made = nbformat.read(folder / "made.ipynb", 4).cells  # papermill puts notes of an error among them
    return [(cell.metadata.papermill["status"], cell.execution_count) for cell in made if cell.cell_type == "code"]


raised = states("raise ValueError")
print("    ", raised)
killed = states("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
print("    ", killed)
assert raised == [("completed", 1), ("failed", 2), ("pending", None), ("pending", None)], "changed: an error"
assert [status for status, _ in killed] == ["completed"] * 4, "changed: a killed kernel"
assert [count for _, count in killed[2:]] == [None, None], "changed: cells after it"  # its own comes or is lost with it
print("as described: cells that never ran are marked as completed")
EOF
