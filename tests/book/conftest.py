"""A small book from the real configuration: made once, executed once, built once."""
from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tinybook import CLAIMS, DRAWN, ROOT, TABLE, TOC, TOLD, build, captioned, notebook, stage, tool


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """book/ and profiles/ of a book of three notebooks, without any run."""
    root = tmp_path_factory.mktemp("sources")
    shutil.copytree(ROOT / "book", root / "book", ignore=shutil.ignore_patterns("*.ipynb", "*.md", "_tools"))
    book = root / "book"
    (book / "_toc.yml").write_text(TOC)
    for page in ("bibliography.md", "glossary.md"):
        shutil.copy(ROOT / "book" / page, book)
    notebook(book / "index.ipynb", "# Index\n\nThe gap is {val}`chapter.gap:.2f` {cite:p}`szegedy2015going`.", "", "{}",
             CLAIMS)
    words = ("# Chapter\n\n$$\na^2 = b\n$$ (eq-one)\n\nAs {eq}`eq-one` says of LRN, and {numref}`tab-told`, and "
             "{numref}`fig-drawn`.\n\n"
             ":::{dropdown} What was measured\nLRN, {val}`chapter.gap:.2f`.\n:::\n\n```{try-it}\n```")
    notebook(book / "chapter.ipynb", words,
             "epochs = 1  # passes\nsizes = [1]  # of what", "dict(epochs=epochs, sizes=sizes)", TABLE,
             captioned(TOLD, "tab-told", "What was counted."), captioned(DRAWN, "fig-drawn", "Drawn.", "Three dots."))
    notebook(book / "reproduced.ipynb", "# Reproduced here\n\nText.")
    (root / "profiles").mkdir()
    (root / "profiles" / "tiny.yaml").write_text(
        "about: a test\nstudies: []\nparameters: {epochs: 2, sizes: [3, 4]}\n")
    return root


@pytest.fixture(scope="session")
def executed(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("executed")
    shutil.copytree(sources, root, dirs_exist_ok=True)
    done = tool("execute", "tiny", "--root", root, root=root)
    assert done.returncode == 0, done.stdout + done.stderr
    return root


@pytest.fixture(scope="session")
def site(executed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    shutil.copytree(executed, root, dirs_exist_ok=True)
    staged = stage("out", root)
    assert staged.returncode == 0, staged.stderr
    built = build(root)
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    return root / "build" / "reproduced" / "_build" / "html"


@pytest.fixture
def root(executed: Path, tmp_path: Path) -> Path:
    """An executed book to spoil."""
    shutil.copytree(executed, tmp_path, dirs_exist_ok=True)
    return tmp_path
