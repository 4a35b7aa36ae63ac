"""The environments that are named: interpreters, versions of torch, paths, conda's file, the workflow's steps, and each
way of downloading. What cannot be done on the machine at hand is a line that says why."""
from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
import yaml

from ordeal import downloads
from ordeal.forked import scratch
from ordeal.report import NOT_RUN, Result, result
from replication import paths

PYTHONS = ("3.11", "3.12", "3.13")
MINUTE = 60.0
INSTANT = ("pyyaml", "filelock")  # what `list`, `count` and `zoo` import
OLDEST = {"torch": "2.11", "torchvision": "0.26"}
QUICK = ("tests/test_rooms.py", "tests/test_setup.py", "tests/test_stats.py", "tests/runs")  # of make test, here


def run(share: float, jobs: int) -> list[Result]:
    """With a share below 1, the workflow's book is not built."""
    with scratch() as place:
        found = [_here()]
        for python in PYTHONS:
            found += _python(python, place)
        found += [*_torch(place), _conda(), *_spaced(place), *_workflow(place, share == 1)]
    return found + downloads.run(jobs)


def _did(command: Iterable[object], within: float = 15 * MINUTE, cwd: Path = paths.ROOT, **env: str) -> tuple[str, str]:
    """What went wrong, if something did, and the last of what was said."""
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=within, cwd=cwd,
                              env={**os.environ, **env})
    except subprocess.TimeoutExpired:
        return f"not over after {within / MINUTE:.0f} minutes", ""
    except OSError as problem:
        return str(problem), ""
    lines = (done.stdout + done.stderr).strip().splitlines()
    return (f"it ends with {done.returncode}" if done.returncode else ""), "\n".join(lines[-4:])[-700:]


def _case(kind: str, name: str, do: Callable[[], tuple[str, str]]) -> Result:
    began = time.monotonic()
    wrong, said = do()
    return result(kind, name, wrong, said, time.monotonic() - began)


# -- interpreters ---------------------------------------------------------------------------------------------------
def interpreter(version: str) -> str | None:
    """Where one of this version is: this one, on the path, or of pyenv."""
    if sys.version.startswith(f"{version}."):
        return sys.executable
    if (found := shutil.which(f"python{version}")) and not _did([found, "-c", "import venv, ensurepip"])[0]:
        return found
    there = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    return str(there[-1]) if there else None


def _here() -> Result:
    """This environment holds the pins of the lock."""
    sys.path.insert(0, str(paths.ROOT / "tests"))
    import test_setup
    pins = test_setup.locked(f"{sys.version_info[0]}.{sys.version_info[1]}")
    found = {name: _version(name) for name in pins}
    other = [f"{name} {found[name]}, not {version}" for name, version in pins.items()
             if found[name] and found[name] != version]
    missing = sum(found[name] is None for name in pins)
    return result("Python", "this one has what the lock says", ", ".join(other[:3]),
                  f"{len(pins) - missing} of its {len(pins)} packages are installed")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _python(version: str, place: Path) -> list[Result]:
    where = interpreter(version)
    if where is None:
        return [Result("Python", version, NOT_RUN, f"no Python {version} is on this machine")]
    own = where == sys.executable
    env = place / f"venv-{version}"
    found = [_case("Python", f"{version}: every file compiles", lambda: _did(
        [where, "-c", "import pathlib, sys\nfor p in pathlib.Path('replication').rglob('*.py'):\n"
         "    compile(p.read_bytes(), p, 'exec')"]))]
    if not own:
        made = _did([where, "-m", "venv", env])
        made = made if made[0] else _did([env / "bin/python", "-m", "pip", "install", "-q",
                                          "--disable-pip-version-check", *INSTANT])
        if made[0]:
            return [*found, Result("Python", f"{version}: list, count, zoo", NOT_RUN,
                                   f"its packages cannot be had: {made[1][-200:]}")]
    python = sys.executable if own else str(env / "bin/python")
    found += [_case("Python", f"{version}: {verb}", lambda verb=verb: _did(
        [python, "-m", "replication", *verb.split()], PYTHONPATH=str(paths.ROOT), REPLICATION_OUT=str(place / "out")))
        for verb in ("list --profile cpu", "count googlenet", "zoo")]
    return [*found, _resolved(f"{version}: the lock resolves, dry", python, "--no-deps", "--require-hashes", "-r",
                              "requirements.lock")]


def _resolved(name: str, python: str, *what: str) -> Result:
    """Without installing; pip reads of each package its metadata alone."""
    began = time.monotonic()
    wrong, said = _did([python, "-m", "pip", "install", "--dry-run", "--ignore-installed", "-q",
                        "--disable-pip-version-check", "--only-binary", ":all:", *what], 10 * MINUTE)
    if "No matching distribution" not in said and wrong and any(word in said for word in (
            "connection", "Max retries", "Network", "minutes", "resolve host")):
        return Result("Python", name, NOT_RUN, f"the registry does not answer: {said[-200:]}")
    return result("Python", name, wrong, said, time.monotonic() - began)


# -- torch ----------------------------------------------------------------------------------------------------------
def _torch(place: Path) -> list[Result]:
    """The oldest pair, and one without CUDA."""
    here = {name: _version(name) or "" for name in OLDEST}
    pair = " with ".join(f"{name} {version}" for name, version in OLDEST.items())
    if all(here[name].startswith(f"{version}.") for name, version in OLDEST.items()):
        found = [_case("torch", pair, lambda: _did([sys.executable, "-m", "pytest", "-q", *QUICK]))]
    else:
        others = [f"{name}=={version}.*" for name, version in OLDEST.items()]
        found = [_resolved(f"{pair}: resolves, dry", sys.executable, *others, "lightning>=2.5,<3", "numpy>=2.0"),
                 Result("torch", pair, NOT_RUN, f"installed here are torch {here['torch']} and torchvision "
                        f"{here['torchvision']}: run this part in an environment of that pair")]
    if torch.version.cuda is None:
        found.append(_case("torch", "a build without CUDA", lambda: _did(
            [sys.executable, "-m", "pytest", "-q", *QUICK])))
    else:
        found.append(Result("torch", "a build without CUDA", NOT_RUN, f"this torch is built for CUDA "
                            f"{torch.version.cuda}: run this part in an environment of torch's CPU index"))
    found.append(_case("torch", "no GPU to be seen: a run, start to end", lambda: _did(
        [sys.executable, "-m", "replication", "run", "--network", "googlenet", "--set", "images=40", "--set",
         "val_images=20", "--set", "epochs=1", "--set", "batch=20", "--set", "width=0.125"], CUDA_VISIBLE_DEVICES="",
        PYTHONPATH=str(paths.ROOT), REPLICATION_OUT=str(place / "no-gpu"), REPLICATION_READ="mine")))
    return found


def _conda() -> Result:
    began = time.monotonic()
    for tool in ("mamba", "conda", "micromamba"):
        if shutil.which(tool):
            wrong, said = _did([tool, "env", "create", "--dry-run", "-f", "environment.yml"], 10 * MINUTE)
            return result("conda", f"environment.yml resolves, dry ({tool})", wrong, said, time.monotonic() - began)
    return Result("conda", "environment.yml resolves, dry", NOT_RUN, "neither conda nor mamba is on this machine")


# -- a clone --------------------------------------------------------------------------------------------------------
def _clone(there: Path) -> Path:
    """What is committed, as anybody clones it, with this interpreter's packages in place of `make`'s own .venv."""
    subprocess.run(["git", "clone", "-q", str(paths.ROOT), str(there)], check=True, capture_output=True)
    (there / ".venv").symlink_to(Path(sys.executable).parents[1])
    return there


def _spaced(place: Path) -> list[Result]:
    """A path with a space, and a name that is no ASCII."""
    found = []
    for name in ("with a space", "näme"):
        try:
            clone = _clone(place / name / "clone of it")
        except (OSError, subprocess.CalledProcessError) as problem:
            return [Result("a path", name, NOT_RUN, f"this is no checkout to be cloned ({problem})")]
        env = {"PYTHONPATH": str(clone), "REPLICATION_OUT": str(clone / "my out"), "REPLICATION_READ": "mine",
               "REPLICATION_DATA": str(clone / "my data"), "JUPYTER_PREFER_ENV_PATH": "1"}
        for what, words in (
                ("run", ["-m", "replication", "run", "--network", "googlenet", "--set", "images=40", "--set",
                         "val_images=20", "--set", "epochs=1", "--set", "batch=20", "--set", "width=0.125"]),
                ("a page by papermill", ["book/_tools/execute.py", "cpu", "--only", "googlenet_row_by_row"]),
                ("the book's sources", ["book/_tools/stage.py", "--from", "results"])):
            found.append(_case("a path", f"{name}: {what}", lambda words=words, clone=clone, env=env: _did(
                [sys.executable, *words], cwd=clone, **env)))
    return found


def _workflow(place: Path, book: bool) -> list[Result]:
    """The steps of .github/workflows, each job's in order, in a clone. Of `make test` some files alone: the whole suite
    is another command's."""
    steps = [(job, step["run"]) for path in sorted((paths.ROOT / ".github" / "workflows").glob("*.yml"))
             for job, of in yaml.safe_load(path.read_text())["jobs"].items() for step in of["steps"] if "run" in step]
    try:
        clone = _clone(place / "workflow")
    except (OSError, subprocess.CalledProcessError) as problem:
        return [Result("workflow", "its steps", NOT_RUN, f"this is no checkout to be cloned ({problem})")]
    # the package is this clone's, wherever .venv has it from; .ready says that there is nothing to install
    env = {"PYTHONPATH": str(clone), "MAKEFLAGS": "--old-file=.venv/.ready"}
    found = []
    for job, line in steps:
        name = f"{job}: {line}"
        if ("make book" in line and not book) or ("_build" in line and not book):
            found.append(Result("workflow", name, NOT_RUN, "a part of the cases was asked for"))
        elif line == "make lint test":
            found.append(_case("workflow", f"{job}: make lint", lambda: _did(["make", "lint"], cwd=clone, **env)))
            found.append(_case("workflow", f"{job}: make test, {len(QUICK)} of its parts", lambda: _did(
                [clone / ".venv/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *QUICK], cwd=clone,
                **env)))
        else:
            found.append(_case("workflow", name, lambda line=line: _did(["sh", "-c", line], cwd=clone, **env)))
    uses = {step["uses"].split("@")[0] for path in (paths.ROOT / ".github" / "workflows").glob("*.yml")
            for of in yaml.safe_load(path.read_text())["jobs"].values() for step in of["steps"] if "uses" in step}
    return [*found, *(Result("workflow", each, NOT_RUN, "an action of GitHub's own machines") for each in sorted(uses))]


