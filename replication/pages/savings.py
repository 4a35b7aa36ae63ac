"""What `bench --savings` measured, as its section shows it."""
from __future__ import annotations

from typing import Any

import pandas as pd

from replication.pages.html import Groups, Html, digits
from replication.pages.roofline import WAYS
from replication.pages.speed import Tables, by_device, lines_of, ranged, tables_of

NAMES = {"reduction": "5×5 through a 1×1", "module": "naive 3a → 3a", "two 3x3": "5×5 → two 3×3",
         "3x1 1x3": "3×3 → 3×1, 1×3", "7x1 1x7": "7×7 → 7×1, 1×7"}


def tables() -> Tables:
    return tables_of("savings")


def shown(of: Tables) -> Html:
    """How many times as fast it should be by its multiply-adds, and how many it is, a table a device."""
    if not of:
        return Html('<p class="state">Not yet measured: <code>make bench</code> does it.</p>')

    def groups(table: pd.DataFrame) -> Groups:
        return {f"{WAYS[phase]}, batch {part.batch.iloc[0]}": [
            [NAMES[line.saving], digits(line.promised), ranged(line, "times"), ranged(line, "ms_before"),
             ranged(line, "ms_after")] for line in lines_of(part)]
                for phase in WAYS if len(part := table[table.phase == phase])}
    return by_device(of, ("", "promised, ×", "arrives, ×", "before, ms", "after, ms"), groups)


def in_words(of: Tables) -> str:
    """Of every device, forward: how many of the savings arrive whole, and how far the others fall short."""
    if not of:
        return "How much of it arrives on a clock has not been measured yet."
    return " ".join(_sentence(device, table) for device, table in of.items())


def _sentence(device: str, table: pd.DataFrame) -> str:
    part = table[table.phase == "infer"].set_index("saving")
    said = [f"{digits(line.times)} of {digits(line.promised)} times for {NAMES[str(line.Index)]}"
            for line in lines_of(part)]
    slower = [NAMES[str(name)] for name in part.index[part.times_high < 1]]
    after = f" What replaces is slower in every turn: {', '.join(slower)}." if slower else ""
    return f"On {device}, forward, what arrives is {', '.join(said[:-1])} and {said[-1]}.{after}"


def numbers(of: Tables) -> dict[str, Any]:
    return {"words": in_words(of)}
