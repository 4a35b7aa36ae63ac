"""Twenty kinds of damage to every kind of stored file: it is read all the same, or refused in a sentence."""
from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ordeal import forked, kills, sentence, tiny, writes
from ordeal.report import Result, result
from replication import checked, paths
from replication.data.load import load
from replication.data.registry import resolve
from replication.pages import metrics, speed
from replication.runs import bundle, experiments, store
from replication.studies import examined, profiles, study
from replication.training import members

TRAINED, BEGUN = ("SGD, LRN, two heads", 1), ("RMSProp, BN, averaged", 2)  # of kills.half_trained


def _address(run: tuple[str, int]) -> str:
    return experiments.address(tiny.EXPERIMENTS[run[0]], run[1])


# -- damage ---------------------------------------------------------------------------------------------------------
def _bytes(change: Callable[[bytes, random.Random], bytes]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.write_bytes(change(path.read_bytes(), random.Random(path.name)))
    return damage


def _flip(content: bytes, drawn: random.Random, at: float | None = None) -> bytes:
    place = drawn.randrange(len(content)) if at is None else int(at * len(content))
    return content[:place] + bytes([content[place] ^ 1 << drawn.randrange(7)]) + content[place + 1:]


def _digit(content: bytes, drawn: random.Random) -> bytes:
    """Another one in place of any; without one, another bit."""
    places = [place for place, byte in enumerate(content) if chr(byte).isdigit()]
    if not places:
        return _flip(content, drawn)
    place = drawn.choice(places)
    other = drawn.choice([digit for digit in b"0123456789" if digit != content[place]])
    return content[:place] + bytes([other]) + content[place + 1:]


def _but_one(lines: list[bytes], drawn: random.Random) -> list[bytes]:
    left = drawn.randrange(len(lines))
    return lines[:left] + lines[left + 1:]


def _away(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _filled(path: Path) -> None:
    _folder(path)
    (path / "notes.txt").write_text("x")


def _link(to: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.unlink()
        path.symlink_to(to or path.name)
    return damage


DAMAGES: dict[str, Callable[[Path], None]] = {
    "not there": _away, "empty": _bytes(lambda held, _: b""), "one byte": _bytes(lambda held, _: held[:1]),
    "cut in the middle": _bytes(lambda held, _: held[:len(held) // 2]),
    "all but the last byte": _bytes(lambda held, _: held[:-1]),
    "all but the last eighth": _bytes(lambda held, _: held[:len(held) * 7 // 8]),
    "another bit, anywhere": _bytes(_flip), "another bit in the middle": _bytes(lambda held, d: _flip(held, d, 0.5)),
    "another bit near its end": _bytes(lambda held, d: _flip(held, d, 0.95)),
    "zeros": _bytes(lambda held, _: bytes(len(held))), "noise": _bytes(lambda held, d: d.randbytes(len(held))),
    "its second half zeros": _bytes(lambda held, _: held[:len(held) // 2] + bytes(len(held) - len(held) // 2)),
    "twice the same": _bytes(lambda held, _: held + held), "the text []": _bytes(lambda held, _: b"[]\n"),
    "the text {}": _bytes(lambda held, _: b"{}\n"), "the text null": _bytes(lambda held, _: b"null\n"),
    "a page of HTML": _bytes(lambda held, _: b"<html><body>404</body></html>\n"),
    "UTF-16": _bytes(lambda held, _: held.decode("utf-8", "replace").encode("utf-16")),
    "another digit": _bytes(lambda held, d: _digit(held, d)),
    "a line less": _bytes(lambda held, d: b"".join(_but_one(held.splitlines(keepends=True), d))),
    "letters for digits": _bytes(lambda held, _: bytes(ord("x") if chr(b).isdigit() else b for b in held)),
    "an empty folder": _folder, "a folder with a file": _filled, "a link to nowhere": _link("nowhere"),
    "a link to itself": _link(""),
}


# -- files ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Stored:
    """`read` prints what it makes of the file, which must be what the whole file says, or nothing."""
    name: str
    path: Callable[[Path], Path]
    read: Callable[[Path], Any]


def _find(place: Path) -> None:
    run = store.find(_address(TRAINED))
    print(run and (run.record, run.history, run.summary))


def _again(run: tuple[str, int]) -> Callable[[Path], None]:
    """Trains what is missing; what is stored of the run then."""
    def read(place: Path) -> None:
        tiny.train(*run)
        kept = tiny.bits(store.folder(_address(run))) | {"weights": tiny._digest(store.weights(_address(run)), place)}
        print({name: held for name, held in kept.items() if name != "provenance.json"})
    return read


def _network(place: Path) -> None:
    found = members.network(tiny.EXPERIMENTS[TRAINED[0]], TRAINED[1])
    print(tiny.hashlib.sha256(tiny._plain(found.state_dict())).hexdigest())


def _member(place: Path) -> None:
    found = members.member(tiny.EXPERIMENTS[TRAINED[0]], TRAINED[1])
    print({name: np.asarray(held).tobytes() for name, held in found.logits.items()}, found.labels.tolist())


def _decoded(name: str) -> Callable[[Path], None]:
    def read(place: Path) -> None:
        asked = name.replace("…", str(place))
        found = load(resolve(asked, resolution=24))
        images = found.train.images.numpy().tobytes() + found.val.images.numpy().tobytes()
        labels = found.train.labels.tolist(), found.val.labels.tolist()
        print(tiny.hashlib.sha256(images).hexdigest(), labels, found.classes)
    return read


def _noted(place: Path) -> None:
    """By its content alone, as a stored run names it."""
    value = json.loads((place / "value.json").read_text())
    from replication.data import spec
    found = load(spec.Data(**value))
    print(found.train.labels.tolist(), found.classes)


def _listed(place: Path) -> None:
    grid = study.of_profile(profiles.profile(str(place / "tiny.yaml")))[0]
    print([cell.address for cell in grid.missing], grid.summary().to_csv())


def _tables(place: Path) -> None:
    print({name: table.to_csv() for name, table in speed.tables_of("bench", speed.read).items()})


def _imported(*names: str) -> Callable[[Path], None]:
    def read(place: Path) -> None:
        shutil.rmtree(place / "out")
        kept = [place / f"bundle.{_address(BEGUN)}.pt"] if len(names) > 1 else []
        bundle.unpack([place / "bundle.tar", *kept])
        print(sorted(tiny.bits(place / "out").items()))
    return read


def _in_run(name: str, read: Callable[[Path], Any]) -> Stored:
    return Stored(f"{name} of a run", lambda place: store.folder(_address(TRAINED)) / name, read)


def _first(pattern: str) -> Callable[[Path], Path]:
    return lambda place: next(iter(sorted(place.glob(pattern))))


FILES = [
    *(_in_run(name, _find) for name in ("experiment.json", "history.csv", "summary.json")),
    _in_run("provenance.json", _find), _in_run("summary.json", _again(TRAINED)),
    Stored("a checkpoint", lambda place: store.checkpoint(_address(BEGUN)), _again(BEGUN)),
    Stored("weights", lambda place: store.weights(_address(TRAINED)), _network),
    Stored("logits", lambda place: store.logits(_address(TRAINED)), _member),
    Stored("decoded images", _first("data/cache/*/train.npy"), _decoded("folder:…/pictures")),
    Stored("decoded labels", _first("data/cache/*/train.labels.npy"), _decoded("folder:…/pictures")),
    Stored("about decoded images", _first("data/cache/*/about.json"), _decoded("folder:…/pictures")),
    Stored("the note of a folder", _first("data/folders/*"), _noted),
    Stored("the index of shards", _first("data/cache/imagenet-*.json"), _decoded("imagenet")),
    Stored("a bundle", lambda place: place / "bundle.tar", _imported("bundle.tar")),
    Stored("a bundle's checkpoint", _first("bundle.*.pt"), _imported("bundle.tar", "bundle.*.pt")),
    Stored("a page's numbers", lambda place: paths.mine() / "metrics" / "tiny.json",
           lambda place: print(metrics.read("tiny"))),
    Stored("a table of speed", lambda place: paths.mine() / "tables" / "bench-x.csv", _tables),
    Stored("a table's checksum", lambda place: paths.mine() / "tables" / "bench-x.csv.sha256", _tables),
    Stored("a table of images", lambda place: paths.mine() / "tables" / "images-val.csv",
           lambda place: print(examined.table("val").to_dict("index"))),
]


def _whole(place: Path) -> None:
    """A store and data with one file of each kind."""
    kills.half_trained(place)
    tiny.pictures(place / "pictures")
    tiny.shards(place / "data" / "imagenet")
    tiny.decode("imagenet")
    tiny.decode(f"folder:{place / 'pictures'}")
    value = resolve(f"folder:{place / 'pictures'}", resolution=24)
    (place / "value.json").write_text(json.dumps({k: v for k, v in vars(value).items() if v is not None}))
    bundle.pack(place / "bundle.tar")
    members.member(tiny.EXPERIMENTS[TRAINED[0]], TRAINED[1])
    writes._page(place)
    table = "device,phase,precision,status,versions,threads,matmul_tflops,copy_gb_per_s,utc\n"
    checked.write(paths.mine() / "tables" / "bench-x.csv", table + "x,train,fp32,done,torch 2,1,0.123456,9.87654,1\n")
    checked.write(paths.mine() / "tables" / "images-val.csv", "file,wnid,why\nval_7.JPEG,n01443537,grey\n")
    (place / "tiny.yaml").write_text(writes.PROFILE)


# -- each with each -------------------------------------------------------------------------------------------------
def run(share: float, jobs: int) -> list[Result]:
    with forked.scratch() as place:
        whole = place / "whole"
        whole.mkdir()
        made = forked.run(lambda: _whole(whole), forked.store_at(whole))
        if made.code:
            raise RuntimeError(f"A store to be damaged could not be made:\n{made.said}")
        cases = [(place / f"{n}-{m}", stored, damage) for n, stored in enumerate(FILES)
                 for m, damage in enumerate(DAMAGES)]
        right = {}
        for n, stored in enumerate(FILES):
            ended = _read(whole, place / f"right{n}", stored)
            if ended.code or ended.said:
                raise RuntimeError(f"{stored.name}, undamaged, cannot be read:\n{ended.said}")
            right[n] = ended.told
        known = {stored: right[n] for n, stored in enumerate(FILES)}
        return forked.lanes(cases[::max(1, round(1 / share))],
                            lambda one: _case(whole, one[0], one[1], one[2], known[one[1]]), jobs)


def _read(whole: Path, place: Path, stored: Stored, damage: Callable[[Path], None] = lambda path: None,
          ) -> forked.Ended:
    shutil.copytree(whole, place, symlinks=True)
    note = next(iter((place / "data" / "folders").iterdir()))
    note.write_text(f"{place / 'pictures'}\n")

    def do() -> None:
        damage(stored.path(place))
        (place.parent / f"{place.name}.json").write_text(json.dumps(tiny.bits(place)))
        stored.read(place)

    ended = forked.run(do, forked.store_at(place), within=120)
    return forked.Ended(ended.code, ended.said.replace(str(place), "…"), ended.told.replace(str(place), "…"),
                        ended.seconds, ended.stuck)


def _case(whole: Path, place: Path, stored: Stored, name: str, right: str) -> Result:
    ended = _read(whole, place, stored, DAMAGES[name])
    path = place.parent / f"{place.name}.json"
    before, after = json.loads(path.read_text()) if path.exists() else {}, tiny.bits(place)
    wrong = "it does not end" if ended.stuck else ""
    if not wrong and ended.code == 2:
        wrong = sentence.wrong(ended.said)
    elif not wrong and ended.code:
        wrong = f"it ends with {ended.code}"
    elif not wrong:
        wrong = next(filter(None, map(sentence.wrong, ended.said.strip().splitlines())), "") if ended.said else ""
        if not wrong and ended.told != right and not (ended.told.strip() in ("None", "{}") and name in (
                "not there", "a link to nowhere", "a link to itself")):
            wrong = "it gives another value without a word"
    lost = [each for each in before if each not in after and not each.startswith("out/checkpoints/")]
    if ended.code and lost and "import" not in stored.read.__qualname__:
        wrong = wrong or f"{lost[0]} is lost"
    shutil.rmtree(place, ignore_errors=True)
    return result(f"damage: {stored.name}", name, wrong, ended.said.strip()[-600:], ended.seconds)
