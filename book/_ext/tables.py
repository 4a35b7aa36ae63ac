"""Tables with a number and a caption, as figures have them: a cell names its output `tab-…` in the place of `fig-…`.

myst-nb makes a figure of every output with a caption, whatever it is. Those that are tables are counted by themselves
(Table 2.1), can be referred to by {numref}, and have their caption above, where a reader of a long one begins.
"""
from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


class tabled(nodes.figure):
    """A table, or several of the same columns, below its caption."""


class heading(nodes.caption):
    """The caption of one, its first child."""


def captioned(name: str, words: list[nodes.Node], *content: nodes.Node) -> tabled:
    return tabled("", heading("", "", *words), *content, ids=[name], classes=["tabled"])


def tell_apart(app: Sphinx, document: nodes.document) -> None:
    for figure in list(document.findall(nodes.figure)):
        if not any(name.startswith("tab-") for name in figure.get("names", ())):
            continue
        content = [child for child in figure.children if not isinstance(child, nodes.caption)]
        caption = next(figure.findall(nodes.caption), nodes.caption())
        table = captioned(figure["ids"][0], caption.children, *content)
        figure.replace_self(table)
        document.ids.update(dict.fromkeys(table["ids"], table))  # which references are resolved by


def visit_heading(self: Any, node: heading) -> None:
    self.body.append("<figcaption>\n" + self.starttag(node, "p", ""))
    self.add_fignumber(node.parent)
    self.body.append(self.starttag(node, "span", "", CLASS="caption-text"))


def depart_heading(self: Any, node: heading) -> None:
    self.body.append("</span>")
    self.add_permalink_ref(node.parent, "Link to this table")
    self.body.append("</p>\n</figcaption>\n")


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_enumerable_node(tabled, "table", html=(lambda self, node: self.visit_figure(node),
                                                   lambda self, node: self.body.append("</figure>\n")))
    app.add_node(heading, html=(visit_heading, depart_heading))
    app.connect("doctree-read", tell_apart)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
