"""What *What the images are* shows. What takes minutes is counted where the sets are and kept (`studies.examined`)."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from replication.data import examined as counts
from replication.data import speech, subset, tiny_imagenet
from replication.data.registry import KNOWN, resolve
from replication.pages import html, pictures
from replication.pages.figures import Nothing
from replication.studies import examined
from replication.studies.examined import FSDD, TINY

NONE = "–"  # where there is nothing to say it from
ELSEWHERE = "the set was not at hand where this page was made"
MADE = ("shapes", "digits")  # which need no download


# -- sheets -------------------------------------------------------------------------------------------------------
def sheet(name: str, number: int = 8) -> Figure | Nothing:
    """Validation images of `shapes` or `digits`, or validation recordings of FSDD, with their labels, classes in turn.
    A page downloads nothing."""
    from replication.data import load  # torch

    if name == FSDD and not speech.root(FSDD).is_dir():
        return Nothing(ELSEWHERE)
    heard = replace(speech.SETS[FSDD].features, mfcc=None) if name == FSDD else None
    kept = load.arrays(resolve(name, features=heard))
    images, labels, _ = kept.val
    shown = images[:number] / np.float32(255) if heard is None else images[:number, :, 0].transpose(0, 2, 1)
    return pictures.sheet(shown, [kept.classes[label] for label in labels[:number]])


def photographs(number: int = 8) -> Figure | Nothing:
    """Of Tiny-ImageNet, a validation image each of classes all over the list."""
    if not tiny_imagenet.root().is_dir():
        return Nothing(ELSEWHERE)
    listing = tiny_imagenet.read()
    chosen = subset.evenly(len(listing.classes), min(number, len(listing.classes)))
    return _photographs([listing.val[c][0] for c in chosen], tiny_imagenet.words(listing.classes[c] for c in chosen))


def listed(why: str, number: int = 8) -> Figure | Nothing:
    """Validation images of Tiny-ImageNet that are listed for a reason, with their labels; of twins both labels."""
    if not tiny_imagenet.root().is_dir():
        return Nothing(ELSEWHERE)
    rows = examined.table("val")
    rows = rows[rows.why == why][:number]
    pairs = examined.table("pairs")
    others = pairs[pairs.between == "train/val"].drop_duplicates("file_b").set_index("file_b").wnid_a
    words = _words([*rows.wnid, *others])
    return _photographs([tiny_imagenet.root() / "val/images" / file for file in rows.file], [
        f"{words[wnid]},\nin train {words[others[file]]}" if why in (examined.TWIN, examined.NEAR) else words[wnid]
        for file, wnid in zip(rows.file, rows.wnid, strict=True)])


def _photographs(files: Sequence[Path], words: Sequence[str]) -> Figure | Nothing:
    from replication.data import decode  # Pillow

    shown = [decode.one(file, tiny_imagenet.SIDE) for file in files]
    good = [(image, word) for image, word in zip(shown, words, strict=True) if isinstance(image, np.ndarray)]
    return pictures.sheet(np.array([image for image, _ in good]) / np.float32(255), [word for _, word in good])


def _words(wnids: Sequence[str]) -> dict[str, str]:
    known = list(dict.fromkeys(wnids))
    return dict(zip(known, map(pictures.short, tiny_imagenet.words(known)), strict=True))


# -- tables -------------------------------------------------------------------------------------------------------
def neighbours() -> pd.DataFrame:
    """By set: how often the training image whose pixels differ least is of the right class, beside chance, of so many
    validation images; and how many of these are in training to the last pixel."""
    from replication.data import load  # torch

    rows = []
    for name in MADE:
        kept = load.arrays(resolve(name))
        found = counts.nearest(kept.train[0], kept.val[0])
        rows.append({"set": name, "judged": len(found), "right": 100 * (kept.train[1][found] == kept.val[1]).mean(),
                     "chance": 100 / len(kept.classes), "twins": int(
                         (kept.train[0][found] == kept.val[0]).all((1, 2, 3)).sum())})
    if (facts := _facts(TINY)) is not None:
        rows.append({"set": TINY, "judged": int(facts["nearest judged"]), "right": facts["nearest"],
                     "chance": 100 / tiny_imagenet.CLASSES, "twins": int(facts["twins across"])})
    return pd.DataFrame(rows)


def sets(found: pd.DataFrame) -> Styler:
    """A line a set: classes, images to train on and to validate, their side, and `neighbours`."""
    rows = []
    for name in (*MADE, TINY):
        known, data = KNOWN[name], resolve(name) if name in MADE else None
        near = found[found.set == name]
        rows.append({"set": name, "classes": len(known.train),
                     "to train on": data.train_images if data else sum(known.train),
                     "to validate": data.val_images if data else sum(known.val), "side, px": known.resolution,
                     "nearest is right, %": near.right.iloc[0] if len(near) else None,
                     "chance, %": 100 / len(known.train), "exact twins": near.twins.iloc[0] if len(near) else None})
    return html.neat(pd.DataFrame(rows).astype({"exact twins": "Int64"}), 1)


def twins() -> Styler | html.Html:
    """A line a validation image of Tiny-ImageNet that is in training, too, as it is or changed."""
    pairs = examined.table("pairs")
    pairs = pairs[(pairs.between == "train/val") & (pairs.relation != counts.OTHER)]
    if pairs.empty:
        return _not_counted()
    words = _words([*pairs.wnid_a, *pairs.wnid_b])
    return html.neat(pd.DataFrame({
        "validation image": pairs.file_b, "labelled": pairs.wnid_b.map(words), "training image": pairs.file_a,
        "labelled there": pairs.wnid_a.map(words), "relation": pairs.relation}))


def greys() -> Styler | html.Html:
    """By split of Tiny-ImageNet: what is grey, what is there twice, and what does not show its object."""
    facts = _facts(TINY)
    if facts is None:
        return _not_counted()
    return html.neat(pd.DataFrame([{
        "split": word, "images": int(facts[f"{split} images"]), "grey files": int(facts[f"{split} grey files"]),
        "colour files, grey in every pixel": int(facts[f"{split} grey pixels"]),
        "box a line on the border": int(facts[f"{split} outside"]),
        "box of the whole image, %": facts[f"{split} box"], "whole image found (IoU ≥ 0.5), %": facts[f"{split} whole"]}
        for split, word in (("train", "training"), ("val", "validation"))]), 1)


def speakers() -> Styler | html.Html:
    """A line a speaker of FSDD."""
    found = examined.table("speakers")
    if found.empty:
        return _not_counted()
    return html.neat(pd.DataFrame({
        "speaker": found.speaker, "recordings": found.recordings, "mean, s": found.seconds,
        "shortest, s": found.shortest, "longest, s": found.longest, "over a second": found.long,
        "mean sample": found["mean"], "step of samples": found.step, "level, dB": found.loud,
        "floor, dB": found.floor}))


def long(number: int = 8) -> Styler | html.Html:
    """The recordings of FSDD of which the middle second holds least."""
    found = examined.table("long")
    if found.empty:
        return _not_counted()
    found = found.sort_values("middle")[:number]
    return html.neat(pd.DataFrame({
        "recording": found.file, "seconds": found.seconds, "energy in the middle second, %": 100 * found.middle,
        "in the loudest, %": 100 * found.loudest}), 1)


def commands() -> Styler:
    """Speech Commands as its lists split it, by label."""
    (train, val), (_, test) = (speech.SETS["speech-commands"].count((held,)) for held in speech.LISTS)
    return html.neat(pd.DataFrame({"label": [*speech.WORDS, "unknown", "silence"], "training": train,
                                   "validation list": val, "testing list": test}))


def _not_counted() -> html.Html:
    return html.Html('<p class="state">Not counted here.</p>')


# -- numbers ------------------------------------------------------------------------------------------------------
def _facts(name: str) -> dict[str, float] | None:
    found = examined.table(examined.FACTS[name])
    return dict(zip(found.what, found.value, strict=True)) if len(found) else None


def numbers(found: pd.DataFrame) -> dict[str, Any]:
    """The numbers and sentences that the page quotes, which are there without any set, too."""
    tiny, spoken = _facts(TINY), _facts(FSDD)
    near = {row["set"]: row for row in found.to_dict("records")}
    own = {name: {"right": html.fixed(near[name]["right"], 1), "twins": str(near[name]["twins"])} for name in MADE}
    return {"answer": _answer(tiny, spoken), "counted": f"{_counted(TINY)} {_counted(FSDD)}", **own,
            "tiny": _said(tiny, TINY_FACTS), "fsdd": _said(spoken, FSDD_FACTS)}


# By the name that the page quotes it by: the fact and its decimals.
TINY_FACTS = {
    "grey_train": ("train grey files", 0), "grey_val": ("val grey files", 0), "equal_train": ("train grey pixels", 0),
    "equal_val": ("val grey pixels", 0), "across": ("twins across", 0), "in_train": ("twins in train", 0),
    "two_labels": ("twins of two labels", 0), "looked_at": ("looked at", 0), "missed": ("missed", 0),
    "near": ("near twins", 0),
    "near_across": ("near twins across", 0), "misled": ("misled", 0), "misled_points": ("misled points", 2),
    "outside_train": ("train outside", 0), "outside_val": ("val outside", 0), "box": ("val box", 1),
    "whole": ("val whole", 1), "nearest": ("nearest", 2), "judged": ("nearest judged", 0), "left_out": ("left out", 0)}
FSDD_FACTS = {
    "recordings": ("recordings", 0), "shortest": ("shortest", 2), "longest": ("longest", 2), "long": ("long", 0),
    "cut": ("cut by the middle second", 0), "least": ("least in the middle second", 1),
    "cut_loudest": ("cut by the loudest second", 0), "least_loudest": ("least in the loudest second", 1),
    "told": ("told apart", 0)}


def _said(facts: dict[str, float] | None, names: dict[str, tuple[str, int]]) -> dict[str, str]:
    return {name: NONE if facts is None else html.fixed(facts[what], digits) for name, (what, digits) in names.items()}


def _answer(tiny: dict[str, float] | None, spoken: dict[str, float] | None) -> str:
    sentences = []
    if tiny:
        sentences.append(
            f"Of Tiny-ImageNet's {tiny['val images']:,.0f} validation images, {tiny['val outside']:.0f} do not show "
            f"the object that they are labelled with, {tiny['twins across']:.0f} are training images under another "
            f"label, and {tiny['near twins across']:.0f} more are training images changed a little: "
            f"{tiny['left out']:.0f} in all, so that no error is exact below "
            f"{html.fixed(100 * tiny['left out'] / tiny['val images'], 1)} points.")
    if spoken:
        sentences.append(
            f"Of FSDD's {spoken['recordings']:,.0f} recordings, {spoken['cut by the middle second']:.0f} lose more "
            f"than a twentieth of their energy where the middle second is kept, and three numbers that have nothing to "
            f"do with the voice tell who speaks in {spoken['told apart']:.0f} of 100.")
    return " ".join(sentences) or ("Tiny-ImageNet and FSDD were not counted here, since neither is on this machine; of "
                                   "what is drawn or embedded the page tells all the same.")


def _counted(name: str) -> str:
    """Where the numbers of a set are from."""
    top = tiny_imagenet.root() if name == TINY else speech.root(name)
    if examined.here(name):
        return f"{name} was counted for this page."
    why = "only a part of it, or another set, was at hand" if top.is_dir() else "it was not at hand"
    commits = examined.table(examined.FACTS[name]).commit
    if commits.empty:
        return f"{name} was not counted: {why}."
    return f"Of {name} the stored numbers are shown (commit {str(commits.iloc[0])[:9]}): {why}."
