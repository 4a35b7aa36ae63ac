"""Archives, weights and names from strangers, all of them harmless: nothing leaves its folder, nothing is executed, no
name puts markup into a page. What would do so would leave a file named OUT, which is looked for."""
from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from ordeal import bad, forked, kills, newer, sentence, tiny
from ordeal.report import Result, result
from replication.data import download
from replication.models import torchvision as port
from replication.models import weights
from replication.runs import bundle, store
from replication.training import logits, members

OUT = "OUT"
MARK = "<script>alert(1)</script>"
QUOTE = "\"><img src=x onerror=alert(1)>"


@dataclass(frozen=True)
class Case:
    """`make` lays something at …/in, `do` takes it; `may`: whether it may be taken."""
    kind: str
    name: str
    do: Callable[[Path], Any]
    may: bool = False


class Leaves:
    """Unpickled, it would leave a file where it is told."""

    def __init__(self, where: Path) -> None:
        self.where = where

    def __reduce__(self) -> Any:
        return (_leave, (str(self.where),))


def _leave(where: str) -> None:
    Path(where).touch()


# -- archives -------------------------------------------------------------------------------------------------------
def _zip(*entries: tuple[str, int]) -> Callable[[Path], bytes]:
    """Of (name, Unix mode)."""
    def make(place: Path) -> bytes:
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w") as archive:
            archive.writestr("set/1.txt", "one")
            for name, mode in entries:
                info = zipfile.ZipInfo(name.replace("…", str(place)))
                info.external_attr = mode << 16
                archive.writestr(info, f"{place}/{OUT}" if mode else "x")
        return held.getvalue()
    return make


def _tar(*entries: tuple[str, bytes, str]) -> Callable[[Path], bytes]:
    """Of (name, type, what it links to)."""
    def make(place: Path) -> bytes:
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w:gz") as tar:
            for name, kind, link in (("set/1.txt", tarfile.REGTYPE, ""), *entries):
                one = tarfile.TarInfo(name.replace("…", str(place)))
                one.type, one.linkname = kind, link.replace("…", str(place))
                content = b"x" if kind == tarfile.REGTYPE else b""
                one.size = len(content)
                tar.addfile(one, io.BytesIO(content))
        return held.getvalue()
    return make


def _bomb(place: Path) -> bytes:
    """64 MB of zeros, in 64 KB."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as tar:
        one = tarfile.TarInfo("runs/0123456789ab/summary.json")
        one.size = 400_000_000
        tar.addfile(one, _Zeros(one.size))
    return held.getvalue()


class _Zeros(io.RawIOBase):
    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int = -1) -> bytes:
        n = min(self.left, size if size >= 0 else self.left)
        self.left -= n
        return bytes(n)


FILE, LINK, HARD, FIFO, CHAR = (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE)
ARCHIVES: dict[str, tuple[str, Callable[[Path], bytes]]] = {
    "a zip: ../OUT": ("zip", _zip(("../OUT", 0))), "a zip: set/../../OUT": ("zip", _zip(("set/../../OUT", 0))),
    "a zip: an absolute path": ("zip", _zip(("…/OUT", 0))), "a zip: ..\\OUT": ("zip", _zip(("..\\OUT", 0))),
    "a zip: C:\\OUT": ("zip", _zip(("C:\\OUT", 0))), "a zip: a link": ("zip", _zip(("set/link", 0o120777))),
    "a zip: a link, then a file below it": ("zip", _zip(("set/link", 0o120777), ("set/link/OUT", 0))),
    "a zip: a file, then a file below it": ("zip", _zip(("set/a", 0), ("set/a/b", 0))),
    "a zip: one name twice": ("zip", _zip(("set/1.txt", 0))), "a zip: an empty name": ("zip", _zip(("", 0))),
    "a zip: a name of 300 letters": ("zip", _zip((f"set/{'a' * 300}", 0))),
    "a zip: a name with markup": ("zip", _zip((f"set/{MARK.replace('/', '')}.txt", 0))),
    "a tar: ../OUT": ("tgz", _tar(("../OUT", FILE, ""))), "a tar: an absolute path": ("tgz", _tar(("…/OUT", FILE, ""))),
    "a tar: a link out": ("tgz", _tar(("set/link", LINK, "…"))),
    "a tar: a link out, then a file below it": ("tgz", _tar(("set/link", LINK, "…"), ("set/link/OUT", FILE, ""))),
    "a tar: a hard link out": ("tgz", _tar(("set/link", HARD, "/etc/hostname"))),
    "a tar: a pipe": ("tgz", _tar(("set/pipe", FIFO, ""))), "a tar: a device": ("tgz", _tar(("set/null", CHAR, ""))),
}


def _unpack(kind: str, make: Callable[[Path], bytes]) -> Callable[[Path], Any]:
    def do(place: Path) -> None:
        path = place / "in" / f"set.{kind}"
        path.write_bytes(make(place))
        download.unpack(path, place / "in" / "set")
    return do


def _unpack_as_bundle(make: Callable[[Path], bytes]) -> Callable[[Path], Any]:
    def do(place: Path) -> None:
        path = place / "in" / "set.tar"
        path.write_bytes(make(place))
        bundle.unpack([path])
    return do


BUNDLES: dict[str, Callable[[Path], bytes]] = {
    "runs/../../OUT": _tar(("runs/../../OUT", FILE, "")), "an absolute path": _tar(("…/OUT", FILE, "")),
    "runs/<address>/../../../OUT": _tar(("runs/0123456789ab/../../../OUT", FILE, "")),
    "a link in place of a record": _tar(("runs/0123456789ab/summary.json", LINK, "/etc/hostname")),
    "a table named ../OUT": _tar(("tables/../OUT.csv", FILE, "")),
    "another file beside the records": _tar(("runs/0123456789ab/OUT", FILE, "")),
    "400 MB of zeros": _bomb}


# -- weights --------------------------------------------------------------------------------------------------------
def _pickled(place: Path) -> Path:
    path = place / "in" / "x.pt"
    torch.save({"fc.weight": torch.zeros(4, 4), "more": Leaves(place / OUT)}, path)
    return path


def _plain_pickle(place: Path) -> Path:
    path = place / "in" / "x.pt"
    path.write_bytes(pickle.dumps(Leaves(place / OUT)))
    return path


def _brought(place: Path) -> Path:
    path = place / "in" / "x.0123456789ab.pt"
    _pickled(place).rename(path)
    return path


def _as_checkpoint(place: Path) -> None:
    name, seed = newer.BEGUN
    path = store.checkpoint(newer._address(name, seed))
    path.parent.mkdir(parents=True)
    _pickled(place).rename(path)
    tiny.train(name, seed)


def _as_weights(place: Path) -> None:
    kills.half_trained(place)
    _pickled(place).rename(store.weights(newer._address(newer.NAME, newer.SEED)))
    members.network(tiny.EXPERIMENTS[newer.NAME], newer.SEED)


def _as_logits(place: Path) -> None:
    path = place / "in" / "x.npz"
    held = np.array([Leaves(place / OUT)], object)
    np.savez(path, labels=held, images=held, **{"head.main": held})
    logits.read(path)


def _as_cache(place: Path) -> None:
    asked = f"folder:{tiny.pictures(place / 'pictures')}"
    tiny.decode(asked)
    for path in (place / "data" / "cache").glob("*/*.npy"):
        size = path.stat().st_size
        held = io.BytesIO()
        np.save(held, np.array([Leaves(place / OUT)], object), allow_pickle=True)
        path.write_bytes(held.getvalue().ljust(size, b"\0"))
    tiny.decode(asked)


def _said(**more: Any) -> Callable[[Path], Any]:
    """safetensors whose own text is a stranger's."""
    def do(place: Path) -> None:
        import json
        path = place / "in" / "x.safetensors"
        save_file({"a": torch.zeros(1)}, path, {weights.KEY: json.dumps(more)})
        weights.rebuilt(path)
    return do


def _nested(place: Path) -> None:
    path = place / "in" / "x.safetensors"
    save_file({"a": torch.zeros(1)}, path, {weights.KEY: '{"network": ' + '{"is": ' * 5000 + "1" + "}" * 5001})
    weights.rebuilt(path)


WEIGHTS: dict[str, Callable[[Path], Any]] = {
    "a pickle for from_torchvision": lambda place: port.from_torchvision(_pickled(place)),
    "a pickle of before for from_torchvision": lambda place: port.from_torchvision(_plain_pickle(place)),
    "a pickle for weights.load": lambda place: weights.load(bad._net(), _pickled(place)),
    "a pickle as a bundle's checkpoint": lambda place: bundle.unpack([_brought(place)]),
    "a pickle as weights of a run": _as_weights, "a pickle in logits": _as_logits,
    "a table that names a function": _said(network={"is": "__import__", "name": "os"}),
    "a table that names a module": _said(network={"is": "annotations"}),
    "a table of another field": _said(network={"is": "Network", "__class__": "x"}),
    "a table of 10,000,000 channels": _said(network={
        "is": "Network", "name": "x", "resolution": 32, "channels": 3, "rows": [
            {"is": "Row", "name": "a", "op": {"is": "Conv", "channels": 10_000_000, "kernel": 3}}]}),
    "a table 5,000 deep": _nested,
}
TAKEN: dict[str, Callable[[Path], Any]] = {"a pickle as a checkpoint": _as_checkpoint,
                                           "a pickle in decoded images": _as_cache}


# -- words ----------------------------------------------------------------------------------------------------------
def _profile(text: str) -> Callable[[Path], Any]:
    def do(place: Path) -> int:
        (place / "in" / "x.yaml").write_text(text.replace("…", str(place)))
        return bad._command(f"list --profile {place / 'in' / 'x.yaml'}")
    return do


WORDS: dict[str, Callable[[Path], Any]] = {
    "a profile that makes an object": _profile("!!python/object/apply:os.system ['touch …/OUT']\n"),
    "a parameter that makes an object": _profile(
        "about: x\nparameters: {seeds: !!python/object/apply:os.system ['touch …/OUT']}\nstudies: [v1.long]\n"),
    "--set with a call": lambda place: bad._command(
        f"list --network googlenet --set \"dropout=__import__('os').system('touch {place / OUT}')\""),
    "--set with a lambda": lambda place: bad._command("list --network googlenet --set \"dropout=(lambda: 1)()\""),
    "a study's name with a path": lambda place: bad._command("list ../../etc/passwd --profile cpu"),
    "a profile's name with a path": lambda place: bad._command("list --profile ../../etc/passwd"),
    "a data set's name with a path": lambda place: bad._command(
        "list --network googlenet --dataset ../../etc/passwd"),
}


# -- markup ---------------------------------------------------------------------------------------------------------
def _page_of(name: str) -> str:
    """All that a page shows of a class of this name, as HTML."""
    import pandas as pd

    from replication.pages import figures, html, pictures, train_any
    counts = train_any.counts(np.eye(3), np.array([0, 1, 1]), [name, "cow", "dog"])
    told = train_any.telling(np.array([[0., 9, 0], [9, 0, 0], [0, 1, 9]]), np.array([0, 1, 2]), [name, "cow", "dog"])
    sheet = pictures.sheet(np.zeros((len(told), 4, 4, 3)), train_any.captions(told), list(told.right))
    shown = [html.neat(train_any.pairs(counts), 1).to_html(), html.neat(pd.DataFrame({name: [name]})).to_html(),
             train_any.written({"x": name}), html.cards(("a", name), [[html.text(name)] * 2])]
    for picture in (pictures.confusion(train_any.confused(counts)), sheet):
        shown.append(figures.svg(picture))
    return "\n".join(shown)


def _marked(name: str) -> Callable[[Path], Any]:
    def do(place: Path) -> None:
        found = _page_of(name)
        for part in ("<script", "<img", "onerror=alert(1)>", "</style><b", "href=\"javascript:"):
            if part in name and part in found:
                at = found.index(part)
                raise AssertionError(f"the page has {found[max(0, at - 80):at + 40]!r}")
    return do


NAMES = {"a script": MARK, "a picture that calls": QUOTE, "the end of a style": "</style><b>x</b>",
         "a formula": "$x^2$", "half a formula": "a$\\frac{", "Markdown's link": "[x](javascript:alert(1))",
         "a brace of Python": "{0.__class__}", "per cent": "%s%n", "two lines": "a\nb", "an ampersand": "a&lt;b",
         "letters from right to left": "\u202egnp.exe", "a heart": "♥", "an emoji": "🐝", "nothing": ""}


def _class(place: Path) -> None:
    """A folder of images with classes of such names, from its listing to a network."""
    top = place / "pictures"
    for n, name in enumerate(NAMES.values()):
        if name and "/" not in name:
            tiny.pictures(top, (name,), 3, 40 + n)
    tiny.decode(f"folder:{top}")


CASES = [
    *(Case("archives", name, _unpack(*made), name.split(": ")[1] in (
        "..\\OUT", "C:\\OUT", "a link", "one name twice", "a name with markup"))
      for name, made in ARCHIVES.items()),
    *(Case("bundles", name, _unpack_as_bundle(make)) for name, make in BUNDLES.items()),
    *(Case("weights", name, do) for name, do in WEIGHTS.items()),
    *(Case("weights", name, do, True) for name, do in TAKEN.items()),
    *(Case("words", name, do) for name, do in WORDS.items()),
    *(Case("names in a page", name, _marked(text), True) for name, text in NAMES.items()),
    Case("names in a page", "a folder of such classes", _class, True)]


def run(share: float, jobs: int) -> list[Result]:
    return forked.lanes(CASES[::max(1, round(1 / share))], _case, jobs)


def _case(one: Case) -> Result:
    with forked.scratch() as place:
        (place / "in").mkdir()
        outside = set(place.iterdir())
        ended = forked.run(lambda: one.do(place), forked.store_at(place), within=120)
        left = [path for path in place.rglob(f"*{OUT}*") if path.parent == place or "link" in path.parts]
        known = {place / name for name in ("in", "out", "data", "pictures")}
        left += [path for path in place.iterdir() if path not in outside | known]
        left += [path for path in place.rglob("*") if path.is_symlink()]
        wrong = f"{left[0].relative_to(place)} came of it" if left else "it does not end" if ended.stuck else ""
        if not wrong and ended.code == 0 and not one.may:
            wrong = "it was taken"
        elif not wrong and ended.code == 2:
            wrong = sentence.wrong(ended.said)
        elif not wrong and ended.code:
            wrong = f"it ends with {ended.code}"
        return result(one.kind, one.name, wrong, ended.said.strip().replace(str(place), "…")[-500:], ended.seconds)
