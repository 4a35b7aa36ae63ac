"""*Ten minutes of a GPU*: what they would decide, in which order, and what they were seen to."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from replication import checked, paths
from replication.pages import html, power, speed
from replication.pages.claim import CONTRADICTED, SUPPORTED, Settled
from replication.pages.claims import CLAIMS
from replication.pages.measures import Difference, Mean
from replication.runs import store
from replication.studies import estimate, profiles, study
from replication.studies.study import Cell, Grid

PROFILES = ("gpu-shapes", "gpu", "gpu-long")  # in this order
KNOWN = "cpu-full"  # the profile whose runs say, with the pilot's, how many seeds a claim takes
MINUTES = 10
# Of the time, at most, for what comes before the runs.
BEFORE = {"smoke": 0.1, "bench": 0.2}
START = 60 * MINUTES * sum(BEFORE.values())  # seconds after which the first run begins


# -- what they would decide ---------------------------------------------------------------------------------------
def turns(names: Sequence[str] = PROFILES, known: pd.DataFrame | None = None) -> dict[str, list[power.Turn]]:
    """By profile, its studies in the order in which they are trained; `known` is what is known of claims
    (power.table). Raises BadInput for an unknown profile."""
    known = power.table(KNOWN) if known is None else known
    return {name: power.order(name, known) for name in names}


def plan(found: dict[str, list[power.Turn]]) -> html.Html:
    """A line a study: what it decides, what it takes, and when it is over, of so many minutes as there are."""
    at, groups = START, html.Groups()
    for name, of in found.items():
        rows = groups.setdefault(profiles.profile(name).about, [])
        for turn in of:
            at += turn.seconds
            rows.append([f"<code>{escape(turn.study)}</code>", *map(_ids, (turn.decides, turn.unknown)),
                         f"{turn.runs:,}", *map(_ids, ([power.clock(turn.seconds)], [power.clock(at)]))])
    return html.Html(html.grouped(("study", "decides", "first look at", "runs", "takes", "over after"), groups))


def _ids(words: Sequence[str]) -> str:
    """None of which breaks at its hyphen or space."""
    return ", ".join(f'<span class="whole">{escape(word)}</span>' for word in words) or "–"


def within(found: dict[str, list[power.Turn]], known: pd.DataFrame) -> dict[str, Any]:
    """How far the minutes reach: runs, claims whose verdict they `repeat`, others that they decide, and those that they
    look at first."""
    at, reached = START, []
    for turn in (turn for of in found.values() for turn in of):
        at += turn.seconds
        if at <= 60 * MINUTES:
            reached.append(turn)
    decided = {name for turn in reached for name in turn.decides}
    before = set(known.claim[known.verdict.isin((SUPPORTED, CONTRADICTED))])
    return {"runs": sum(turn.runs for turn in reached), "repeats": len(decided & before),
            "decides": len(decided - before),
            "looks": len({name for turn in reached for name in turn.unknown} - decided)}


def numbers(found: dict[str, list[power.Turn]], known: pd.DataFrame, precision: Grid) -> dict[str, Any]:
    """What *Ten minutes of a GPU* quotes."""
    reach, (name, rate) = within(found, known), estimate.gpu()
    whole = estimate.clock(sum(turn.seconds for of in found.values() for turn in of))
    are = "is" if reach["decides"] == 1 else "are"
    more = f", decide {reach['decides']} that {are} open" if reach["decides"] else ""
    answer = (f"At the rate of one large network, a GPU would train {reach['runs']:,} runs in ten minutes. They would "
              f"repeat the verdict on {reach['repeats']} claims that two cores have decided{more}, and look at "
              f"{reach['looks']} more for the first time. Small networks will be slower; how much is not yet measured. "
              f"All that is asked of a GPU takes {whole} at that rate, after {estimate.clock(START)} of trying what "
              "works.")
    measured = name != estimate.ASSUMED[0]
    return {"answer": answer, **reach, "t_per_s": rate / 1e12, "precision": alike(precision), "seen": so_far(),
            "rate": f"what training reached on one {name}, with one large network" if measured else
                    "assumed, since nothing has been measured on one"}


def so_far() -> str:
    """What a GPU was seen to do, in a sentence or two."""
    tables = [device for device, table in speed.stored("bench").items() if speed.gpu(table)]
    runs = sum(run.provenance["device"] != "CPU" for place in paths.stores() for run in store.everything(place))
    if not tables and not runs:
        return "No GPU was at hand yet: its rows are open, here and on the other pages."
    speeds = f"The speed table has rows of {' and '.join(tables)}." if tables else "No speed was measured yet."
    return f"{speeds} " + (f"{runs:,} runs were trained on a GPU." if runs else "No run was trained on a GPU yet: the "
                           "claims that only those decide are open.")


# -- one precision and another ------------------------------------------------------------------------------------
FC = Difference({"head": "fc"}, {"head": "average"})  # as V1-20's


def precisions(grid: Grid) -> dict[str, Settled]:
    """V1-20 by the runs of each precision alone, of the study `precision`."""
    found = {}
    for key in grid.study.factors["precision"]:
        alone = study.only([grid], {"precision": (key,)})[0]
        found[key] = Settled(CLAIMS["V1-20"], FC(alone) if alone.cells else None)
    return found


def alike(grid: Grid) -> str:
    """Whether both precisions give one verdict, in a sentence."""
    found = precisions(grid)
    if any(each.interval is None for each in found.values()):
        return "Whether bf16 and fp32 give the same verdict is not yet measured."
    words = "; ".join(f"{key}: {each.verdict}, {_said(each)}" for key, each in found.items())
    same = len({each.verdict for each in found.values()}) == 1
    return f"bf16 and fp32 give {'the same verdict' if same else 'different verdicts'} ({words})."


# -- what was seen ------------------------------------------------------------------------------------------------
def seen(stages: Iterable[tuple[str, float, str]], names: Sequence[str]) -> str:
    """A page in Markdown of what your store holds: `stages` (name, seconds, what came of it), whether each fast way
    works, speeds, runs and verdicts of these profiles."""
    parts = ["# What was seen", _lines(("stage", "seconds", "what came of it"), (
        (name, f"{took:.0f}", status) for name, took, status in stages))]
    tables = paths.mine() / "tables"
    for path in sorted(tables.glob("smoke-*.csv")):
        parts += _told(path, _worked)
    for path in sorted(tables.glob("bench-*.csv")):
        parts += _told(path, _rates)
    for of in map(profiles.profile, names):
        parts += [f"## Runs of {of.name}", *_trained(of)]
    return "\n\n".join(parts) + "\n"


def _told(path: Path, tell: Callable[[Path], list[str]]) -> list[str]:
    """What a table says; of a file that is none, that."""
    try:
        return tell(path)
    except (ValueError, KeyError, TypeError, AttributeError):
        return [f"{path.name} cannot be read as a table: delete it, and it is measured again."]


def _worked(path: Path) -> list[str]:
    frame = checked.read(path)
    return [f"## Whether each fast way works: {frame.device[0]}, {frame.versions[0]}, commit {frame.commit[0]}",
            _lines(("case", "precision", "tricks", "status", "how", "against as written"), (
                (row.case, row.precision, row.asked, row.status, _cell(row.how), _cell(row.against))
                for row in speed.lines_of(frame)))]


def _rates(path: Path) -> list[str]:
    frame = speed.read(path)
    return [f"## Speed: {frame.device[0]}, {frame.versions[0]}", _lines(
        ("", "phase", "images/s", "× script", "× tuned", "status", "commit"), (
            (f"{speed.size(row)}, batch {row.batch}, {speed.label(row)}", row.phase, html.digits(row.images_per_s),
             html.digits(row.times_reference), html.digits(row.times_tuned), row.status, str(row.commit)[:9])
            for row in speed.lines_of(frame))), speed.in_words({frame.device[0]: frame}, {}).replace("\n", "  \n")]


def _trained(of: profiles.Profile) -> list[str]:
    """Of a profile: errors by variant, verdicts of what its runs measure, and what is left."""
    grids = [Mine.of(each) for each in study.of_profile(of)]
    rows = []
    for each in grids:
        for line in each.errors().itertuples(index=False):
            *words, mean, low, high, seeds, diverged = line
            more = f", {diverged} diverged" if diverged else ""
            rows.append((each.name, ", ".join(map(str, words)), f"{mean:.2f}", f"{low:.2f} to {high:.2f}",
                         f"{seeds}{more}"))
    left = sum(len(each.missing) for each in grids)
    if not rows:
        return [f"None has finished; {left} are left."]
    by_study = {each.study.name: each for each in grids}
    settled = [Settled(claim, claim.measure(by_study[claim.study])) for claim in CLAIMS.values()
               if claim.study in by_study and isinstance(claim.measure, (Difference, Mean))]
    verdicts = [(each.claim.id, each.claim.sentence, each.verdict, _said(each), html.region(each.claim.region))
                for each in settled if each.interval is not None]
    return [_lines(("study", "variant", "top-1 error, %", "lowest to highest", "seeds"), rows),
            _lines(("claim", "", "verdict", "measured", "claimed"), verdicts) if verdicts else "No claim yet.",
            *([alike(by_study["precision"])] if "precision" in by_study else []), f"{left} runs are left."]


class Mine(Grid):
    """A grid of which your own runs count and no published ones."""

    def _finished(self) -> list[tuple[Cell, store.Run]]:
        place = paths.mine()
        return [(cell, store.read(store.folder(cell.address, place))) for cell in self.cells
                if (store.folder(cell.address, place) / "summary.json").exists()]

    @classmethod
    def of(cls, other: Grid) -> Mine:
        return cls(other.study, other.setting, other.cells)


def _said(settled: Settled) -> str:
    found = settled.interval
    if found is None:
        return "–"
    show = html.signed if settled.claim.unit == "points" else html.digits
    return f"{show(found.value)} {settled.claim.unit} [{show(found.low)}, {show(found.high)}], {found.n} seeds"


def _cell(value: Any) -> str:
    return "" if pd.isna(value) else value if isinstance(value, str) else f"{value:.2g}"


def _lines(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; what would end a cell or a line does not."""
    clean = [[" ".join(str(cell).replace("|", "/").split()) for cell in row] for row in (columns, *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (clean[0], ["---"] * len(columns), *clean[1:]))
