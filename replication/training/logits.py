"""Logits after the network: kept in files, averaged over views and networks, turned into errors. No torch.

Logits are arrays (N, classes), errors fractions of the N images. Of equal logits the class that comes first wins.
"""
from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp, softmax

from replication import files
from replication.data import spec
from replication.errors import BadInput, check
from replication.runs import store

Logits = NDArray[np.floating]
Rule = Callable[[Logits], Logits]
MOST = 12  # members of which every subset is looked at: 4,095 of them


@dataclass(frozen=True)
class Scores:
    """What one network says of a split.

    logits: (N, classes) of every head by its name; "main" is among them.
    labels: int64 (N,).
    images: a name for the images and their order (see `images`); Scores of the same name can be combined.
    """
    logits: dict[str, Logits]
    labels: NDArray[np.int64]
    images: str


def images(data: spec.Data, labels: NDArray[np.int64]) -> str:
    """Twelve hex digits for the validation images of a data set, in their order and with their labels (N,).

    Two values that differ in their training images alone get the same digits. `data` is resolved (`data.registry`).
    """
    what = {**files.plain(data), "labels": hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest()}
    what.pop("train_images", None)
    return files.digest(what)


def keep(path: Path, scores: Scores) -> None:
    """Writes them by rename, the logits as float32. Raises BadInput when the disk is full."""
    heads = {f"head.{name}": logits.astype(np.float32) for name, logits in scores.logits.items()}
    try:
        with files.whole(path) as partial, partial.open("wb") as file:
            np.savez(file, labels=scores.labels, images=scores.images, **heads)  # type: ignore[arg-type]
    except OSError as problem:
        raise store.full(path, problem) from problem


def read(path: Path) -> Scores:
    """Raises BadInput for a file that is not there, truncated or foreign."""
    try:
        with np.load(path, allow_pickle=False) as held:
            heads = {name.removeprefix("head."): held[name] for name in held.files if name.startswith("head.")}
            found = Scores(heads, held["labels"], str(held["images"]))
        if "main" not in heads or any(len(one) != len(found.labels) for one in heads.values()):
            raise ValueError("it lacks some")
    except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, BadZipFile) as problem:
        raise BadInput(f"{path} holds no logits ({problem}); delete it if it is there, and ask members.member for it "
                       f"on the machine that trained the run.") from problem
    return found


# -- several made one ---------------------------------------------------------------------------------------------
# Each takes (members, N, classes), views or networks, and gives logits (N, classes). One member alone is left as it is.
def softmax_mean(stack: Logits) -> Logits:
    """The logarithm of the mean probability: V1 §7's "softmax probabilities are averaged"."""
    return stack[0] if len(stack) == 1 else logsumexp(_log(stack), axis=0) - np.log(len(stack))


def logit_mean(stack: Logits) -> Logits:
    """The mean of the logits: a geometric mean of probabilities."""
    return stack[0] if len(stack) == 1 else stack.mean(0, dtype=float)


def largest(stack: Logits) -> Logits:
    """The logarithm of the largest probability any member gives a class, made to sum to one: V1 §7's maximum over
    crops."""
    return stack[0] if len(stack) == 1 else log_softmax(_log(stack).max(0), axis=-1)


RULES: dict[str, Rule] = {"softmax mean": softmax_mean, "logit mean": logit_mean, "maximum": largest}


def most_confident(stack: Logits) -> Logits:
    """Each image's logits from the member whose largest probability is the largest (the first of equals)."""
    chosen = _log(stack).max(2).argmax(0)
    return stack[chosen, np.arange(stack.shape[1])]


# -- errors -------------------------------------------------------------------------------------------------------
def place(logits: Logits, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many classes come before the right one, (N,): 0 is a hit. Raises BadInput for logits that are no numbers."""
    if logits.ndim != 2 or len(logits) != len(labels):
        raise BadInput(f"Logits of shape {logits.shape} do not belong to {len(labels)} labels; give (N, classes).")
    if not np.isfinite(logits).all():
        raise BadInput("These logits are not all finite numbers: the run they come from has diverged; leave it out.")
    right = np.take_along_axis(logits, labels[:, None], 1)
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    found: NDArray[np.int64] = ((logits > right) | ((logits == right) & earlier)).sum(1)
    return found


def errors(logits: Logits, labels: NDArray[np.int64]) -> dict[str, float]:
    """Top-1 and top-5 error; of five classes or fewer the second is 0."""
    before = place(logits, labels)
    return {"error": float((before >= 1).mean()), "error5": float((before >= 5).mean())}


def heads(scores: Scores) -> pd.DataFrame:
    """A row per head, then, where there are several, their average and each image's most confident one: head, error,
    error5. V1 §5 discards the auxiliary heads at inference."""
    found = dict(scores.logits)
    if len(found) > 1:
        stack = np.stack(list(found.values()))
        found |= {"average": softmax_mean(stack), "most confident": most_confident(stack)}
    return pd.DataFrame([{"head": name, **errors(logits, scores.labels)} for name, logits in found.items()])


# -- ensembles ----------------------------------------------------------------------------------------------------
def ensemble(members: Sequence[Scores]) -> Logits:
    """The mean probability of several networks' main heads, as logits (N, classes). Raises BadInput for no networks,
    and where they did not see the same images in the same order."""
    return softmax_mean(_together(members))


def subsets(members: Sequence[Scores]) -> pd.DataFrame:
    """A row per non-empty subset, probabilities averaged: `networks` (how many), `members` (their positions), error,
    error5. V1 Table 3 has one single network, the best of seven by the very error it prints, and one ensemble.

    Raises BadInput as `ensemble` does, and for more than MOST members.
    """
    check("the number of members", len(members), int, 1, MOST)
    chances, labels = softmax(_together(members).astype(float), axis=-1), members[0].labels
    chosen = [some for k in range(1, len(members) + 1) for some in combinations(range(len(members)), k)]
    return pd.DataFrame([{"networks": len(some), "members": some,
                          **errors(chances[list(some)].sum(0), labels)} for some in chosen])


def expected(members: Sequence[Scores]) -> pd.DataFrame:
    """A row per number of networks: the error to expect of so many of these, the mean over all subsets; `lowest` and
    `highest` of them; error5 likewise the mean; `subsets`."""
    grouped = subsets(members).groupby("networks")
    return pd.DataFrame({"error": grouped.error.mean(), "lowest": grouped.error.min(), "highest": grouped.error.max(),
                         "error5": grouped.error5.mean(), "subsets": grouped.size()}).reset_index()


def _together(members: Sequence[Scores]) -> Logits:
    if not members:
        raise BadInput("An ensemble of no networks says nothing; give one or more.")
    for i, one in enumerate(members):
        if one.images != members[0].images or not np.array_equal(one.labels, members[0].labels):
            raise BadInput(f"Member {i} has not seen the same images in the same order as member 0 ({one.images} and "
                           f"{members[0].images}); combine runs on the same validation images only.")
    return np.stack([one.logits["main"] for one in members])


def _log(stack: Logits) -> Any:
    return log_softmax(stack.astype(float), axis=-1)
