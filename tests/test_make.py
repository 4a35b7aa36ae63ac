"""make: what a person may write reaches the programs as it is, wherever the checkout lies."""
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from replication import paths

# A python that notes each call: its words, and whose store it is to use.
NOTES = """#!/bin/sh
{ echo "OUT $REPLICATION_OUT"; for word; do echo "$word"; done; echo; } >> noted
"""
HARD = "it's a \"new\" one"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A Makefile in a folder with a space and an apostrophe, whose .venv is ready."""
    place = tmp_path / "it's a place"
    (place / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(paths.ROOT / "Makefile", place)
    for name in ("requirements.lock", "pyproject.toml", ".venv/.ready", ".venv/bin/python"):
        (place / name).touch()
        os.utime(place / name, (1e9, 1e9))
    (place / ".venv" / "bin" / "python").write_text(NOTES)
    (place / ".venv" / "bin" / "python").chmod(0o755)
    return place


def made(checkout: Path, *words: str, **environment: str) -> list[list[str]]:
    """What python was called with, each time: the store, then the words."""
    clean = {name: value for name, value in os.environ.items() if name not in ("PROFILE", "BUDGET", "MAKEFLAGS")}
    done: Any = subprocess.run(["make", *words], cwd=checkout, text=True, capture_output=True,
                               env={**clean, **environment})
    assert done.returncode == 0, done.stderr
    noted = (checkout / "noted").read_text()
    return [part.removeprefix("OUT ").splitlines() for part in noted.strip("\n").split("\n\n")]


@pytest.mark.parametrize("target", ["gpu", "reproduce", "pages", "publish", "book", "pdf"])
def test_a_store_of_any_name(checkout: Path, target: str) -> None:
    """As a variable of the environment and as one of make's."""
    for words, environment in (([f"REPLICATION_OUT={HARD}"], {}), ([], {"REPLICATION_OUT": HARD})):
        assert {call[0] for call in made(checkout, target, *words, **environment)} == {HARD}


def test_a_profile_of_any_name(checkout: Path) -> None:
    calls = made(checkout, "reproduce", "publish", f"PROFILE={HARD}.yaml")
    asked = [call[i + 1] for call in calls for i, word in enumerate(call) if word == "--profile" or "execute" in word]
    assert asked == [f"{HARD}.yaml"] * 3


@pytest.mark.parametrize(("words", "profile", "budget"), [
    ((), "auto", "profile"), (("BUDGET=none",), "auto", "none"), (("BUDGET=5m", "PROFILE=cpu"), "cpu", "5m"),
    (("BUDGET=", "PROFILE="), "auto", "profile")])
def test_make_reproduce_spends_a_budget(checkout: Path, words: tuple[str, ...], profile: str, budget: str) -> None:
    train, pages, *_ = made(checkout, "reproduce", *words, REPLICATION_OUT="o")
    assert train == ["o", "-m", "replication", "run", "--profile", profile, "--budget", budget]
    assert pages == ["o", "book/_tools/execute.py", profile]


def test_make_gpu_has_a_budget_of_its_own(checkout: Path) -> None:
    assert made(checkout, "gpu", REPLICATION_OUT="o")[1] == ["o", "-m", "replication", "gpu", "--budget", "10m"]


def test_programs_are_called_by_the_python_of_the_checkout(checkout: Path) -> None:
    """A moved .venv, or one of a long path, has programs whose first line leads nowhere."""
    called = made(checkout, "lint", "book", REPLICATION_OUT="o")
    assert {call[2] for call in called if call[1] == "-m"} == {"ruff", "mypy"}
    assert any(call[1].endswith("/jupyter-book") for call in called)  # which has no -m


def test_the_pdf_is_printed_from_the_book_that_was_built_before(checkout: Path) -> None:
    stage, _, html, single, printed = (call[1:] for call in made(checkout, "pdf"))
    assert stage[0] == "book/_tools/stage.py"
    assert "--builder" not in html
    assert single[single.index("--builder") + 1] == "singlehtml"
    assert printed == ["book/_tools/pdf.py", "build/published/_build/singlehtml/index.html",
                       "build/published/_build/html"]


@pytest.mark.parametrize("variable", ["REPLICATION_OUT", "REPLICATION_DATA"])
@pytest.mark.parametrize(("said", "meant"), [("~/x y", "HOME/x y"), ("it's/here", "CWD/it's/here"), ("/a b", "/a b"),
                                             ("", "default"), ("~nobody-of-that-name/x", "CWD/~nobody-of-that-name/x")])
def test_a_place_as_people_write_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, said: str,
                                    meant: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv(variable, said)
    monkeypatch.chdir(tmp_path)
    place, default = (paths.mine, "out") if variable == "REPLICATION_OUT" else (paths.data, "data")
    assert str(place()) == meant.replace("HOME", str(tmp_path / "home")).replace("CWD", str(tmp_path)).replace(
        "default", str(paths.ROOT / default))
