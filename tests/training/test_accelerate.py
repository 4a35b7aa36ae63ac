"""What makes steps faster: the same numbers with and without it, and what does not work is left out once, aloud."""
from __future__ import annotations

import resource
import shutil
import statistics
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from replication.errors import BadInput
from replication.models import layers, ops
from replication.models.bn_inception import bn_inception
from replication.models.build import build, folded
from replication.models.googlenet import googlenet, googlenet_bn
from replication.models.inception_v3 import inception_v3
from replication.runs import experiments, store
from replication.training import accelerate, logits, loop, optim

Tiny = Callable[..., experiments.Experiment]
NONE: frozenset[str] = frozenset()


# -- which --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("device", "work", "asked", "expected"), [
    ("cpu", 1e20, "auto", {"fold", "memory"}),
    ("cpu", 1e20, "none", set()),
    ("cuda", 1e12, "auto", {"graph"}),
    ("cuda", 1e17, "auto", {"graph", "compile"}),
    ("cuda", 1e17, "none", set()),
    ("cuda", 1.0, "compile,merge", {"compile", "merge"}),
    ("cpu", 1.0, "merge", {"merge"}),
])
def test_which_tricks(device: str, work: float, asked: str, expected: set[str], monkeypatch: Any) -> None:
    assert accelerate.tricks(device, work, asked) == expected
    monkeypatch.setenv("REPLICATION_FAST", asked)
    assert accelerate.tricks(device, work) == expected


def test_without_glibc_memory_is_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS and with musl."""
    monkeypatch.setattr(accelerate, "_glibc", lambda: None)
    assert accelerate.tricks("cpu", 1.0, "auto") == {"fold"}
    with pytest.raises(BadInput, match="memory, which needs glibc: leave it out, or say auto"):
        accelerate.tricks("cpu", 1.0, "memory")


def test_tricks_that_cannot_be() -> None:
    with pytest.raises(BadInput, match=r"Unknown trick in REPLICATION_FAST 'graphs'. Did you mean 'graph'"):
        accelerate.tricks("cuda", 1.0, "compile,graphs")
    with pytest.raises(BadInput, match="graph, which needs a GPU"):
        accelerate.tricks("cpu", 1.0, "graph")


# -- merged 1×1 convolutions --------------------------------------------------------------------------------------
NETWORKS = {
    "LRN": lambda: googlenet(classes=5, width=0.125, stem=4, resolution=32, init=ops.He(), dropout=0),
    "BN": lambda: googlenet_bn(classes=5, width=0.125, stem=4, resolution=32, aux=(), init=ops.He()),
    "V3": lambda: inception_v3(classes=5, width=0.125, resolution=96, aux=()),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_merged_convolutions_are_the_same_function(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logits, gradients and running statistics; and there are fewer convolutions, or nothing was merged."""
    torch.manual_seed(0)
    network = build(NETWORKS[name]()).double()
    images = torch.randn(4, 3, network.network.resolution, network.network.resolution, dtype=torch.float64)
    start = {key: value.clone() for key, value in network.state_dict().items()}
    results, calls = [], []
    plain = F.conv2d
    for which in (NONE, frozenset({"merge"})):
        network.load_state_dict(start)
        network.zero_grad()
        accelerate.prepare(network, which)
        count = [0]

        def conv2d(*arguments: Any, count: list[int] = count, **more: Any) -> Tensor:
            count[0] += 1
            return plain(*arguments, **more)

        with monkeypatch.context() as patched:
            patched.setattr(F, "conv2d", conv2d)
            torch.manual_seed(1)
            outputs = network(images)
        sum(out.square().sum() for out in outputs.values()).backward()
        calls.append(count[0])
        results.append({**outputs, **{f"grad {n}": p.grad.clone() for n, p in network.named_parameters()},
                        **{key: value.clone() for key, value in network.state_dict().items()}})
    modules = [m for m in network.modules() if isinstance(m, layers.Branches)]
    expected = sum(max(0, sum(isinstance(getattr(m, b[0]), layers.Conv) and getattr(m, b[0]).kernel_size == (1, 1)
                              for b in m.branches) - 1) for m in modules)
    assert calls[0] - calls[1] == expected > 0
    for key, value in results[0].items():
        assert (results[1][key] - value).abs().max() <= 1e-7 * value.abs().max(), key


# -- memory that stays --------------------------------------------------------------------------------------------
FAULTS = """
import resource
import torch
from replication.training import accelerate
torch.set_num_threads(1)
def touched():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(1 << 24)  # 64 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print([touched() for _ in range(4)][-1])
accelerate.keep_memory()
print([touched() for _ in range(4)][-1])
accelerate.give_memory_back(frozenset({"memory"}))
print(touched())
"""


@pytest.mark.skipif(accelerate._glibc() is None, reason="glibc alone has it")
def test_a_large_map_is_not_cleared_anew(python: Callable[..., Any]) -> None:
    """The system clears a page when it is first touched, and counts that: 16,384 of 4 kB in 64 MB, or 32 of 2 MB.
    Once all that is free was given back, it clears the next map whole, wherever that lies."""
    left, kept, given_back = map(int, python(FAULTS).stdout.split())
    assert kept <= 2
    assert min(left, given_back) >= 32


@pytest.mark.skipif(accelerate._glibc() is None, reason="glibc alone has it")
def test_a_run_gives_its_memory_back(tiny: Tiny, out: Path) -> None:
    """A process that trained and goes on, as a notebook may, holds no more than it uses: its next map is cleared anew.
    The map after that may lie in a hole of the heap, which glibc keeps, so only the first says anything."""
    def touched() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(1 << 24)  # 64 MB
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    during: list[int] = []
    loop.train(tiny(), 0, stop=lambda: during.append(touched()))
    assert statistics.median(during) <= 2
    assert touched() >= 32


# -- folded batch normalisation -----------------------------------------------------------------------------------
@pytest.mark.parametrize("make", [
    lambda: googlenet_bn(classes=5, width=0.125, stem=4, resolution=32, init=ops.He()),
    lambda: replace(googlenet_bn(classes=5, width=0.125, stem=4, resolution=32, init=ops.He()),
                    norm=ops.BatchNorm(scale=False)),
    lambda: inception_v3(classes=5, width=0.125, resolution=96),
    lambda: googlenet(classes=5, width=0.125, stem=4, resolution=32, init=ops.He()),  # has nothing to fold
    lambda: bn_inception(classes=5, width=0.125, resolution=64),  # with a depthwise convolution
], ids=["GoogLeNet", "without gamma", "V3", "LRN", "BN-Inception"])
def test_a_folded_network_is_the_same_function(make: Callable[[], ops.Network]) -> None:
    """All heads, after training has moved the statistics; and the network itself stays as it was."""
    torch.manual_seed(0)
    network = build(make())
    side = network.network.resolution
    for _ in range(3):
        network(torch.randn(8, 3, side, side))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images = torch.randn(4, 3, side, side)
    found = folded(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in found.modules())
    with torch.no_grad():
        ours, theirs = (net.eval().logits(images, network.heads) for net in (found, network))
    for head in network.heads:
        assert (ours[head] - theirs[head]).abs().max() <= 1e-5 * theirs[head].abs().max(), head
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_what_a_run_says_hangs_on_folding_by_rounding_alone(tiny: Tiny, out: Path,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    """Same weights to the bit; and its provenance says which."""
    address, weights, said = experiments.address(tiny("bn"), 0), [], []
    for fast in ("none", "fold"):
        monkeypatch.setenv("REPLICATION_FAST", fast)
        run = loop.train(tiny("bn"), 0)
        assert run.provenance["fast"] == {"none": "as written"}.get(fast, fast)
        weights.append(torch.load(store.weights(address), weights_only=True))
        said.append(logits.read(store.logits(address)).logits["main"])
        shutil.rmtree(store.folder(address))
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert not np.array_equal(*said)  # or nothing was folded
    np.testing.assert_allclose(*said, atol=1e-4)


# -- compiled -----------------------------------------------------------------------------------------------------
@pytest.fixture
def compiler() -> Iterator[None]:
    yield
    torch.compiler.set_stance("default")
    torch.compiler.reset()


def small(tiny: Tiny, **recipe: Any) -> experiments.Experiment:
    """LRN, one module, no dropout (compiled, it draws other numbers): seconds to compile."""
    made = tiny("lrn", **recipe)
    rows = (ops.Row("conv1", ops.Conv(8, 3, 2)), ops.Row("norm1", ops.LRN()),
            ops.Row("3a", ops.Inception(8, 8, 8, 8, 8, 8)), ops.Row("avgpool", ops.AvgPool()),
            ops.Row("linear", ops.Linear(made.data.classes or 2)))
    return replace(made, network=ops.Network("small", rows, made.network.resolution, init=ops.He()))


def trained(made: experiments.Experiment, monkeypatch: pytest.MonkeyPatch, out: Any, how: str) -> store.Run:
    monkeypatch.setenv("REPLICATION_OUT", str(out / how.replace(",", "-")))
    monkeypatch.setenv("REPLICATION_FAST", how)
    return loop.train(made, 0)


@pytest.mark.usefixtures("compiler")
def test_a_compiled_run_is_the_run(tiny: Tiny, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = small(tiny, epochs=2)
    plain, compiled = (trained(made, monkeypatch, tmp_path, how) for how in ("none", "compile,merge"))
    assert plain.provenance["fast"] == "as written"
    assert compiled.provenance["fast"] == "compile, merge"
    for a, b in zip(plain.history, compiled.history, strict=True):
        assert b == pytest.approx(a, rel=1e-3, nan_ok=True)
    assert plain.history[-1]["train_loss"] != plain.history[1]["train_loss"]  # it did train


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("where", ["forward", "backward"])
def test_what_does_not_compile_is_left_out_and_nothing_is_lost(tiny: Tiny, tmp_path: Any, where: str,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    from functorch.compile import make_boxed_func
    from torch._dynamo.backends.common import aot_autograd

    def broken(*_: Any) -> Any:
        raise RuntimeError("no compiler here\nand more lines")

    def works(graph: Any, _: Any) -> Any:
        return make_boxed_func(graph.forward)

    backend = aot_autograd(fw_compiler=broken if where == "forward" else works, bw_compiler=broken)
    made = small(tiny, epochs=2)
    plain = trained(made, monkeypatch, tmp_path, "none")
    compiling = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self, **more: compiling(self, backend=backend, **more))
    with pytest.warns(UserWarning, match="compile does not work here and is left out") as caught:
        fallen = trained(made, monkeypatch, tmp_path, "compile")
    assert sum("does not work here" in str(w.message) for w in caught) == 1
    assert fallen.provenance["fast"].startswith("as written (compile failed: ")
    assert "no compiler here" in fallen.provenance["fast"]
    assert str(fallen.history) == str(plain.history)


# -- recorded -----------------------------------------------------------------------------------------------------
class Recorder(TorchDispatchMode):
    """Records like CUDA: what is called while it is on leaves no trace but the operations and the places of their
    tensors, and `replay` does them again, on those places and no others."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, list[Any]]] = []

    def __enter__(self) -> Recorder:
        self.drawn = torch.get_rng_state()
        return super().__enter__()

    def __exit__(self, *problem: Any) -> None:
        super().__exit__(*problem)
        torch.set_rng_state(self.drawn)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("operation not permitted when stream is capturing")
        kwargs = kwargs or {}
        places = [part for part in tree_leaves((args, kwargs)) if isinstance(part, Tensor)]
        before = [part.clone() for part in places] if func._schema.is_mutable else []
        out = func(*args, **kwargs)
        for place, value in zip(places, before, strict=False):
            place.copy_(value)
        self.calls.append((func, args, kwargs, tree_leaves(out)))
        return out

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, places in self.calls:
            for place, value in zip(places, tree_leaves(func(*args, **kwargs)), strict=True):
                if isinstance(place, Tensor) and place is not value:
                    place.copy_(value)


class Stream:
    def wait_stream(self, other: Any) -> None:
        pass


class Event:
    """Done at once, as all is on a CPU."""
    def record(self) -> None:
        pass

    def synchronize(self) -> None:
        pass


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> list[Recorder]:
    """Stands in for CUDA's graphs, streams and events; the graphs that are made."""
    made: list[Recorder] = []

    def graph() -> Recorder:
        made.append(Recorder())
        return made[-1]

    default = Stream()
    for name, value in (("CUDAGraph", graph), ("Stream", Stream), ("current_stream", lambda: default), ("Event", Event),
                        ("default_stream", lambda: default), ("graph", lambda each, stream=None: each),
                        ("stream", lambda _: nullcontext())):
        monkeypatch.setattr(torch.cuda, name, value)
    return made


def gathered(steps: int, parts: int, take: Callable[..., None] | None = None) -> tuple[Tensor, accelerate.Steps, Any]:
    """What steps add up to on batches of their own, each weighed by its turn; the steps; the batches."""
    total, turn = torch.zeros(2), torch.zeros(())

    def add(*batch: Tensor) -> None:
        turn.add_(1)
        total.add_(turn * sum(part.float().flatten()[:2] for part in batch))

    advance = accelerate.Steps(take or add, nn.Identity(), frozenset({"graph"}))
    batches = [[torch.tensor([i, 10 * i]), torch.full((2, 1), i / 4)][:parts] for i in range(steps)]
    for batch in batches:
        advance(*batch)
    return total, advance, batches


@pytest.mark.parametrize("parts", [1, 2])
def test_every_step_is_taken_once_on_its_own_images(recorder: list[Recorder], parts: int) -> None:
    """Of images that lie on the device, their numbers; of others, these and the images."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        total, advance, batches = gathered(8, parts)
    assert len(recorder) == 1
    assert advance.graph is recorder[0]
    assert advance.how == "graph"
    expected = sum(n * sum(part.float().flatten()[:2] for part in batch) for n, batch in enumerate(batches, 1))
    assert torch.equal(total, expected)
    assert batches[accelerate.WARM_UP][0].tolist() == [3, 30]  # recorded over, were it not for the copy


def test_what_cannot_be_recorded_is_left_out_once_and_no_step_is_lost(recorder: list[Recorder]) -> None:
    seen: list[float] = []
    with pytest.warns(UserWarning, match="graph does not work here and is left out") as caught:
        _, advance, _ = gathered(8, 1, take=lambda chosen: seen.append(chosen[0].item()))
    assert len(caught) == len(recorder) == 1
    assert advance.how == "as written (graph failed: RuntimeError: operation not permitted when stream is capturing)"
    assert advance.graph is None
    assert seen == list(range(8))


def test_in_a_lane_steps_are_recorded_on_its_own_stream(recorder: list[Recorder],
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    """On one that all runs share, they would share cuBLAS' memory too, while they are replayed side by side."""
    default, lane = Stream(), Stream()
    asked: list[Any] = []
    monkeypatch.setattr(torch.cuda, "default_stream", lambda: default)
    monkeypatch.setattr(torch.cuda, "stream", lambda used: (asked.append(used), nullcontext())[1])
    monkeypatch.setattr(torch.cuda, "graph", lambda each, stream: (asked.append(stream), each)[1])
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: lane)
    gathered(5, 1)
    assert asked == [lane] * (accelerate.WARM_UP + 1)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: default)
    gathered(5, 1)
    assert not {lane, default} & set(asked[accelerate.WARM_UP + 1:])
    assert asked[-1] is None  # torch's own


def test_a_recorded_run_is_the_run(tiny: Tiny, tmp_path: Any, recorder: list[Recorder],
                                   monkeypatch: pytest.MonkeyPatch) -> None:
    """Flips, moving average, momentum and the falling rate: whatever a step reads lies where the recording reads it."""
    made = small(tiny, epochs=2, average=experiments.Average(0.9))
    plain = trained(made, monkeypatch, tmp_path, "none")
    rate = accelerate.Rate

    def standing(optimiser: torch.optim.Optimizer, device: torch.device) -> accelerate.Rate:
        for group in optimiser.param_groups:  # as on a GPU
            group["lr"] = torch.zeros(())
        return rate(optimiser, device)

    monkeypatch.setattr(accelerate, "Rate", standing)
    monkeypatch.setattr(accelerate, "tricks", lambda *_: frozenset({"graph"}))
    monkeypatch.setenv("REPLICATION_RESIDENT", "yes")
    recorded = trained(made, monkeypatch, tmp_path, "graph")
    assert recorded.provenance["fast"] == "graph"
    assert len(recorder) == 1
    for a, b in zip(plain.history, recorded.history, strict=True):
        assert b == pytest.approx(a, rel=1e-4, nan_ok=True)


def test_no_more_steps_are_queued_than_may_be(recorder: list[Recorder], monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that does nothing before it is waited for: whoever waits for an event waits for all before it."""
    queued: list[object] = []
    longest = 0

    class Late(Event):
        def record(self) -> None:
            self.after = len(done) + len(queued)

        def synchronize(self) -> None:
            while len(done) < self.after:
                done.append(queued.pop(0))

    done: list[object] = []
    monkeypatch.setattr(torch.cuda, "Event", Late)
    monkeypatch.setattr(Recorder, "replay", lambda self: queued.append(self))
    advance = accelerate.Steps(lambda chosen: None, nn.Identity(), frozenset({"graph"}))
    for i in range(40):
        advance(torch.tensor([i]))
        longest = max(longest, len(queued))
    assert longest == accelerate.AHEAD
    assert len(done) == 40 - accelerate.WARM_UP - accelerate.AHEAD


def test_a_recorded_step_reads_the_rate_where_it_stands() -> None:
    groups = [{"params": [torch.ones(1)]}, {"params": [torch.ones(1)]}]
    optimiser = torch.optim.SGD(groups, lr=0.5)
    set_rate = accelerate.Rate(optimiser, torch.device("cpu"))
    set_rate(0.25)
    assert [group["lr"] for group in optimiser.param_groups] == [0.25, 0.25]
    for group in optimiser.param_groups:  # as on a GPU
        group["lr"] = torch.zeros(())
    places = [group["lr"] for group in optimiser.param_groups]
    set_rate(0.125)
    assert [group["lr"] for group in optimiser.param_groups] == places == [0.125, 0.125]
    assert all(group["lr"] is place for group, place in zip(optimiser.param_groups, places, strict=True))
    accelerate.Rate(optimiser, torch.device("meta"))
    assert {group["lr"].device.type for group in optimiser.param_groups} == {"meta"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("how", ["graph", "compile,graph"])
def test_on_a_gpu_the_fast_run_is_the_run(tiny: Tiny, tmp_path: Any, how: str,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    made = small(tiny, epochs=3)
    plain, quick = (trained(made, monkeypatch, tmp_path, each) for each in ("none", how))
    assert quick.provenance["fast"] == how.replace(",", ", ")
    for a, b in zip(plain.history, quick.history, strict=True):
        assert b == pytest.approx(a, rel=2e-2, nan_ok=True)


def test_bf16_on_a_gpu_without_it_is_one_sentence(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "device", lambda: "cuda")
    monkeypatch.setattr(loop, "device_name", lambda: "Old GPU")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    with pytest.raises(BadInput, match="Old GPU cannot compute in bf16: use -p precision fp32"):
        loop._begin(tiny("bn", precision="bf16"), 0)


def test_the_optimiser_takes_its_rate_from_a_tensor() -> None:
    """The fused update with the rate on the device is the update with a number."""
    made = experiments.Recipe(epochs=1, batch=1, lr=0.1)
    found = []
    for knob in (0.1, torch.tensor(0.1)):
        torch.manual_seed(0)
        layer = nn.Linear(4, 3)
        optimiser = optim.optimiser(layer, made)
        for group in optimiser.param_groups:
            group["lr"] = knob
        for _ in range(3):
            optimiser.zero_grad()
            layer(torch.ones(2, 4)).square().sum().backward()
            optimiser.step()
        found.append(layer.weight.detach().clone())
    torch.testing.assert_close(found[0], found[1])
