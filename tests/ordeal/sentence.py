"""Whether what was said is one clear sentence: what is wrong, with which value, and what to do."""
from __future__ import annotations

import re

# How the product says what to do.
WAY = re.compile(r"\b(must|valid|use|give|set|delete|remove|run|update|fetch|ask|free|try|unpack|name|put|train|copy|"
                 r"make|convert|leave|build|save|look|lay|did you mean|choose from|expected|rename|wait|move|instead|"
                 r"resume|there (is|are)|download|load|starts again|install|takes?|prints|"
                 r"one auxiliary head a row|are of sound)\b", re.IGNORECASE)


def wrong(said: str, *named: str) -> str:
    """What keeps it from being one; empty if nothing does. `named`: what it has to name."""
    text = said.strip()
    if not text:
        return "it says nothing"
    if "Traceback (most recent call last)" in text:
        return f"a traceback, {text.splitlines()[-1][:300]}"
    if text.startswith("usage: "):  # argparse's: how to call it, which is the way out, then the sentence
        last = text.splitlines()[-1]
        return next((f"it does not name {value!r}" for value in named if value not in last), "")
    elif "\n" in text:
        return f"{len(text.splitlines())} lines"
    elif not text.endswith((".", "?", "!", ")")):
        return "no sentence"
    if missing := [value for value in named if value not in text]:
        return f"it does not name {missing[0]!r}"
    if not WAY.search(text):
        return "no way out"
    return ""
