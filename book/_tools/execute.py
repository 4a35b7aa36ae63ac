"""Run every notebook of the book with papermill: book/X.ipynb -> out/notebooks/X.ipynb.

    python book/_tools/execute.py cpu                     # all, with the parameters of profiles/cpu.yaml
    python book/_tools/execute.py cpu --only aux_heads    # these alone

A notebook that declares `profile` is told its name, others take of the profile what they declare; one whose cell of
parameters is tagged `own-parameters` keeps its own, for it is an example and no result. The index draws on the other
notebooks and the page `reproduced` on all, so they come last; of the others those that took longest when they last ran
come first. A notebook that fails is left in out/failed/ to be read;
nothing half-run gets to out/notebooks/. With REPLICATION_OUT set, it stands for out/.
"""
from __future__ import annotations

import argparse
import ast
import json
import math
import multiprocessing
import os
import re
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nbformat
import papermill
import stage
import toc

from replication import paths
from replication.errors import BadInput, unknown
from replication.provenance import cores
from replication.runs import store
from replication.studies import profiles
from replication.studies.setting import Setting


def shared_out(profile: profiles.Profile, sources: list[Path], asked: str = "") -> dict[str, dict[str, Any]]:
    """What goes to each notebook; a parameter that no notebook declares is a mistake. `asked`: the whole path of a
    profile that is no file of profiles/.

    A page of studies declares `profile` and gets its name alone: it asks each study as the profile does, with what the
    profile says of that one. Other pages get the parameters themselves. What the profile leaves open is
    `setting.Setting`'s, for its runs and for the pages alike: a page whose own default is another is told so.
    """
    parameters = profile.parameters
    declared = {source.stem: {name: ast.literal_eval(found["default"]) for name, found in
                              papermill.inspect_notebook(str(source)).items()} for source in sources}
    for key in parameters:
        if not any(key in names for names in declared.values()):
            raise unknown("parameter in the profile:", key, sorted(set().union(*declared.values())))
    open_ = {key: value for key, value in asdict(Setting()).items() if key not in parameters and value != {}}
    own = {source.stem for source in sources
           if any(stage.tagged(cell, "own-parameters") for cell in nbformat.read(source, 4).cells)}
    given = {name: {"profile": asked or profile.name} if "profile" in names else
             {**{k: v for k, v in parameters.items() if k in names},
              **{k: v for k, v in open_.items() if k in names and names[k] != v}} for name, names in declared.items()}
    return {name: {} if name in own else found for name, found in given.items()}


def clean(output: Any) -> Any:
    """The same without folders of this machine and addresses of objects."""
    if isinstance(output, dict):
        return nbformat.from_dict({key: clean(value) for key, value in output.items()})
    if isinstance(output, list):
        return [clean(value) for value in output]
    if isinstance(output, str):
        for folder, name in ((paths.mine(), "out"), (paths.data(), "data"), (paths.ROOT, ".")):
            output = re.sub(rf"(?<![\w.]){re.escape(str(folder))}(?!\w)", name, output)
        return re.sub(r" at 0x[0-9a-f]{6,}", "", output)
    return output


def normalise(nb: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop what changes from run to run or names this machine: a rerun should differ where its results differ."""
    ran = nb.metadata.get("papermill", {})
    nb.metadata["papermill"] = {"parameters": ran.get("parameters", {}), "version": ran.get("version"),
                                "duration": round(ran.get("duration") or 0)}
    for n, cell in enumerate(nb.cells):
        cell["id"] = f"cell-{n}"  # papermill makes random ones
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = clean(cell.outputs)
    return nb


def run(source: Path, parameters: dict[str, Any]) -> tuple[float, str]:
    """Seconds, and what went wrong if something did."""
    started = time.monotonic()
    done, failed = (paths.mine() / folder / source.name for folder in ("notebooks", "failed"))
    try:
        for path in (done, failed):
            path.parent.mkdir(parents=True, exist_ok=True)
        _execute(source, failed, parameters)
        nbformat.write(normalise(nbformat.read(failed, 4)), failed)
        os.replace(failed, done)  # at once: the destination holds a whole notebook or the one before
        error = ""
    except papermill.PapermillExecutionError as e:
        error = f"{e.ename}: {(e.evalue.strip().splitlines() or [''])[-1]} (see {failed})"
    except OSError as e:  # the others shall still run
        error = str(store.full(Path(e.filename or failed), e))
    except Exception as e:  # the kernel died
        error = f"{type(e).__name__}: {(str(e).strip().splitlines() or [''])[-1]} (see {failed})"
    return time.monotonic() - started, error


def took(name: str) -> float:
    """Seconds when it last ran, here or for what is published; infinite where nobody knows, since it may be long."""
    for place in (paths.mine(), paths.PUBLISHED):
        try:
            ran = json.loads((place / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
            return float(ran["metadata"]["papermill"]["duration"])
        except (OSError, ValueError, KeyError, TypeError):  # not there, or no notebook: it will be one
            continue
    return math.inf


def _execute(source: Path, target: Path, parameters: dict[str, Any]) -> None:
    """Once more where the kernel dies before its first word: two that start together may choose one port."""
    for again in (True, False):
        try:
            papermill.execute_notebook(str(source), str(target), parameters=parameters, cwd=str(paths.ROOT),
                                       progress_bar=False, log_output=False,
                                       extra_arguments=["--log-level=CRITICAL"])  # it tells of TCP each time
            return
        except RuntimeError as problem:
            if not again or "before replying to kernel_info" not in str(problem):
                raise


def home() -> tempfile.TemporaryDirectory[str] | None:
    """Another place for what IPython, Jupyter and matplotlib keep at home, where there is none that can be written to;
    it lasts as long as what is returned."""
    try:
        tempfile.TemporaryFile(dir=os.path.expanduser("~")).close()
        return None
    except OSError:
        spare = tempfile.TemporaryDirectory()
        os.environ["HOME"] = spare.name
        return spare


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("profile", help="a file of profiles/, or auto: gpu where there is one, else cpu")
    ap.add_argument("--only", nargs="+", metavar="NOTEBOOK")
    ap.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="notebooks at once")
    ap.add_argument("--root", type=Path, default=paths.ROOT, help="folder that holds book/ and profiles/")
    a = ap.parse_args()
    os.environ["REPLICATION_OUT"] = str(paths.mine())  # whole, since the notebooks run in another folder
    spare = home()
    os.environ["TQDM_DISABLE"] = "1"  # a progress bar is no result: it goes to stderr, into the page

    book = a.root / "book"
    names = toc.notebooks(book, published=False)
    try:
        profile = profiles.profile(a.profile, a.root / "profiles")
        asked = str(Path(a.profile).resolve()) if a.profile.endswith(".yaml") else ""
        parameters = shared_out(profile, [book / f"{name}.ipynb" for name in names], asked)
        for name in a.only or ():
            if name not in names:
                raise unknown("notebook", name, names)
    except BadInput as e:
        sys.exit(str(e))
    names = sorted((name for name in names if not a.only or name in a.only), key=took, reverse=True)
    # Notebooks that run side by side share the cores: threads of two, on all of them, would wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // max(1, min(a.jobs, len(names))))))
    last = [name for name in ("verdicts", "planned", "index", toc.OWN) if name in names]

    failed = False
    with ProcessPoolExecutor(a.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for batch in ([name for name in names if name not in last], *([name] for name in last)):
            if failed:
                break  # what comes last would tell of results that are not there
            running = {pool.submit(run, book / f"{name}.ipynb", parameters[name]): name for name in batch}
            for future in as_completed(running):
                seconds, error = future.result()
                print(f"{running[future]}: {error or f'{seconds:.0f} s'}", flush=True)
                failed |= bool(error)
    del spare
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
