"""The whole book as one PDF, printed by headless Chromium from the same pages on one sheet of HTML.

    python book/_tools/pdf.py SINGLE/index.html SITE    # writes SITE/book.pdf, and links to it

Foldable answers and hidden code are opened where they hold words, since paper has nothing to click.
"""
from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
        "--host-resolver-rules=MAP * ~NOTFOUND"]
# what was typed to make a figure stays folded; answers and lists open
OPEN = "document.querySelectorAll('details:not(.hide, .provenance)').forEach(e => { e.open = true; })"
TYPESET = "!window.MathJax?.startup?.promise || MathJax.startup.promise.then(() => true)"
LOADED = "[...document.images].every(i => i.complete)"
# a link to another page leads to its chapter, one to a file to the book on the web, one to what is not printed nowhere
LINKS = """() => {
  const site = document.querySelector("link[rel=canonical]")?.href;
  for (const a of document.querySelectorAll("a[href]")) {
    const url = new URL(a.getAttribute("href"), location), id = decodeURIComponent(url.hash.slice(1));
    if (url.protocol !== location.protocol) continue;
    const page = url.pathname.split("/").pop().replace(/\\.html$/, "");
    const here = url.pathname === location.pathname;
    const chapter = here ? document : document.getElementById(`document-${page}`)?.nextElementSibling;
    const target = id && chapter?.querySelector("#" + CSS.escape(id));
    if (target && target.checkVisibility()) {
      if (document.getElementById(id) !== target) target.id = `${page}--${id}`;  // each page has a row of that claim
      a.href = "#" + target.id;
    } else if (chapter && !here) a.href = `#document-${page}`;
    else if (!chapter && site) a.href = new URL(a.getAttribute("href"), site).href;
    else if (!chapter || id) a.removeAttribute("href");
  }
}"""
FOOT = ('<div style="width:100%;font-size:8px;text-align:center;font-family:sans-serif">'
        '<span class="pageNumber"></span></div>')
PLACE = re.compile(r'(<span class="pdf">).*?(</span>)', re.S)


def write(single: Path, target: Path) -> None:
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        page = browser.new_page(color_scheme="light")
        page.goto(single.resolve().as_uri())
        page.evaluate(OPEN)
        page.evaluate("document.querySelectorAll('img').forEach(i => { i.loading = 'eager'; })")
        for ready in (TYPESET, LOADED):
            page.wait_for_function(ready, timeout=120_000)
        page.emulate_media(media="print", color_scheme="light")
        page.evaluate(LINKS)
        page.pdf(path=target, format="A4", scale=0.7, tagged=True, outline=True, print_background=True,
                 display_header_footer=True, header_template="<span></span>", footer_template=FOOT,
                 margin={"top": "16mm", "bottom": "18mm", "left": "15mm", "right": "15mm"})
        browser.close()


def link(pdf: Path) -> None:
    """The pages beside it that have a place for it, the first and About, say where the PDF is once there is one."""
    link = rf'\1<a href="{pdf.name}">The whole book as one PDF</a> ({pdf.stat().st_size / 1e6:.1f} MB).\2'
    for page in pdf.parent.glob("*.html"):
        page.write_text(PLACE.sub(link, page.read_text()))


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("single", type=Path)
    ap.add_argument("site", type=Path)
    a = ap.parse_args()
    if CHROMIUM is None:
        print("There is no Chromium here, and the PDF is printed by it: install chromium and run make pdf again.",
              file=sys.stderr)
        return 1
    write(a.single, a.site / "book.pdf")
    link(a.site / "book.pdf")
    print(f"The PDF: {a.site / 'book.pdf'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
