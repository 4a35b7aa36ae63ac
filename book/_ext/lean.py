"""What the theme brings and no page of a book uses is taken out of the book: rules of style for classes that neither a
page nor a script names, icons that no rule of style names, maps and fonts for browsers of long ago.

A first visit to the first page took a megabyte, of which nine tenths were these.
"""
from __future__ import annotations

import re
from pathlib import Path

from fontTools import subset, ttLib

UNUSED = ("scripts/*.map", "scripts/fontawesome*", "styles/*.map", "sphinx-thebe.*",
          "vendor/fontawesome/webfonts/*.woff2")  # the fonts are cut down from the .ttf beside them
OURS = "book.css"
LICENCE_OR_RULE = re.compile(r"\s*(?P<licence>/\*!.*?\*/)|(?P<selectors>[^{};]+)\{[^{}]*\}", re.S)
CLASS = re.compile(r"\.(-?[A-Za-z_][\w-]*)")
COMPOSED = "bs-"  # Bootstrap puts these names together when a tooltip is shown
ICON = re.compile(r'content:\s*"\\([0-9a-f]+) ?"|([\ue000-\uf8ff])')


def rules(css: str, names: set[str]) -> str:
    """Without comments and without the rules that can match no element, since they ask for a class outside `names`."""
    def kept(match: re.Match[str]) -> str:
        return match[0] if match["licence"] or matches(match["selectors"], names) else ""

    css = LICENCE_OR_RULE.sub(kept, re.sub(r"/\*(?!!).*?\*/", "", css, flags=re.S))
    return re.sub(r"@(?:media|supports)[^{};]+\{\s*\}", "", css)  # all of whose rules went


def matches(selectors: str, names: set[str]) -> bool:
    # what stands in brackets asks for one class of several, or for its absence: it decides nothing
    while selectors != (bare := re.sub(r"\([^()]*\)|\[[^\[\]]*\]", "", selectors)):
        selectors = bare
    return any(all(name in names or name.startswith(COMPOSED) for name in CLASS.findall(one))
               for one in selectors.split(","))


def icons(css: str) -> set[int]:
    """The code points of a style sheet that an icon font draws."""
    return {int(written, 16) if written else ord(itself) for written, itself in ICON.findall(css)}


def trim(out: Path) -> None:
    """Makes a built site smaller, in place; nothing that can be seen changes."""
    static = out / "_static"
    for pattern in UNUSED:
        for file in static.glob(pattern):
            file.unlink()
    texts = [page for page in out.rglob("*.html") if "_static" not in page.parts]
    names = {word for file in (*texts, *static.rglob("*.js"), *static.rglob("*.mjs"))
             if "mathjax" not in file.parts for word in re.findall(r"[\w-]+", file.read_text(encoding="utf-8"))}
    shown: set[int] = set()
    for sheet in static.rglob("*.css"):
        css = sheet.read_text(encoding="utf-8")
        if sheet.name != OURS:
            css = re.sub(r'url\([^)]*\) format\("woff2"\),', "", rules(css, names))
            sheet.write_text(css, encoding="utf-8")
        shown |= icons(css)
    for file in static.glob("vendor/fontawesome/webfonts/*.ttf"):
        with ttLib.TTFont(file) as font:
            cut = subset.Subsetter(subset.Options(layout_features=[]))
            cut.populate(unicodes=shown)
            cut.subset(font)
            font.save(file)
