"""What is taken out of the theme before a book is published, and what must stay."""
from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from tinybook import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import lean


@pytest.mark.parametrize(("selectors", "kept"), [
    ("p", True), (".here", True), (".gone", False), (".gone, p", True), (".here.gone", False), (".here .gone", False),
    ("p:not(.gone)", True), (":is(.gone, .here) p", True), (":is(:not(.gone), .gone) .gone", False), ("33.5%", True),
    ('[src="x.gone"]', True), (".bs-tooltip-auto[data-side^=top]", True), ("#gone", True)])
def test_a_rule_stays_if_an_element_may_match_it(selectors: str, kept: bool) -> None:
    rule = selectors + "{color:red}"
    assert lean.rules(rule, {"here"}) == (rule if kept else "")


def test_licences_stay_and_empty_queries_go() -> None:
    css = ('@charset "UTF-8";/*! by a.gone */p{margin:0}/* .x{} */@media (min-width:1px){.gone{top:0}}'
           "@media print{.gone{top:0}p{top:0}}")
    assert lean.rules(css, set()) == '@charset "UTF-8";/*! by a.gone */p{margin:0}@media print{p{top:0}}'


def test_the_fonts_of_a_book_hold_the_icons_of_its_pages_and_few_more(site: Path) -> None:
    static = site / "_static"
    css = "".join(sheet.read_text() for sheet in static.rglob("*.css"))
    fonts = list(static.rglob("webfonts/*"))
    drawn: set[int] = set().union(*(TTFont(font).getBestCmap() for font in fonts))
    shown = lean.icons(css)
    assert {0xF002, 0xF0C9} <= shown  # a lens, a menu: what each page has
    assert {icon for icon in shown if icon > 0xDFFF} <= drawn
    assert len(drawn) < 100
    assert "woff2" not in css
    assert sum(font.stat().st_size for font in fonts) < 30_000
    assert sum(sheet.stat().st_size for sheet in static.rglob("*.css")) < 200_000
