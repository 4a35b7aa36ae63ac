"""Put a book together from book/ and one store, for jupyter-book to build.

    python book/_tools/stage.py --from results    # the published runs  -> build/published/src
    python book/_tools/stage.py --from out        # your own            -> build/reproduced/src

Every notebook is replaced by its executed copy. A copy that is missing, or that was made from other cells or with
other parameters than its numbers, fails: a page never shows what its source does not say.
"""
from __future__ import annotations

import argparse
import csv
import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import nbformat
import toc
import yaml

from replication import paths
from replication.runs.store import Run, everything, folder
from replication.studies.estimate import where

LEFT_OUT = {"_build", "_tools", ".ipynb_checkpoints", "__pycache__"}


def tagged(cell: nbformat.NotebookNode, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


def cells(nb: nbformat.NotebookNode) -> list[tuple[str, str]]:
    return [(c.cell_type, c.source) for c in nb.cells if not tagged(c, "injected-parameters")]


def command(name: str, parameters: dict[str, Any]) -> str:
    """The line that makes this page again. papermill's -p knows words and numbers; the rest goes as YAML."""
    words = ["papermill", f"book/{name}.ipynb", "out.ipynb"]
    for key, value in parameters.items():
        plain = isinstance(value, (int, float)) or (isinstance(value, str) and value[:1].isalpha()
                                                    and value not in ("True", "False", "None"))
        words += ["-p", key, str(value)] if plain else ["-y", json.dumps({key: value})]
    return shlex.join(words)


def page(name: str, book: Path, store: Path) -> tuple[nbformat.NotebookNode, dict[str, Any]]:
    """The executed copy of a notebook and its footer; ValueError says what is wrong with them."""
    source = nbformat.read(book / f"{name}.ipynb", 4)
    if any(cell.get("outputs") for cell in source.cells):
        raise ValueError(f"book/{name}.ipynb holds outputs: strip them (nbstripout book/{name}.ipynb)")
    copy, numbers = store / "notebooks" / f"{name}.ipynb", store / "metrics" / f"{name}.json"
    for path in (copy, numbers):
        if not path.exists():
            raise ValueError(f"{name} was never run: {path} is missing")
    done = nbformat.read(copy, 4)
    if cells(done) != cells(source):
        raise ValueError(f"{copy} is stale: its cells are not those of book/{name}.ipynb; run it again")
    if any(cell.cell_type == "code" and cell.source.strip() and not cell.execution_count for cell in done.cells):
        # papermill marks those cells as completed, too, where their kernel was killed
        raise ValueError(f"{copy} was not run to its end: some of its cells never ran; run it again")
    provenance = json.loads(numbers.read_text()).get("provenance")
    if not provenance:
        raise ValueError(f"{numbers} has no provenance: the page could not say how it was made")
    for cell, written in zip((cell for cell in done.cells if not tagged(cell, "injected-parameters")), source.cells,
                             strict=True):
        if "mystnb" in written.metadata:  # captions are prose: no run makes them
            cell.metadata["mystnb"] = written.metadata["mystnb"]
    injected = done.metadata.get("papermill", {}).get("parameters", {})
    other = [k for k, v in injected.items() if provenance["parameters"].get(k, v) != v]
    if other:
        raise ValueError(f"{numbers} comes from another run than {copy} ({', '.join(other)} differ); run it again")
    if injected:  # the reader sees one cell of parameters: the one that ran
        for cell in done.cells:
            if tagged(cell, "parameters"):
                cell.metadata["tags"] = [*cell.metadata["tags"], "hide-input"]
    return done, {"provenance": provenance, "command": command(name, injected)}


def told(run: Run) -> dict[str, Any]:
    """A run in a line."""
    asked, made, error = run.record["experiment"], run.provenance, run.summary.get("val_error")
    return {"address": run.address, "network": asked["network"]["name"], "data": asked["data"]["name"],
            "seed": run.record["seed"], "epochs": asked["recipe"]["epochs"],
            "error": "\u2013" if error is None else f"{100 * error:.1f}", "device": where(made),
            "commit": (made.get("commit") or "unknown")[:12], "finished": made.get("utc", "")[:10]}


def runs(store: Path, target: Path) -> None:
    """What the book shows of the store's runs, and their epochs to download."""
    target.mkdir()
    found = sorted(map(told, everything(store)), key=lambda line: (line["network"], line["data"], line["address"]))
    (target / "runs.json").write_text(json.dumps(found))
    with open(target / "runs.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(found[0]) if found else ["address"])
        table.writeheader()
        table.writerows(found)
    for line in found:
        shutil.copy(folder(line["address"], store) / "history.csv", target / f"{line['address']}.csv")


def stage(book: Path, store: Path, target: Path, published: bool) -> list[str]:
    """Fill `target`; returns what is wrong."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(book, target, ignore=lambda _, names: [n for n in names if n in LEFT_OUT or n.endswith(".ipynb")])
    (target / "_toc.yml").write_text(yaml.safe_dump(toc.read(book, published), sort_keys=False))
    (target / "_pages").mkdir()
    (target / "_numbers").mkdir()
    for numbers in (store / "metrics").glob("*.json"):
        shutil.copy(numbers, target / "_numbers")
    runs(store, target / "_runs")
    wrong = []
    for name in toc.notebooks(book, published):
        try:
            notebook, footer = page(name, book, store)
        except ValueError as e:
            wrong.append(str(e))
        else:
            nbformat.write(notebook, target / f"{name}.ipynb")
            (target / "_pages" / f"{name}.json").write_text(json.dumps(footer))
    return wrong


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--from", dest="store", required=True, choices=("results", "out"))
    ap.add_argument("--root", type=Path, default=paths.ROOT, help="folder that holds book/, results/ and build/")
    a = ap.parse_args()
    published = a.store == "results"
    store = a.root / "results" if published else paths.mine()
    target = a.root / "build" / ("published" if published else "reproduced") / "src"
    wrong = stage(a.root / "book", store, target, published)
    for line in wrong:
        print(line, file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
