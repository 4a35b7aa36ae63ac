"""Open every page of a built site in headless Chromium, and fail on anything a reader would notice.

    python book/_tools/check_site.py build/published/_build/html --shots build/shots

Four views: a window, the same in dark mode, a phone, and the files opened without a server. Every host but this one
is out of reach. Checked: requests, console, equations, pictures and their alternative texts, width, the weight of the
first page, accessibility (axe-core: WCAG 2.1 AA, and what Lighthouse asks besides), and in a window and on a phone that
the keyboard alone reaches everything, shows where it is, and closes with Escape what it opened.
"""
from __future__ import annotations

import argparse
import functools
import http.server
import importlib.util
import shutil
import sys
import threading
from collections import defaultdict
from pathlib import Path

from playwright.sync_api import BrowserContext, Error, Page, sync_playwright

FIRST, HEAVIEST = "index.html", 600_000  # bytes of the first page and all that it loads by itself, not compressed
PREFIX = "/inception-replicated/"  # the host mounts the book here
VIEWS = {"window": (1280, 900, "light"), "dark": (1280, 900, "dark"), "phone": (375, 812, "light"),
         "file": (1280, 900, "light")}
BY_KEYS = ("window", "phone")
LONG = 120_000  # ms, for a page on a busy machine
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
SEE = """() => {
  const seen = e => e.getClientRects().length > 0;
  const all = selector => [...document.querySelectorAll(selector)];
  const text = e => e.textContent.slice(0, 60);
  const noalt = i => !i.alt || /^_images|\\.(svg|png)$/.test(i.alt);
  const width = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  return [
    ...all("article .math").filter(e => !e.querySelector("mjx-container")).map(e => "equation not typeset: " + text(e)),
    ...all("mjx-merror").map(e => "bad TeX: " + text(e)),
    ...all("img").filter(i => seen(i) && (!i.complete || !i.naturalWidth)).map(i => "broken picture: " + i.src),
    ...all("article img").filter(noalt).map(i => "no alternative text: " + i.src),
    ...all(".problematic, .system-message").map(e => "problem node: " + text(e)),
    ...(width > 0 ? [`page is ${width} px wider than its window`] : []),
  ];
}"""
# by the page's own clock, and then two frames: what it had put off for less has been done, however busy the machine is
MOMENT = """ms => new Promise(over =>
  setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(over)), ms))"""
WEIGHT = """() => ["navigation", "resource"].flatMap(kind => performance.getEntriesByType(kind))
  .reduce((sum, entry) => sum + entry.decodedBodySize, 0)"""
# what Lighthouse asks beyond WCAG 2.1
MORE = ["heading-order", "image-redundant-alt", "label-content-name-mismatch", "landmark-one-main", "skip-link",
        "tabindex", "table-duplicate-name", "target-size"]
AXE = """more => axe.run(document, {preload: false, runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"],
  rules: Object.fromEntries(more.map(rule => [rule, {enabled: true}]))}).then(
  r => r.violations.map(v => `axe ${v.id}: ${v.nodes[0].target.join(" ")} ${v.nodes[0].html.slice(0, 160)}`))"""


# what Tab should come to gets a number; where it comes, and whether that shows, is written down
STOPS = """() => {
  document.activeElement.blur();
  scrollTo(0, 0);
  const stops = [...document.querySelectorAll("a[href], button, select, input, textarea, summary, [tabindex]")].filter(
    e => e.tabIndex >= 0 && !e.disabled && e.getClientRects().length && e.checkVisibility({visibilityProperty: true}));
  stops.forEach((e, n) => { e.dataset.stop = n; });
  window.came = {};
  document.addEventListener("focusin", ({target: e}) => {
    e.getAnimations().forEach(a => a.finish());
    const shows = [e, ...(e.labels ?? [])].map(part => getComputedStyle(part)).some(style =>
      style.outlineStyle !== "none" && parseFloat(style.outlineWidth) ||
      !/^none|^rgba\\(0, 0, 0, 0\\)/.test(style.boxShadow));
    window.came[e.dataset.stop] = shows;
  });
  return stops.length;
}"""
MISSED = """() => [...document.querySelectorAll("[data-stop]")].flatMap(e => {
  const radio = e.type === "radio" && !e.checked;  // arrow keys lead to the others of its group
  const {stop} = e.dataset, seen = came[stop];
  const wrong = stop in came ? seen ? "" : "not seen to be reached" : radio ? "" : "not reached";
  return wrong ? [`${wrong} by Tab: ${e.outerHTML.slice(0, 120)}`] : [];
})"""
MENUS = "button.search-button__button, button.primary-toggle, button.secondary-toggle, button.dropdown-toggle"
OPEN = "() => document.querySelectorAll('dialog[open], .dropdown-menu.show').length"


class Host(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def translate_path(self, path: str) -> str:
        return super().translate_path("/" + path.removeprefix(PREFIX) if path.startswith(PREFIX) else "/no-such-file")


def look(context: BrowserContext, base: str, name: str, axe: str, shot: Path | None, keys: bool) -> list[str]:
    """What is wrong with one page in one view."""
    wrong: list[str] = []
    page = context.new_page()
    page.on("console", lambda m: wrong.append(f"console: {m.text}") if m.type == "error" else None)
    page.on("pageerror", lambda e: wrong.append(f"script: {e}"))
    page.on("requestfailed", lambda r: wrong.append(f"failed: {r.url}"))
    page.on("response", lambda r: wrong.append(f"HTTP {r.status}: {r.url}") if r.status >= 400 else None)
    page.on("request", lambda r: None if r.url.startswith((base, "data:", "blob:")) else wrong.append(f"left: {r.url}"))
    page.goto(base + name, wait_until="networkidle", timeout=LONG)
    try:
        page.wait_for_function("!window.MathJax?.startup?.promise || MathJax.startup.promise.then(() => true)",
                               timeout=LONG)
    except Error as e:
        wrong.append(f"MathJax: {e.message}")
    if name == FIRST and (weight := page.evaluate(WEIGHT)) > HEAVIEST:
        wrong.append(f"the first page weighs {weight / 1000:.0f} kB, more than {HEAVIEST / 1000:.0f}")
    if shot:
        page.screenshot(path=shot, full_page=True)
    page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true; })")
    page.evaluate(MOMENT, 400)  # book.js and the theme look for scrolling boxes a moment after a change
    page.evaluate("document.getAnimations().forEach(a => a.finish())")  # half faded in, text has too little contrast
    wrong += page.evaluate(SEE)
    if axe:
        page.evaluate(axe)
        wrong += page.evaluate(AXE, MORE)
    if keys:
        wrong += by_keys(page)
    page.close()
    return wrong


def by_keys(page: Page) -> list[str]:
    """What the keyboard alone does not do on a page."""
    for _ in range(page.evaluate(STOPS) + 2):
        page.keyboard.press("Tab")
    wrong = page.evaluate(MISSED)
    for button in page.query_selector_all(MENUS):
        if not button.is_visible():
            continue
        button.focus()
        page.keyboard.press("Enter")
        page.evaluate(MOMENT, 100)
        if page.evaluate(OPEN):
            page.keyboard.press("Escape")
            try:
                page.wait_for_function(f"!({OPEN})()", timeout=LONG)  # a sidebar slides out
            except Error:
                wrong.append(f"Escape does not close: {button.get_attribute('class')}")
                break
    return wrong


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("site", type=Path)
    ap.add_argument("--shots", type=Path, help="a folder for pictures of the pages")
    ap.add_argument("--views", nargs="+", choices=VIEWS, default=list(VIEWS))
    a = ap.parse_args()
    root = a.site.resolve()
    names = sorted(str(f.relative_to(root)) for f in root.rglob("*.html") if "_static" not in f.parts)
    axe = Path(importlib.util.find_spec("axe_playwright_python").origin).with_name("axe.min.js").read_text()
    if a.shots:
        a.shots.mkdir(parents=True, exist_ok=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Host, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()

    found = defaultdict(list)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        for view in a.views:
            width, height, scheme = VIEWS[view]
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
            files = view == "file"
            base = root.as_uri() + "/" if files else f"http://127.0.0.1:{server.server_port}{PREFIX}"
            for name in names:
                if files and name == "404.html":
                    continue  # written for the host's prefix
                shot = a.shots / f"{name.replace('/', '_')[:-5]}.{view}.png" if a.shots and not files else None
                for line in look(context, base, name, "" if files else axe, shot, view in BY_KEYS):
                    found[line[:300]].append(f"{name} ({view})")
            context.close()
        browser.close()
    print(f"{len(names)} pages in {len(a.views)} views, {len(found)} kinds of problems")
    for line, where in sorted(found.items(), key=lambda item: -len(item[1])):
        print(f"{len(where):4} x {line}  e.g. {where[0]}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
