"""Tooltips: the first use of each term of the glossary on a page leads to its entry and shows it on hover and focus.

The sources stay plain. One link holds all, its meaning in `aria-description`, which the style sheet shows: no script
and no other element, so that nothing of it is searched or copied along.
"""
from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

PAGE = "glossary"
GREEK = {r"\alpha": "α", r"\gamma": "γ"}
# Where words are no prose of the page, or a link already. `val`: numbers are links of their own.
ELSEWHERE = (nodes.title, nodes.reference, nodes.literal, nodes.literal_block, nodes.raw, nodes.table, nodes.caption,
             addnodes.glossary, addnodes.pending_xref)


class glossed(nodes.Inline, nodes.TextElement):
    """Words with `refuri` and `meaning`, and a `name` where they are a formula, which a screen reader does not read."""


def visit(self: Any, node: glossed) -> None:
    spoken = {"aria-label": node["name"]} if "name" in node else {}
    self.body.append(self.starttag(node, "a", "", CLASS="term", href=node["refuri"],
                                   **{"aria-description": node["meaning"], **spoken}))


def depart(self: Any, node: glossed) -> None:
    self.body.append("</a>")


def meanings(glossary: nodes.document) -> list[tuple[list[str], str, str]]:
    """Of each entry its terms, its first term's id, and what it says."""
    return [([term.astext() for term in terms], terms[0]["ids"][0], " ".join(item.children[-1].astext().split()))
            for item in glossary.findall(nodes.definition_list_item)
            if (terms := [child for child in item.children if isinstance(child, nodes.term)])]


def pattern(terms: list[str]) -> re.Pattern[str]:
    """These as whole words, also in the plural. A small first letter may begin a sentence; capitals are meant."""
    def one(term: str) -> str:
        first = f"[{term[0]}{term[0].upper()}]" if term[0].islower() else re.escape(term[0])
        rest = re.escape(term[1:]).replace(r"\ ", r"\s+")
        return first + rest + ("(?:es|s)?" if term[-1].isalpha() and len(term) > 2 else "")
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(one, sorted(terms, key=len, reverse=True)))})(?![\w-])")


def prose(document: nodes.document) -> list[nodes.Text | nodes.math]:
    """Where a page's own words stand, in their order."""
    def own(node: nodes.Node) -> bool:
        inside = False
        while (node := node.parent) is not None:
            if isinstance(node, ELSEWHERE) or "val" in getattr(node, "attributes", {}).get("classes", ()):
                return False
            inside |= isinstance(node, nodes.paragraph)
        return inside
    return [node for node in document.findall(lambda node: isinstance(node, (nodes.Text, nodes.math)))
            if (isinstance(node, nodes.math) or not isinstance(node.parent, nodes.math)) and own(node)]


def mark(document: nodes.document, entries: list[tuple[list[str], str, str]], address: str) -> None:
    """Makes a `glossed` of the first use of each entry in a page; `address` + id is where an entry stands. Of two that
    begin at one place the longer is meant: *naive module* is no *module*."""
    left = [(pattern(terms), terms, ident, says) for terms, ident, says in entries]
    for node in prose(document):
        if isinstance(node, nodes.math):
            hit = next((entry for entry in left if GREEK.get(node.astext()) in entry[1]), None)
            if hit:
                left.remove(hit)
                node.replace_self(glossed("", "", node.deepcopy(), refuri=address + hit[2], meaning=hit[3],
                                          name=GREEK[node.astext()]))
            continue
        text, parts, at = str(node), [], 0
        while found := [(match.start(), -match.end(), entry) for entry in left
                        if (match := entry[0].search(text, at))]:
            start, end, entry = min(found, key=lambda one: one[:2])
            left.remove(entry)
            parts += [nodes.Text(text[at:start]),
                      glossed("", text[start:-end], refuri=address + entry[2], meaning=entry[3])]
            at = -end
        if parts:
            node.parent.replace(node, [*parts, nodes.Text(text[at:])])


def gloss(app: Sphinx, document: nodes.document, page: str) -> None:
    if app.builder.format != "html" or page == PAGE or PAGE not in app.env.found_docs:
        return
    whole = app.builder.name == "singlehtml"  # one page, on which an entry is no other page's
    address = "#" if whole else app.builder.get_relative_uri(page, PAGE) + "#"
    mark(document, meanings(app.env.get_doctree(PAGE)), address)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_node(glossed, html=(visit, depart))
    app.connect("doctree-resolved", gloss)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
