"""What *Try it* says of the network that runs in it: of the very file that a reader's browser gets (training.in_page
writes it), run here by onnxruntime on the images that judged the run."""
from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pandas.io.formats.style import Styler
from scipy.special import softmax

from replication import paths
from replication.data import shapes
from replication.pages import html, pictures
from replication.pages.figures import Nothing

FOLDER = paths.ROOT / "book" / "_static" / "network"
IMAGES = 4000  # that judge a run of the profile
MISSING = "onnxruntime is not installed here"
NONE = "–"  # where nothing could be measured


@dataclass(frozen=True)
class Said:
    """What the file's network says of the validation images: logits (N, classes) by head; the labels; the images
    (N, H, W, 3) as bytes; and ABOUT, what lies beside the file."""
    logits: dict[str, NDArray[np.float32]]
    labels: NDArray[np.int64]
    images: NDArray[np.uint8]
    about: dict[str, Any]

    @property
    def wrong(self) -> dict[str, NDArray[np.bool_]]:
        return {head: one.argmax(1) != self.labels for head, one in self.logits.items()}


def said(images: int = IMAGES, folder: Path = FOLDER) -> Said | None:
    """None where onnxruntime is not installed."""
    try:
        import onnxruntime
    except ImportError:
        return None
    about = json.loads((folder / "network.json").read_text(encoding="utf-8"))
    seen, labels, _ = shapes.split(images, shapes.SEEDS[None][1], about["side"], tuple(about["classes"]))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "network.onnx", options, providers=["CPUExecutionProvider"])
    x = ((seen.transpose(0, 3, 1, 2) / 255 - about["mean"]) / about["std"]).astype(np.float32)
    parts = [session.run(about["heads"], {"images": x[n:n + 250]}) for n in range(0, len(x), 250)]
    logits = {head: np.concatenate(of) for head, of in zip(about["heads"], zip(*parts, strict=True), strict=True)}
    return Said(logits, labels, seen, about)


def by_class(of: Said | None) -> Styler | html.Html:
    """Error of each head by class, in per cent, and what the main head takes most of its mistakes for."""
    if of is None:
        return html.Html(f"<p>Not measured: {MISSING}.</p>")
    names = of.about["classes"]
    rows = []
    for c, name in enumerate(names):
        mine = of.labels == c
        taken = of.logits["main"][mine].argmax(1)
        mistaken = np.bincount(taken[taken != c], minlength=len(names))
        rows.append({"class": name, **_errors(of, mine),
                     "most often taken for": names[mistaken.argmax()] if mistaken.any() else NONE})
    rows.append({"class": "all", **_errors(of, np.full(len(of.labels), True)), "most often taken for": ""})
    return html.neat(pd.DataFrame(rows), 1)


def mistakes(of: Said | None) -> Figure | Nothing:
    """The eight images of which the main head is surest and wrong."""
    if of is None:
        return Nothing(MISSING)
    chance = softmax(of.logits["main"].astype(float), axis=1).max(1)
    worst = np.where(of.wrong["main"], chance, 0).argsort(kind="stable")[::-1][:8]
    worst = worst[of.wrong["main"][worst]]
    names = of.about["classes"]
    words = [f"{names[of.labels[n]]}, taken for\n{names[of.logits['main'][n].argmax()]}, {100 * chance[n]:.0f} %"
             for n in worst]
    return pictures.sheet(of.images[worst] / 255, words)


def numbers(of: Said | None) -> dict[str, Any]:
    """The numbers and sentences that the page quotes."""
    about = json.loads((FOLDER / "network.json").read_text(encoding="utf-8"))
    size = (FOLDER / "network.onnx").stat().st_size
    found = {"run": about["run"], "commit": str(about["commit"])[:12], "published": 100 * about["error"],
             "megabytes": f"{size / 1e6:.1f}", "side": about["side"], "classes": len(about["classes"])}
    if of is None:
        return {**found, "images": NONE, "answer": f"What the network gets right has not been measured: {MISSING}."}
    error = {head: 100 * float(wrong.mean()) for head, wrong in of.wrong.items()}
    classes = np.array([of.wrong["main"][of.labels == c].mean() for c in range(len(about["classes"]))])
    best, worst = (about["classes"][int(c)] for c in (classes.argmin(), classes.argmax()))
    others = " and ".join(f"{html.fixed(error[head], 1)} % by the head at {head}" for head in about["heads"][1:])
    return {**found, "images": f"{len(of.labels):,}", "answer": (
        f"Of {len(of.labels):,} drawings of the kind that it has learnt, and has not seen, the network tells all but "
        f"{html.fixed(error['main'], 1)} % right; by an auxiliary head alone it would miss {others}. It is best with a "
        f"{best} and worst with a {worst}, of which it misses {html.fixed(100 * float(classes.max()), 1)} %.")}


def _errors(of: Said, which: NDArray[np.bool_]) -> dict[str, float]:
    """By the name of a head's column, in per cent of some images."""
    return {"main head, %" if head == "main" else f"{head}, %": float(100 * wrong[which].mean())
            for head, wrong in of.wrong.items()}
