"""What a claim is, and the rule, written before the run, that gives it its verdict.

Every claim says that one number lies in a region. The verdict is arithmetic on the 95 % interval of what we measured:
inside the region *supported*, outside it *contradicted*, across its edge *not resolved at this scale*.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from replication import stats
from replication.stats import Interval

SUPPORTED, CONTRADICTED, UNRESOLVED = "supported", "contradicted", "not resolved"
NOT_RUN, OUT_OF_REACH = "not yet run", "out of reach"

# Points of top-1 error: what the CVPR text of V1 calls a minor effect (about 0.5) is the largest we call none, and
# twice that the largest we call small.
MARGIN = 0.5
SMALL = 2 * MARGIN


# Where a paper can be read, by how `where` begins; of preprints the version that was read.
PRINTED = {
    "V1 (CVPR)": "https://doi.org/10.1109/CVPR.2015.7298594", "V1": "https://arxiv.org/abs/1409.4842v1",
    "V3": "https://arxiv.org/abs/1512.00567v3", "NIN": "https://arxiv.org/abs/1312.4400v3",
    "BN": "https://arxiv.org/abs/1502.03167v3", "Arora et al.": "https://arxiv.org/abs/1310.6343v1",
    "LeCun et al.": "https://doi.org/10.1109/5.726791"}


def printed_at(where: str) -> str:
    """The address of the paper in which a claim stands; "" where none is known."""
    return next((address for words, address in PRINTED.items() if where.startswith(words)), "")


@dataclass(frozen=True)
class Claim:
    """`sentence` in our words, `where` it stands, what is `printed`, the `quantity` we measure, and the `region` in
    which the sentence puts it. `unit` is "×", "G", "%", "points" (of error, in percent), or what is counted.

    A claim is settled by a `study`, whose grid `measure` takes, or by arithmetic, where `measure` takes nothing. One
    without a `measure` either waits for something, which `awaits` names, or is out of reach, and `why` says why."""
    id: str
    sentence: str
    where: str
    printed: str
    quantity: str
    unit: str
    region: tuple[float, float]
    study: str | None
    measure: Callable[..., Interval | None] | None
    why: str = ""
    awaits: str = ""

    @property
    def unmeasured(self) -> str:
        """The verdict before anything is measured."""
        return NOT_RUN if self.measure or self.awaits else OUT_OF_REACH

    def scaled(self, number: float) -> float:
        """A number of its unit on the scale on which its measure is a mean: of a ratio the logarithm."""
        if self.unit != "×":
            return number
        return math.log(number) if number > 0 else -math.inf

    @property
    def scaled_region(self) -> tuple[float, float]:
        """The region on that scale, without the ends that no number can pass."""
        low, high = map(self.scaled, self.region)
        if self.unit == "%":
            return (low if low > 0 else -math.inf, high if high < 100 else math.inf)
        return low, high

    def scaled_interval(self, interval: Interval) -> Interval:
        """An interval on that scale."""
        value, low, high = map(self.scaled, (interval.value, interval.low, interval.high))
        return replace(interval, value=value, low=low, high=high)


@dataclass(frozen=True)
class Settled:
    claim: Claim
    interval: Interval | None

    @property
    def verdict(self) -> str:
        return self.claim.unmeasured if self.interval is None else verdict(self.interval, self.claim.region)

    @property
    def seeds_needed(self) -> int | None:
        """Seeds a side that would resolve it with a probability of `stats.POWER` if mean and spread stay as seen."""
        if self.interval is None or self.verdict != UNRESOLVED:
            return None
        if self.claim.unit == "%":
            return stats.runs_needed(self.interval.value, self.claim.scaled_region)
        return stats.seeds_needed(self.claim.scaled_interval(self.interval), self.claim.scaled_region)


def verdict(interval: Interval, region: tuple[float, float]) -> str:
    """Where the whole interval lies with respect to the region; edges count as inside."""
    low, high = region
    if low <= interval.low and interval.high <= high:
        return SUPPORTED
    if interval.high < low or interval.low > high:
        return CONTRADICTED
    return UNRESOLVED
