"""What could be decided: from a pilot's runs, the seeds each trained claim takes, and what they cost.

A claim is decided when the 95 % interval of its measure lies clear of every edge of its region. Seeds are enough when
that happens with a probability of `stats.POWER`, were effect and scatter as the pilot saw them: of means by Student's t
(of two, with Welch's degrees of freedom), integrated over what the sample's own scatter may turn out to be; of shares
by the binomial distribution and the interval of Clopper and Pearson. A pilot of two seeds knows an effect only roughly,
so the numbers say whether ten seeds or a thousand are the order of magnitude.
"""
from __future__ import annotations

import math
import re
import warnings
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from replication import paths, provenance, stats
from replication.errors import BadInput
from replication.pages import html
from replication.pages.claim import CONTRADICTED, SUPPORTED, UNRESOLVED, Claim, Settled
from replication.pages.claims import CLAIMS
from replication.pages.measures import Arms, Difference, Mean, Of, Ratio, Share, sides_of
from replication.runs import experiments, store
from replication.studies import estimate, grid, profiles, study
from replication.studies.study import Cell, Grid

PILOT = "pilot"              # the profile
ENOUGH = 2                   # degrees of freedom that a standard deviation must have: of three seeds, say
HALF_AN_HOUR = 1800.0        # s: what a design for a CPU may take
CORES = 2                    # each with a run of its own: the machine on which the book's times are told
Row = Mapping[Hashable, Any]  # of the table


# -- how many -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Seen:
    """What runs say of a claim, on the scale where it is a mean: points, percent, or the logarithm of a ratio. `sds`
    are the standard deviations between the seeds of each side, () of a share; `whose` tells where they come from; of
    how many `runs` a side the effect comes. `paired` is the standard deviation of the difference of two runs of one
    seed and `unpaired` that of two runs of two seeds, of the same runs, where three seeds have both sides."""
    effect: float
    runs: tuple[int, ...]
    sds: tuple[float, ...] = ()
    whose: str = ""
    paired: float = math.nan
    unpaired: float = math.nan

    @property
    def error(self) -> float:
        """The standard error of the effect, with these runs; of a share NaN."""
        if not self.sds or not all(self.runs):
            return math.nan
        return math.sqrt(sum(sd ** 2 / n for sd, n in zip(self.sds, self.runs, strict=True)))


def decides(effect: float, sds: tuple[float, ...], region: tuple[float, float], n: int) -> float:
    """The probability that `n` seeds a side give an interval clear of the region's edges. `sds`: of one side or two."""
    variances = np.square(sds)
    if not variances.any():
        return float(effect not in region)
    free = (n - 1) * variances.sum() ** 2 / np.square(variances).sum()  # Welch's
    return stats.decides(effect, math.sqrt(variances.sum() / n), free, region)


def seeds(seen: Seen, region: tuple[float, float]) -> int | None:
    """The fewest seeds a side that decide with a probability of `stats.POWER`; None where no number up to `stats.MOST`
    does."""
    if not seen.sds:
        return stats.runs_needed(seen.effect, region)
    if not all(map(math.isfinite, (seen.effect, *seen.sds))) or seen.effect in region:
        return None
    return stats.first(lambda n: decides(seen.effect, seen.sds, region, n) >= stats.POWER)


# -- what runs say ------------------------------------------------------------------------------------------------
class Kept(Grid):
    """A grid whose runs are read from the store once."""
    @cached_property
    def _runs(self) -> list[tuple[Cell, store.Run]]:
        return super()._finished()

    @cached_property
    def _summary(self) -> pd.DataFrame:
        return super().summary()

    @cached_property
    def _history(self) -> pd.DataFrame:
        return super().history()

    def _finished(self) -> list[tuple[Cell, store.Run]]:
        return self._runs

    def summary(self) -> pd.DataFrame:
        return self._summary

    def history(self) -> pd.DataFrame:
        return self._history

    @classmethod
    def of(cls, other: Grid) -> Kept:
        return cls(other.study, other.setting, other.cells)


def look(claim: Claim, grids: Mapping[str, Grid], whole: Grid) -> Seen | None:
    """What the runs of grids, by study, say of a claim; None where they say nothing. `whole` has all arms of its study,
    which a grid need not. Where a side has too few seeds for
    a standard deviation, it is that of all arms of its study and form (as published or batch-normalised), else of all
    arms of its form; so the scatter may be known where a side has no run, and the effect is NaN."""
    own = grids[claim.study or ""]
    measure: Any = claim.measure
    if isinstance(measure, Share):
        sample, = measure.samples(own)
        return Seen(100 * float((sample != 0).mean()), (len(sample),)) if len(sample) else None
    if not isinstance(measure, (Difference, Mean)):
        return _of_interval(claim, own)
    sides = by_seed(measure, own)
    means = [float(sides[side].mean()) for side in sides]
    scatters = []
    for side, arms in zip(sides, sides_of(measure), strict=True):
        several = math.prod(1 if isinstance(keys, str) else len(keys) for keys in arms.values())
        published = _as_published(needed(arms, whole.cells)[0])
        if sides[side].count() > ENOUGH:
            scatters.append((float(sides[side].std()), "own"))
        else:
            sd, whose = _pooled(measure, published, own, grids)
            scatters.append((sd / math.sqrt(several), whose))
    if not all(math.isfinite(sd) for sd, _ in scatters) and not all(map(math.isfinite, means)):
        return None
    both = sides.dropna()
    pairs = len(means) == 2 and len(both) >= 3
    return Seen(means[0] - sum(means[1:]), tuple(int(sides[side].count()) for side in sides),
                tuple(sd for sd, _ in scatters), ", ".join(dict.fromkeys(whose for _, whose in scatters)),
                float((both.a - both.b).std()) if pairs else math.nan,
                math.sqrt(both.var().sum()) if pairs else math.nan)


def by_seed(measure: Difference | Mean, of: Grid) -> pd.DataFrame:
    """A row a seed, a column a side ("a" and "b"): the seed's number, its logarithm for a ratio, NaN without one."""
    values = measure.of(of)
    found = {}
    for seed, part in values.groupby("seed") if len(values) else ():
        alone = replace(measure, of=_always(part))
        found[seed] = [float(side[0]) if len(side) else math.nan for side in alone.samples(of)]
    frame = pd.DataFrame.from_dict(found, orient="index", columns=["a", "b"][:len(sides_of(measure))], dtype=float)
    return frame.map(math.log) if isinstance(measure, Ratio) else frame


def _always(values: pd.DataFrame) -> Of:
    return lambda _: values


def needed(arms: Arms, cells: Iterable[Cell]) -> list[Cell]:
    return [cell for cell in cells if all(
        cell.keys[factor] in ((keys,) if isinstance(keys, str) else keys) for factor, keys in arms.items())]


def _pooled(measure: Difference | Mean, published: bool, own: Grid, grids: Mapping[str, Grid]) -> tuple[float, str]:
    """The standard deviation between seeds of one arm, over all arms of a form: of the study, or else of all grids."""
    for whose, among in (("study", [own]), ("form", grids.values())):
        parts = [part for each in among for part in _repetitions(measure, each, published)]
        free = sum(len(part) - 1 for part in parts)
        if free >= ENOUGH:
            return math.sqrt(sum(len(part) * part.var(ddof=0) for part in parts) / free), whose
    return math.nan, ""


def _repetitions(measure: Difference | Mean, of: Grid, published: bool) -> list[pd.Series]:
    """The numbers of every arm of one form, those of seeds that have one."""
    values = measure.of(of)
    forms: dict[tuple[Hashable, ...], bool] = {tuple(cell.keys.values()): _as_published(cell) for cell in of.cells}
    arms = values.groupby([*of.study.factors]).value if len(values) else ()
    parts = [part.dropna() for keys, part in arms if forms[keys] == published]
    return [np.log(part) if isinstance(measure, Ratio) else part for part in parts if len(part)]


def _as_published(cell: Cell) -> bool:
    return cell.experiment.network.norm is None


def _of_interval(claim: Claim, of: Grid) -> Seen | None:
    """Of a measure that gives its interval alone: the scatter it was made of."""
    with np.errstate(divide="ignore", invalid="ignore"):  # a run that never gets there
        found = claim.measure(of) if claim.measure else None
    if found is None or found.n < 2:
        return None
    there = claim.scaled_interval(found)
    if not math.isfinite(there.high - there.low):
        return None
    return Seen(there.value, (there.n,), (stats.spread(there),), "own")


def printed(claim: Claim) -> float | None:
    """The paper's number on the scale of Seen, where it is a number of the claim's own unit."""
    number = re.search(r"([\d.]+) ?(points|×)$", claim.printed)
    if number is None or number[2] != claim.unit:
        return None
    return claim.scaled(float(number[1]))


# -- all claims ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Rates:
    """Machines and the multiply-adds a second that their runs reached: a core here (of the newest run on a processor,
    if none ran on this one), and a GPU (estimate.gpu)."""
    here: tuple[str, float]
    gpu: tuple[str, float]


def rates() -> Rates:
    with warnings.catch_warnings(action="ignore"):  # whoever reads a run that cannot be trusted says so
        made = [run.provenance for place in paths.stores() for run in store.everything(place)]
    newest = max((made for made in made if made.get("device") == "CPU"), key=lambda made: str(made.get("utc")),
                 default=None)
    here = estimate.speed(provenance.processor()) or (estimate.speed(estimate.where(newest)) if newest else None)
    return Rates(here or ("no machine yet", math.nan), estimate.gpu())


def table(profile: str, rate: Rates | None = None) -> pd.DataFrame:
    """A row a claim that needs training, those first that cost least here; what cannot be said is NaN, and comes last.

    Of the pilot, on the scale of Seen: the fewest `runs` a side, the `effect` and its standard `error`, the `distance`
    to the nearest edge of the region, the scatters `sd_a` and `sd_b` (`whose`), `paired` and `unpaired`. `seeds` a side
    decide the claim, or `as_printed` if the effect is the paper's; the first of the two that there is takes `here` and
    `gpu` seconds. Of the profile: with how many seeds it `judges`, the `verdict` now, the `value` measured with its
    `low` and `high` end over `n` seeds, and where that is not resolved the seeds `still` needed, were effect and
    scatter as there, with `still_here` and `still_gpu` seconds. `rate` is by default what runs were measured to reach.
    Raises BadInput for an unknown profile.
    """
    of, pilot, rate = profiles.profile(profile), profiles.profile(PILOT), rate or rates()
    trained = [claim for claim in CLAIMS.values() if claim.study is not None and claim.measure is not None]
    names = dict.fromkeys([*(claim.study or "" for claim in trained), *pilot.studies])
    whole = {name: whole_of(name, of) for name in names}
    piloted = {name: Kept.of(study.asked(name, PILOT)) for name in names}
    trained = [claim for claim in trained if whole[claim.study or ""].cells]  # the others fit no such images
    judged = {name: Kept.of(study.some(each, of) if name in of.studies else
                            replace(each, cells=())) for name, each in whole.items()}  # as `asked`, in half the time
    rows = []
    for claim in trained:
        name, sides = claim.study or "", sides_of(claim.measure)
        once = {tuple(cell.keys.values()): experiments.work(cell.experiment) for arms in sides
                for cell in needed(arms, whole[name].cells) if cell.seed == whole[name].setting.first_seed}
        work = sum(once.values())
        asks = all(needed(arms, judged[name].cells) for arms in sides)
        rows.append({
            "claim": claim.id, "study": name, "unit": claim.unit, "printed": claim.printed,
            "region": html.region(claim.region) + (claim.unit if claim.unit == "×" else f" {claim.unit}"),
            **_plan(claim, look(claim, piloted, whole[name]), work, rate),
            "judges": judged[name].setting.seeds if asks else 0, **_so_far(claim, judged, work, rate)})
    return pd.DataFrame(rows).sort_values("here", kind="stable", ignore_index=True)


def whole_of(name: str, profile: profiles.Profile) -> Grid:
    """A study with all its arms; without runs where its networks do not fit the profile's images."""
    setting = profile.setting(name)
    try:
        return study.under(grid.named(name), setting)
    except BadInput:
        return Grid(grid.named(name), setting, ())


def _plan(claim: Claim, seen: Seen | None, work: float, rate: Rates) -> dict[str, Any]:
    """What of a row the pilot knows."""
    region, number = claim.scaled_region, printed(claim)
    wanted = seeds(seen, region) if seen else None
    as_printed = seeds(replace(seen, effect=number), region) if seen and seen.sds and number is not None else None
    known = seen or Seen(math.nan, (0,))
    sds = (*known.sds, math.nan, math.nan)
    return {"runs": min(known.runs), "effect": known.effect, "error": known.error,
            "distance": min(abs(known.effect - edge) for edge in region if math.isfinite(edge)),
            "sd_a": sds[0], "sd_b": sds[1], "whose": known.whose, "paired": known.paired, "unpaired": known.unpaired,
            "seeds": wanted or math.nan, "as_printed": as_printed or math.nan,
            **_cost("", wanted or as_printed, work, rate)}


def _so_far(claim: Claim, judged: Mapping[str, Grid], work: float, rate: Rates) -> dict[str, Any]:
    """What of a row the runs that judge know."""
    with np.errstate(divide="ignore", invalid="ignore"):
        interval = claim.measure(judged[claim.study or ""]) if claim.measure else None
    settled = Settled(claim, interval)
    still = settled.seeds_needed
    value, low, high, n = astuple(interval)[:4] if interval else (math.nan,) * 4
    return {"verdict": settled.verdict, "value": value, "low": low, "high": high, "n": n, "still": still or math.nan,
            **_cost("still_", still, work, rate)}


def _cost(which: str, count: int | None, work: float, rate: Rates) -> dict[str, float]:
    """Seconds for so many seeds, `work` multiply-adds each."""
    whole = (count or math.nan) * work
    return {f"{which}here": whole / rate.here[1] / CORES, f"{which}gpu": whole / rate.gpu[1]}


# -- in which order -----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Turn:
    """A study of a profile: the claims that its seeds are thought to decide, those about which nothing is known yet,
    and how many runs and seconds of a GPU it adds to the studies before it, with which it may share runs."""
    study: str
    decides: tuple[str, ...]
    unknown: tuple[str, ...]
    runs: int
    seconds: float


def order(profile: str, known: pd.DataFrame) -> list[Turn]:
    """The studies of a profile, that first which decides most claims per second of training. `known` is a `table`: a
    claim takes the seeds that its runs, decided or not, or else the pilot tell of. Where nothing is decided, the
    profile's own order counts. Raises BadInput for an unknown profile."""
    of, rate = profiles.profile(profile), estimate.gpu()[1]
    wanted = {row["claim"]: _wanted(row) for row in known.to_dict("records")}
    ranked = []
    for each in study.of_profile(of):
        keys = {tuple(cell.keys.items()) for cell in each.cells}
        asked = [claim.id for claim in CLAIMS.values()
                 if claim.study == each.study.name and claim.measure is not None
                 and all(needed(arms, each.cells) for arms in sides_of(claim.measure))]
        decides = tuple(name for name in asked if wanted.get(name, math.nan) <= len(each.cells) / len(keys))
        unknown = tuple(name for name in asked if math.isnan(wanted.get(name, math.nan)))
        seconds = {cell.address: experiments.work(cell.experiment) / rate for cell in each.cells}
        ranked.append((each.study.name, decides, unknown, seconds))
    ranked.sort(key=lambda found: -len(found[1]) / sum(found[3].values()))
    turns: list[Turn] = []
    before: set[str] = set()
    for name, decides, unknown, seconds in ranked:
        adds = [took for address, took in seconds.items() if address not in before]
        before |= seconds.keys()
        turns.append(Turn(name, decides, unknown, len(adds), sum(adds)))
    return turns


def _wanted(row: Row) -> float:
    """Seeds a side: as many as have decided it, or would decide what is not resolved (inf: no number), or else by the
    pilot (NaN: it does not tell)."""
    if row["verdict"] in (SUPPORTED, CONTRADICTED):
        return float(row["n"])
    if row["verdict"] == UNRESOLVED:
        return math.inf if math.isnan(row["still"]) else float(row["still"])
    return next((row[name] for name in ("seeds", "as_printed") if not math.isnan(row[name])), math.nan)


# -- in words -----------------------------------------------------------------------------------------------------
def report(profile: str) -> str:
    """What `python -m replication power` prints. Raises BadInput for an unknown profile, and without a pilot."""
    rate = rates()
    of = table(profile, rate)
    if not _piloted(of):
        raise BadInput(f"No pilot run is stored: python -m replication run --profile {PILOT} trains what seeds are "
                       f"reckoned from.")
    head = (f"Seeds a side that decide each claim with a probability of {stats.POWER:.0%}, if effect and scatter are "
            f"as the pilot saw them, or the effect as printed.\nHere: {CORES} runs at once, {rate.here[1] / 1e9:.3g} G "
            f"multiply-adds a second each, as on {rate.here[0]}. GPU: {rate.gpu[1] / 1e12:.3g} T a second, "
            f"{rate.gpu[0]}.")
    lines = [COLUMNS, *(_line(row) for row in of.to_dict("records"))]
    wide = [max(map(len, column)) for column in zip(*lines, strict=True)]
    body = ["  ".join(cell.ljust(w) for cell, w in zip(line, wide, strict=True)).rstrip() for line in lines]
    return "\n".join([head, "", *body, "", *beyond(of), *unresolved(of), pairing(of)])


def _piloted(of: pd.DataFrame) -> bool:
    """Whether the pilot has told anything."""
    return bool((of.runs > 0).any() or of.sd_a.notna().any())


COLUMNS = ("claim", "region", "printed", "pilot saw", "scatter", "whose", "seeds", "as printed", "here", "GPU",
           "judged", "verdict")


def _line(row: Row) -> tuple[str, ...]:
    """A row of the table as people read it; ratios are no longer logarithms, and their scatter is in percent."""
    ratio = row["unit"] == "×"
    sds = [sd for sd in (row["sd_a"], row["sd_b"]) if not math.isnan(sd)]
    return (row["claim"], row["region"], row["printed"],
            f"{_shown(row['effect'], row['unit'])} ({row['runs']})" if row["runs"] else "no run",
            ", ".join(f"{100 * sd:.2g} %" if ratio else f"{sd:.2g}" for sd in sds) or "–", row["whose"] or "–",
            _count(row["seeds"]), _count(row["as_printed"]), clock(row["here"]), clock(row["gpu"]), str(row["judges"]),
            row["verdict"])


def _shown(effect: float, unit: str) -> str:
    if unit == "×":
        return f"{math.exp(effect):.3g}×"
    return html.signed(effect) if unit == "points" else f"{effect:.0f} {unit}"


def _count(number: float) -> str:
    return "–" if math.isnan(number) else f"{number:,.0f}"


def clock(seconds: float) -> str:
    """As estimate.clock, of what is known and of what takes longer than nothing."""
    return "–" if math.isnan(seconds) else estimate.clock(seconds) if seconds >= 1 else "< 1 s"


def beyond(of: pd.DataFrame) -> list[str]:
    """A sentence a claim that CORES do not decide within half an hour, with what they would take."""
    found = [f"{row['claim']}: two cores do not decide it within half an hour: {_basis(row)} take "
             f"{clock(row['here'])} here, {clock(row['gpu'])} on a GPU."
             for row in of[of.here > HALF_AN_HOUR].to_dict("records")]
    near = of.here.isna() & (of.runs > 0) & (of.sd_a.notna() | (of.unit == "%"))
    return found + [f"{name}: no number of seeds up to {stats.MOST:,} decides it, so near an edge of its region lies "
                    f"what the pilot saw." for name in of.claim[near]]


def _basis(row: Row) -> str:
    if math.isnan(row["seeds"]):
        return f"{row['as_printed']:,.0f} seeds a side, if the effect is as printed,"
    return f"{row['seeds']:,.0f} seeds a side"


def unresolved(of: pd.DataFrame) -> list[str]:
    """A sentence a claim that the profile's runs do not resolve: what was seen, and what would."""
    lines = []
    for row in of[of.verdict == UNRESOLVED].to_dict("records"):
        show = html.signed if row["unit"] == "points" else html.digits
        would = f"no number of seeds up to {stats.MOST:,} would decide it" if math.isnan(row["still"]) else (
            f"{row['still']:,.0f} seeds a side would decide it, {clock(row['still_here'])} here, "
            f"{clock(row['still_gpu'])} on a GPU")
        seen = html.measured({"value": row["value"], "unit": row["unit"]})
        half = html.digits((row["high"] - row["low"]) / 2)
        lines.append(f"{row['claim']} is not resolved: {seen}, from {show(row['low'])} to {show(row['high'])} "
                     f"(half-width {half}) over {row['n']:.0f} seeds, where the claim is {row['region']}; if effect "
                     f"and scatter stay so, {would}.")
    return lines


def shares(of: pd.DataFrame) -> dict[str, float]:
    """Of all claims whose differences are in points and of which the pilot has three seeds common to both sides: how
    many, and their standard deviations, as root mean squares."""
    part = of[(of.unit == "points") & of.paired.notna()]
    return {"claims": len(part), **{name: math.sqrt((part[name] ** 2).mean()) if len(part) else math.nan
                                    for name in ("paired", "unpaired")}}


def pairing(of: pd.DataFrame) -> str:
    """Whether pairing runs by their seed narrows differences, in a sentence."""
    seen = shares(of)
    if not seen["claims"]:
        return "Whether pairing by seed helps the pilot cannot tell: no claim has three seeds common to both sides."
    told = "helps" if seen["paired"] < 0.9 * seen["unpaired"] else "buys little"
    return (f"Pairing by seed, where both sides have three seeds ({seen['claims']} of the claims): the difference of "
            f"two runs of one seed scatters by {seen['paired']:.2f} points, of two seeds by {seen['unpaired']:.2f}: "
            f"{f'pairing {told}' if seen['claims'] >= 3 else 'too few to tell'}.")


def answer(of: pd.DataFrame) -> str:
    """What could be decided, in a sentence."""
    within, over = int((of.here <= HALF_AN_HOUR).sum()), int((of.here > HALF_AN_HOUR).sum())
    if not _piloted(of):
        return f"No pilot is stored here, so nothing is known yet of the {len(of)} claims that need training."
    return (f"Of {len(of)} claims that need training, {CORES} cores can decide {within} within half an hour each; "
            f"{over} take longer, and of {len(of) - within - over} the pilot gives no number of seeds.")


def shown(of: pd.DataFrame) -> html.Html:
    """The table of a page."""
    return html.Html(html.cards(COLUMNS, [[html.text(cell) for cell in _line(row)] for row in of.to_dict("records")]))


def listed(sentences: list[str]) -> html.Html:
    return html.Html("<ul>" + "".join(f"<li>{html.text(each)}</li>" for each in sentences) + "</ul>" if sentences else
                     "<p>None so far.</p>")


def piloted() -> list[Grid]:
    """What the pilot trains."""
    return study.of_profile(profiles.profile(PILOT))


def numbers(of: pd.DataFrame, profile: str) -> dict[str, Any]:
    """What *What could be decided* quotes."""
    rate, pilot, judges = rates(), profiles.profile(PILOT).setting("rates"), profiles.profile(profile).setting("v1.aux")
    return {"answer": answer(of), "pairing": pairing(of), "power": stats.POWER, "cores": CORES,
            "here": rate.here[0], "g_per_s": rate.here[1] / 1e9, "gpu": rate.gpu[0], "gpu_t_per_s": rate.gpu[1] / 1e12,
            "first_seed": pilot.first_seed, "pilot": {"lr": pilot.lr, "lr_bn": pilot.lr_bn, "batch": pilot.batch},
            "chosen": f"batches of {judges.batch}, {judges.epochs} epochs at a peak rate of {judges.lr:g} as published "
                      f"and, with batch normalisation, {judges.epochs_bn or judges.epochs} at {judges.lr_bn:g}"}
