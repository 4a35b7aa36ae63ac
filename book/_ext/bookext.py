"""The book's own Sphinx extension: numbers by role, the footer of provenance, MathJax from the wheel, a network that
runs in its page, mended HTML.

All logic of ours lies here and not in jupyter-book's settings, so that plain Sphinx could build the same book.
"""
from __future__ import annotations

import importlib.util
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import runtime
from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

log = logging.getLogger(__name__)


def show(numbers: Any, path: list[str], percent: bool, spec: str) -> str:
    """One value of a metrics file as text; anything but a finite number, a word or yes/no is an error."""
    for key in path:
        numbers = numbers[int(key)] if isinstance(numbers, list) else numbers[key]
    if isinstance(numbers, (str, bool)):
        return format(str(numbers), spec)
    if not isinstance(numbers, (int, float)) or not math.isfinite(numbers):
        raise ValueError(f"{numbers!r} is not a number")
    return format(100 * numbers if percent else numbers, spec).replace("-", "\u2212")


class Val(SphinxRole):
    """{val}`aux_heads.gap:.3f`, {val}`aux_heads.error|percent:.1f`: a number of metrics/aux_heads.json."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        key, _, spec = self.text.partition(":")
        key, _, unit = key.partition("|")
        stem, *path = key.strip().split(".")
        try:
            if unit not in ("", "percent"):
                raise ValueError(f"unknown unit {unit!r}")
            numbers = json.loads(Path(self.env.srcdir, "_numbers", f"{stem}.json").read_text())
            text = show(numbers, path, unit == "percent", spec)
        except (OSError, KeyError, IndexError, TypeError, ValueError) as e:
            log.warning("no value for {val}`%s`: %r", self.text, e, location=self.get_location(), type="bookext")
            return [nodes.problematic(self.text, "??")], []
        return [nodes.inline(text, text, classes=["val"])], []


OFF = ("The network runs here where JavaScript and WebAssembly are on and the book comes from a server: "
       "<code>make serve</code> is one.")
LEFT_OUT = ("The network does not run in this copy of the book, which was built without onnxruntime-web: "
            "<code>make book</code> fetches it where there is npm.")


class TryIt(SphinxDirective):
    """{try-it}: where the network runs (_static/network/try_it.mjs, which book.js fetches when a reader asks), or a
    sentence on why not."""

    def run(self) -> list[nodes.Node]:
        known = Path(self.config.network_runtime, "runtime", runtime.FILES[0]).exists()
        text = f'<div class="try-it"{" data-try-it" if known else ""}><p>{OFF if known else LEFT_OUT}</p></div>'
        return [nodes.raw("", text, format="html")]


def footer(app, pagename, template, context, doctree):
    page = Path(app.srcdir, "_pages", f"{pagename}.json")
    if doctree is not None and page.exists():
        context.update(json.loads(page.read_text()))


def without_thebe(app, pagename, template, context, doctree):
    # jupyter-book 1 loads thebe when it is off, too, and declares its constants twice: a JavaScript error on every
    # page, and the address of a CDN
    def is_thebe(file):
        return "thebe" in f"{getattr(file, 'filename', '')} {getattr(file, 'attributes', {}).get('body', '')}"

    for kind in ("script_files", "css_files"):
        context[kind] = [f for f in context.get(kind, []) if not is_thebe(f)]


def vendor_mathjax(app, config):
    # not in book/_static: jupyter-book would put every script of it on every page
    source = Path(importlib.util.find_spec("sphinx-mathjax-offline").submodule_search_locations[0], "static", "mathjax")
    target = Path(app.doctreedir).parent / "vendor"
    for file in [source / "tex-chtml.js", *(source / "output/chtml/fonts/woff-v2").glob("*.woff")]:
        copy = target / "mathjax" / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    config.html_static_path.append(str(target))
    config.mathjax_path = "mathjax/tex-chtml.js"


def vendor_runtime(app, config):
    # beside MathJax, below _static/network, whose script loads it; build/ keeps the archive
    target = Path(app.doctreedir).parent / "runtime"
    shutil.rmtree(target, ignore_errors=True)
    config.network_runtime = str(target / "network")
    runtime.unpack(Path(app.srcdir).parents[1] / runtime.ARCHIVE, target / "network" / "runtime")
    if target.exists():
        config.html_static_path.append(str(target))


MENDED = (  # what axe-core reports of the theme, docutils and myst-nb
    ('<summary aria-label="Toggle hidden content">', "<summary>"),
    (' aria-label="Search" data-bs-placement', " data-bs-placement"),
    (' aria-label="Color mode"', ""),
    ('<div role="list" class="citation-list">', '<div class="citation-list">'),
    (' role="doc-biblioentry"', ""),
    ("<style scoped>", "<style>"),
)
UNUSED = ("scripts/*.map", "scripts/fontawesome*", "styles/*.map", "sphinx-thebe.*",
          "vendor/fontawesome/webfonts/*.ttf")


def mend(app, exception):
    if exception or app.builder.name != "html":
        return
    out = Path(app.outdir)
    for page in out.rglob("*.html"):
        if "_static" in page.parts:
            continue
        text = page.read_text()
        for old, new in MENDED:
            text = text.replace(old, new)
        # 1.5 MB of script for icons that the theme's own web font draws as well
        text = re.sub(r'\s*<script defer src="[^"]*fontawesome\.js[^"]*"></script>', "", text)
        page.write_text(text)
    for pattern in UNUSED:
        for file in (out / "_static").glob(pattern):
            file.unlink()
    (out / ".nojekyll").touch()  # GitHub Pages drops _static without it


def setup(app):
    for part in ("terms", "download", "figure_data"):  # beside this file
        app.setup_extension(part)
    app.add_role("val", Val())
    app.add_directive("try-it", TryIt)
    app.add_config_value("network_runtime", "", "env")
    app.connect("config-inited", vendor_mathjax, priority=100)
    app.connect("config-inited", vendor_runtime, priority=100)
    app.connect("html-page-context", footer, priority=400)  # before the theme (500) drops footer items that are empty
    app.connect("html-page-context", without_thebe, priority=900)
    app.connect("build-finished", mend)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
