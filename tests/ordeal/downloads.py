"""Each set that is downloaded, from a server of this machine that answers as servers do: whole, by redirection, cut off
and resumed, another content, not there, not at all."""
from __future__ import annotations

import hashlib
import pickle
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ordeal import bad, forked, sentence, server, tiny
from ordeal.report import Result, result
from replication.data import download, speech, tiny_imagenet
from replication.data.load import load
from replication.data.registry import resolve

STALLS = 45.0  # seconds after which a download that stalls should have been given up; the product's own limit is made 2


# -- archives -------------------------------------------------------------------------------------------------------
def _folder(make: Callable[[Path], Any], inside: str, kind: str = "zip") -> bytes:
    """An archive of what `make` lays out in a folder."""
    with forked.scratch() as place:
        make(place)
        names = {path.relative_to(place).as_posix().replace(inside.split("=")[0], inside.split("=")[-1], 1):
                 path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}
        return tiny.packed(names, kind)


def _fsdd() -> bytes:
    return _folder(bad._wav(), f"fsdd={speech.SETS['fsdd'].inside}")


def _commands() -> bytes:
    import spoken

    def make(place: Path) -> None:
        for word in (*speech.WORDS, "bed"):
            for n in range(3):
                spoken.write(place / word / f"{n}_nohash_0.wav", spoken.tone(400, 16000), 16000)
        for noise in ("a.wav", speech.VAL_NOISE):
            spoken.write(place / speech.NOISE / noise, spoken.tone(300, 16000, 2.0), 16000)
        words = [*speech.WORDS, "bed"]
        (place / "validation_list.txt").write_text("".join(f"{word}/0_nohash_0.wav\n" for word in words))
        (place / "testing_list.txt").write_text("".join(f"{word}/1_nohash_0.wav\n" for word in words))
    return _folder(make, "=", "tgz")


def _tiny() -> bytes:
    return _folder(bad._tiny(lambda root: None), "=")


def _cifar(name: str) -> bytes:
    """As its authors packed it, two images a class of each part."""
    classes = 10 if name == "cifar10" else 100
    top, key = ("cifar-10-batches-py", "labels") if classes == 10 else ("cifar-100-python", "fine_labels")
    labels = list(range(classes)) * 2
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 3072), np.uint8)
    held = pickle.dumps({"data": images, key: labels})
    parts = [f"data_batch_{n}" for n in range(1, 6)] + ["test_batch"] if classes == 10 else ["train", "test"]
    names = [f"class {n}" for n in range(classes)]
    meta = pickle.dumps({"label_names": names} if classes == 10 else {"fine_label_names": names})
    files = {f"{top}/{part}": held for part in parts} | {
        f"{top}/{'batches.meta' if classes == 10 else 'meta'}": meta}
    return tiny.packed(files, "tgz")


def _imagenette() -> bytes:
    from torchvision import datasets
    wnids = list(datasets.Imagenette._WNID_TO_CLASS)

    def make(place: Path) -> None:
        for part in ("train", "val"):
            for path in [*tiny.pictures(place / "imagenette2-160" / part, tuple(wnids), 2, 20).glob("*/*.png")]:
                path.rename(path.with_suffix(".JPEG"))  # what a file is, its content says
    return _folder(make, "=", "tgz")


# -- where the product looks for them -------------------------------------------------------------------------------
def _speech(name: str) -> Callable[[str, str], None]:
    def point(url: str, md5: str) -> None:
        speech.SETS[name] = replace(speech.SETS[name], url=url, md5=md5)
    return point


def _tiny_at(url: str, md5: str) -> None:
    tiny_imagenet.URL, tiny_imagenet.MD5 = url, md5


def _cifar_at(name: str) -> Callable[[str, str], None]:
    def point(url: str, md5: str) -> None:
        from torchvision import datasets
        of = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
        of.url, of.tgz_md5, of.filename = url, md5, url.rsplit("/", 1)[-1]
        # the members' own sums are of the real set
        for lists in (of.train_list, of.test_list):
            lists[:] = [[part, None] for part, _ in lists]
        of.meta = {**of.meta, "md5": None}
    return point


def _imagenette_at(url: str, md5: str) -> None:
    from torchvision import datasets
    datasets.Imagenette._ARCHIVES = dict.fromkeys(datasets.Imagenette._ARCHIVES, (url, md5))


SETS: dict[str, tuple[str, Callable[[], bytes], Callable[[str, str], None], int]] = {
    "fsdd": ("fsdd.zip", _fsdd, _speech("fsdd"), 49),
    "speech-commands": ("speech.tar.gz", _commands, _speech("speech-commands"), 49),
    "tiny-imagenet-200": ("tiny-imagenet-200.zip", _tiny, _tiny_at, 24),
    "cifar10": ("cifar-10-python.tar.gz", lambda: _cifar("cifar10"), _cifar_at("cifar10"), 24),
    "cifar100": ("cifar-100-python.tar.gz", lambda: _cifar("cifar100"), _cifar_at("cifar100"), 24),
    "imagenette": ("imagenette2-160.tgz", _imagenette, _imagenette_at, 24)}
# How the server behaves, and whether the set is there in the end.
ANSWERS: dict[str, tuple[dict[str, Any], bool]] = {
    "whole": ({}, True), "by redirection": ({"to": True}, True), "cut off, and resumed": ({"cut": 0.4}, True),
    "cut off, by one that cannot resume": ({"cut": 0.4, "ranges": False}, False), "another content": (
        {"other": True}, False), "not there (404)": ({"gone": True}, False), "it stalls": ({"stall": 100}, False),
    "no server": ({"closed": True}, False)}


def run(jobs: int) -> list[Result]:
    with server.serving() as web, forked.scratch() as place:
        cases = []
        for name, (file, make, point, side) in SETS.items():
            content = make()
            for n, (answer, (how, comes)) in enumerate(ANSWERS.items()):
                cases.append((name, answer, _shown(web, f"/{n}/{file}", content, how), hashlib.md5(content).hexdigest(),
                              point, side, comes, place / f"{name}-{n}"))
        return forked.lanes(cases, lambda one: _case(*one), jobs)


def _shown(web: server.Server, path: str, content: bytes, how: dict[str, Any]) -> str:
    """The address under which a set lies that behaves so."""
    if how.get("closed"):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return f"http://127.0.0.1:{free.getsockname()[1]}{path}"
    if how.get("to"):
        web.show(f"/moved{path}", content)
        web.show(path, b"", redirect=web.url(f"/moved{path}"))
    elif how.get("other"):
        web.show(path, content[:-20] + bytes(20))
    elif not how.get("gone"):
        more = {"cut": int(how["cut"] * len(content)) + 1} if "cut" in how else {}
        web.show(path, content, **{**how, **more})
    return web.url(path)


def _case(name: str, answer: str, url: str, md5: str, point: Callable[[str, str], None], side: int, comes: bool,
          place: Path) -> Result:
    classes = 100 if name == "cifar100" else 10

    def do() -> None:
        socket.setdefaulttimeout(None)
        download.TIMEOUT = 2.0
        point(url, md5)
        if name in speech.SETS:
            speech.obtain(name)
        elif name == "tiny-imagenet-200":
            tiny_imagenet.obtain()
        else:  # these are always taken to be whole: an image of each class
            load(resolve(name, side, classes, classes, classes))
            return
        tiny.decode(name, side)

    place.mkdir()
    ended = forked.run(do, forked.store_at(place), within=STALLS if "stall" in answer else forked.LONG)
    wrong = "it waits without an end" if ended.stuck else ""
    if not wrong and ended.code == 2:
        wrong = "it is refused" if comes else sentence.wrong(ended.said)
    elif not wrong and (ended.code or not comes):
        wrong = f"it ends with {ended.code}" if ended.code else ""
    return result("downloads", f"{name}: {answer}", wrong, ended.said.strip().replace(str(place), "…")[-500:],
                  ended.seconds)


