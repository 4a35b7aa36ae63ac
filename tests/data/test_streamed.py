"""Images decoded when they are asked for: the run and its end are those of images decoded once, and nobody is left."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import crew
import pytest
import torch
from waiting import until

from replication import provenance
from replication.data import decode, loader, spec, streamed
from replication.data.load import load
from replication.data.registry import resolve
from replication.data.streamed import Streamed
from replication.errors import BadInput
from replication.models import ops
from replication.runs import experiments, store
from replication.training import loop, members

CPU = torch.device("cpu")


@pytest.fixture
def both(ilsvrc: Any, monkeypatch: Any) -> tuple[Any, Any]:
    """36 training and 12 validation images, streamed and decoded into the cache."""
    ilsvrc(train=12, val=4)
    found = []
    for resident in ("stream", "no"):
        monkeypatch.setenv("REPLICATION_RESIDENT", resident)
        found.append(load(resolve("imagenet", 40)))
    return found[0], found[1]


def children() -> list[str]:
    """Of this process, what runs as a reader."""
    listed = subprocess.run(["ps", "-o", "args=", "--ppid", str(os.getpid())], capture_output=True, text=True)
    return [line for line in listed.stdout.splitlines() if "replication.data.reader" in line]


# -- which --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("resident", "images", "expected"), [
    ("auto", 325_000, False), ("auto", 326_000, True), ("", 1_281_167, True), ("no", 1_281_167, False),
    ("yes", 1_281_167, False), ("stream", 10, True)])
def test_sets_stream_that_would_take_64_gb_decoded(monkeypatch: Any, resident: str, images: int,
                                                   expected: bool) -> None:
    monkeypatch.setenv("REPLICATION_RESIDENT", resident)
    assert streamed.wanted(spec.Data("imagenet", 256, 1000, images, 50_000)) is expected


def test_what_is_made_does_not_stream(monkeypatch: Any) -> None:
    monkeypatch.setenv("REPLICATION_RESIDENT", "stream")
    images = load(resolve("shapes", train_images=20, val_images=20)).train.images
    assert isinstance(images, torch.Tensor)
    assert loader.resident(images, CPU)


def test_boxes_stay_beside_their_images(tiny: Any, monkeypatch: Any) -> None:
    tiny()
    found = []
    for resident in ("stream", "no"):
        monkeypatch.setenv("REPLICATION_RESIDENT", resident)
        found.append(load(resolve("tiny-imagenet-200")))
    assert isinstance(found[0].train.images, Streamed)
    for a, b in ((found[0].train, found[1].train), (found[0].val, found[1].val)):
        assert torch.equal(a.extra["box"], b.extra["box"])
        assert torch.equal(a.labels, b.labels)
        assert torch.equal(a.images[:], b.images)


# -- the images ---------------------------------------------------------------------------------------------------
def test_they_are_those_of_the_cache(both: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(decode, "BATCH", 5)
    few, kept = both[0].train, both[1].train
    assert (few.images.shape, len(few.images)) == (kept.images.shape, 36)
    assert torch.equal(few.labels, kept.labels)
    for chosen in (slice(None), slice(3, 20, 4), torch.tensor([7, 0, 35, 7])):
        assert torch.equal(few.images[chosen], kept.images[chosen])
        assert few.images[chosen].permute(0, 2, 3, 1).is_contiguous()


@pytest.mark.parametrize("count", ["1", "3", "auto"])
def test_batches_are_the_images_in_order(both: Any, monkeypatch: Any, count: str) -> None:
    monkeypatch.setenv("REPLICATION_READERS", count)
    plan = list(loader.plan(36, 5, 0, range(15), CPU))
    with closing(loader.batches(both[0].train.images, iter(plan), CPU)) as batches:
        for chosen, (which, found) in zip(plan, batches, strict=True):
            assert torch.equal(which, chosen)
            assert torch.equal(found, both[1].train.images[chosen])
    with closing(loader.batches(both[0].train.images, iter(plan), CPU)) as batches:
        next(batches)
        assert len(children()) == (provenance.cores() + 1 if count == "auto" else int(count))
    assert children() == []


@pytest.mark.parametrize("batch", [1, 5, 12, 100])
def test_all_in_parts(both: Any, batch: int) -> None:
    """Also of images in a file, on the device or not."""
    whole = both[1].val.images
    for images in (both[0].val.images, whole):
        assert torch.equal(torch.cat(list(loader.parts(images, batch, CPU))), whole)
    elsewhere = [part for _, part in loader._sent(whole, iter(torch.arange(12).split(batch)), CPU, 2)]
    assert torch.equal(torch.cat(elsewhere), whole)


@pytest.mark.parametrize(("cores", "here", "expected"), [(16, 1, 17), (16, 8, 3), (4, 8, 1)])
def test_processes_of_a_machine_share_its_cores(both: Any, monkeypatch: Any, cores: int, here: int,
                                                expected: int) -> None:
    monkeypatch.setattr(loader, "cores", lambda: cores)
    assert loader.readers(both[0].train.images, here) == expected
    assert loader.readers(both[1].train.images, here) == loader.READERS


# -- what goes wrong ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("skip", ["0", "1"])
def test_what_cannot_be_decoded_stops_with_its_name(both: Any, monkeypatch: Any, skip: str) -> None:
    """At its turn; it cannot be skipped."""
    monkeypatch.setenv("REPLICATION_SKIP_BAD", skip)
    images = both[0].train.images
    images.items[7].write_bytes(images.items[7].read_bytes()[:-3000])
    with closing(loader.batches(images, loader.plan(36, 6, 0, range(12), CPU), CPU)) as batches, \
            pytest.raises(BadInput, match=r"JPEG cannot be decoded .*take it out of the set\. REPLICATION_SKIP_BAD"
                          ) as problem:
        for _ in batches:
            pass
    assert f"{images.items[7]}" in str(problem.value)
    assert "\n" not in str(problem.value)
    assert children() == []


def test_a_reader_goes_on_after_a_bad_image(both: Any) -> None:
    images = both[0].train.images
    good = list(images.items[:4])
    images.items[1].write_bytes(b"bad")
    reader, out = streamed.Reader(), torch.zeros(3, 40, 40, 3, dtype=torch.uint8)
    for _ in range(2):
        with pytest.raises(BadInput, match="no image of any known kind"):
            reader.fill(good[:3], out)
    reader.fill([good[0], good[2], good[3]], out)
    reader.close()
    assert torch.equal(out.permute(0, 3, 1, 2), both[1].train.images[[0, 2, 3]])


def test_a_reader_that_is_killed_is_no_end_of_images(both: Any) -> None:
    reader, out = streamed.Reader(), torch.zeros(2, 40, 40, 3, dtype=torch.uint8)
    reader.process.kill()
    reader.process.wait()
    with pytest.raises(BadInput, match=r"ended from outside \(status -9\)"):
        reader.fill(both[0].train.images.items[:2], out)
    reader.close()


ALONE = """
import sys, time
from replication.data.streamed import Reader
print(Reader().process.pid, flush=True)
time.sleep(1800)
"""


def command(pid: int) -> bytes:
    """Empty of a process that has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def test_readers_end_with_who_started_them() -> None:
    """Though it is killed, and a Ctrl-C that all of a terminal's programs hear does not reach them."""
    parent = subprocess.Popen([sys.executable, "-c", ALONE], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert os.getpgid(pid) not in (os.getpgid(parent.pid), os.getpgid(0))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until(lambda: b"replication" not in command(pid), "still there")


# -- the run ------------------------------------------------------------------------------------------------------
@pytest.fixture
def experiment(ilsvrc: Any) -> experiments.Experiment:
    """36 images, 7 steps an epoch, boxes and flips, batch normalisation and dropout."""
    ilsvrc(train=12, val=4)
    network = ops.Network("small", (
        ops.Row("conv1", ops.Conv(8, 3, 2)), ops.Row("3a", ops.Inception(8, 8, 8, 8, 8, 8)),
        ops.Row("avgpool", ops.AvgPool()), ops.Row("dropout", ops.Dropout(0.4)),
        ops.Row("linear", ops.Linear(3))), 36, norm=ops.BatchNorm(), init=ops.He())
    recipe = experiments.Recipe(epochs=3, batch=5, lr=0.05, augment=(spec.AreaCrop(36), spec.Flip()))
    return experiments.Experiment(network, resolve("imagenet", 42), recipe)


@pytest.fixture
def trained(monkeypatch: Any, tmp_path: Path, experiment: experiments.Experiment,
            one_thread: None) -> Callable[..., tuple[Any, Any, Any]]:
    """trained("stream", stops=(4, 10)): history as text, weights, and what two views say."""
    for name, value in (("READ", "mine"), ("DEVICE", "cpu")):
        monkeypatch.setenv(f"REPLICATION_{name}", value)

    def run(resident: str, stops: tuple[int, ...] = ()) -> tuple[Any, Any, Any]:
        monkeypatch.setenv("REPLICATION_RESIDENT", resident)
        monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / f"{resident}{stops}"))
        for steps in stops:
            left = iter([False] * steps + [True])
            with pytest.raises(loop.Stopped):
                loop.train(experiment, 0, stop=left.__next__)
        made = loop.train(experiment, 0)
        assert children() == []
        views = members.member(experiment, 0, 2).logits
        return str(made.history), torch.load(store.weights(made.address), weights_only=True), views

    return run


@pytest.mark.parametrize(("stops", "count"), [((), "1"), ((), "3"), ((4,), "2"), ((7, 3), "2")])
def test_the_run_is_the_same_to_the_last_bit(trained: Any, root: Path, monkeypatch: Any, stops: tuple[int, ...],
                                             count: str) -> None:
    monkeypatch.setenv("REPLICATION_READERS", count)
    history, weights, said = trained("stream", stops)
    assert not list((root / "cache").glob("*/train.npy")), "decoded into a cache after all"
    other, expected, heard = trained("yes")
    assert list((root / "cache").glob("*/train.npy"))
    assert history == other
    assert all(torch.equal(weights[name], expected[name]) for name in weights)
    assert all((said[head] == heard[head]).all() for head in heard)


BOTH_WAYS = """
import os, sys
from replication.__main__ import main
for resident in ("stream", "no"):
    os.environ["REPLICATION_RESIDENT"] = resident
    os.environ["REPLICATION_OUT"] = os.path.join(sys.argv[1], resident)
    assert main(["run", "--network", "googlenet", "--dataset", "imagenet", *sys.argv[2:]]) == 0
"""


def test_two_processes_share_what_streams(ilsvrc: Any, tmp_path: Path) -> None:
    """As torchrun starts them; each decodes its own half."""
    ilsvrc(train=12, val=4)
    words = [part for each in ("epochs=1", "batch=18", "width=0.125", "resolution=40", "crop=36", "stem=4")
             for part in ("--set", each)]
    (tmp_path / "both.py").write_text(BOTH_WAYS)
    found = crew.ended(crew.start(tmp_path / "both.py", tmp_path, *words, REPLICATION_READ="mine",
                                  REPLICATION_DEVICE="cpu"))
    assert [status for status, *_ in found] == [0, 0], found
    histories = [next((tmp_path / name).glob("runs/*/history.csv")).read_text() for name in ("stream", "no")]
    assert histories[0] == histories[1]
    assert histories[0].count("\n") == 3
