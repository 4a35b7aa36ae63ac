"""Tables as HTML: what a notebook shows."""
from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from numbers import Integral, Real
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from replication.pages.claim import CONTRADICTED, NOT_RUN, OUT_OF_REACH, SUPPORTED, UNRESOLVED, Claim, printed_at

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


def plain(text: str) -> str:
    """Without tags: prose takes it as it is."""
    return re.sub(r"<[^>]*>", "", text)


def word(verdict: str, kind: str | None = None) -> str:
    """A verdict in the colour of its kind."""
    return f'<span class="verdict-{kind or KINDS.get(verdict, verdict)}">{verdict}</span>'


def anchor(words: str) -> str:
    """The id of a heading in the book, as docutils makes it."""
    letters = unicodedata.normalize("NFKD", words.lower()).encode("ascii", "ignore").decode()
    return re.sub(r"^[-0-9]+|-$", "", re.sub(r"[^a-z0-9]+", "-", letters))


# -- tables -------------------------------------------------------------------------------------------------------
# a number with what may stand beside it: a word or a sign, one unit, "of" how many, an interval in brackets
NUMBER = re.compile(r"(below |over )?[<>≈~±×+−-]?\s?\d[\d.,]*(e[+-]?\d+)?(\s?[%×°]|\s([a-zA-Zµ]{1,2}|min|days?))?"
                    r"( of [\d,]+)?(\s*[\[(].*)?")
TAG = re.compile(r"<[^>]*>")


def numeric(cells: Iterable[str]) -> bool:
    """Whether cells, which may be HTML, hold numbers, or here and there nothing: such a column is set to the right."""
    said = [word for cell in cells if (word := TAG.sub(" ", cell).strip()) not in ("", "–")]
    return bool(said) and all(NUMBER.fullmatch(word) for word in said)


def neat(frame: pd.DataFrame, digits: int = 2) -> Styler:
    """The frame with thousands separated and `digits` decimals, numbers to the right and words to the left; the same
    HTML every time. Words stay words: a class may be called anything."""
    def shown(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, Real):
            return value
        return fixed(float(value), 0 if isinstance(value, Integral) else digits)  # with a minus that is one

    # its own id, since a page has many tables, and one's style must not be another's
    name = hashlib.sha256(frame.to_csv().encode()).hexdigest()[:8]
    words = [column for column in frame if not numeric("–" if pd.isna(value) else str(shown(value))
                                                       for value in frame[column])]
    return (frame.style.hide(axis="index").format(shown, na_rep="–", escape="html")
            .format_index(escape="html", axis="columns")
            .set_table_styles({column: [{"selector": "", "props": "text-align: left"}] for column in words})
            .set_uuid(name).set_table_attributes('class="dataframe"'))


def cards(columns: Sequence[str], lines: Iterable[Sequence[str]], kind: str = "claims",
          rows: Iterable[Mapping[str, str]] | None = None) -> str:
    """A row a line of cells, which are HTML, with the attributes of `rows`; a narrow screen shows it as a card."""
    # roles: a screen reader loses the table where the style sheet shows its rows as cards
    labels = [escape(head) for head in columns]
    lines = list(lines)
    kinds = _kinds(lines, len(labels))
    head = "".join(f'<th role="columnheader" scope="col"{kind}>{label}</th>'
                   for kind, label in zip(kinds, labels, strict=True))
    starts = ["".join(f' {name}="{escape(value)}"' for name, value in row.items())
              for row in rows or ({},) * len(lines)]
    body = "\n".join(f'<tr role="row"{start}>' + "".join(
        f'<td role="cell"{column} data-label="{label}">{cell}</td>'
        for column, label, cell in zip(kinds, labels, cells, strict=True)) +
        "</tr>" for start, cells in zip(starts, lines, strict=True))
    return (f'<table class="{kind}" role="table"><thead role="rowgroup"><tr role="row">{head}</tr></thead>'
            f'<tbody role="rowgroup">\n{body}\n</tbody></table>')


def grouped(columns: tuple[str, ...], groups: Groups) -> str:
    """The last cell of a short line spans what is left of it."""
    kinds = _kinds([line for lines in groups.values() for line in lines], len(columns))
    head = "".join(f'<th scope="col"{kind}>{name}</th>' if name else "<td></td>"
                   for kind, name in zip(kinds, columns, strict=True))
    bodies = []
    for name, lines in groups.items():
        title = f'<tr><th colspan="{len(columns)}" scope="rowgroup">{name}</th></tr>\n' if name else ""
        body = "\n".join(f"<tr>{_cells(cells, kinds)}</tr>" for cells in lines)
        bodies.append(f"<tbody>\n{title}{body}\n</tbody>")
    return f'<table class="dataframe speed"><thead><tr>{head}</tr></thead>\n' + "\n".join(bodies) + "\n</table>"


def _kinds(lines: Sequence[Sequence[str]], wide: int) -> list[str]:
    """The attribute of each column's cells: which are numbers, as lines that are whole have them."""
    whole = [line for line in lines if len(line) == wide]
    return [' class="number"' if numeric(line[n] for line in whole) else "" for n in range(wide)]


def _cells(cells: Sequence[str], kinds: list[str]) -> str:
    *first, last = cells
    short = len(cells) < len(kinds)
    kind = f' colspan="{len(kinds) - len(first)}"' if short else kinds[len(first)]
    whole = "".join(f"<td{each}>{cell}</td>" for each, cell in zip(kinds, first, strict=False))
    return whole + f"<td{kind}>{last}</td>"


# -- claims -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Place:
    """Where a claim is settled: links to it, and by what its row can be found (`data-` attributes by name)."""
    links: str = ""
    kinds: Mapping[str, str] = field(default_factory=dict)


def claims_table(lines: Iterable[tuple[Claim, dict[str, Any]]], places: Mapping[str, Place] | None = None) -> Html:
    """A row a claim and its record (`metrics`), each a target of links; `places` by the claim's id."""
    columns = ("Claim", "Paper", "Measured", "95 % interval", "Verdict")
    lines, places = list(lines), places or {}
    rows = [{"id": f"claim-{claim.id}", **{f"data-{name}": value for name, value in
                                           places.get(claim.id, Place()).kinds.items()}} for claim, _ in lines]
    return Html(cards(columns, [
        (f"<strong>{claim.id}</strong> {text(claim.sentence)} <small>{_printed(claim.where)}</small>",
         text(claim.printed), f"{measured(record)}<br><small>{text(claim.quantity)}</small>",
         f"{interval(record)}{ran(record, claim.id)}",
         verdict(claim, record, places.get(claim.id, Place()).links)) for claim, record in lines], rows=rows))


def _printed(where: str) -> str:
    address = printed_at(where)
    return f'<a href="{escape(address)}">{text(where)}</a>' if address else text(where)


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


def ran(record: dict[str, Any], name: str) -> str:
    """Of trained networks, for the claim of that name: scatter between seeds, or whatever else was drawn, images that
    judged, devices, and the way to the runs."""
    form = "×{:.3g}" if record["unit"] == "×" and not record.get("seeds") else "{:.2g}"
    scatter = " and ".join(map(form.format, record.get("scatter") or ()))
    parts = (f"scatter {scatter}" if scatter else "",
             f"{record['images']:,} images" if record.get("images") else "", ", ".join(record.get("devices") or ()))
    runs = f'<br><small><a href="runs.html#claim-{name}">its runs</a></small>' if record.get("devices") else ""
    return (f"<br><small>{text('; '.join(filter(None, parts)))}</small>" if any(parts) else "") + runs


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


def verdict(claim: Claim, record: dict[str, Any], links: str = "") -> str:
    """With the region that decides, what it would take where nothing has, and `links` to where it is settled."""
    lines = [word(record["verdict"]) + (" (arithmetic)" if record.get("n") == 0 else ""),
             f"claimed: {region(claim.region)}"]
    if record["verdict"] == UNRESOLVED and (record.get("n") or 0) > 1:
        seeds = record.get("seeds_needed")
        of = record.get("of", "seeds")
        lines.append(f"about {seeds:,} {of} would" if seeds else f"not even 10,000 {of} would")
    if record.get("value") is None and (claim.awaits or claim.why):
        lines.append(text(f"awaits {claim.awaits}" if claim.awaits else claim.why))
    if record["verdict"] == NOT_RUN and claim.study:
        lines.append(f'awaits the runs of <a href="planned.html#{anchor(claim.study)}"><code>{claim.study}</code></a>')
    lines += filter(None, [mind(claim.region, record), links])
    return lines[0] + "".join(f"<br><small>{line}</small>" for line in lines[1:])
