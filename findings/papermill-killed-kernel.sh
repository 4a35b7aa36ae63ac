#!/usr/bin/env bash
# One would guess that papermill, when the kernel is killed in a cell, as it is where memory runs out, leaves the cells
# after it marked as pending.
# Each of them is marked as completed, although it never ran and has no execution count, no time and no output; only the
# cell that was running is marked as failed. The file is written and the exception is raised, so that the exit status
# tells, and nothing in the file's cells does. Where a cell raises an error instead, those after it stay pending.
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
    made = [cell for cell in nbformat.read(folder / "made.ipynb", 4).cells if "papermill-error" not in str(cell.metadata)]
    return [(cell.metadata.papermill["status"], cell.execution_count) for cell in made if cell.cell_type == "code"]


raised = states("raise ValueError")
print("    ", raised)
killed = states("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
print("    ", killed)
EOF
