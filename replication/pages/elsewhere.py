"""The networks as other libraries ship them and as other runtimes read ours: what tests/interop wrote, for the page
*Differences*."""
from __future__ import annotations

from typing import Any

import pandas as pd

from replication import checked, paths
from replication.pages.html import Html, cards, text

ASPECTS = ("normalisation", "activations", "maps", "max-pools of stride 2", "last average", "padding of averages",
           "last module", "pool projections", "pixels", "parameters", "as it is, apart", "set alike",
           "then apart")  # in this order
APART = ("as it is, apart", "then apart")
NO_FIT = "its weights do not fit"
ROUNDING = 1e-4  # of the logits' deviation; what is closer is the same network
NOT_RUN = "This was not run here: python -m tests.interop does it, in some minutes."
TORCH, OURS = "as torch writes it", "as this book writes it"


def networks() -> pd.DataFrame:
    """A row an aspect of a network of a library."""
    return _read("networks", ("network", "library", "version", "aspect", "text"))


def runtimes() -> pd.DataFrame:
    """A row a network, runtime and way of writing it: at how many sizes, how far apart, and at which otherwise."""
    return _read("runtimes", ("network", "runtime", "version", "written", "sizes", "apart", "otherwise"))


def _read(kind: str, columns: tuple[str, ...]) -> pd.DataFrame:
    path = next((path for path in paths.tables("interop") if path.stem == f"interop-{kind}"), None)
    return pd.DataFrame(columns=list(columns)) if path is None else checked.read(path, dtype=str, keep_default_na=False)


def shown(found: pd.DataFrame, network: str) -> Html:
    """A column a library that has it, with its version; a line an aspect that one of them tells of."""
    of = found[found.network == network]
    if of.empty:
        return Html(f"<p>{NOT_RUN}</p>")
    heads = dict.fromkeys(zip(of.library, of.version, strict=True))
    told = {(row.library, row.aspect): row.text for row in of.itertuples()}
    lines = [(aspect, *(_cell(aspect, str(told.get((library, aspect), "–"))) for library, _ in heads))
             for aspect in ASPECTS if any((library, aspect) in told for library, _ in heads)]
    return Html(cards(("aspect", *(f"{library} {version.partition('.post')[0]}" for library, version in heads)), lines,
                      kind="claims differences"))


def _cell(aspect: str, said: str) -> str:
    if aspect in APART and said not in ("–", NO_FIT):
        return "equal, to rounding" if float(said) < ROUNDING else f"{100 * float(said):.0f} %"
    if aspect in ("maps", "pool projections"):
        return text(said.replace("; ", ", "))
    return "<br>".join(map(text, said.replace("-1 to", "−1 to").split("; ")))


def runtimes_shown(found: pd.DataFrame) -> Html:
    """A line a network and file, torch's or ours, a column a runtime: at which of how many sizes it is not torch."""
    if found.empty:
        return Html(f"<p>{NOT_RUN}</p>")
    heads = dict.fromkeys(zip(found.runtime, found.version, strict=True))
    lines = []
    for (network, written), of in found.groupby(["network", "written"], sort=False):
        by = {row.runtime: row for row in of.itertuples()}
        cells = []
        for runtime, _ in heads:
            sizes, otherwise = by[runtime].sizes, str(by[runtime].otherwise)
            cells.append(f"not {_compact(otherwise)}, of {sizes} sizes" if otherwise else f"all {sizes} sizes")
        lines.append((text(str(network)), text(str(written)), *map(text, cells)))
    return Html(cards(("network", "file", *(f"{runtime} {version}" for runtime, version in heads)), lines))


def _compact(otherwise: str) -> str:
    """Sizes that are refused, and those at which it is other logits: how many, the first and the last of each."""
    kinds: dict[str, list[str]] = {}
    for one in otherwise.split("; "):
        size, _, how = one.partition(" (")
        kinds.setdefault("refused" if "refused" in how or not how else "other logits", []).append(size)
    return "; ".join(f"{len(sizes)} ({kind}: {sizes[0]}{f' … {sizes[-1]}' if len(sizes) > 1 else ''})"
                     for kind, sizes in kinds.items())


def answer(found: pd.DataFrame) -> str:
    """How many networks were run, how far they are as they are, and whether anything is left once all is set alike."""
    if found.empty:
        return NOT_RUN
    before, after = (pd.to_numeric(found.text[found.aspect == aspect].replace(NO_FIT, None)) for aspect in APART)
    same = int((before < ROUNDING).sum())
    left = "Once that is set alike, all agree to rounding." if (after < ROUNDING).all() else (
        f"Once that is set alike, {int((after < ROUNDING).sum())} agree to rounding.")
    strange = f", and the weights of {misfits} did not fit" if (misfits := int(before.isna().sum())) else ""
    low, high = 100 * before[before >= ROUNDING].min(), 100 * before.max()
    return (f"{len(before)} networks of {found.library.nunique()} libraries were compared with ours, with equal "
            f"weights. {same} gave the same logits as they are{strange}; the others were off by {low:.0f} % to "
            f"{high:.0f} % of the logits' spread, for pools, constants or activations. {left}")


def runtimes_answer(found: pd.DataFrame) -> str:
    """At how many sizes the runtimes give torch's logits, in our files and in torch's."""
    if found.empty:
        return NOT_RUN
    counts = {}
    for written, of in found.groupby("written"):
        wrong = sum(len(one.split("; ")) for one in of.otherwise if one)
        counts[written] = (of.sizes.astype(int).sum() - wrong, of.sizes.astype(int).sum())
    return (f"Of the files as this book writes them, {counts[OURS][0]} of {counts[OURS][1]} comparisons gave torch's "
            f"logits; of the same networks as torch writes them, {counts[TORCH][0]} of {counts[TORCH][1]}.")


def numbers() -> dict[str, Any]:
    """What *Differences* quotes."""
    return {"answer": answer(networks()), "runtimes": runtimes_answer(runtimes())}
