"""Numbers in prose come from {val}: report every decimal and every per cent that was typed by hand.

    python book/_tools/lint_prose.py            # all of book/
    python book/_tools/lint_prose.py FILE...

Inside `code`, $formulas$, links, roles and references to parts of a paper (Table 1, Section 3.1) digits are free.
"""
from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat

BOOK = Path(__file__).resolve().parents[1]
FREE = re.compile(r"\$[^$]+\$|(\{[\w:]+\})?`[^`]*`|\]\([^)]*\)|<[^>]*>|https?://\S+"
                  r"|(§|[Ss]ections?|[Tt]ables?|[Ff]igures?|[Cc]hapters?|[Vv]ersions?|Python|CC BY)\s*\d+(\.\d+)*")
TYPED = re.compile(r"(?<![\w.])\d+[.]\d+(?![\w.]*\d)|\b\d+\s?(%|per ?cent)")
# directives that hold prose; of all others, and of plain code fences, nothing is read
PROSE = {"admonition", "attention", "caution", "dropdown", "figure", "glossary", "grid", "grid-item",
         "grid-item-card", "hint", "important", "list-table", "margin", "note", "seealso", "table",
         "tab-item", "tab-set", "tip", "warning"}


def prose(text: str) -> Iterator[str]:
    open_: list[tuple[str, bool]] = []  # the fences we are in: how each closes, whether it is read
    for line in re.sub(r"\$\$.*?\$\$", "", text, flags=re.S).splitlines():
        fence = re.match(r"\s*(`{3,}|~{3,}|:{3,})\s*(?:\{([\w:-]+)\})?(.*)", line)
        if open_ and line.strip() == open_[-1][0]:
            open_.pop()
        elif open_ and not open_[-1][1]:
            continue
        elif fence:
            marks, directive, title = fence.groups()
            open_.append((marks, directive in PROSE))
            yield FREE.sub(" ", title) if directive in PROSE else ""
        elif not re.match(r"\s*:[\w-]+:", line):  # an option of a directive
            yield FREE.sub(" ", line)


def texts(path: Path) -> Iterator[str]:
    if path.suffix == ".md":
        yield path.read_text()
    elif path.suffix == ".ipynb":
        for cell in nbformat.read(path, 4).cells:
            yield cell.source if cell.cell_type == "markdown" else (
                cell.metadata.get("mystnb", {}).get("figure", {}).get("caption", ""))


def main() -> int:
    files = [Path(name) for name in sys.argv[1:]] or sorted(p for p in BOOK.glob("**/*") if "_tools" not in p.parts)
    found = [f"{file}: typed number {number.group()!r}: {line.strip()[:80]}"
             for file in files for text in texts(file) for line in prose(text) for number in TYPED.finditer(line)]
    print(*found, sep="\n", end="\n" if found else "")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
