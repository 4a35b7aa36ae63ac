"""The parts of a small book, and the tools run on it."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import nbformat.v4 as nb

ROOT = Path(__file__).resolve().parents[2]
TOC = """
format: jb-book
root: index
parts:
- caption: Chapters
  numbered: 2
  chapters:
  - file: chapter
- caption: Your run
  chapters:
  - file: reproduced
- caption: Back matter
  chapters:
  - file: glossary
  - file: bibliography
"""
METRICS = """import json, os, pathlib
metrics = pathlib.Path(os.environ["REPLICATION_OUT"], "metrics")
metrics.mkdir(exist_ok=True)
given = {PARAMETERS}
made = dict(commit=None, dirty=False, device="CPU", python="3", versions={{}}, utc="now", parameters=given)
_ = (metrics / "{NAME}.json").write_text(json.dumps(dict(provenance=made, gap=-0.25, lost=float("nan"))))"""
CLAIMS = """from IPython.display import HTML
HTML('<table class="claims"><thead><tr><th scope="col">Claim</th><th scope="col">Verdict</th></tr></thead><tbody>'
     '<tr><td data-label="Claim">It works</td><td data-label="Verdict"><span class="verdict-supported">supported</span>'
     '</td></tr></tbody></table>')"""
TABLE = """import numpy as np, pandas as pd
from replication.pages import figures
figures.style()
pd.DataFrame(np.zeros((2, 30))).rename(columns=lambda i: f"a wide column {i}")"""
TOLD = """from replication.pages import html
html.Html(html.cards(("what", "how many"), [("one", "1"), ("two", "20")]))"""
DRAWN = """figure = figures.Drawn(figsize=(5, 3), layout="constrained")
figure.data = pd.DataFrame({"x": [1, 2, 3], "y": [10, 30, 20]})
axis = figure.subplots()
axis.plot(figure.data.x, figure.data.y, "o", label="known")
axis.set(xlabel="steps", ylabel="error, %")
figure"""


def tool(name: str, *arguments: object, root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(ROOT / "book" / "_tools" / f"{name}.py"), *map(str, arguments)], cwd="/",
                          env={**os.environ, "REPLICATION_OUT": str(root / "out")}, capture_output=True, text=True)


def stage(store: str, root: Path) -> subprocess.CompletedProcess[str]:
    return tool("stage", "--from", store, "--root", root, root=root)


def build(root: Path) -> subprocess.CompletedProcess[str]:
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    line = ["build", "build/reproduced/src", "--path-output", "build/reproduced", "-n", "-W", "--keep-going"]
    return subprocess.run([jupyter_book, *line], cwd=root, capture_output=True, text=True)


def captioned(source: str, name: str, caption: str, alt: str = "") -> nbformat.NotebookNode:
    image = {"image": {"alt": alt}} if alt else {}
    return nb.new_code_cell(source, metadata={"mystnb": {"figure": {"name": name, "caption": caption}, **image}})


def notebook(path: Path, words: str, parameters: str = "", given: str = "{}",
             *cells: str | nbformat.NotebookNode) -> None:
    code = [METRICS.format(NAME=path.stem, PARAMETERS=given), *cells]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = nb.new_notebook(metadata={"kernelspec": kernel})
    made.cells = [nb.new_markdown_cell(words)]
    if parameters:
        made.cells.append(nb.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    made.cells += [nb.new_code_cell(cell) if isinstance(cell, str) else cell for cell in code]
    nbformat.write(made, path)
