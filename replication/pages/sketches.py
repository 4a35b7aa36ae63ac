"""Small pictures as inline SVG, for where a sentence is to be seen at a glance: letters as large as the text around
them, ink of the page's own colour."""
from __future__ import annotations

from collections.abc import Sequence
from html import escape

from replication.pages.figures import PALETTE

WIDE = 320  # units across; a phone shows them as about as many pixels
LINE = 46   # units a line
LETTERS = 14


def bars(lines: Sequence[tuple[str, float, str]]) -> str:
    """A bar a line, (label, length, the number as written), with its label above it."""
    longest = max(value for _, value, _ in lines)
    room = WIDE - 9 * max(len(shown) for *_, shown in lines) - 10
    parts = []
    for n, (label, value, shown) in enumerate(lines):
        y, wide = n * LINE, max(2.0, room * value / longest)
        parts += [_text(0, y + 14, label), f'<rect x="0" y="{y + 20}" width="{wide:.0f}" height="16" rx="2" '
                  f'fill="{PALETTE[n % 2]}"/>', _text(wide + 6, y + 33, shown, bold=True)]
    return _svg(LINE * len(lines), "; ".join(f"{label}: {shown}" for label, _, shown in lines), parts)


def interval(value: float, low: float, high: float, region: tuple[float, float], shown: str, claimed: str) -> str:
    """A number with its interval above an axis, on which the claimed region is a band, both in words beside it."""
    ends = [0.0, low, high, *(end for end in region if abs(end) != float("inf"))]
    least, most = min(ends), max(ends)
    pad = 0.06 * (most - least)

    def at(number: float) -> float:
        return WIDE * (min(max(number, least - pad), most + pad) - least + pad) / (most - least + 2 * pad)
    left, right = at(region[0]), at(region[1])
    # a label stands over its mark, as far as the picture is wide enough
    over, under = (min(max(x, 4.6 * len(words)), WIDE - 4.6 * len(words))
                   for x, words in ((at(value), shown), ((left + right) / 2, claimed)))
    parts = [
        f'<rect x="{left:.0f}" y="20" width="{max(2.0, right - left):.0f}" height="44" fill="{PALETTE[2]}" '
        'fill-opacity=".25"/>',
        f'<path d="M0 64H{WIDE}M{at(0):.0f} 60v8M{at(low):.0f} 42H{at(high):.0f}M{at(low):.0f} 36v12'
        f'M{at(high):.0f} 36v12" stroke="currentColor" stroke-width="1.5" fill="none"/>',
        f'<circle cx="{at(value):.0f}" cy="42" r="6" fill="{PALETTE[1]}"/>', _text(over, 14, shown, "middle", True),
        _text(at(0), 82, "0", "middle"), _text(under, 100, claimed, "middle")]
    return _svg(106, f"{shown}; {claimed}", parts)


def _text(x: float, y: float, words: str, anchor: str = "start", bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"{weight}>{escape(words)}</text>'


def _svg(high: int, says: str, parts: Sequence[str]) -> str:
    return (f'<svg class="sketch" role="img" aria-label="{escape(says)}" viewBox="0 0 {WIDE} {high}" '
            f'font-size="{LETTERS}" fill="currentColor">{"".join(parts)}</svg>')
