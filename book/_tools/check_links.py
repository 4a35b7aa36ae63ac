"""Every link of a built site to itself must hit a file and an anchor, and no page may load anything from elsewhere.

    python book/_tools/check_links.py build/published/_build/html

Links for a reader to click (Binder, a paper's DOI) may lead anywhere: nothing is asked of them until then.
"""
from __future__ import annotations

import re
import sys
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path

HOME = "https://replication-authors.github.io/inception-replicated/"  # html.baseurl of _config.yml
CSS_LOADS = re.compile(r"(?:url\(|@import)\s*['\"]?((?:https?:)?//[^'\")]+)")


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[tuple[str, bool]] = []  # where to, and whether the browser goes there unasked
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {k: v for k, v in attrs if v}
        self.anchors |= {has[k] for k in ("id", "name") if k in has}
        clicked = tag == "a" or (tag == "link" and has.get("rel") in ("canonical", "search", "prev", "next"))
        self.links += [(has[k], not clicked) for k in ("href", "src", "data", "poster") if k in has]
        self.links += [(part.split()[0], True) for part in has.get("srcset", "").split(",") if part.strip()]


def check(root: Path) -> list[str]:
    wrong = []
    pages = {file.resolve(): Page(file.read_text()) for file in root.rglob("*.html") if "_static" not in file.parts}
    for file, page in pages.items():
        for link, unasked in page.links:
            url = urllib.parse.urlsplit("/" + link[len(HOME):] if link.startswith(HOME) else link)
            if url.scheme or url.netloc:
                if unasked and url.scheme != "data":
                    wrong.append(f"{file.name}: loads {link}")
                continue
            path = urllib.parse.unquote(url.path)
            if file.name == "404.html" and path.startswith("/"):
                continue  # written for the host's prefix
            target = (root / path[1:] if path.startswith("/") else file.parent / path if path else file).resolve()
            if target.is_dir():
                target /= "index.html"
            anchor = urllib.parse.unquote(url.fragment)
            if not target.exists():
                wrong.append(f"{file.name}: {link}: no such file")
            elif anchor and target in pages and anchor not in pages[target].anchors:
                wrong.append(f"{file.name}: {link}: no such anchor")
    for css in root.rglob("*.css"):
        wrong += [f"{css.name}: loads {url}" for url in CSS_LOADS.findall(css.read_text())]
    print(f"{len(pages)} pages, {sum(len(p.links) for p in pages.values())} links, {len(wrong)} wrong")
    return wrong


def main() -> int:
    wrong = [line for root in sys.argv[1:] for line in check(Path(root))]
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
