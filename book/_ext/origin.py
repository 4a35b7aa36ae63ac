"""Numbers in prose, and where each comes from: {val} shows one and leads to the foot of its page, where its name, its
interval and the runs, commits and devices behind it stand; {runs} lists the runs.
"""
from __future__ import annotations

import json
import math
import shutil
from html import escape
from pathlib import Path
from typing import Any

import tables
from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

log = logging.getLogger(__name__)
LONG = 40  # characters: a sentence is no link, and has a dagger that is one


def show(numbers: Any, path: list[str], percent: bool, spec: str) -> str:
    """One value of a metrics file as text; anything but a finite number, a word or yes/no is an error."""
    for key in path:
        numbers = numbers[int(key)] if isinstance(numbers, list) else numbers[key]
    if isinstance(numbers, (str, bool)):
        return format(str(numbers), spec)
    if not isinstance(numbers, (int, float)) or not math.isfinite(numbers):
        raise ValueError(f"{numbers!r} is not a number")
    return format(100 * numbers if percent else numbers, spec).replace("-", "\u2212")


def precision(record: dict[str, Any]) -> str:
    """What a claim's record says of its number: value ± interval (n); nothing of any other mapping."""
    if not isinstance(record, dict) or not all(isinstance(record.get(key), (int, float)) for key in
                                               ("value", "low", "high", "n")):
        return ""
    value, low, high, n = (record[key] for key in ("value", "low", "high", "n"))
    digits = max(0, 1 - math.floor(math.log10(high - low) + 1e-9)) if high > low else 2  # two of the interval's width
    number, least, most, half = (f"{each:,.{digits}f}".replace("-", "\u2212") for each in (
        value, low, high, (high - low) / 2))
    if n == 0:
        return f"{number} (exact)"
    even = abs(high + low - 2 * value) <= 0.02 * (high - low)  # of a ratio an interval is lopsided
    return f"{number} \u00b1 {half} (n = {n})" if even else f"{number} [{least}, {most}] (n = {n})"


def rests(numbers: dict[str, Any]) -> str:
    """In some words, what a page's numbers come from."""
    made = numbers.get("provenance", {})
    commits = [commit[:12] for commit in made.get("run_commits") or [made.get("commit") or "unknown"]]
    by = f"commit {commits[0]}" if len(commits) == 1 else f"commits {commits[0]} and {len(commits) - 1} more"
    if not made.get("runs"):
        return f"{made.get('device', '').removeprefix('none: ') or 'no run'}; {by}"
    return f"{made['runs']} runs on {' and '.join(made.get('devices') or [made['device']])}; {by}"


class Val(SphinxRole):
    """{val}`aux_heads.gap:.3f`, {val}`aux_heads.error|percent:.1f`: a number of metrics/aux_heads.json, as a link to
    the line at the foot of the page that says where it comes from."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        key, _, spec = self.text.partition(":")
        key, _, unit = key.partition("|")
        stem, *path = key.strip().split(".")
        try:
            if unit not in ("", "percent"):
                raise ValueError(f"unknown unit {unit!r}")
            numbers = json.loads(Path(self.env.srcdir, "_numbers", f"{stem}.json").read_text())
            text = show(numbers, path, unit == "percent", spec)
        except (OSError, KeyError, IndexError, TypeError, ValueError) as e:
            log.warning("no value for {val}`%s`: %r", self.text, e, location=self.get_location(), type="origin")
            return [nodes.problematic(self.text, "??")], []
        record = numbers
        for part in path[:-1]:
            record = record[int(part)] if isinstance(record, list) else record[part]
        exact = precision(record) if path[-1] == "value" else ""
        tip = "; ".join(filter(None, (key.strip(), exact, rests(numbers))))
        short = len(text) <= LONG
        link = nodes.reference("", text if short else "\u2020", internal=True, reftitle=tip,
                               refuri=f"#{anchor(self.env.docname, key)}", classes=["val" if short else "source"])
        link["number"] = (key.strip(), text, exact)
        return [link] if short else [nodes.inline(text, text), link], []


def anchor(page: str, key: str) -> str:
    return nodes.make_id(f"number-{page}-{key.strip()}")


def where_from(app, doctree):
    """At the foot of a page, each number that its text quotes, by name, and the runs, commits and devices behind."""
    quoted: dict[str, dict[str, tuple[str, str]]] = {}
    for link in doctree.findall(nodes.reference):
        if "number" in link:
            key, text, exact = link["number"]
            quoted.setdefault(key.split(".")[0], {})[key] = text, exact
    if not quoted:
        return
    page, parts = app.env.docname, []
    for stem, keys in sorted(quoted.items(), key=lambda item: item[0] != app.env.docname):
        numbers = json.loads(Path(app.srcdir, "_numbers", f"{stem}.json").read_text())
        parts.append(f"<p>{_source(app, stem, numbers)}</p>\n<ul>" + "\n".join(
            f'<li id="{anchor(page, key)}"' + (f' data-copy="{escape(exact)}"' if exact else "") +
            f"><code>{escape(key)}</code>" + (f": {escape(exact or text)}" if len(text) <= LONG else "") + "</li>"
            for key, (text, exact) in keys.items()) + "</ul>")
    html = ('<details class="numbers"><summary>Where the numbers of this page come from</summary>\n' +
            "\n".join(parts) + "\n</details>")
    next(doctree.findall(nodes.section), doctree).append(nodes.raw("", html, format="html"))


def _source(app, stem: str, numbers: dict[str, Any]) -> str:
    made = numbers.get("provenance", {})
    commits = made.get("run_commits") or [made.get("commit") or "unknown"]
    words = f"From <code>{escape(stem)}</code> (<a href=\"numbers/{stem}.json\">all its numbers</a>): "
    if not made.get("runs"):
        words += escape(made.get("device", "").removeprefix("none: ") or "no run")
    else:
        runs = f"{made['runs']} runs"
        words += f'<a href="runs.html#of-{stem}">{runs}</a>' if "runs" in app.env.found_docs else runs
        words += " on " + escape(", ".join(made.get("devices") or [made["device"]]))
    return (f"{words}; by commit{'s' if len(commits) > 1 else ''} " +
            ", ".join(f"<code>{escape(commit[:12])}</code>" for commit in commits))


class Runs(SphinxDirective):
    """{runs}: which runs stand behind which page and which claim, and what is stored of each."""

    def run(self) -> list[nodes.Node]:
        runs = json.loads(Path(self.env.srcdir, "_runs", "runs.json").read_text())
        pages, claims = {}, {}
        for path in sorted(Path(self.env.srcdir, "_numbers").glob("*.json")):
            numbers = json.loads(path.read_text())
            pages[path.stem] = numbers.get("provenance", {}).get("addresses") or []
            for name, record in numbers.get("claims", {}).items():
                if record.get("devices"):
                    claims[name] = record.get("addresses") or pages[path.stem]
        known = {run["address"] for run in runs}

        def of(title: str, groups: dict[str, list[str]], kind: str, form: str) -> str:
            return f'<p>{title}</p>\n' + "\n".join(
                f'<details id="{kind}-{name}"><summary>{form.format(escape(name))}: {len(addresses)} runs</summary>\n'
                "<p>" +
                " ".join(f'<a href="#run-{each}"><code>{each}</code></a>' if each in known else f"<code>{each}</code>"
                         for each in addresses) + "</p></details>" for name, addresses in groups.items() if addresses)

        columns = {"network": "Network", "data": "Data", "seed": "Seed", "epochs": "Epochs", "error": "Top-1 error, %",
                   "device": "Device", "commit": "Commit", "finished": "Finished"}
        number, numbers = ' class="number"', {"Seed", "Epochs", "Top-1 error, %"}
        rows = "\n".join(
            f'<tr id="run-{run["address"]}"><th scope="row"><a href="runs/{run["address"]}.csv"><code>{run["address"]}'
            "</code></a></th>" + "".join(f"<td{number * (title in numbers)}>{escape(str(run[key]))}</td>"
                                         for key, title in columns.items()) + "</tr>"
            for run in runs)
        head = "".join(f'<th scope="col"{number * (title in numbers)}>{title}</th>'
                       for title in ("Run", *columns.values()))
        html = (of("<strong>By page</strong>", pages, "of", "<code>{}</code>"),
                of("<strong>By claim</strong>", claims, "claim", "{}"),
                f'<div class="scrolls"><table class="dataframe runs"><thead><tr>{head}</tr></thead><tbody>\n{rows}\n'
                "</tbody></table></div>")
        *folds, table = (nodes.raw("", part, format="html") for part in html)
        words = nodes.Text(f"All {len(runs)} runs. The address leads to a run's epochs as csv; ")
        link = nodes.reference("", "this table as csv", refuri="runs/runs.csv", internal=True)
        return [*folds, tables.captioned("tab-runs", [words, link, nodes.Text(".")], table)]


def to_download(app, exception):
    """What a page's numbers and a run's epochs are read from, beside the pages."""
    if exception or app.builder.name != "html":
        return
    for folder in ("numbers", "runs"):
        shutil.copytree(Path(app.srcdir, f"_{folder}"), Path(app.outdir, folder), dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("runs.json"))


def setup(app):
    app.add_role("val", Val())
    app.add_directive("runs", Runs)
    app.connect("doctree-read", where_from)
    app.connect("build-finished", to_download)
