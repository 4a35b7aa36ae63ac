"""What came of each case: a line a kind of case on the screen, a line a case in a table."""
from __future__ import annotations

import csv
import io
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from replication import checked, paths, provenance

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"


@dataclass(frozen=True)
class Result:
    """`said`: what the product said, or what went wrong, or why the case was not run."""
    kind: str
    case: str
    status: str
    said: str = ""
    seconds: float = 0.0


def result(kind: str, case: str, wrong: str, said: str = "", seconds: float = 0.0) -> Result:
    """Of a case in which `wrong` went wrong; nothing if it is empty. Where this checkout lies is nobody's business."""
    words = f"{wrong}: {said}" if wrong and said else wrong or said
    return Result(kind, case, FAILED if wrong else PASSED, words.replace(str(paths.ROOT), "."), round(seconds, 2))


def kinds(results: Iterable[Result]) -> dict[str, list[Result]]:
    found: dict[str, list[Result]] = {}
    for one in results:
        found.setdefault(one.kind, []).append(one)
    return found


def told(part: str, results: list[Result]) -> str:
    """A line a kind of case, a total, and each failure in full."""
    lines = []
    for kind, of in kinds(results).items():
        left = [one for one in of if one.status == NOT_RUN]
        done = [one for one in of if one.status == PASSED]
        words = f"{len(done)} of {len(of) - len(left)}" if len(left) < len(of) else "not run"
        more = f"; {len(left)} not run: {left[0].said}" if left else ""
        lines.append(f"{part:13} {kind:34} {words:>12} {sum(one.seconds for one in of):8.1f} s{more}")
    done, left = (sum(one.status == status for one in results) for status in (PASSED, NOT_RUN))
    lines += [f"  failed: {one.kind}, {one.case}: {one.said[-600:]}" for one in results if one.status == FAILED]
    return "\n".join([*lines, f"{part:13} {'in all':34} {done} of {len(results) - left} passed, {left} not run"])


def write(part: str, results: list[Result], share: float) -> Path:
    """The table of a part, each line with when, where and of which code."""
    made = provenance.collect()
    where = {"utc": made["utc"], "commit": made["commit"] or "", "dirty": made["dirty"],
             "processor": made["processor"], "cores": provenance.cores(), "python": platform.python_version(),
             "versions": ", ".join(f"{name} {version}" for name, version in made["versions"].items() if version)}
    text = io.StringIO()
    table = csv.DictWriter(text, [*(field.name for field in fields(Result)), *where], lineterminator="\n")
    table.writeheader()
    table.writerows({**asdict(one), **where} for one in results)
    path = paths.mine() / "tables" / f"ordeal-{part}{'' if share == 1 else '-quick'}.csv"
    checked.write(path, text.getvalue())
    return path
