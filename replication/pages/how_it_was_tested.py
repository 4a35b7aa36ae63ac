"""*How it was tested*: what the ordeal tried (tests/ordeal), how much of it went well, and all that did not."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from replication import checked, paths
from replication.pages import html

# The parts in the order of the page, what each tries in a few words.
PARTS = {"kills": "killed in the middle, and done again", "crowd": "many processes at one store",
         "disk": "full and read-only disks, a newer version, damaged files",
         "strangers": "archives, weights and names from strangers", "inputs": "bad inputs",
         "environments": "the environments that are named, and downloads"}
COLUMNS = ("part", "kind", "case", "status", "said", "seconds", "utc", "commit", "dirty", "processor", "cores",
           "python", "versions")
FAILED, NOT_RUN = "failed", "not run"


def results() -> pd.DataFrame:
    """A row a case of every part that was tried in full, in the order of PARTS."""
    found = [checked.read(path, dtype=str, keep_default_na=False).assign(part=path.stem.removeprefix("ordeal-"))
             for path in paths.tables("ordeal")]
    table = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(COLUMNS))
    table = table[table.part.isin(PARTS)].assign(seconds=lambda of: of.seconds.astype(float))
    order = {part: n for n, part in enumerate(PARTS)}
    return table.sort_values("part", key=lambda part: part.map(order), kind="stable")


def answer(found: pd.DataFrame) -> str:
    """How much was tried and how much went well, in a few sentences."""
    if found.empty:
        return "The ordeal was not run here yet: make ordeal does it in half an hour."
    ran = found[found.status != NOT_RUN]
    failed, left = int((ran.status == FAILED).sum()), len(found) - len(ran)
    sentences = [f"{len(ran):,} cases were tried; {len(ran) - failed:,} of them went as they should."]
    if failed:
        sentences.append(f"The {failed} that did not are listed below.")
    if left:
        sentences.append(f"{left} more could not be tried on the machine at hand, and say why.")
    if len(kills := ran[ran.part == "kills"]):
        well = int((kills.status != FAILED).sum())
        sentences.append(f"Of {len(kills)} kills at random moments, {well} ended, once resumed, in the same bits as "
                         f"work that nobody disturbed.")
    return " ".join(sentences)


def when(found: pd.DataFrame) -> str:
    """When, where and of which code, a sentence for all parts that have it in common."""
    lines = []
    for _, of in found.groupby(["processor", "cores", "python", "versions", "commit", "dirty"], sort=False):
        one = of.iloc[0]
        parts = _listed(sorted(set(of.part), key=list(PARTS).index))
        days = _listed(sorted({utc[:10] for utc in of.utc}))
        changes = " and changes" if one.dirty == "True" else ""
        lines.append(f"Last run ({parts}): {days}, {one.cores} cores of {one.processor}, Python {one.python}, "
                     f"{one.versions}, commit {one.commit[:9] or 'unknown'}{changes}.")
    return " ".join(lines)


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def summary(found: pd.DataFrame, parts: Iterable[str] = PARTS) -> html.Html:
    """A line a kind of case: how many, how many went well, failed or were not run, and how long they took."""
    groups: html.Groups = {}
    for part in parts:
        for kind, of in found[found.part == part].groupby("kind", sort=False):
            counts = [int((of.status == status).sum()) for status in ("passed", FAILED, NOT_RUN)]
            groups.setdefault(PARTS[part], []).append(
                [html.text(str(kind)), *(f"{n:,}" if n else "–" for n in counts), f"{of.seconds.sum():,.0f} s"])
    return html.Html(html.grouped(("kind of case", "as it should", "failed", "not run", "took"), groups)
                     if groups else "<p>None so far.</p>")


def failures(found: pd.DataFrame) -> html.Html:
    """Every case that did not go as it should."""
    return _cases(found[found.status == FAILED], ("kind", "case", "what came of it"))


def not_run(found: pd.DataFrame) -> html.Html:
    """Every case that could not be tried, and why."""
    return _cases(found[found.status == NOT_RUN], ("kind", "case", "why not"))


def sentences(found: pd.DataFrame) -> html.Html:
    """Each bad input with what is said of it."""
    return _cases(found[found.part == "inputs"], ("kind", "what is asked or brought", "what is said"))


def _cases(rows: pd.DataFrame, columns: tuple[str, str, str]) -> html.Html:
    if rows.empty:
        return html.Html("<p>None.</p>")
    return html.Html(html.cards(columns, [
        [html.text(row["kind"]), f"<code>{html.text(row['case'])}</code>", html.text(_shortened(row["said"]))]
        for row in rows.to_dict("records")]))


def _shortened(said: str) -> str:
    """The last line of a traceback, and of what is long its beginning: a list of valid names is."""
    line = said.strip().splitlines()[-1] if "Traceback" in said or "\n" in said else said
    return line if len(line) <= 400 else f"{line[:400]} …"


def numbers(found: pd.DataFrame) -> dict[str, Any]:
    """What *How it was tested* quotes."""
    ran = found[found.status != NOT_RUN]
    return {"answer": answer(found), "when": when(found) or "Nothing was tried yet.", "cases": len(ran),
            "inputs": int((ran.part == "inputs").sum()), "minutes": float(found.seconds.sum() / 60)}
