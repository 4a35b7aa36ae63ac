"""Tables as HTML: what a notebook shows."""
from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from replication.pages.claim import CONTRADICTED, OUT_OF_REACH, SUPPORTED, UNRESOLVED, Claim

Groups = dict[str, list[list[str]]]  # lines of cells, as HTML, under a heading each
KINDS = {"not resolved": "unresolved", "not yet run": "not-run", "out of reach": "not-run"}  # in the style sheet
WHOLE = ("rows", "layers", "blocks", "steps")  # units that come in whole numbers


class Html(str):
    """HTML that a notebook shows."""
    def _repr_html_(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"HTML of {len(self)} characters"


# -- words --------------------------------------------------------------------------------------------------------
def text(words: str) -> str:
    return escape(words, quote=False)


def digits(value: float) -> str:
    """Three digits that count."""
    if pd.isna(value):
        return "–"
    return (f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}").replace("-", "−")


def fixed(value: float, digits: int = 2) -> str:
    return f"{value:,.{digits}f}".replace("-", "−")


def signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def word(verdict: str, kind: str | None = None) -> str:
    """A verdict in the colour of its kind."""
    return f'<span class="verdict-{kind or KINDS.get(verdict, verdict)}">{verdict}</span>'


# -- tables -------------------------------------------------------------------------------------------------------
def neat(frame: pd.DataFrame, digits: int = 2) -> Styler:
    """The frame with thousands separated and `digits` decimals; the same HTML every time. Words stay words: a class
    may be called anything."""
    return (frame.style.hide(axis="index").format(precision=digits, thousands=",", na_rep="–", escape="html")
            .format_index(escape="html", axis="columns")
            .set_uuid("t").set_table_attributes('class="dataframe"'))


def cards(columns: Sequence[str], lines: Iterable[Sequence[str]], kind: str = "claims") -> str:
    """A row a line of cells, which are HTML; a narrow screen shows it as a card."""
    # roles: a screen reader loses the table where the style sheet shows its rows as cards
    labels = [escape(head) for head in columns]
    head = "".join(f'<th role="columnheader" scope="col">{label}</th>' for label in labels)
    body = "\n".join('<tr role="row">' + "".join(f'<td role="cell" data-label="{label}">{cell}</td>' for label, cell in
                                                 zip(labels, cells, strict=True)) + "</tr>" for cells in lines)
    return (f'<table class="{kind}" role="table"><thead role="rowgroup"><tr role="row">{head}</tr></thead>'
            f'<tbody role="rowgroup">\n{body}\n</tbody></table>')


def grouped(columns: tuple[str, ...], groups: Groups) -> str:
    """The last cell of a short line spans what is left of it."""
    head = "".join(f'<th scope="col">{name}</th>' if name else "<td></td>" for name in columns)
    bodies = []
    for name, lines in groups.items():
        title = f'<tr><th colspan="{len(columns)}" scope="rowgroup">{name}</th></tr>\n' if name else ""
        body = "\n".join(f"<tr>{_cells(cells, len(columns))}</tr>" for cells in lines)
        bodies.append(f"<tbody>\n{title}{body}\n</tbody>")
    return f'<table class="dataframe speed"><thead><tr>{head}</tr></thead>\n' + "\n".join(bodies) + "\n</table>"


def _cells(cells: list[str], wide: int) -> str:
    *first, last = cells
    span = f' colspan="{wide - len(first)}"' if len(cells) < wide else ""
    return "".join(f"<td>{cell}</td>" for cell in first) + f"<td{span}>{last}</td>"


# -- claims -------------------------------------------------------------------------------------------------------
def claims_table(lines: Iterable[tuple[Claim, dict[str, Any]]]) -> Html:
    """A row a claim and its record (`metrics`)."""
    columns = ("Claim", "Paper", "Measured", "95 % interval", "Verdict")
    return Html(cards(columns, [
        (f"<strong>{claim.id}</strong> {text(claim.sentence)} <small>{text(claim.where)}</small>", text(claim.printed),
         f"{measured(record)}<br><small>{text(claim.quantity)}</small>", f"{interval(record)}{ran(record)}",
         verdict(claim, record))
        for claim, record in lines]))


def measured(record: dict[str, Any]) -> str:
    if record.get("value") is None:
        return "–"
    value, unit = record["value"], record["unit"]
    if unit == "points":
        return f"{signed(value)} points"
    if unit in WHOLE:
        return f"{value:.0f} {unit}"
    return f"{digits(value)}{'' if unit == '×' else ' '}{unit}"


def interval(record: dict[str, Any]) -> str:
    if record.get("value") is None:
        return "–"
    if record["n"] == 0:
        return "exact"
    if record["n"] == 1:
        return "one seed: none"
    show = signed if record["unit"] == "points" else digits
    often = " and ".join(f"{n:,}" for n in record.get("seeds") or [record["n"]])
    low, high = ("–" if record[end] is None else show(record[end]) for end in ("low", "high"))
    return f"{low} to {high} <small>({often} {record.get('of', 'seeds')})</small>"


def ran(record: dict[str, Any]) -> str:
    """Of trained networks: scatter between seeds, or whatever else was drawn, images that judged, devices."""
    form = "×{:.3g}" if record["unit"] == "×" and not record.get("seeds") else "{:.2g}"
    scatter = " and ".join(map(form.format, record.get("scatter") or ()))
    parts = (f"scatter {scatter}" if scatter else "",
             f"{record['images']:,} images" if record.get("images") else "", ", ".join(record.get("devices") or ()))
    return f"<br><small>{text('; '.join(filter(None, parts)))}</small>" if any(parts) else ""


def region(ends: tuple[float, float]) -> str:
    """In words: "at least 0", "within ±1", "11.5 to 12.5"."""
    low, high = ends
    if math.isinf(low) or math.isinf(high):
        return f"at most {_plainly(high)}" if math.isinf(low) else f"at least {_plainly(low)}"
    if low == high:
        return _plainly(low)
    return f"within ±{_plainly(high)}" if low == -high else f"{_plainly(low)} to {_plainly(high)}"


def mind(ends: tuple[float, float], record: dict[str, Any]) -> str:
    """What would change our mind, of a claim that is decided, or contradict one that is open; of one out of reach,
    nothing."""
    low, high = ends
    what, wholly = ("a number", "") if record.get("n") == 0 else ("an interval", "wholly ")
    below, above = f"{wholly}below {_plainly(low)}", f"{wholly}above {_plainly(high)}"
    outside = above if math.isinf(low) else below if math.isinf(high) else f"{below} or {above}"
    inside = wholly + (f"equal to {_plainly(low)}" if low == high else
                       re.sub(r"^(\S+) to (\S+)$", r"between \1 and \2", region(ends)))
    says = {SUPPORTED: f"would change our mind: {what} {outside}", OUT_OF_REACH: "",
            CONTRADICTED: f"would change our mind: {what} {inside}"}
    return says.get(record["verdict"], f"would contradict it: {what} {outside}")


def _plainly(value: float) -> str:
    return f"{value:,.10g}".replace("-", "−")


def verdict(claim: Claim, record: dict[str, Any]) -> str:
    """With the region that decides, and what it would take where nothing has."""
    lines = [word(record["verdict"]) + (" (arithmetic)" if record.get("n") == 0 else ""),
             f"claimed: {region(claim.region)}"]
    if record["verdict"] == UNRESOLVED and (record.get("n") or 0) > 1:
        seeds = record.get("seeds_needed")
        of = record.get("of", "seeds")
        lines.append(f"about {seeds:,} {of} would" if seeds else f"not even 10,000 {of} would")
    if record.get("value") is None and (claim.awaits or claim.why):
        lines.append(text(f"awaits {claim.awaits}" if claim.awaits else claim.why))
    lines += filter(None, [mind(claim.region, record)])
    return lines[0] + "".join(f"<br><small>{line}</small>" for line in lines[1:])
