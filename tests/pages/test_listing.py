from __future__ import annotations

import ast
from pathlib import Path

import pytest

from replication.errors import BadInput
from replication.models import googlenet, ops
from replication.pages import listing


def test_a_function_and_a_method_as_they_are_written() -> None:
    text = Path(ops.__file__).read_text(encoding="utf-8")
    shown = listing.code(ops.Inception.split)
    assert shown.startswith("def split(self)")
    assert shown.splitlines()[1].startswith('    """')
    assert all(line.strip() in text for line in shown.splitlines())
    assert shown._repr_markdown_() == f"```python\n{shown}\n```"


def test_a_value_is_what_the_module_holds() -> None:
    shown = listing.code(googlenet, "INCEPTION")
    assert "#               1×1  3×3r" in shown  # its comments too
    value, = ast.parse(shown).body
    assert isinstance(value, ast.Assign)
    made = eval(compile(ast.Expression(value.value), "", "eval"), {"Inception": ops.Inception})
    assert made == googlenet.INCEPTION


def test_a_value_that_is_not_there() -> None:
    with pytest.raises(BadInput, match="INCEPTIONS"):
        listing.code(googlenet, "INCEPTIONS")
