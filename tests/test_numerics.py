"""Notices when the arithmetic of a run may have changed.

    python tests/test_numerics.py --record    # the change is equivalent, or experiments.NUMERICS was raised for it
"""
from __future__ import annotations

import ast
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from replication import paths
from replication.runs import experiments

RECORD = Path(__file__).with_name("numerics.json")
PACKAGE = paths.ROOT / "replication"
# What decides pixels, their order and what is computed from them. Tables and recipes are values: an address has them.
FILES = ("data/boxes", "data/colour", "data/decode", "data/digits", "data/loader", "data/reader", "data/shapes",
         "data/sound", "data/streamed", "data/subset", "data/transforms", "models/build", "models/init",
         "models/layers", "training/accelerate", "training/evaluate", "training/loop", "training/optim")
CHANGED = ("numerics changed: raise experiments.NUMERICS, or record as equivalent: python tests/test_numerics.py "
           "--record (what changed: {})")


def tree(node: Any) -> Any:
    """A syntax tree as lists, without docstrings, places and what is empty, so that every Python gives the same."""
    if isinstance(node, list):
        return [tree(part) for part in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    parts = dict(ast.iter_fields(node))
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
        parts["body"] = parts["body"][1:]
    return [type(node).__name__, *([name, tree(part)] for name, part in sorted(parts.items())
                                   if part not in (None, []) and name not in ("ctx", "kind", "type_comment"))]


def fingerprint(source: str) -> str:
    return hashlib.sha256(json.dumps(tree(ast.parse(source))).encode()).hexdigest()[:16]


def now() -> dict[str, Any]:
    return {"numerics": experiments.NUMERICS,
            "files": {name: fingerprint((PACKAGE / f"{name}.py").read_text(encoding="utf-8")) for name in FILES}}


def differences(recorded: dict[str, Any], found: dict[str, Any]) -> list[str]:
    return [name for name in ("numerics", *FILES) if (recorded.get("numerics") != found["numerics"]
            if name == "numerics" else recorded.get("files", {}).get(name) != found["files"][name])]


def test_the_numerics_are_those_recorded() -> None:
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))
    different = differences(recorded, now())
    assert not different, CHANGED.format(", ".join(different))
    assert set(recorded["files"]) == set(FILES)


CODE = '"""Doc."""\nimport math\n\n\ndef f(x: int = 2) -> float:\n    """Doc."""\n    return math.sqrt(x) + 1  # why\n'


@pytest.mark.parametrize("same", [
    CODE.replace("  # why", ""), CODE.replace('"""Doc."""\nimport', '"""Other."""\n\n# more\nimport'),
    CODE.replace('    """Doc."""\n', ""), CODE.replace("sqrt(x) + 1", "sqrt(x) + (1)")])
def test_words_do_not_count(same: str) -> None:
    assert same != CODE
    assert fingerprint(same) == fingerprint(CODE)


@pytest.mark.parametrize("other", [
    CODE.replace("+ 1", "+ 2"), CODE.replace("+ 1", "- 1"), CODE.replace("= 2", "= 3"), CODE.replace("+ 1", "+ 1.0"),
    CODE.replace("sqrt", "cbrt"), CODE + "x = 1\n"])
def test_arithmetic_does(other: str) -> None:
    assert other != CODE
    assert fingerprint(other) != fingerprint(CODE)


def test_a_raised_integer_must_be_recorded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    before = now()
    monkeypatch.setattr(experiments, "NUMERICS", experiments.NUMERICS + 1)
    assert differences(before, now()) == ["numerics"]


if __name__ == "__main__":
    if sys.argv[1:] != ["--record"]:
        sys.exit(__doc__)
    RECORD.write_text(json.dumps(now(), indent=1) + "\n", encoding="utf-8")
    print(f"recorded {len(FILES)} files as numerics {experiments.NUMERICS}")
