"""The book's table of contents: which pages, in which order."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

OWN = "reproduced"  # the page that compares a reader's run with the published one: only in the reader's own book


def read(book: Path, published: bool) -> dict[str, Any]:
    toc = yaml.safe_load((book / "_toc.yml").read_text())
    if published:
        for part in toc["parts"]:
            part["chapters"] = [c for c in part["chapters"] if c["file"] != OWN]
        toc["parts"] = [part for part in toc["parts"] if part["chapters"]]
    return toc


def pages(toc: Any) -> Iterator[str]:
    """Every page below this entry, in reading order."""
    for key, value in toc.items():
        if key in ("root", "file"):
            yield value
        elif isinstance(value, list):
            for entry in value:
                yield from pages(entry)


def notebooks(book: Path, published: bool) -> list[str]:
    return [page for page in pages(read(book, published)) if (book / f"{page}.ipynb").exists()]
