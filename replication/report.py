"""What a page hands on: the numbers its prose quotes and the claims it settles, written, gathered, shown, compared."""
from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from replication import places, provenance, store
from replication.claims import CLAIMS, NOT_RUN, Settled
from replication.errors import BadInput
from replication.study import Grid

Record = dict[str, Any]


def write(page: str, settled: Sequence[Settled] = (), grid: Grid | None = None, **numbers: Any) -> None:
    """Writes `metrics/<page>.json` into your store: provenance, claims, and the numbers that prose quotes by `{val}`."""
    runs = grid.summary() if grid is not None else None
    more: Record = {"parameters": _given(grid) if grid is not None else {}}
    if runs is not None and len(runs):
        more |= {"device": ", ".join(sorted(set(runs.device))), "runs": len(runs), "seconds": float(runs.seconds.sum()),
                 "run_commits": sorted({c for c in runs.commit if c})}
    else:
        more |= {"device": "none: arithmetic"}
    path = places.mine() / "metrics" / f"{page}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    store.write(path, store.as_json({
        "provenance": provenance.collect(**more), "claims": {s.claim.id: _record(s) for s in settled},
        **{name: _number(value) for name, value in numbers.items()}}))


def read(page: str) -> Record | None:
    """A page's numbers, yours before the published ones."""
    return next((found for place in places.stores() if (found := _read(place, page))), None)


def _read(place: Path, page: str) -> Record | None:
    path = place / "metrics" / f"{page}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    except json.JSONDecodeError as problem:
        raise BadInput(f"{path} is truncated or no JSON: delete it and run the page again.") from problem


def _given(grid: Grid) -> Record:
    return {name: value for name, value in asdict(grid.setting).items() if value is not None}


def _number(value: Any) -> Any:
    return round(float(value), 6) if isinstance(value, float) or hasattr(value, "dtype") else value


def _record(settled: Settled) -> Record:
    claim, interval = settled.claim, settled.interval
    record: Record = {"unit": claim.unit, "verdict": settled.verdict, "seeds_needed": settled.seeds_needed}
    if interval is not None:
        finite = {k: _number(v) if math.isfinite(v) else None for k, v in asdict(interval).items()}
        record |= finite | {"n": interval.n}
    return record


# -- the claims table ---------------------------------------------------------------------------------------------
def settled(pages: Sequence[str]) -> dict[str, Record]:
    """Every claim some page settled, by id, in the order of CLAIMS; what no page has is "not yet run"."""
    found: dict[str, Record] = {}
    for page in pages:
        found |= (read(page) or {}).get("claims", {})
    return {name: found.get(name, {"verdict": NOT_RUN, "unit": claim.unit}) for name, claim in CLAIMS.items()}


def claims_table(pages: Sequence[str]) -> str:
    """The claims table as HTML: a row a claim, which a narrow screen shows as a card."""
    rows = []
    for name, record in settled(pages).items():
        claim = CLAIMS[name]
        rows.append(_tr(("Claim", f"<strong>{name}</strong> {_text(claim.sentence)} <small>{_text(claim.where)}</small>"),
                        ("Paper", _text(claim.printed)),
                        ("Measured", f"{measured(record)}<br><small>{_text(claim.quantity)}</small>"),
                        ("95 % interval", interval(record)),
                        ("Verdict", _verdict(record))))
    return _table("Claim", "Paper", "Measured", "95 % interval", "Verdict", rows=rows)


def measured(record: Record) -> str:
    if "value" not in record:
        return "–"
    value, unit = record["value"], record["unit"]
    if unit == "points":
        return f"{_signed(value)} points"
    return f"{value:.0f} {unit}" if unit in ("rows", "layers") else f"{_digits(value)}{'' if unit == '×' else ' '}{unit}"


def interval(record: Record) -> str:
    if "value" not in record:
        return "–"
    if record["n"] == 0:
        return "exact"
    if record["low"] is None:
        return "one seed: none"
    show = _signed if record["unit"] == "points" else _digits
    return f"{show(record['low'])} to {show(record['high'])} <small>({record['n']} seeds)</small>"


def _verdict(record: Record) -> str:
    kind = {"not resolved": "unresolved", "not yet run": "not-run"}.get(record["verdict"], record["verdict"])
    more = f"<br><small>about {record['seeds_needed']:,} seeds would</small>" if record.get("seeds_needed") else ""
    return f'<span class="verdict-{kind}">{record["verdict"]}</span>{more}'


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _text(words: str) -> str:
    return html.escape(words, quote=False)


def _tr(*cells: tuple[str, str]) -> str:
    return "<tr>" + "".join(f'<td data-label="{label}">{content}</td>' for label, content in cells) + "</tr>"


def _table(*heads: str, rows: Sequence[str]) -> str:
    head = "".join(f'<th scope="col">{h}</th>' for h in heads)
    return f'<table class="claims"><thead><tr>{head}</tr></thead><tbody>\n' + "\n".join(rows) + "\n</tbody></table>"


# -- reproduced here ----------------------------------------------------------------------------------------------
def compared(pages: Sequence[str]) -> list[Record]:
    """A row per claim that both stores settled: published beside yours, and whether number and verdict agree.

    Two measured numbers agree when their intervals overlap, two exact ones when they are equal.
    """
    rows = []
    for page in pages:
        theirs, ours = _read(places.PUBLISHED, page), _read(places.mine(), page)
        for name, record in (theirs or {}).get("claims", {}).items():
            mine = (ours or {}).get("claims", {}).get(name)
            if mine is not None and "value" in mine and "value" in record:
                rows.append({"id": name, "page": page, "published": record, "mine": mine,
                             "number_agrees": _overlap(record, mine),
                             "verdict_agrees": record["verdict"] == mine["verdict"]})
    return rows


def _overlap(a: Record, b: Record) -> bool:
    def ends(record: Record) -> tuple[float, float]:
        return (-math.inf if record["low"] is None else record["low"], math.inf if record["high"] is None
                else record["high"])
    return ends(a)[0] <= ends(b)[1] and ends(b)[0] <= ends(a)[1]


def compared_table(pages: Sequence[str]) -> str:
    """*Reproduced here* as HTML."""
    rows = [_tr(("Claim", f"<strong>{row['id']}</strong> {_text(CLAIMS[row['id']].sentence)}"),
                ("Published", f"{measured(row['published'])}<br><small>{interval(row['published'])}</small>"),
                ("Here", f"{measured(row['mine'])}<br><small>{interval(row['mine'])}</small>"),
                ("Numbers", "agree" if row["number_agrees"] else "differ"),
                ("Verdicts", f"{_verdict(row['published'])} / {_verdict(row['mine'])}"))
            for row in compared(pages)]
    return _table("Claim", "Published", "Here", "Numbers", "Verdicts: published / here", rows=rows)


def agreement(pages: Sequence[str]) -> str:
    """In one sentence."""
    rows = compared(pages)
    if not rows:
        return "Nothing is published yet to compare with."
    numbers, verdicts = sum(r["number_agrees"] for r in rows), sum(r["verdict_agrees"] for r in rows)
    return (f"{numbers} of {len(rows)} published numbers agree with those measured here, and {verdicts} of {len(rows)} "
            f"verdicts are the same.")


def machines(pages: Sequence[str]) -> list[Record]:
    """Hardware and versions behind each page, published and here."""
    rows = []
    for page in pages:
        for whose, place in (("published", places.PUBLISHED), ("here", places.mine())):
            if found := _read(place, page):
                made = found["provenance"]
                rows.append({"page": page, "whose": whose, "device": made["device"], "processor": made["processor"],
                             "python": made["python"], "torch": made["versions"].get("torch"),
                             "commit": (made["commit"] or "unknown")[:9], "runs": made.get("runs", 0)})
    return rows
