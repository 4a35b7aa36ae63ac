from __future__ import annotations

import re

import pandas as pd
import pytest

from replication.pages import html


@pytest.mark.parametrize(("cells", "numbers"), [
    (["1", "−3.4", "1,234"], True), (["+0.5", "–", ""], True), (["0.0538", "2e+05"], True),
    (["5 <small>[3, 5]</small>", "below 0.1", "over 100"], True), (["97 %", "×3", "< 1 s"], True),
    (["48.7 <small>[44.6, 52.6]</small>", "<strong>3</strong>"], True), (["1.81 [1.41, 2.2]"], True),
    (["0 of 6", "3 of 6"], True), (["32 px", "13 min", "168 s", "2 days"], True),
    (["3.85× <small>[3, 4]</small>"], True), (["3a", "4b"], False), (["5×5", "3×3"], False), (["1 epoch"], False),
    (["2026-11-28"], False), (["64×112×112"], False),
    (["+0.9 points<br><small>error</small>"], False), (["1", "one"], False), (["–", ""], False), ([], False),
    (["0.4 to 1.5"], False), (["val_2157.JPEG"], False), (["3, 4 and 5"], False)])
def test_what_is_a_column_of_numbers(cells: list[str], numbers: bool) -> None:
    assert html.numeric(cells) is numbers


def test_a_frame_has_words_to_the_left_whatever_they_are_made_of() -> None:
    frame = pd.DataFrame({"row": ["3a", "conv1"], "n": [1, 20], "said": ["2.7", "1,234"], "why": [None, "so"]})
    table = html.neat(frame).to_html()
    name, = set(re.findall(r"#(T_\w+) ", table))
    assert re.findall(rf"#{name} \.(col\d) {{\s*text-align: left;", table) == ["col0", "col3"]
    assert html.neat(frame).to_html() == table


def test_the_style_of_a_table_is_not_that_of_another_on_its_page() -> None:
    one, two = (html.neat(pd.DataFrame({"a": [cell]})).to_html() for cell in (1, "word"))
    ids = [re.findall(r'<table id="(\w+)"', table) for table in (one, two)]
    assert len(ids[0]) == len(ids[1]) == 1
    assert ids[0] != ids[1]


def test_cards_and_groups_have_numbers_and_their_heads_marked() -> None:
    cards = html.cards(("what", "how <many>"), [("one", "1"), ("two", "–")])
    assert re.findall(r"<t[hd]([^>]*)>([^<]+)", cards) == [
        (' role="columnheader" scope="col"', "what"),
        (' role="columnheader" scope="col" class="number"', "how &lt;many&gt;"),
        (' role="cell" data-label="what"', "one"), (' role="cell" class="number" data-label="how &lt;many&gt;"', "1"),
        (' role="cell" data-label="what"', "two"), (' role="cell" class="number" data-label="how &lt;many&gt;"', "–")]
    lines = {"a": [["one", "1.5", "met"], ["two", "none"]], "b": [["x", "2", "met"]]}
    groups = html.grouped(("", "ms", "verdict"), lines)
    assert re.findall(r"<td([^>]*)>([^<]*)", groups) == [
        ("", ""), ("", "one"), (' class="number"', "1.5"), ("", "met"), ("", "two"), (' colspan="2"', "none"),
        ("", "x"), (' class="number"', "2"), ("", "met")]
    assert '<th scope="col" class="number">ms</th><th scope="col">verdict</th>' in groups
