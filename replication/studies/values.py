"""Values as people write them in a shell or a profile: `0.1`, `RMSProp(epsilon=0.1)`, `4a,4d`. No torch."""
from __future__ import annotations

import ast
from dataclasses import fields
from typing import Any

from replication.data import spec as of_data
from replication.errors import BadInput, unknown
from replication.models import ops
from replication.runs import experiments as of_runs

# What may be called by name; a name alone is a call without arguments.
VOCABULARY: dict[str, type] = {kind.__name__: kind for kind in (
    ops.BatchNorm, ops.CaffeXavier, ops.He, ops.TruncatedNormal, ops.VarianceScaling,
    of_data.RandomCrop, of_data.Flip, of_data.AreaCrop, of_data.Photometric, of_data.TimeShift, of_data.LogMel,
    of_runs.SGD, of_runs.RMSProp, of_runs.ClipValue, of_runs.Average,
    of_runs.Constant, of_runs.Poly, of_runs.Cosine, of_runs.Step, of_runs.OneCycle)}


def read(text: Any) -> Any:
    """The value a text stands for: a number, True, False, None, a list, something of VOCABULARY, or else the text.

    What is no text is given back. Raises BadInput for an argument that its kind does not have, naming the near miss.
    """
    if not isinstance(text, str):
        return text
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return text
    try:
        return _value(node, text)
    except _Words:
        return text


class _Words(Exception):
    """It was a text after all."""


def _value(node: ast.expr, text: str) -> Any:
    match node:
        case ast.Constant(value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return tuple(_value(part, text) for part in parts)
        case ast.Name(id=name) if name in VOCABULARY:
            return _made(VOCABULARY[name], {}, text)
        case ast.Name(id=name):
            return name
        case ast.Call(func=ast.Name(id=name), args=[], keywords=given):
            if name not in VOCABULARY:
                raise unknown("value", name, VOCABULARY)
            return _made(VOCABULARY[name], {str(one.arg): _value(one.value, text) for one in given}, text)
        case ast.Call(func=ast.Name(id=name)) if name in VOCABULARY:
            first = fields(VOCABULARY[name])[0].name
            raise BadInput(f"{text}: give the arguments of {name} by name, e.g. {name}({first}=...).")
    raise _Words


def _made(kind: type, given: dict[str, Any], text: str) -> Any:
    known = [field.name for field in fields(kind)]
    for name in given:
        if name not in known:
            raise unknown(f"argument of {kind.__name__}", name, known)
    try:
        return kind(**given)
    except TypeError:
        raise BadInput(f"{text}: {kind.__name__} needs {', '.join(known)}, each by name.") from None


def listed(value: Any) -> Any:
    """Where a list is wanted: "4a,4d" and "4a" as such, "none" and "" as the empty one; what is a list stays."""
    value = read(value)
    if isinstance(value, str):
        return () if value in ("", "none") else tuple(read(part.strip()) for part in value.split(","))
    return () if value is None else tuple(value) if isinstance(value, (list, tuple)) else (value,)
