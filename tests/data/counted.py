"""What `replication.data.examined` counts, counted without the package: Pillow, NumPy and the standard library.

    python tests/data/counted.py DATA TABLES    # the official sets, against the tables images-*.csv of a store

DATA holds tiny-imagenet-200/ and fsdd/, TABLES is results/tables or out/tables. Takes about ten minutes.
Which pairs look alike is not searched for again: each pair of the table is compared anew, and the pairs are recounted.
"""
from __future__ import annotations

import csv
import hashlib
import math
import re
import statistics
import sys
import wave
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

Row = dict[str, Any]


def tiny(top: Path) -> list[Row]:
    """A row an image: split, file, wnid, box, kind ("L", "equal", "colour"), pixels (a digest), path."""
    rows: list[Row] = []
    for folder in sorted((top / "train").iterdir()):
        boxes = dict(line.split("\t", 1) for line in (folder / f"{folder.name}_boxes.txt").read_text().splitlines())
        rows += [{"split": "train", "file": name, "wnid": folder.name, "box": box, "path": folder / "images" / name}
                 for name, box in boxes.items() if (folder / "images" / name).exists()]
    for line in (top / "val/val_annotations.txt").read_text().splitlines():
        name, wnid, box = line.split("\t", 2)
        rows.append({"split": "val", "file": name, "wnid": wnid, "box": box, "path": top / "val/images" / name})
    for row in rows:
        row["box"] = tuple(map(int, row["box"].split()))
        with Image.open(row["path"]) as image:
            rgb = image.convert("RGB")
            red, green, blue = (band.tobytes() for band in rgb.split())
            row["kind"] = "L" if image.getbands() == ("L",) else "equal" if red == green == blue else "colour"
            row["pixels"] = hashlib.md5(rgb.tobytes()).hexdigest()
    return rows


def facts(rows: list[Row]) -> dict[str, float]:
    found: dict[str, float] = {}
    for split in ("train", "val"):
        of = [row for row in rows if row["split"] == split]
        found[f"{split} images"] = len(of)
        found[f"{split} grey files"] = sum(row["kind"] == "L" for row in of)
        found[f"{split} grey pixels"] = sum(row["kind"] == "equal" for row in of)
        found[f"{split} outside"] = sum(gone(row["box"]) for row in of)
        found[f"{split} whole"] = 100 * sum(area(row["box"]) >= 2048 for row in of) / len(of)
        found[f"{split} box"] = 100 * sum(area(row["box"]) / 4096 for row in of) / len(of)
    pairs = twins(rows)
    sides = [tuple(sorted((a["split"], b["split"]))) for a, b in pairs]
    found["twins across"] = sides.count(("train", "val"))
    found["twins in train"] = sides.count(("train", "train"))
    found["twins in val"] = sides.count(("val", "val"))
    found["twins of two labels"] = sum(a["wnid"] != b["wnid"] for a, b in pairs)
    across = [sorted(pair, key=lambda row: str(row["split"])) for pair in pairs if pair[0]["split"] != pair[1]["split"]]
    found["misled"] = len({two["file"] for one, two in across if one["wnid"] != two["wnid"]})
    found["misled points"] = 100 * found["misled"] / found["val images"]
    return found


def judged(pairs: list[dict[str, str]], rows: list[Row]) -> dict[str, float]:
    """What follows from the table of pairs, in which eyes said what is nearly the same picture."""
    other = [row for row in pairs if row["relation"] != "identical pixels"]
    near = [row for row in other if row["relation"] == "the same picture, changed"]
    across = [row for row in near if row["between"] == "train/val"]
    out = {row["file"] for row in rows if row["split"] == "val" and gone(row["box"])}
    out |= {two["file"] for one, two in twins(rows) if (one["split"], two["split"]) == ("train", "val")}
    return {"looked at": sum(row["r"] != "" for row in other), "missed": sum(row["r"] == "" for row in other),
            "near twins": len(near), "near twins across": len(across),
            "left out": len(out | {row["file_b"] for row in across})}


def area(box: tuple[int, int, int, int]) -> int:
    return len(range(box[0], box[2] + 1)) * len(range(box[1], box[3] + 1))


def gone(box: tuple[int, int, int, int]) -> bool:
    x0, y0, x1, y1 = box
    return x0 == x1 == 0 or x0 == x1 == 63 or y0 == y1 == 0 or y0 == y1 == 63


def twins(rows: list[Row]) -> list[tuple[Row, Row]]:
    by = defaultdict(list)
    for row in rows:
        by[row["pixels"]].append(row)
    return [(a, b) for of in by.values() for i, a in enumerate(of) for b in of[i + 1:]]


def nearest(rows: list[Row], number: int) -> int:
    """Of the first validation images by number, how many have the label of the training image that differs least."""
    def array(of: list[Row]) -> Any:
        return np.stack([np.asarray(Image.open(row["path"]).convert("RGB")).ravel() for row in of])

    train = [row for row in rows if row["split"] == "train"]
    val = sorted((row for row in rows if row["split"] == "val"),
                 key=lambda row: int(re.findall(r"\d+", row["file"])[0]))[:number]
    seen = array(val).astype(float)
    best, label = np.full(len(val), np.inf), [""] * len(val)
    for start in range(0, len(train), 4000):
        part = array(train[start:start + 4000]).astype(float)
        far = (part ** 2).sum(1)[None] - 2 * seen @ part.T + (seen ** 2).sum(1)[:, None]
        for i, j in enumerate(far.argmin(1)):
            if far[i, j] < best[i]:
                best[i], label[i] = far[i, j], train[start + j]["wnid"]
    return sum(one == row["wnid"] for one, row in zip(label, val, strict=True))


def alike(one: Path, other: Path) -> float:
    """How much the edges of two images agree between 16 by 16 blocks, as they are or mirrored: a cosine."""
    def edges(image: Any) -> Any:
        blocks = np.asarray(image.convert("RGB").reduce(image.size[0] // 16)).astype(float)
        return np.concatenate([(blocks[1:] - blocks[:-1]).ravel(), (blocks[:, 1:] - blocks[:, :-1]).ravel()])

    first, second = Image.open(one), Image.open(other)
    return max(float(edges(first) @ edges(image) / np.linalg.norm(edges(first)) / np.linalg.norm(edges(image)))
               for image in (second, ImageOps.mirror(second)))


def fsdd(top: Path) -> list[Row]:
    rows = []
    for path in sorted((top / "recordings").glob("*.wav")):
        with wave.open(str(path)) as file:
            rate, samples = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
        energy = samples ** 2
        spare = len(samples) - rate
        middle, best = slice(0, None), 1.0
        if spare > 0:
            middle = slice(round(spare / 2), round(spare / 2) + rate)
            best = np.convolve(energy, np.ones(rate), "valid").max() / energy.sum()
        frame = rate // 50
        frames = [energy[at:at + frame].mean() for at in range(0, len(energy) - frame + 1, frame)]
        rows.append({"file": path.name, "speaker": path.stem.split("_")[1], "seconds": len(samples) / rate,
                     "step": math.gcd(*map(int, samples)), "loud": decibel(energy.mean()),
                     "floor": decibel(np.percentile(frames, 5)), "mean": samples.mean(),
                     "middle": energy[middle].sum() / energy.sum(), "loudest": best})
    return rows


def decibel(power: float) -> float:
    return 20 * math.log10(max(math.sqrt(power), 0.1) / 32768)


def told_apart(rows: list[Row]) -> float:
    """Of 100 recordings, how many have the same speaker as the one nearest in mean, level and floor."""
    columns = [[row[name] for row in rows] for name in ("mean", "loud", "floor")]
    places = np.stack([(np.array(one) - statistics.fmean(one)) / (statistics.pstdev(one) or 1) for one in columns], 1)
    right = 0
    for i, row in enumerate(rows):
        far = np.linalg.norm(places - places[i], axis=1)
        far[i] = np.inf
        right += rows[int(far.argmin())]["speaker"] == row["speaker"]
    return 100 * right / len(rows)


def by_speaker(rows: list[Row]) -> dict[str, dict[str, float]]:
    found = {}
    for name in {row["speaker"] for row in rows}:
        of = {what: [row[what] for row in rows if row["speaker"] == name]
              for what in ("seconds", "mean", "step", "loud", "floor")}
        found[name] = {"recordings": len(of["mean"]), "seconds": statistics.fmean(of["seconds"]),
                       "shortest": min(of["seconds"]), "longest": max(of["seconds"]),
                       "long": sum(one > 1 for one in of["seconds"]), "mean": statistics.fmean(of["mean"]),
                       "step": min(of["step"]), "loud": statistics.median(of["loud"]),
                       "floor": statistics.median(of["floor"])}
    return found


def spoken(rows: list[Row]) -> dict[str, float]:
    return {"recordings": len(rows), "speakers": len({row["speaker"] for row in rows}),
            "shortest": min(row["seconds"] for row in rows), "longest": max(row["seconds"] for row in rows),
            "long": sum(row["seconds"] > 1 for row in rows),
            "cut by the middle second": sum(row["middle"] < 0.95 for row in rows),
            "least in the middle second": 100 * min(row["middle"] for row in rows),
            "cut by the loudest second": sum(row["loudest"] < 0.95 for row in rows),
            "least in the loudest second": 100 * min(row["loudest"] for row in rows), "told apart": told_apart(rows)}


def main(data: Path, tables: Path) -> int:
    def read(part: str) -> list[dict[str, str]]:
        with (tables / f"images-{part}.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    stored = {(name, row["what"]): float(row["value"]) for name in ("tiny-imagenet-200", "fsdd")
              for row in read(f"facts-{name}")}
    images = tiny(data / "tiny-imagenet-200")
    mine = {("tiny-imagenet-200", what): value for what, value in facts(images).items()}
    right = nearest(images, round(stored["tiny-imagenet-200", "nearest judged"]))
    mine["tiny-imagenet-200", "nearest right"] = right
    mine["tiny-imagenet-200", "nearest"] = 100 * right / stored["tiny-imagenet-200", "nearest judged"]
    mine |= {("tiny-imagenet-200", what): value for what, value in judged(read("pairs"), images).items()}
    recordings = fsdd(data / "fsdd")
    mine |= {("fsdd", what): value for what, value in spoken(recordings).items()}
    for row in read("speakers"):
        name = row.pop("speaker")
        stored |= {(name, what): float(value) for what, value in row.items()}
    mine |= {(name, what): value for name, of in by_speaker(recordings).items() for what, value in of.items()}
    for row in read("long"):
        name = row.pop("file")
        stored |= {(name, what): float(value) for what, value in row.items()}
    mine |= {(row["file"], what): row[what] for row in recordings if row["seconds"] > 1
             for what in ("seconds", "middle", "loudest")}
    wrong = [f"{key}: {stored.get(key)} stored, {value} here" for key, value in mine.items()
             if not np.isclose(stored.get(key, np.nan), value, rtol=1e-5)]
    at = {row["file"]: row["path"] for row in images}
    listed = {(row["file"], row["why"]) for row in read("val")}
    val = [row for row in images if row["split"] == "val"]
    own = {(row["file"], "object outside") for row in val if gone(row["box"])}
    own |= {(row["file"], "grey") for row in val if row["kind"] != "colour"}
    own |= {(two["file"], "twin in train") for one, two in twins(images) if (one["split"], two["split"]) ==
            ("train", "val")}
    wrong += [f"val: {one}" for one in sorted(own ^ {one for one in listed if one[1] != "near twin in train"})]
    wrong += [f"pair: {row}" for row in read("pairs") if row["r"] and abs(
        alike(at[row["file_a"]], at[row["file_b"]]) - float(row["r"])) > 0.01]
    print(*wrong, f"{len(mine)} numbers and {len(own)} listed images compared, {len(wrong)} differ", sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
