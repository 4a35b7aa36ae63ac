"""Values as people write them in a shell or a profile: `0.1`, `RMSProp(epsilon=0.1)`, `4a,4d`. No torch."""
from __future__ import annotations

import ast
import re
import types
import typing
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from replication.data import spec as of_data
from replication.errors import BadInput, article, unknown
from replication.models import ops
from replication.runs import experiments as of_runs

NUMBER = re.compile(r"[-+]?(?:0x[\da-fA-F]+|(?:(?:0|[1-9]\d*(?:_\d+)*)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)$")

# What may be called by name; a name alone is a call without arguments.
VOCABULARY: dict[str, type] = {kind.__name__: kind for kind in (
    ops.BatchNorm, ops.CaffeXavier, ops.He, ops.TruncatedNormal, ops.VarianceScaling,
    of_data.RandomCrop, of_data.Flip, of_data.AreaCrop, of_data.Photometric, of_data.TimeShift, of_data.LogMel,
    of_runs.SGD, of_runs.RMSProp, of_runs.TorchRMSProp, of_runs.ClipValue, of_runs.Average,
    of_runs.Constant, of_runs.Poly, of_runs.Cosine, of_runs.Step, of_runs.OneCycle)}


class _Loader(yaml.SafeLoader):
    """YAML's numbers as everybody writes them, `1e-3`, `.5`, `1_000`, and as words what YAML 1.1 takes for something
    else: no, on (truths), 010 (eight), 1:30 (ninety), 2026-01-31 (a day). A name stands once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for name, _ in node.value:
            if isinstance(name, yaml.ScalarNode) and name.value != "<<":
                if name.value in seen:
                    raise yaml.constructor.ConstructorError(problem=f"'{name.value}' is said twice",
                                                            problem_mark=name.start_mark)
                seen.add(name.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag in ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()}
_Loader.add_implicit_resolver("bool", re.compile("(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver("number", NUMBER, list("-+.0123456789"))
_Loader.add_constructor("bool", lambda _, node: node.value.lower() == "true")
_Loader.add_constructor("number", lambda _, node: ast.literal_eval(node.value))


def loaded(path: Path) -> Any:
    """What a YAML file holds. Raises BadInput, with the line, for what is none."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except yaml.MarkedYAMLError as problem:
        line = f", line {problem.problem_mark.line + 1}" if problem.problem_mark else ""
        raise BadInput(f"{path}{line}: {problem.problem}; mend that, or copy profiles/cpu.yaml and "
                       f"change it.") from None
    except (ValueError, SyntaxError, RecursionError, yaml.YAMLError):  # of !!int x, 5,000 digits, 1,000 brackets
        raise BadInput(f"{path} is no text of YAML: copy profiles/cpu.yaml and change it.") from None
    except OSError as problem:
        raise BadInput(f"{path} cannot be read ({problem.strerror}).") from None


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
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=ast.Constant(value=int() | float() as value)):
            return -value if isinstance(sign, ast.USub) else value
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
            if not (known := fields(VOCABULARY[name])):
                raise BadInput(f"{text}: {name} takes no arguments.")
            raise BadInput(f"{text}: give the arguments of {name} by name, e.g. {name}({known[0].name}=...).")
    raise _Words


def _made(kind: type, given: dict[str, Any], text: str) -> Any:
    known, hints = [field.name for field in fields(kind)], typing.get_type_hints(kind)
    for name, value in given.items():
        if name not in known:
            raise unknown(f"argument of {kind.__name__}", name, known)
        fits(f"{text}: {name}", value, hints[name])
    try:
        return kind(**given)
    except TypeError:
        raise BadInput(f"{text}: {kind.__name__} needs {', '.join(known)}, each by name.") from None


def fits(name: str, value: Any, wanted: Any) -> None:
    """Raises BadInput where a value is of no kind that a field's annotation names; a whole number is a float, too."""
    kinds = [typing.get_origin(kind) or kind for kind in (
        typing.get_args(wanted) if isinstance(wanted, types.UnionType) else (wanted,))]
    kinds += [int] if float in kinds else []
    if not isinstance(value, tuple(kinds)) or (isinstance(value, bool) and bool not in kinds):
        names = [kind.__name__ for kind in kinds if kind is not type(None)]
        raise BadInput(f"{name}={value!r} is {article(type(value).__name__)}; it must be one of {', '.join(names)}.")


def listed(value: Any) -> Any:
    """Where a list is wanted: "4a,4d" and "4a" as such, "none" and "" as the empty one; what is a list stays."""
    value = read(value)
    if isinstance(value, str):
        return () if value in ("", "none") else tuple(read(part.strip()) for part in value.split(","))
    return () if value is None else tuple(value) if isinstance(value, (list, tuple)) else (value,)
