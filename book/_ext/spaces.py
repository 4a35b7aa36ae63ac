"""Spaces that do not break: between a number and its unit, and between "Table" and its number."""
from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

UNITS = r"(?:%|px|×|points?|[GMKkT]|G?FLOP/s|s|ms|µs|min|h|[kMG]?B|[kM]?Hz|°)(?![\w×])"
BEFORE = re.compile(rf"(?<=\d) (?={UNITS})")          # 96 %
AFTER = re.compile(r"\b(Tables?|Sections?|Figures?|Fig\.|Chapters?|§) (?=[\d\u2212])")  # Table 1
CLOSED = re.compile(rf"(?<=\d)((?:</(?:a|span|strong|em|b|i)>)+) (?={UNITS})")  # <b>96</b> %


def bind(text: str) -> str:
    """A number keeps its unit, and a table its number, on one line."""
    return AFTER.sub("\\1\u00a0", BEFORE.sub("\u00a0", text))


def bind_html(html: str) -> str:
    """The same between the tags of HTML, and of no script, style, drawing or code."""
    parts = re.split(r"(?s)(<(script|style|svg|pre|code)\b.*?</\2>|<[^>]*>)", html)
    # split gives text, tag, the name of a whole element (or None), text, ...
    bound = "".join(bind(part) if n % 3 == 0 else part for n, part in enumerate(parts) if n % 3 != 2 and part)
    return CLOSED.sub("\\1\u00a0", bound)


class Bind(SphinxPostTransform):
    """Binds numbers to units in prose, also where the number is a role's, and in tables that notebooks show."""

    default_priority = 900  # by then outputs of notebooks are nodes

    def run(self, **_: Any) -> None:
        block, last = None, ""
        for text in list(self.document.findall(nodes.Text)):
            parent = text.parent
            if isinstance(parent, nodes.raw):
                if "html" in parent.get("format", "").split():
                    parent.replace(text, nodes.Text(bind_html(str(text))))
                continue
            outer = parent
            while isinstance(outer, nodes.Inline) and outer.parent is not None:
                outer = outer.parent
            before = last if outer is block else ""
            block, last = outer, str(text)[-1:]
            if isinstance(parent, (nodes.literal, nodes.math, nodes.FixedTextElement)):
                continue
            if (new := bind(before + text)[len(before):]) != text:
                parent.replace(text, nodes.Text(new))


def setup(app):
    app.add_post_transform(Bind)
