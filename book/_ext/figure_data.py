"""The numbers behind each figure, to download and to point at: a figure's SVG brings them along as csv, and as json
where each point lies (`replication.pages.figures`).

They become files of the site and links below their figures; the pictures that a page loads are without them. The points
are a script, for pages opened without a server may fetch nothing else; book.js asks for it when a reader first points.
"""
from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.osutil import relative_uri

WITHIN = re.compile(r"<metadata>(.*?)</metadata>", re.S)
POINTS = re.compile(r'<metadata class="points">(.*?)</metadata>', re.S)
PLACE = "_downloads"


def offer(app: Sphinx, document: nodes.document, page: str) -> None:
    if app.builder.name != "html":
        return
    for figure in document.findall(nodes.figure):
        image, caption = (next(iter(figure.findall(kind)), None) for kind in (nodes.image, nodes.caption))
        path = Path(app.srcdir, image["uri"]) if image else None
        if not path or not caption or path.suffix != ".svg" or not path.exists():
            continue
        text = path.read_text(encoding="utf-8")
        if found := WITHIN.search(text):
            name = f"{PLACE}/{figure['ids'][0] if figure['ids'] else path.stem}.csv"
            target = Path(app.outdir, name)
            target.parent.mkdir(exist_ok=True)
            target.write_text(unescape(found[1]).strip() + "\n", encoding="utf-8")
            classes = ["data"]
            if points := POINTS.search(text):
                target.with_suffix(".js").write_text(f"document.currentScript.points = {unescape(points[1])};\n",
                                                     encoding="utf-8")
                classes.append("points")
            here = app.builder.get_target_uri(page)
            link = nodes.reference("", "csv", internal=True, refuri=relative_uri(here, name), classes=classes,
                                   reftitle="the numbers of this figure")
            caption += [nodes.Text(" ["), link, nodes.Text("]")]


def lighten(app: Sphinx, exception: Exception | None) -> None:
    if exception or app.builder.name != "html":
        return
    for path in Path(app.outdir, "_images").glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        if (without := POINTS.sub("", WITHIN.sub("", text))) != text:
            path.write_text(without, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-resolved", offer)
    app.connect("build-finished", lighten)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
