"""What `bench --roofline` measured, as its page shows it."""
from __future__ import annotations

from html import escape

import pandas as pd

from replication.pages.html import Groups, Html, digits, grouped
from replication.pages.speed import Tables, by_device, lines_of, ranged

WAYS = {"infer": "forward", "train": "forward and backward"}


def answer(tables: Tables) -> str:
    """How far above its bound each device is, all rows together."""
    said = []
    for device, table in tables.items():
        done = table[(table.phase == "infer") & (table.status == "ok")]
        if len(done):
            said.append(f"{digits(done.ms.sum() / done.predicted_ms.sum())} on {device}")
    return ("Forward, all rows of GoogLeNet together take longer than the bound below by a factor of "
            f"{' and '.join(said)}."
            if said else "No device has been measured yet.")


def rows(tables: Tables, phase: str) -> Html:
    """Each row of Table 1: what bounds it, the time that this bound predicts, and the time it took, with its range."""
    def groups(table: pd.DataFrame) -> Groups:
        lines = lines_of(table[table.phase == phase])
        done = [line for line in lines if line.status == "ok"]
        least, whole = sum(line.predicted_ms for line in done), sum(line.ms for line in done)
        return {f"{WAYS[phase]}, batch {table.batch.iloc[0]}": [
            *([line.row, *((line.bound, digits(line.predicted_ms), ranged(line, "ms"), digits(line.ratio))
                           if line.status == "ok" else (escape(line.status),))] for line in lines),
            ["together", "", digits(least), digits(whole), digits(whole / least) if done else "–"]]}
    return by_device(tables, ("row", "bound by", "predicted, ms", "measured, ms", "ratio"), groups)


def ceilings(tables: Tables) -> Html:
    """The two speeds that a device's roof is made of, and the intensity where they meet."""
    lines = []
    for device, table in tables.items():
        matmul, copy = table.matmul_tflops.max(), table.copy_gb_per_s.max()
        lines.append([escape(device), digits(matmul), digits(copy), digits(1e3 * matmul / copy)])
    return Html(grouped(("", "TFLOP/s", "GB/s", "ridge, operations a byte"), {"": lines}) if lines else "")
