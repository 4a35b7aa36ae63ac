"""Images that come batch by batch: the batches, the run and its end are those of images that lie on the device."""
from __future__ import annotations

import errno
import json
import os
import threading
import time
import warnings
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from replication.data import cache, loader, spec
from replication.data.load import Loaded, load
from replication.data.registry import resolve
from replication.errors import BadInput
from replication.models import ops
from replication.runs import experiments, store
from replication.training import loop

Tiny = Callable[..., experiments.Experiment]
CPU = torch.device("cpu")


@pytest.fixture
def mapped(tiny, root) -> Loaded:
    """36 training images of 64 px in a file, as decoded sets lie."""
    tiny()
    loaded = load(resolve("tiny-imagenet-200"))
    path = next((root / "cache").glob("*/train.npy"))
    rows = np.load(path, mmap_mode="r+")
    rows[:] = np.random.RandomState(0).randint(256, size=rows.shape)  # no two alike
    rows.flush()
    about = json.loads((path.parent / "about.json").read_text())
    about["sums"]["train.npy"] = zlib.crc32(path.read_bytes())
    (path.parent / "about.json").write_text(json.dumps(about))
    return loaded


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("reader")]


# -- which --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("asked", "bytes_", "expected"), [
    ("auto", 48, True), ("", 48, True), ("auto", 51, False), ("yes", 1000, True), ("no", 1, False)])
def test_images_lie_there_if_they_take_half_of_the_memory(monkeypatch: Any, asked: str, bytes_: int,
                                                          expected: bool) -> None:
    monkeypatch.setenv("REPLICATION_RESIDENT", asked)
    monkeypatch.setattr(loader, "memory", lambda device: 100)
    assert loader.resident(torch.zeros(bytes_, 1, 1, 1, dtype=torch.uint8), CPU) is expected


def test_the_memory_of_a_gpu_is_its_own(monkeypatch: Any) -> None:
    class Properties:
        total_memory = 7
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Properties)
    assert loader.memory(torch.device("cuda", 0)) == 7


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="not Linux")
def test_the_memory_of_the_machine_is_what_the_kernel_says() -> None:
    kilobytes = int(Path("/proc/meminfo").read_text().split("MemTotal:")[1].split()[0])
    assert loader.memory(CPU) == pytest.approx(1024 * kilobytes, rel=0.01)


@pytest.mark.parametrize(("name", "value", "match"), [
    ("RESIDENT", "on", "Unknown value of REPLICATION_RESIDENT 'on'.*Valid: auto, yes, no"),
    ("READERS", "0", "REPLICATION_READERS='0' must be auto or a whole number of at least 1"),
    ("READERS", "two", "REPLICATION_READERS='two' must be")])
def test_settings_that_cannot_be(monkeypatch: Any, name: str, value: str, match: str) -> None:
    monkeypatch.setenv("REPLICATION_RESIDENT", "no")
    monkeypatch.setenv(f"REPLICATION_{name}", value)
    with pytest.raises(BadInput, match=match):
        next(loader.batches(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), iter([torch.tensor([1])]), CPU))


# -- the batches --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("first", [0, 3, 4, 9])
@pytest.mark.parametrize("world", [1, 2, 5])
def test_the_plan_is_one_permutation_an_epoch(first: int, world: int) -> None:
    """From whichever step; 43 images in batches of 10 are 4 steps an epoch. Rank r has every world-th."""
    plans = [list(loader.plan(43, 10, 7, range(first, 12), CPU, rank, world)) for rank in range(world)]
    for step, parts in enumerate(zip(*plans, strict=True), first):
        order = np.random.RandomState([7, step // 4]).permutation(43)
        expected = order[step % 4 * 10:][:10]
        assert [part.tolist() for part in parts] == [expected[rank::world].tolist() for rank in range(world)]
    assert len(plans[0]) == 12 - first


@pytest.mark.parametrize("count", ["1", "3", "auto"])
def test_batches_are_the_images_in_order(mapped: Loaded, monkeypatch: Any, count: str) -> None:
    """Although readers take as long as they like; and none of them is left."""
    monkeypatch.setenv("REPLICATION_RESIDENT", "no")
    monkeypatch.setenv("REPLICATION_READERS", count)
    before, by, calls = torch.index_select, set(), iter(range(1000))

    def slow(*what: Any, **more: Any) -> Tensor:
        time.sleep(0.01 * (next(calls) % 3))
        by.add(threading.current_thread().name)
        return before(*what, **more)

    monkeypatch.setattr(torch, "index_select", slow)
    images = mapped.train.images
    plan = list(loader.plan(36, 5, 0, range(30), CPU))
    with closing(loader.batches(images, iter(plan), CPU)) as batches:
        for chosen, (which, found) in zip(plan, batches, strict=True):
            assert which is chosen
            assert torch.equal(found, images[chosen])
    assert 1 <= len(by) <= loader.readers()
    assert all(name.startswith("reader") for name in by)
    assert readers() == []


def test_no_more_is_read_than_a_few_batches_ahead(mapped: Loaded, monkeypatch: Any) -> None:
    monkeypatch.setenv("REPLICATION_RESIDENT", "no")
    monkeypatch.setenv("REPLICATION_READERS", "2")
    taken = 0

    def plan() -> Any:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield torch.tensor([taken % 36])

    with closing(loader.batches(mapped.train.images, plan(), CPU)) as batches:
        for given in range(1, 20):
            next(batches)
            assert taken <= given + 2 * loader.AHEAD


def test_a_disk_that_fails_ends_the_run(mapped: Loaded, monkeypatch: Any) -> None:
    def broken(*_: Any, **__: Any) -> Tensor:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setenv("REPLICATION_RESIDENT", "no")
    monkeypatch.setattr(torch, "index_select", broken)
    with (pytest.raises(OSError, match="Input/output error"),
          closing(loader.batches(mapped.train.images, loader.plan(36, 5, 0, range(9), CPU), CPU)) as batches):
        next(batches)
    assert readers() == []


# -- the run ------------------------------------------------------------------------------------------------------
@pytest.fixture
def experiment(mapped: Loaded) -> experiments.Experiment:
    """36 mapped images, 7 steps an epoch, random crops and flips, batch normalisation and dropout."""
    network = ops.Network("small", (
        ops.Row("conv1", ops.Conv(8, 3, 2)), ops.Row("3a", ops.Inception(8, 8, 8, 8, 8, 8)),
        ops.Row("avgpool", ops.AvgPool()), ops.Row("dropout", ops.Dropout(0.4)),
        ops.Row("linear", ops.Linear(3))), 56, norm=ops.BatchNorm(), init=ops.He())
    recipe = experiments.Recipe(epochs=3, batch=5, lr=0.05, augment=(spec.RandomCrop(56), spec.Flip()))
    return experiments.Experiment(network, resolve("tiny-imagenet-200"), recipe)


@pytest.fixture
def trained(monkeypatch: Any, tmp_path: Path, experiment: experiments.Experiment) -> Callable[..., Any]:
    """trained("no", stops=(4, 10)): history as text and weights, trained in as many goes as it is stopped."""
    for name, value in (("READ", "mine"), ("DEVICE", "cpu")):
        monkeypatch.setenv(f"REPLICATION_{name}", value)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def run(resident: str, stops: tuple[int, ...] = ()) -> Any:
        monkeypatch.setenv("REPLICATION_RESIDENT", resident)
        monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / f"{resident}{stops}"))
        for steps in stops:
            left = iter([False] * steps + [True])
            with pytest.raises(loop.Stopped) as stopped:
                loop.train(experiment, 0, stop=left.__next__)
            assert readers() == [], stopped  # though the exception still holds its frames
        made = loop.train(experiment, 0)
        assert readers() == []
        assert made.provenance["resident"] is (resident == "yes")
        assert made.summary["steps"] == 21
        return str(made.history), torch.load(store.weights(made.address), weights_only=True)

    yield run
    torch.set_num_threads(threads)


@pytest.mark.parametrize("stops", [(), (4,), (7, 3), (4, 9, 1)])
def test_the_run_is_the_same_to_the_last_bit(trained: Callable[..., Any], stops: tuple[int, ...]) -> None:
    """Also stopped in mid-epoch, at an epoch's end, and again; each time it goes on with the batches that are left."""
    history, weights = trained("yes")
    other, found = trained("no", stops)
    assert other == history
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], weights[name]) for name in weights)


def test_what_comes_batch_by_batch_is_not_recorded(trained: Callable[..., Any], monkeypatch: Any) -> None:
    monkeypatch.setattr(loop.accelerate, "tricks", lambda *_: frozenset({"graph"}))
    monkeypatch.setattr(torch.cuda, "Stream", lambda: pytest.fail("about to record"))
    trained("no")


def test_a_divergence_ends_the_readers(trained: Any, experiment: experiments.Experiment, monkeypatch: Any,
                                       tmp_path: Path) -> None:
    monkeypatch.setenv("REPLICATION_RESIDENT", "no")
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "diverged"))
    wild = replace(experiment, recipe=replace(experiment.recipe, lr=1e30, clip=None))
    assert loop.train(wild, 0).summary["status"] == "diverged"
    assert readers() == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_run_is_the_same_but_not_recorded(experiment: experiments.Experiment, monkeypatch: Any,
                                                       tmp_path: Path) -> None:
    monkeypatch.setenv("REPLICATION_FAST", "graph")
    monkeypatch.setenv("REPLICATION_DEVICE", "cuda")
    found = []
    for resident in ("yes", "no"):
        monkeypatch.setenv("REPLICATION_RESIDENT", resident)
        monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / resident))
        found.append(loop.train(experiment, 0))
    assert [run.provenance["fast"] for run in found] == ["graph", "as written"]
    for a, b in zip(*(run.history for run in found), strict=True):
        assert b == pytest.approx(a, rel=2e-2, nan_ok=True)


# -- larger than memory -------------------------------------------------------------------------------------------
def test_a_file_larger_than_memory_is_mapped(tmp_path: Path) -> None:
    """Linux promises no copies of so much; a sparse file asks for them without filling the disk."""
    path = tmp_path / "train.npy"
    number = 4 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (256 * 256 * 3)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False,
                                                    "shape": (number, 256, 256, 3)})
        start = file.tell()
        file.seek(start + (number - 1) * 256 * 256 * 3)
        file.write(bytes([9]) * 256 * 256 * 3)
    images = cache._mapped(path)
    assert images.shape == (number, 256, 256, 3)
    assert (images[-1] == 9).all()
    assert not images[0].any()
    del images
    path.unlink()


def test_what_is_mapped_read_only_is_read_as_ever(mapped: Loaded, monkeypatch: Any) -> None:
    before = mapped.train.images.clone()
    opened = np.load

    def small(path: Path, mmap_mode: str | None = None, **more: Any) -> Any:
        if mmap_mode == "c":
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        return opened(path, mmap_mode=mmap_mode, **more)

    monkeypatch.setattr(np, "load", small)
    monkeypatch.setattr(cache.decode, "squares", lambda *_: pytest.fail("decoded again"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = load(resolve("tiny-imagenet-200"))
    assert torch.equal(found.train.images, before)
