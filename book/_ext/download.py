"""The notebook that a page's download button gives: its prose without what only this book understands.

Sphinx copies the notebooks it was built from to `_sources`. Here numbers take the place of `{val}`, names and years
that of citations, and figures and tables get the caption and the number that elsewhere stand in their cell's metadata.
"""
from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nbformat
import origin
from pybtex.database import Entry, parse_file
from sphinx.application import Sphinx

EQUATION = re.compile(r"\$\$\s*\((eq-[\w-]+)\)")
# in one pass, so that nothing is looked for in code
WORDS = re.compile(r"(?P<code>^```(?!\{)[^\n]*\n.*?^```)|\{(?P<role>[\w:]+)\}`(?P<inside>[^`]+)`|(?P<inline>`[^`\n]+`)"
                   r"|(?<!!)\[(?P<link>[^\]]+)\]\((?!https?:|#)[\w./-]+\)|\$\$\s*\((?P<label>eq-[\w-]+)\)", re.M | re.S)
TITLE = re.compile(r"^# (.+)$", re.M)
FENCE = re.compile(r"^(`{3,}|:{3,})\{([\w-]+)\}[ \t]*(.*?)\n(.*?)^\1[ \t]*$", re.M | re.S)
ASIDE = {"admonition", "attention", "caution", "hint", "important", "note", "seealso", "tip", "warning"}
Labels = Mapping[str, tuple[str, int]]  # of equations and figures: the page, and which of the page's it is


def markdown(notebook: nbformat.NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def figure(cell: nbformat.NotebookNode) -> dict[str, str]:
    return dict(cell.metadata.get("mystnb", {}).get("figure", {})) if cell.cell_type == "code" else {}


def kind(name: str) -> str:
    return "Table" if name.startswith("tab-") else "Figure"


def labels(pages: Mapping[str, nbformat.NotebookNode]) -> dict[str, tuple[str, int]]:
    found = {}
    for page, notebook in pages.items():
        equations = [label for text in markdown(notebook) for label in EQUATION.findall(text)]
        named = [figure(cell)["name"] for cell in notebook.cells if figure(cell).get("name")]
        figures, tables = ([name for name in named if kind(name) == of] for of in ("Figure", "Table"))
        for names in (equations, figures, tables):
            found |= {name: (page, number) for number, name in enumerate(names, 1)}
    return found


def title(notebook: nbformat.NotebookNode) -> str:
    return next((match[1] for text in markdown(notebook) if (match := TITLE.search(text))), "")


def cited(entry: Entry, kind: str) -> str:
    """"Lin et al. (2013)" in a sentence, "(Lin et al., 2013)" behind one."""
    names = [" ".join(person.last_names).strip("{}") for person in entry.persons["author"]]
    who = names[0] + (" et al." if len(names) > 2 else f" and {names[1]}" if len(names) == 2 else "")
    year = entry.fields["year"]
    return f"{who} ({year})" if kind == "cite:t" else f"{who}, {year}"


def number(key: str, folder: Path) -> str:
    """As the page has it: of a number that is not there the build has told already."""
    key, _, spec = key.partition(":")
    key, _, unit = key.partition("|")
    stem, *path = key.strip().split(".")
    try:
        return origin.show(json.loads((folder / f"{stem}.json").read_text()), path, unit == "percent", spec)
    except (OSError, KeyError, IndexError, TypeError, ValueError):
        return "??"


def plain(text: str, page: str, numbers: Callable[[str], str], books: Mapping[str, Entry], known: Labels,
          titles: Mapping[str, str]) -> str:
    """Markdown that any notebook shows."""
    def role(name: str, inside: str) -> str:
        if name == "val":
            return numbers(inside)
        if name.startswith("cite"):
            who = "; ".join(cited(books[key.strip()], name) for key in inside.split(","))
            return who if name == "cite:t" else f"({who})"
        if name in ("eq", "numref"):
            where, which = known[inside]
            what = f"({which})" if name == "eq" else f"{kind(inside)} {which}"
            return what if where == page else f"{'equation ' if name == 'eq' else ''}{what} of *{titles[where]}*"
        said = re.sub(r"\s*<[^<>]*>$", "", inside)
        return f"*{titles.get(said, said)}*"

    def block(match: re.Match[str]) -> str:
        _, name, head, body = match.groups()
        body = re.sub(r"\A(:[\w-]+:.*\n)+", "", body).strip()
        if name == "dropdown":
            return f"<details><summary>{head}</summary>\n\n{body}\n\n</details>"
        if name == "table":
            return f"{body}\n\n*{head}*"
        if name in ASIDE:
            return "> " + f"**{head or name.capitalize()}** {body}".replace("\n", "\n> ")
        return f"```\n{body}\n```" if body else ""  # what only the site can show

    while text != (text := FENCE.sub(block, text)):
        pass  # from the outside in

    def word(match: re.Match[str]) -> str:
        if match["role"]:
            return role(match["role"], match["inside"])
        if match["link"]:
            return f"*{match['link']}*" if match["link"].strip("*") == match["link"] else match["link"]
        return rf"\tag{{{known[match['label']][1]}}} $$" if match["label"] else match[0]

    return WORDS.sub(word, text)


def alone(notebook: nbformat.NotebookNode, page: str, **known: Any) -> nbformat.NotebookNode:
    """The notebook with plain prose, and the caption of each figure and table below it."""
    cells: list[nbformat.NotebookNode] = []
    numbers = Counter[str]()
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = plain(cell.source, page, **known)
        cells.append(cell)
        if caption := figure(cell).get("caption"):
            of = kind(figure(cell).get("name", ""))
            numbers[of] += 1
            cells.append(nbformat.v4.new_markdown_cell(f"**{of} {numbers[of]}.** {plain(caption, page, **known)}",
                                                       id=f"caption-{len(cells)}"))
    notebook.cells = cells
    return notebook


def rewrite(app: Sphinx, exception: Exception | None) -> None:
    if exception or app.builder.name != "html":
        return
    source = Path(app.srcdir)
    pages = {path.stem: nbformat.read(path, 4) for path in sorted(Path(app.outdir, "_sources").glob("*.ipynb"))}
    known = {"numbers": lambda key: number(key, source / "_numbers"), "known": labels(pages),
             "books": {key: entry for name in app.config.bibtex_bibfiles
                       for key, entry in parse_file(str(source / name)).entries.items()},
             "titles": {page: title(notebook) for page, notebook in pages.items()}}
    for page, notebook in pages.items():
        nbformat.write(alone(notebook, page, **known), Path(app.outdir, "_sources", f"{page}.ipynb"))


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("build-finished", rewrite)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
