"""A set is what its files hold: whoever changes one has another set, whatever its name, size and times say."""
from __future__ import annotations

import errno
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import spoken
from PIL import Image
from torchvision import datasets

from replication import paths
from replication.data import content, imagenet, registry, spec, speech, tiny_imagenet, vision
from replication.data.load import load
from replication.data.registry import resolve
from replication.errors import BadInput


def swap(one: Path, two: Path) -> None:
    """Contents, in place; the times of writing stay what they were."""
    assert one.stat().st_size == two.stat().st_size
    held = [(path, path.stat(), path.read_bytes()) for path in (two, one)]
    for path, (_, of, bytes_) in zip((one, two), held, strict=True):
        path.write_bytes(bytes_)
        os.utime(path, ns=(of.st_atime_ns, of.st_mtime_ns))


def renamed(one: Path, two: Path) -> None:
    spare = one.with_name("spare")
    one.rename(spare)
    two.rename(one)
    spare.rename(two)


@pytest.fixture
def squares(tmp_path) -> Path:
    """Two classes of five bitmaps of one size; image k of class c is (100 * c, 20 * k, 0)."""
    for c, name in enumerate("ab"):
        for k in range(5):
            path = tmp_path / "squares" / name / f"{k}.bmp"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), (100 * c, 20 * k, 0)).save(path)
    return tmp_path / "squares"


def reds(data: spec.Data) -> list[tuple[int, int]]:
    loaded = load(data)
    return sorted((int(label), int(image[0, 0, 0])) for part in (loaded.train, loaded.val)
                  for image, label in zip(part.images, part.labels, strict=True))


# -- any folder ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("exchange", [swap, renamed])
def test_swapped_contents_are_another_set(squares, exchange):
    before = resolve(f"folder:{squares}", 32)
    assert reds(before) == [(0, 0)] * 5 + [(1, 100)] * 5
    exchange(squares / "a/3.bmp", squares / "b/3.bmp")
    after = resolve(f"folder:{squares}", 32)
    assert after.content != before.content
    assert reds(after) == [(0, 0)] * 4 + [(0, 100), (1, 0)] + [(1, 100)] * 4
    exchange(squares / "a/3.bmp", squares / "b/3.bmp")
    assert resolve(f"folder:{squares}", 32) == before


def test_a_copy_whose_pixels_differ_is_another_and_a_true_copy_is_not(squares, tmp_path):
    for name in ("cleaned", "same"):
        shutil.copytree(squares, tmp_path / name)
    for path in (tmp_path / "cleaned").rglob("*.bmp"):
        with Image.open(path) as image:
            inverted = Image.fromarray(255 - np.asarray(image))
        inverted.save(path)
    raw, cleaned, same = (resolve(f"folder:{tmp_path / name}", 32) for name in ("squares", "cleaned", "same"))
    assert raw == same
    assert raw.content != cleaned.content
    assert {red for _, red in reds(raw)} == {0, 100}
    assert {red for _, red in reds(cleaned)} == {255, 155}


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """The names of what is read to see what it holds."""
    seen: list[str] = []
    real = content._hash
    monkeypatch.setattr(content, "_hash", lambda item: seen.append(Path(item).name) or real(item))
    return seen


def test_what_has_not_changed_is_not_read_again(squares, read, monkeypatch):
    monkeypatch.setattr(content, "YOUNG", -10**18)  # as if it had lain there long
    before = resolve(f"folder:{squares}")
    assert len(read) == 10
    assert resolve(f"folder:{squares}") == before
    assert len(read) == 10
    (squares / "a/0.bmp").write_bytes((squares / "a/1.bmp").read_bytes())
    os.utime(squares / "a/2.bmp", ns=(1, 1))
    resolve(f"folder:{squares}")
    assert sorted(read[10:]) == ["0.bmp", "2.bmp"]


def test_what_was_just_written_is_read_again(squares, read):
    """Two writes within a tick of the clock may leave the same times."""
    for n in (10, 20):
        resolve(f"folder:{squares}")
        assert len(read) == n


@pytest.mark.parametrize("harm", [b"", b"[1, 2]", b'{"a": 1}', b"\xff\xfe", None])
def test_a_damaged_index_costs_time_alone(squares, root, read, monkeypatch, harm):
    monkeypatch.setattr(content, "YOUNG", -10**18)
    before = resolve(f"folder:{squares}")
    [index] = (root / "content").iterdir()
    known = json.loads(index.read_text())
    index.write_bytes(json.dumps(dict.fromkeys(known, 3)).encode() if harm is None else harm)
    assert resolve(f"folder:{squares}") == before
    assert len(read) == 20


def test_a_stopped_look_is_kept_as_far_as_it_came(squares, root, read, monkeypatch):
    monkeypatch.setattr(content, "YOUNG", -10**18)

    def stopped(top, items):
        yield "0" * 32
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(content, "_hashed", stopped)
        with pytest.raises(KeyboardInterrupt):
            resolve(f"folder:{squares}")
    resolve(f"folder:{squares}")
    assert len(read) == 9


def test_a_full_disk_costs_time_alone(squares, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "full")
    before = resolve(f"folder:{squares}").content
    monkeypatch.setattr(content, "YOUNG", -10**18)
    monkeypatch.setattr(content.files, "write", full)
    assert content.identity(squares, (), str) is not None
    monkeypatch.setattr("replication.data.folder.remember", lambda listing: None)
    assert resolve(f"folder:{squares}").content == before


def test_a_grid_looks_once_and_whoever_reads_looks_anew(squares, monkeypatch):
    """Of many files; few are looked at each time."""
    monkeypatch.setattr(content, "MANY", 5)
    before = resolve(f"folder:{squares}", 32)
    swap(squares / "a/3.bmp", squares / "b/3.bmp")
    assert resolve(f"folder:{squares}", 32) == before
    with pytest.raises(BadInput, match="is not what it was"):
        load(before)
    assert resolve(f"folder:{squares}", 32) != before
    swap(squares / "a/3.bmp", squares / "b/3.bmp")
    monkeypatch.setattr(content, "LATELY", -1.0)
    assert resolve(f"folder:{squares}", 32) == before


# -- sets with a name ---------------------------------------------------------------------------------------------
def jpegs(one: Path, two: Path) -> None:
    """Swaps two images that may differ in size, which their ends make up for."""
    size = max(path.stat().st_size for path in (one, two))
    for path in (one, two):
        path.write_bytes(path.read_bytes().ljust(size, b"\0"))


def test_a_part_of_tiny_imagenet_is_what_it_holds(tiny):
    top = tiny()
    one, two = (top / f"train/{wnid}/images/{wnid}_3.JPEG" for wnid in ("n01", "n03"))
    jpegs(one, two)
    before = resolve("tiny-imagenet-200")
    swap(one, two)
    after = resolve("tiny-imagenet-200")
    assert after.content != before.content
    assert [int(load(after).train.images[9 + c, 0, 32, 32]) // 40 for c in range(3)] == [2, 1, 0]
    with pytest.raises(BadInput, match="not what this run names"):
        load(before)


@pytest.mark.parametrize(("file", "old", "new"), [
    ("val/val_annotations.txt", "val_0.JPEG\tn03", "val_0.JPEG\tn01"),
    ("train/n01/n01_boxes.txt", "3\t0\t43", "3\t9\t43")])
def test_labels_and_boxes_are_part_of_it(tiny, file, old, new):
    path = tiny() / file
    before = resolve("tiny-imagenet-200")
    path.write_text(path.read_text().replace(old, new))
    assert resolve("tiny-imagenet-200").content != before.content


def test_only_the_official_pixels_are_tiny_imagenet(tiny, monkeypatch):
    """However the files were packed; as many others of the same names are another set."""
    top = tiny()
    for name, value in (("CLASSES", 3), ("TRAIN", 12), ("VAL", 4)):
        monkeypatch.setattr(tiny_imagenet, name, value)
    with pytest.warns(UserWarning, match="has the official numbers and holds something else"):
        other = resolve("tiny-imagenet-200")
    assert other.content is not None, "these are not the pixels of the official set"
    shutil.rmtree(paths.data() / "content")
    monkeypatch.setattr(tiny_imagenet, "PIXELS", tiny_imagenet._pixels(tiny_imagenet.read()))
    whole = resolve("tiny-imagenet-200")
    assert whole.content is None
    image = top / "train/n02/images/n02_7.JPEG"
    image.write_bytes(image.read_bytes() + b"\0")
    assert resolve("tiny-imagenet-200") == whole, "packed otherwise"
    Image.new("RGB", (64, 64), (40, 14, 130)).save(image, "JPEG")
    assert resolve("tiny-imagenet-200").content is not None
    image.write_bytes(b"damaged")
    assert resolve("tiny-imagenet-200").content is not None
    with pytest.raises(BadInput, match="is not what this run names, which is all of it"):
        load(whole)


def test_pixels_are_compared_once(tiny, monkeypatch):
    tiny()
    for name, value in (("CLASSES", 3), ("TRAIN", 12), ("VAL", 4)):
        monkeypatch.setattr(tiny_imagenet, name, value)
    asked: list[int] = []
    monkeypatch.setattr(tiny_imagenet, "_pixels", lambda listing: asked.append(1) or "")
    assert resolve("tiny-imagenet-200") == resolve("tiny-imagenet-200")
    assert len(asked) == 1


def test_what_came_from_the_published_archive_is_official(root, tiny, monkeypatch):
    top = tiny()
    archive = shutil.make_archive(str(root / "tiny-imagenet-200"), "zip", root, "tiny-imagenet-200")
    from replication.data import download
    shutil.rmtree(top)
    for name, value in (("CLASSES", 3), ("TRAIN", 12), ("VAL", 4), ("MD5", download.checksum(Path(archive)))):
        monkeypatch.setattr(tiny_imagenet, name, value)
    tiny_imagenet.obtain()
    assert resolve("tiny-imagenet-200").content is None


@pytest.mark.parametrize("form", ["folders", "shards"])
@pytest.mark.parametrize("part", ["train", "val"])
def test_imagenet_is_what_it_holds(ilsvrc, shards, form, part):
    top = ilsvrc()
    one, two = (sorted((top / part / c).iterdir())[1] for c in ("n01440764", "n01442764"))
    jpegs(one, two)
    before = None
    for _ in range(2):
        copy = shutil.copytree(top, top.parent / "copy")
        if form == "shards":
            shards(top)
        found, before = resolve("imagenet", 32), before or resolve("imagenet", 32)
        shutil.rmtree(top)
        copy.rename(top)
        swap(one, two)
    assert found.content != before.content


def test_all_of_imagenet_stays_what_it_was_when_first_read(ilsvrc, monkeypatch):
    top = ilsvrc()
    padded = sum(512 + -(-path.stat().st_size // 512) * 512 for path in (top / "val").glob("*/*"))
    for name, value in (("CLASSES", 3), ("TRAIN", 12), ("VAL", 6), ("VAL_BYTES", padded)):
        monkeypatch.setattr(imagenet, name, value)
    imagenet._from_folders.cache_clear()
    assert resolve("imagenet").content is None
    first = {part: [sorted((top / part / c).iterdir())[0] for c in ("n01440764", "n01442764")]
             for part in ("train", "val")}
    for pair in first.values():
        jpegs(*pair)
        swap(*pair)
        assert resolve("imagenet").content is not None
        swap(*pair)


def other_sound(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2] + b"\1\1")


def test_sounds_are_what_they_hold(root):
    top = spoken.fsdd(root / "fsdd", n=1)
    before = resolve("fsdd")
    other_sound(top / "recordings/3_theo_0.wav")
    assert resolve("fsdd").content not in (None, before.content)
    with pytest.raises(BadInput, match="not what this run names"):
        load(before)


def commands(root: Path) -> Path:
    top = root / "speech-commands"
    for word in (*speech.WORDS, "bed"):
        for i in range(3):
            spoken.write(top / word / f"{i}_nohash_0.wav", [100] * 800, rate=16000)
    for k, name in enumerate(speech.LISTS):
        (top / f"{name}_list.txt").write_text("".join(f"{w}/{k}_nohash_0.wav\n" for w in (*speech.WORDS, "bed")))
    for noise in ("pink_noise", "running_tap"):
        spoken.write(top / f"_background_noise_/{noise}.wav", range(32000), rate=16000)
    return top


@pytest.mark.parametrize("file", ["yes/0_nohash_0.wav", "no/2_nohash_0.wav", "_background_noise_/pink_noise.wav"])
def test_commands_are_what_they_hold(root, file):
    top = commands(root)
    before = resolve("speech-commands")
    other_sound(top / file)
    assert resolve("speech-commands").content not in (None, before.content)


def test_all_commands_stay_what_they_were_when_first_read(root, monkeypatch):
    top = commands(root)
    monkeypatch.setattr(speech, "WORDS", dict.fromkeys(speech.WORDS, (1, 1, 1)))
    for held in (("validation",), ("testing",)):
        assert resolve("speech-commands", held=held).content is None
    other_sound(top / "no/2_nohash_0.wav")
    for held in (("validation",), ("testing",)):
        assert resolve("speech-commands", held=held).content is not None


def imagenette(root: Path, picture: Callable[..., Path], side: int = 160) -> Path:
    for split, n in (("train", 3), ("val", 2)):
        for c, wnid in enumerate(sorted(datasets.Imagenette._WNID_TO_CLASS)):
            for k in range(n):
                picture(root / f"imagenette2-{side}" / split / wnid / f"{wnid}_{k}.JPEG", (25 * c, k, 0), (20, 16))
    return root / f"imagenette2-{side}"


def test_all_of_imagenette_stays_what_it_was_when_first_read(root, picture, monkeypatch):
    monkeypatch.setattr(vision, "IMAGENETTE", ((3,) * 10, (2,) * 10))
    top = imagenette(root, picture)
    read = registry.KNOWN["imagenette"].read
    data = spec.Data("imagenette", 96, 10, 30, 20)
    before = read(data)
    picture(top / "train/n02102040/n02102040_1.JPEG", (9, 9, 9), (20, 16))
    with pytest.raises(BadInput, match=r"is not what it was when it was first read here; unpack imagenette2-160.tgz"):
        read(data)
    picture(top / "train/n02102040/n02102040_1.JPEG", (25, 1, 0), (20, 16))
    assert read(data) == before


# -- what is nobody's image ---------------------------------------------------------------------------------------
LITTER = (".DS_Store", "._val_0.JPEG", "._0.png", "._0_theo_0.wav", "Thumbs.db", "desktop.ini", ".hidden.jpg")


def strew(top: Path) -> None:
    for folder in [top, *(path for path in top.rglob("*") if path.is_dir())]:
        for name in LITTER:
            (folder / name).write_bytes(b"litter")
        for name in (".ipynb_checkpoints", "__MACOSX", "@eaDir"):
            (folder / name).mkdir()
        (folder / "__MACOSX/._1.JPEG").write_bytes(b"litter")


def test_litter_is_passed_over_in_every_set(root, squares, tiny, ilsvrc, picture, tmp_path):
    for split in ("train", "val"):
        shutil.copytree(squares, tmp_path / "parted" / split)
    places = {"tiny-imagenet-200": tiny(), "imagenet": ilsvrc(), "fsdd": spoken.fsdd(root / "fsdd", n=1),
              "speech-commands": commands(root), f"folder:{squares}": squares,
              f"folder:{tmp_path / 'parted'}": tmp_path / "parted"}
    before = {name: resolve(name) for name in places}
    read = registry.KNOWN["imagenette"].read
    known = read(spec.Data("imagenette", 96)) if imagenette(root, picture) else None
    for place in (*places.values(), root / "imagenette2-160"):
        strew(place)
    assert {name: resolve(name) for name in places} == before
    assert read(spec.Data("imagenette", 96)) == known


def test_litter_is_passed_over_among_and_in_shards(ilsvrc, shards):
    top = ilsvrc()
    before = resolve("imagenet", 32)
    shards(top, lambda wnid, stem, n: f"./{wnid}/{stem}")
    for path in list(top.glob("*.tar")):
        (top / f"._{path.name}").write_bytes(b"litter")
        with tarfile.open(path, "a") as tar:
            for name in ("n01440764/._n01440764_37.jpg", "__MACOSX/n01440764/n01440764_37.jpg", ".DS_Store"):
                entry = tarfile.TarInfo(name)
                entry.size = 6
                tar.addfile(entry, io.BytesIO(b"litter"))
    assert resolve("imagenet", 32) == before


# -- a place that is only read ------------------------------------------------------------------------------------
@pytest.fixture
def only_read(root, monkeypatch, tmp_path) -> Iterator[Callable[[], None]]:
    """Takes away the right to write below `root`, and sees to it that nothing was written there."""
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "mine"))
    access, before = os.access, {}

    def tree() -> dict[Path, tuple[int, int]]:
        return {path: (path.stat().st_mtime_ns, path.stat().st_ctime_ns) for path in (root, *root.rglob("*"))}

    def close() -> None:
        for path in (root, *root.rglob("*")):
            path.chmod(path.stat().st_mode & ~0o222)
        monkeypatch.setattr(os, "access", lambda path, mode: access(path, mode) and not (
            mode == os.W_OK and Path(path).is_relative_to(root)))  # a superuser may write nonetheless
        before.update(tree())

    yield close
    assert before
    assert tree() == before
    for path in (root, *root.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)


def test_every_set_can_lie_where_nothing_is_written(root, squares, tiny, ilsvrc, picture, monkeypatch, only_read):
    class CIFAR:
        base_folder, url, tgz_md5 = ".", "", ""  # it is there

        def __init__(self, root, train, download):
            self.targets, self.classes = [*range(10)], [*"abcdefghij"]
            self.data = np.zeros((10, 32, 32, 3), np.uint8)

    monkeypatch.setattr(datasets, "CIFAR10", CIFAR)
    monkeypatch.setattr(content, "YOUNG", -10**18)
    inside = shutil.copytree(squares, root / "squares")
    tiny()
    ilsvrc()
    spoken.fsdd(root / "fsdd", n=1)
    commands(root)
    imagenette(root, picture)
    only_read()
    sets = [resolve("tiny-imagenet-200"), resolve("imagenet", 32), resolve("fsdd"), resolve("speech-commands"),
            resolve(f"folder:{inside}", 32), spec.Data("imagenette", 96, 10, 30, 20),
            spec.Data("cifar10", 32, 10, 10, 10)]
    first = [int(load(data).train.images[:].double().sum()) for data in sets]
    kept = sorted((paths.mine() / "data/cache").rglob("*.npy"))
    times = [path.stat().st_mtime_ns for path in kept]
    assert [int(load(data).train.images[:].double().sum()) for data in sets] == first
    assert [path.stat().st_mtime_ns for path in sorted((paths.mine() / "data/cache").rglob("*.npy"))] == times


def test_shards_can_lie_where_nothing_is_written(ilsvrc, shards, only_read):
    shards(ilsvrc())
    only_read()
    assert load(resolve("imagenet", 32)).train.images.shape[0] == 12


def test_what_was_decoded_there_before_is_used(root, squares, tiny, only_read, monkeypatch):
    tiny()
    inside = shutil.copytree(squares, root / "squares")
    sets = [resolve("tiny-imagenet-200"), resolve(f"folder:{inside}", 32)]
    first = [load(data).train.images.clone() for data in sets]
    only_read()
    monkeypatch.setattr("replication.data.decode.squares", None)
    for data, images in zip(sets, first, strict=True):
        assert (load(data).train.images == images).all()
    assert not (paths.mine() / "data/cache").exists()
