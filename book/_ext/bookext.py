"""The book's own Sphinx extension: the footer of provenance, MathJax from the wheel, a network that runs in its page,
mended HTML. In files of their own: numbers by role and where each comes from (`origin`), spaces that do not break
(`spaces`), `terms`, `download`, `figure_data`, `tables`, and what is taken out again (`lean`).

All logic of ours lies here and not in jupyter-book's settings, so that plain Sphinx could build the same book.
"""
from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path

import lean
import runtime
from docutils import nodes
from sphinx.util.docutils import SphinxDirective


class Clone(SphinxDirective):
    """{clone}: the line that fetches the repository, where the configuration names one, and those of its body."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        url = (self.config.html_theme_options or {}).get("repository_url", "")
        lines = [f"git clone {url}", f"cd {url.rstrip('/').rsplit('/', 1)[-1]}"] if url else []
        text = "\n".join((*lines, *self.content))
        return [nodes.literal_block(text, text, language="sh")]


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
SWITCH = re.compile(r'(<button[^>]*theme-switch-button[^>]*>)')  # has pictures only, and no name before its script runs
CODE = re.compile(r"(Show|Hide) code cell (source|output)</p>")
PLACES = re.compile(r'<h[1-6]>(?P<heading>(?:(?!</h[1-6]>).)*?)<a class="headerlink"'
                    r'|caption-number">(?P<figure>[^<]*?)\s*</span>'
                    r'|(?P<parameters>tag_parameters)|(?P<fold>Show code cell (?:source|output)</p>)', re.S)


def name_folds(html: str) -> str:
    """Each folded cell by what it makes, a figure or the first cell of a heading, in place of one name for all."""
    places = list(PLACES.finditer(html))
    heading, parameters, names, taken = "", False, [], set()
    for n, place in enumerate(places):
        if place["heading"] is not None:
            heading = re.sub(r"<[^>]*>", "", place["heading"]).strip()
        parameters = parameters or bool(place["parameters"])
        if not place["fold"]:
            continue
        after = places[n + 1] if n + 1 < len(places) else None
        name = after["figure"] if after and after["figure"] else "parameters" if parameters else f"“{heading}”"
        kind = "output" if "output" in place["fold"] else "code"
        name, parameters = "parameters" if name == "parameters" else f"{kind} of {name}", False
        count = next(k for k in range(1, len(places) + 1) if (name, k) not in taken)
        taken.add((name, count))
        names.append(f"the {name}" + (f", {count}" if count > 1 else ""))
    found = iter(name for name in names for _ in range(2))  # to show, to hide
    return CODE.sub(lambda match: f"{match[1]} {next(found, 'the code')}</p>", html)


MATHJAX = re.compile(r'\s*<script>window\.MathJax = .*?</script>|\s*<script[^>]*tex-chtml\.js[^>]*></script>')
SEARCHED = re.compile(r'\s*<script src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*"></script>')
SEARCH = (  # what it shows of a page began with the buttons above the text, and in the middle of a word
    ('[role="main"]', "article.bd-article"),
    ("text.substr(startWithContext, 240)",
     'text.substr(startWithContext, 240).replace(startWithContext ? /^\\S+/ : "", "")'),
)


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
        text = name_folds(SWITCH.sub(r'\1<span class="visually-hidden">Colour mode</span>', text))
        # 1.5 MB of script for icons that the theme's own web font draws as well
        text = re.sub(r'\s*<script defer src="[^"]*fontawesome\.js[^"]*"></script>', "", text)
        if 'class="math' not in text:  # a megabyte that such a page has no use for
            text = MATHJAX.sub("", text)
        if page.name != "search.html":
            text = SEARCHED.sub("", text)
        page.write_text(text)
    search = out / "_static" / "searchtools.js"
    script = search.read_text()
    for old, new in SEARCH:
        script = script.replace(old, new)
    search.write_text(script)
    lean.trim(out)
    (out / ".nojekyll").touch()  # GitHub Pages drops _static without it


def setup(app):
    for part in ("origin", "spaces", "terms", "download", "figure_data", "tables"):  # beside this file
        app.setup_extension(part)
    app.add_directive("clone", Clone)
    app.add_directive("try-it", TryIt)
    app.add_config_value("network_runtime", "", "env")
    app.connect("config-inited", vendor_mathjax, priority=100)
    app.connect("config-inited", vendor_runtime, priority=100)
    app.connect("html-page-context", footer, priority=400)  # before the theme (500) drops footer items that are empty
    app.connect("html-page-context", without_thebe, priority=900)
    app.connect("build-finished", mend)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
