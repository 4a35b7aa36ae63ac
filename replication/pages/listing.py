"""The package's own code on a page, read from where it runs, so that what is shown is what was used."""
from __future__ import annotations

import ast
import inspect
import textwrap
from types import ModuleType
from typing import Any

from replication.errors import unknown


class Code(str):
    """Python that a notebook shows."""
    def _repr_markdown_(self) -> str:
        return f"```python\n{self}\n```"

    def __repr__(self) -> str:
        return str(self)


def code(of: Any, name: str = "") -> Code:
    """The source of a function or class, or of the value `name` at the top of a module, as it is written there.

    Raises BadInput for a name that the module does not give a value at its top.
    """
    if not isinstance(of, ModuleType):
        return Code(textwrap.dedent(inspect.getsource(of)).rstrip())
    text = inspect.getsource(of)
    values = {target.id: node for node in ast.parse(text).body if isinstance(node, (ast.Assign, ast.AnnAssign))
              for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
              if isinstance(target, ast.Name)}
    if name not in values:
        raise unknown(f"value of {of.__name__}:", name, values)
    return Code(ast.get_source_segment(text, values[name]) or "")
