"""Bad input gets one clear sentence."""
from __future__ import annotations

import difflib
from collections.abc import Iterable


class BadInput(ValueError):
    """Something a person asked for cannot be done; the message says what is wrong and what to do."""


def unknown(kind: str, given: object, valid: Iterable[object]) -> BadInput:
    """`unknown("data set", "shape", ["shapes", "digits"])`: lists what is valid and suggests a near miss."""
    names = [str(v) for v in valid]
    near = difflib.get_close_matches(str(given), names, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return BadInput(f"Unknown {kind} '{given}'.{hint} Valid: {', '.join(names)}.")


def check(name: str, value: object, kind: type | tuple[type, ...], low: float | None = None,
          high: float | None = None) -> None:
    """Type and range of one parameter; papermill passes `-p seeds x` as a string without a word.

    Raises BadInput. `bool` never passes for a number.
    """
    kinds = kind if isinstance(kind, tuple) else (kind,)
    wanted = " or ".join(k.__name__ for k in kinds)
    article = "an" if wanted[0] in "aeiou" else "a"
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise BadInput(f"{name}={value!r} is a {type(value).__name__}; it must be {article} {wanted}.")
    if isinstance(value, (int, float)) and not (
        (low is None or value >= low) and (high is None or value <= high)
    ):
        bounds = f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"
        raise BadInput(f"{name}={value!r} is out of range; it must be {bounds}.")
