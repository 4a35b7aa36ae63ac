"""What is counted in a made-up Tiny-ImageNet and FSDD, by the loader and by a script without the package (counted.py),
against what was put in."""
from __future__ import annotations

import counted
import numpy as np
import pandas as pd
import pytest
import spoken
from spoken import write

from replication.data import examined, sound, speech
from replication.data.load import load
from replication.errors import BadInput
from replication.pages import what_images
from replication.runs import experiments, store
from replication.studies import examined as kept
from replication.studies import study
from replication.training import logits

GREY, EQUAL, LINES = ("n01_3.JPEG", "val_4.JPEG"), ("n02_1.JPEG", "val_5.JPEG"), ("n01_0.JPEG", "val_3.JPEG")
TWINS = {("n01_1.JPEG", "n02_0.JPEG"), ("n03_2.JPEG", "val_0.JPEG"), ("n03_3.JPEG", "val_1.JPEG")}


def noise(seed, spread=60):
    """Coarse noise of colours: 8 px blocks, so that JPEG and a look at blocks keep it."""
    blocks = np.random.RandomState(seed).normal(128, spread, (16, 16, 3)).clip(0, 255)
    return np.kron(blocks, np.ones((4, 4, 1))).astype(np.uint8)


@pytest.fixture
def made(root, picture):
    """Three classes of four training and two validation images, with what is to be found in them."""
    top = root / "tiny-imagenet-200"
    for c, wnid in enumerate(("n01", "n02", "n03")):
        boxes = []
        for k in range(4):
            name = f"{wnid}_{k}.JPEG"
            picture(top / "train" / wnid / "images" / name, noise(10 * c + k))
            boxes.append(f"{name}\t{'9 63 18 63' if name in LINES else '0 0 63 31'}".replace(" ", "\t"))
        (top / "train" / wnid / f"{wnid}_boxes.txt").write_text("\n".join(boxes) + "\n")
    lines = []
    for k in range(6):
        name = f"val_{k}.JPEG"
        picture(top / "val/images" / name, noise(100 + k))
        box = "63 10 63 20" if name in LINES else "5 5 40 40"
        lines.append(f"{name} n0{1 + (k == 0) + k % 3} {box}".replace("n04", "n01").replace(" ", "\t"))
    (top / "val/val_annotations.txt").write_text("\n".join(lines) + "\n")
    (top / "wnids.txt").write_text("n01\nn02\nn03\n")
    at = {path.name: path for path in top.rglob("*.JPEG")}
    for a, b in TWINS:
        at[b].write_bytes(at[a].read_bytes())
    for name in GREY:
        picture(at[name], noise(7)[..., 0] if name[0] == "n" else noise(8)[..., 0])
    for name in EQUAL:
        picture(at[name], np.repeat(noise(9 if name[0] == "n" else 11)[..., :1], 3, 2))
    changed = np.ascontiguousarray(noise(12)[:, ::-1])
    picture(at["n02_2.JPEG"], noise(12))
    picture(at["val_2.JPEG"], (20 + 0.8 * changed).astype(np.uint8))
    return top


def by_hand(top):
    return {"train images": 12, "val images": 6, "train grey files": 1, "val grey files": 1, "train grey pixels": 1,
            "val grey pixels": 1, "train outside": 1, "val outside": 1, "train whole": 100 * 11 / 12, "val whole": 0,
            "train box": 100 * (11 * 0.5 + 10 / 4096) / 12, "val box": 100 * (5 * 36 ** 2 + 11) / 4096 / 6,
            "twins across": 2, "twins in train": 1, "twins in val": 0}


def test_both_count_what_was_put_in(made):
    facts, tables = kept.counted(examined.photographs())
    rows = counted.tiny(made)
    theirs = counted.facts(rows)
    for what, value in by_hand(made).items():
        assert facts[what] == pytest.approx(value), what
        assert theirs[what] == pytest.approx(value), what
    for what in ("twins of two labels", "misled", "misled points"):
        assert facts[what] == pytest.approx(theirs[what]), what
    assert facts["nearest right"] == counted.nearest(rows, 6)
    assert facts["nearest judged"] == 6
    pairs = tables["pairs"]
    exact = pairs[pairs.relation == examined.SAME]
    assert {tuple(sorted(pair)) for pair in zip(exact.file_a, exact.file_b, strict=True)} == TWINS
    at = {row["file"]: row["path"] for row in rows}
    for pair in pairs.itertuples():
        assert pair.r == pytest.approx(counted.alike(at[pair.file_a], at[pair.file_b]), abs=0.01)


def test_a_mirrored_and_paler_one_is_looked_at(made, monkeypatch):
    pair = ("n02_2.JPEG", "val_2.JPEG")
    pairs = kept.counted(examined.photographs())[1]["pairs"]
    assert pair in set(zip(pairs.file_a, pairs.file_b, strict=True))
    assert set(pairs.relation) == {examined.SAME, examined.OTHER}
    other = ("n03_0.JPEG", "n03_1.JPEG")  # which only eyes could have found
    assert other not in set(zip(pairs.file_a, pairs.file_b, strict=True))
    monkeypatch.setattr(examined, "SEEN", (pair[::-1], other, ("n09_1.JPEG", "val_9.JPEG")))
    facts, tables = kept.counted(examined.photographs())
    assert (facts["near twins"], facts["near twins across"], facts["missed"]) == (2, 1, 1)
    last = tables["pairs"].iloc[-1]
    assert (last.file_a, last.file_b, last.relation, np.isnan(last.r)) == (*other, examined.NEAR, True)
    listed = {(row.file, row.why) for row in tables["val"].itertuples()}
    assert listed == {("val_3.JPEG", kept.OUTSIDE), ("val_0.JPEG", kept.TWIN), ("val_1.JPEG", kept.TWIN),
                      ("val_2.JPEG", kept.NEAR), ("val_4.JPEG", kept.GREY), ("val_5.JPEG", kept.GREY)}
    assert facts["left out"] == 4
    stored = [{what: "" if what == "r" and np.isnan(value) else str(value) for what, value in row.items()}
              for row in tables["pairs"].to_dict("records")]
    theirs = counted.judged(stored, counted.tiny(made))
    assert {what: facts[what] for what in theirs} == theirs


def test_plain_images_are_not_alike(tiny):
    tiny()
    assert examined.alike(examined.photographs()).empty


@pytest.mark.parametrize("chunk", [2, 5, 100])
def test_nearest_is_the_nearest_wherever_it_lies(monkeypatch, chunk):
    monkeypatch.setattr(examined, "CHUNK", chunk)
    draw = np.random.RandomState(0)
    train, val = (draw.randint(256, size=(n, 6, 6, 3)).astype(np.uint8) for n in (17, 9))
    val[2], val[3] = train[11], train[16]
    far = ((train[None].astype(float) - val[:, None]) ** 2).sum((2, 3, 4))
    assert examined.nearest(train, val).tolist() == far.argmin(1).tolist()


def test_boxes_on_the_border_are_lines_there():
    boxes = np.array([[0, 8, 0, 26], [12, 0, 34, 0], [63, 1, 63, 2], [9, 63, 18, 63], [63, 63, 63, 63],
                      [0, 0, 63, 63], [5, 5, 5, 20], [0, 0, 1, 63], [62, 0, 63, 0], [-1, -1, -1, -1]])
    assert examined.outside(boxes).tolist() == [True] * 5 + [False, False, False, True, False]
    assert [counted.gone(tuple(box)) for box in boxes.tolist()] == examined.outside(boxes).tolist()
    assert examined.whole(boxes)[5] == 1
    assert np.isnan(examined.whole(boxes)[-1])


# -- sound ---------------------------------------------------------------------------------------------------------
def test_both_count_recordings(root):
    top = spoken.fsdd(root / "fsdd", digits=8, n=6)
    word = 8000 * np.sin(np.arange(2000))
    late = np.concatenate([np.zeros(14_000), word])  # all of it after the middle second
    write(top / "recordings/3_theo_0.wav", late)
    write(top / "recordings/4_nicolas_1.wav", 256 * np.round(np.random.RandomState(0).normal(-1, 9, 3000)))
    of = examined.recordings()
    facts, tables = kept.spoken(of)
    theirs = counted.spoken(counted.fsdd(top))
    assert {what: facts[what] for what in theirs} == pytest.approx(theirs)
    for name, values in counted.by_speaker(counted.fsdd(top)).items():
        row = tables["speakers"].set_index("speaker").loc[name]
        assert {what: row[what] for what in values} == pytest.approx(values, abs=1e-9), name
    assert (facts["recordings"], facts["long"], facts["cut by the middle second"]) == (288, 1, 1)
    assert facts["cut by the loudest second"] == 0
    assert (facts["least in the middle second"], facts["least in the loudest second"]) == pytest.approx((0, 100))
    assert tables["long"].file.tolist() == ["3_theo_0.wav"]
    steps = of.set_index("file").step
    assert (steps["4_nicolas_1.wav"], steps["3_theo_0.wav"]) == (256, 1)
    heard = sound.seconds([speech.Clip(top / "recordings/3_theo_0.wav")], speech.SETS["fsdd"].features)[0]
    assert np.square(heard.astype(float)).sum() >= 0.95 * np.square(np.round(late)).sum()


def test_speakers_are_told_by_their_offset(root):
    top = spoken.fsdd(root / "fsdd", n=6)
    before = examined.told_apart(examined.recordings(), ("mean",))
    for path in (top / "recordings").glob("*.wav"):
        offset = 40 * speech.SPEAKERS.index(path.stem.split("_")[1])
        write(path, sound.samples(path, 8000) + offset)
    assert examined.told_apart(examined.recordings(), ("mean",)) == 1 > before


# -- kept, and errors without what is listed -----------------------------------------------------------------------
def test_only_a_whole_set_is_counted_and_once(made, out, monkeypatch):
    kept.measure()
    assert kept.table(kept.FACTS[kept.TINY]).empty, "a part of the set is no Tiny-ImageNet"
    assert not kept.here(kept.TINY)
    monkeypatch.setattr(kept, "_whole_tiny", lambda: "the whole set")
    kept.measure()
    assert kept.here(kept.TINY)
    assert not kept.here(kept.FSDD)
    facts = kept.table(kept.FACTS[kept.TINY])
    assert dict(zip(facts.what, facts.value, strict=True))["val outside"] == 1
    assert set(kept.table("val").file) >= {"val_3.JPEG", "val_0.JPEG"}
    monkeypatch.setattr(kept, "_tiny", lambda: pytest.fail("it is counted already"))
    kept.measure()
    monkeypatch.setattr(kept, "_whole_tiny", lambda: "other files")
    with pytest.raises(pytest.fail.Exception):
        kept.measure()


def test_one_set_counted_here_leaves_what_is_published_of_the_other(root, out, monkeypatch):
    monkeypatch.delenv("REPLICATION_READ")
    spoken.fsdd(root / "fsdd", n=6)
    monkeypatch.setattr(kept, "_whole_fsdd", lambda: "the whole set")
    kept.measure()
    assert kept.here(kept.FSDD)
    said = what_images.numbers(pd.DataFrame([{"set": name, "right": 0.0, "twins": 0} for name in what_images.MADE]))
    assert said["fsdd"]["recordings"] == str(len(speech.SPEAKERS) * 10 * 6)
    assert said["tiny"]["across"] == "7", "as published"  # facts.md and a script that does not use the package
    assert "stored numbers" in said["counted"]


def test_errors_without_what_is_listed(made, out, monkeypatch):
    monkeypatch.setattr(kept, "_whole_tiny", lambda: "the whole set")
    kept.measure()
    grid = study.study("v1.ablation", dataset="tiny-imagenet-200", width=0.125, stem=4, epochs_bn=1, batch=4, seeds=2)
    first, second, *_ = grid.cells
    names = kept.val_files(first)
    assert sorted(names) == sorted(f"val_{k}.JPEG" for k in range(6))
    data = load(first.experiment.data).val
    left = [names.index(f"val_{k}.JPEG") for k in (0, 1, 3)]  # twins, and without their object
    said = np.eye(3)[data.labels.numpy()]
    said[left] = np.roll(said[left], 1, 1)  # wrong on these alone
    for cell in (first, second):
        store.commit(cell.address, experiments.record(cell.experiment, cell.seed), [{"epoch": 1.0}],
                     {"status": "done", "val_error": 0.5}, {"seconds": 1.0, "device": "CPU"})
    logits.keep(store.logits(first.address), logits.Scores({"main": said}, data.labels.numpy(), "these"))
    kept.measure_errors(grid)
    row, = kept.table("errors").to_dict("records")
    assert row == {"address": first.address, "images": 6, "left": 3, "error": 0.5, "clean": 0.0}
    assert kept.judged(grid, clean_val=False).summary().val_error.tolist() == [0.5, 0.5]
    assert kept.judged(grid, clean_val=True).summary().to_dict("list")["val_error"] == [0.0], "no other run is known"
    said[left] = np.roll(said[left], -1, 1)
    said[names.index("val_5.JPEG")] = 0  # a grey one counts: of equal logits the first class wins
    logits.keep(store.logits(first.address), logits.Scores({"main": said}, data.labels.numpy(), "these"))
    kept.measure_errors(grid)
    row, = kept.table("errors").to_dict("records")
    wrong = int(data.labels[names.index("val_5.JPEG")] != 0)
    assert (row["error"], row["clean"]) == pytest.approx((wrong / 6, wrong / 3))
    with pytest.raises(BadInput, match="logits of 6 images and 5 names"):
        kept.errors(logits.read(store.logits(first.address)), names[:5])
