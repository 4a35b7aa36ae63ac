"""Bad input gets one clear sentence."""
from __future__ import annotations

import difflib
import math
import os
from collections.abc import Iterable, Sequence


class BadInput(ValueError):
    """Something a person asked for cannot be done; the message says what is wrong and what to do."""


def unknown(kind: str, given: object, valid: Iterable[object]) -> BadInput:
    """`unknown("data set", "shape", ["shapes", "digits"])`: lists what is valid and suggests a near miss."""
    names = [str(v) for v in valid]
    alike = {name.lower(): name for name in reversed(names)}
    near = difflib.get_close_matches(str(given).lower(), alike, n=1)
    hint = f" Did you mean '{alike[near[0]]}'?" if near else ""
    return BadInput(f"Unknown {kind} '{given}'.{hint} Valid: {', '.join(names)}.")


def check(name: str, value: object, kind: type | tuple[type, ...], low: float | None = None,
          high: float | None = None) -> None:
    """Type and range of one parameter; papermill passes `-p seeds x` as a string without a word.

    Raises BadInput. `bool` never passes for a number.
    """
    kinds = kind if isinstance(kind, tuple) else (kind,)
    wanted = " or ".join(k.__name__ for k in kinds)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise BadInput(f"{name}={value!r} is {article(type(value).__name__)}; it must be {article(wanted)}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadInput(f"{name}={value!r} is no finite number; it must be one.")
    if isinstance(value, (int, float)) and not (
        (low is None or value >= low) and (high is None or value <= high)
    ):
        bounds = f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"
        raise BadInput(f"{name}={value!r} is out of range; it must be {bounds}.")


def article(word: str) -> str:
    """`an int`, `a str`."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def count(variable: str) -> int | None:
    """The whole number in an environment variable; None where it says auto or nothing. Raises BadInput for another
    value, and for one below 1."""
    asked = os.environ.get(variable) or "auto"
    if asked == "auto":
        return None
    if not asked.isdecimal() or int(asked) < 1:
        raise BadInput(f"{variable}={asked!r} must be auto or a whole number of at least 1.")
    return int(asked)


def word(variable: str, *words: str) -> str | None:
    """The word in an environment variable; None where it says nothing. Raises BadInput for another one: a
    REPLICATION_READ=Mine that meant nothing would be taken for the published runs."""
    said = os.environ.get(variable) or None
    if said not in (None, *words):
        raise unknown(f"value of {variable}", said, words)
    return said


def aux_rows(aux: Sequence[str], rows: Iterable[str], example: tuple[str, ...]) -> list[str]:
    """The rows that carry an auxiliary head, in the order of `rows`, so that one set of heads is one network.

    Raises BadInput for what is no list, a row that is not in `rows`, and a row named twice.
    """
    if isinstance(aux, str) or not isinstance(aux, Sequence):
        raise BadInput(f"aux={aux!r} is {article(type(aux).__name__)}; give a list of rows, e.g. aux={example}, or ().")
    rows = list(rows)
    for at in aux:
        if at not in rows:
            raise unknown("row for an auxiliary head", at, rows)
    if len(set(aux)) != len(aux):
        raise BadInput(f"aux={tuple(aux)} names a row twice; one auxiliary head a row.")
    return [at for at in rows if at in aux]
