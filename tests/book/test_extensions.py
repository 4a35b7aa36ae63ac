"""What the book's own Sphinx extensions do to text and HTML."""
from __future__ import annotations

import re
import sys
from typing import Any

import pytest
from tinybook import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import bookext
import origin
import spaces


@pytest.mark.parametrize(("text", "bound"), [
    ("96 % of 3 px", "96~% of 3~px"), ("1.1 points, 1 point", "1.1~points, 1~point"),
    ("in Table 1 and Fig. 2", "in Table~1 and Fig.~2"),
    ("5 G, 30 kB, 7 ms, 2 h", "5~G, 30~kB, 7~ms, 2~h"), ("5 seeds of 3 Gauss", "5 seeds of 3 Gauss"),
    ("a % b", "a % b"), ("3 × 5", "3~× 5"), ("−3 %", "−3~%")])
def test_a_number_keeps_its_unit(text: str, bound: str) -> None:
    assert spaces.bind(text) == bound.replace("~", "\u00a0")


def test_in_html_between_tags_and_in_no_code() -> None:
    html = '<p title="5 %"><a href="#x">96</a> % or <b>5 px</b></p><script>5 %</script><pre>5 <b>%</b></pre>'
    assert spaces.bind_html(html) == (
        '<p title="5 %"><a href="#x">96</a>\u00a0% or <b>5\u00a0px</b></p><script>5 %</script><pre>5 <b>%</b></pre>')


@pytest.mark.parametrize(("record", "said"), [
    ({"value": 1.0575, "low": 0.3936, "high": 1.7214, "n": 10}, "1.1 ± 0.7 (n = 10)"),
    ({"value": 3.2, "low": 2.3, "high": 4.43, "n": 5}, "3.2 [2.3, 4.4] (n = 5)"),  # of a ratio
    ({"value": 28.0, "low": 28.0, "high": 28.0, "n": 0}, "28.00 (exact)"),
    ({"value": -3.0, "low": -3.05, "high": -2.95, "n": 3}, "−3.00 ± 0.05 (n = 3)"),
    ({"value": 27371, "low": 21762, "high": 32980, "n": 6}, "27,371 ± 5,609 (n = 6)"),
    ({"value": 1.0, "low": None, "high": None, "n": 1}, ""), ({"value": 1.0}, ""), ({}, "")])
def test_how_sure_a_number_is(record: dict[str, Any], said: str) -> None:
    assert origin.precision(record) == said


def test_a_number_names_the_commits_of_its_runs() -> None:
    made = {"commit": "f" * 40, "device": "CPU", "devices": ["P", "Q"], "runs": 7, "run_commits": ["a" * 40, "b" * 40]}
    assert origin.rests({"provenance": made}) == f"7 runs on P and Q; commits {'a' * 12} and 1 more"
    assert origin.rests({"provenance": {"commit": "f" * 40, "device": "none: arithmetic"}}) == (
        f"arithmetic; commit {'f' * 12}")


def test_no_two_folded_cells_have_one_name() -> None:
    fold = "<p>Show code cell source</p><p>Hide code cell source</p>"
    page = (f'<div class="cell tag_parameters">{fold}</div>'
            f'<h2>1. <em>Errors</em><a class="headerlink"></a></h2>{fold}'
            f'<span class="caption-number">Fig. 2.1 </span>{fold}{fold}<p>Show code cell output</p>')
    named = re.findall(r"Show ([^<]*)<", bookext.name_folds(page))
    assert named == ["the parameters", "the code of Fig. 2.1", "the code of “1. Errors”", "the code of “1. Errors”, 2",
                     "the output of “1. Errors”"]
    assert re.findall(r"Hide ([^<]*)<", bookext.name_folds(page)) == named[:-1]
