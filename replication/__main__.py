"""python -m replication VERB: what the notebooks and the Makefile call."""
from __future__ import annotations

import argparse
import io
import math
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C amid an import ends it without a traceback; then see _main

from replication import paths
from replication.errors import BadInput, unknown
from replication.models import cost, ops, registry
from replication.runs import experiments, store
from replication.studies import estimate, profiles, study, values
from replication.training import distributed


def main(arguments: list[str] | None = None) -> int:
    """What `python -m replication` ends with. Whoever reads its output may go at any time (`| head`), may never have
    been there, or know no × and no –."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started it
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.encoding.lower() != "utf-8":
        sys.stdout.reconfigure(errors="replace")
        os.environ["PYTHONIOENCODING"] = f"{sys.stdout.encoding}:replace"  # of the processes it will start
    try:
        try:
            return _main(arguments)
        finally:
            sys.stdout.flush()
    except OSError as problem:
        if all(map(_takes, (sys.stdout, sys.stderr))):
            raise
        if isinstance(problem, BrokenPipeError):
            return 141  # as a shell says of what a closed pipe ended
        with suppress(OSError):
            print(f"What it prints cannot be written ({problem.strerror}).", file=sys.stderr)
        return 2


def _takes(stream: IO[str]) -> bool:
    """Whether it can be written to; what is still to be written at the end to one that cannot goes nowhere."""
    try:
        print(file=stream, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True


def _main(arguments: list[str] | None) -> int:
    asked = _parser().parse_args(arguments)
    try:
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            os.getcwd()  # or libraries end the process
        except FileNotFoundError:
            raise BadInput("The folder that this was called from is gone: go to one that is there.") from None
        VERBS[asked.verb](asked)
    except BadInput as problem:
        print(problem, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        goes_on = "; the same command goes on from the last checkpoints" if asked.verb in ("run", "gpu") else ""
        print(f"Stopped{goes_on}.", file=sys.stderr)
        return 130
    return 0


class _Once(argparse.Action):
    """Of an option that is said twice the first would be lost without a word."""
    def __call__(self, parser: argparse.ArgumentParser, asked: argparse.Namespace, value: Any,
                 option: str | None = None) -> None:
        if option and getattr(asked, self.dest) is not self.default:
            parser.error(f"{option} is said twice, {getattr(asked, self.dest)!r} and {value!r}: say it once.")
        setattr(asked, self.dest, value)


class _Parser(argparse.ArgumentParser):
    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.register("action", None, _Once)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m replication", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, about in (("list", "the grid of a profile: seeds done and wanted"),
                        ("run", "train what is missing of a profile")):
        sub = verbs.add_parser(verb, help=about)
        sub.add_argument("studies", nargs="*", help="only these studies, e.g. v1.aux (default: the profile's); or only "
                         "the runs of these addresses")
        sub.add_argument("--profile", help="a file of profiles/, or one of your own, PATH.yaml; default: gpu where "
                         "there is one, else cpu")
        sub.add_argument("--network", help="instead of studies, this network alone (see zoo), one seed")
        sub.add_argument("--dataset", help="another data set: shapes, digits, fsdd, folder:PATH ...")
        sub.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter (epochs=5) or "
                         "any field of network, data and recipe (recipe.label_smoothing=0.1); may be repeated")
        sub.add_argument("--only", action="append", default=[], metavar="FACTOR=ARM,ARM",
                         help="only these arms of studies")
        if verb == "list":
            sub.add_argument("--missing", action="store_true", help="instead, print the addresses of the runs still to "
                             "train, one a line, next first")
        else:
            sub.add_argument("--budget", type=str, help="stop in time, resumable: 90s, 25m, 1.5h, or seconds; "
                             "profile: after what the profile says; none: train all (default)")
            sub.add_argument("--bundle", metavar="OUT.TAR",
                             help="then pack finished runs here (with addresses, only those), and checkpoints of "
                             "unfinished ones beside it")
    gpu = verbs.add_parser("gpu", help="some minutes of a GPU: what works, how fast, then runs; a bundle of all of it",
                           description="A tenth of the time tries each fast way of training, a fifth measures speed, "
                           "the rest trains the profiles. The same command goes on where it stopped. Writes bundle.tar "
                           "and seen.md.")
    gpu.add_argument("--budget", type=str, default="10m", help="90s, 25m, 1.5h, or seconds (default: 10m)")
    gpu.add_argument("--profile", action="append", help="to train, in this order; may be repeated (default: "
                     "gpu-shapes, gpu, gpu-long)")
    gpu.add_argument("--bundle", metavar="OUT.TAR", help="where to pack it (default: bundle.tar of your store)")
    bring = verbs.add_parser("import", help="merge bundles of runs, and checkpoints beside them, into your store")
    bring.add_argument("files", nargs="+", type=Path, help="bundles (.tar), and checkpoints (.pt) packed beside them")
    count = verbs.add_parser("count", help="parameters, multiply-adds and memory of a network, row by row")
    count.add_argument("network", help=", ".join(registry.NETWORKS))
    count.add_argument("--resolution", type=int, default=None, help="input side in px (default: the paper's)")
    verbs.add_parser("zoo", help="every network: size, cost, smallest input, depth, and where in the papers it stands")
    power = verbs.add_parser("power", help="what would decide each claim: seeds, time here and on a GPU, from a pilot")
    power.add_argument("--profile", default="cpu-full", help="whose runs judge (default: cpu-full)")
    compare = verbs.add_parser("compare", help="published numbers beside yours, in one sentence")
    compare.add_argument("book", nargs="?", help="where the book lies, to say so")
    publish = verbs.add_parser("publish", help="maintainers: take finished work over from out/ to results/")
    publish.add_argument("--profile", default="auto")
    bench = verbs.add_parser("bench", help="images per second beside torchvision")
    bench.add_argument("--quick", action="store_true", help="the smallest case alone")
    bench.add_argument("--budget", type=str, help="begin nothing after this long: 90s, 25m, 1.5h, or seconds")
    kind = bench.add_mutually_exclusive_group()
    kind.add_argument("--smoke", action="store_true", help="instead, whether each fast way of training works here")
    kind.add_argument("--streaming", action="store_true", help="instead, how fast photographs are decoded")
    kind.add_argument("--latency", action="store_true", help="instead, how long a spoken word takes on one core")
    kind.add_argument("--savings", action="store_true", help="instead, how much of a promised saving arrives")
    kind.add_argument("--sparsity", action="store_true", help="instead, sparse products beside dense ones")
    kind.add_argument("--roofline", action="store_true", help="instead, each row of Table 1 beside its bound")
    return parser


def _grids(asked: Any) -> tuple[str, list[study.Grid], bool]:
    """What is asked for, in a few words, and its grids, one network's or those of a profile's studies; and whether they
    are trained by seed (study.missing)."""
    own = {name: values.read(value) for name, value in _named(asked.set).items()}
    own |= {"dataset": asked.dataset} if asked.dataset is not None else {}
    if asked.network is not None:
        if asked.studies:
            raise BadInput("Name studies or --network, not both: --set changes any field of a study's runs, too.")
        if asked.only:
            raise BadInput("--only chooses arms of studies, and --network has none: leave it out.")
        if "network" in own:
            raise BadInput(f"--network names the network: leave network={own['network']} out of --set.")
        given = {"seeds": 1} if asked.profile is None else profiles.profile(asked.profile).parameters
        return asked.network, [study.single(asked.network, **{**given, **own})], False
    profile, addresses = _profile(asked), _addresses(asked)
    names = list(dict.fromkeys((not addresses and asked.studies) or profile.studies))
    grids = [study.some(study.study(name, **{**profile.given(name), **own}), profile) for name in names]
    chosen = {factor: tuple(keys.split(",")) for factor, keys in _named(asked.only).items()}
    grids = study.only(grids, chosen)
    return f"profile {profile.name}", study.at(grids, addresses) if addresses else grids, profile.budget < math.inf


def _profile(asked: Any) -> profiles.Profile:
    return profiles.profile("auto" if asked.profile is None else asked.profile)


def _addresses(asked: Any) -> list[str]:
    """Of single runs, where such are asked for and no studies."""
    addresses = [word for word in asked.studies if re.fullmatch("[0-9a-f]{12}", word)]
    if addresses and len(addresses) < len(asked.studies):
        raise BadInput("Name studies or addresses, not both: an address is one run, whichever study it is of.")
    return addresses


def _named(texts: list[str]) -> dict[str, str]:
    """`recipe.clip=1.0` as a name and a text, each name once."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise BadInput(f"{text!r} is no NAME=VALUE, like recipe.label_smoothing=0.1.")
        if name in found:
            raise BadInput(f"{name} is said twice, {found[name]!r} and {value!r}: say it once.")
        found[name] = value
    return found


def _list(asked: Any) -> None:
    about, grids, by_seed = _grids(asked)
    if asked.missing:
        turns = sorted(study.missing(grids, by_seed), key=lambda address: not store.begun(address))
        print("".join(f"{address}\n" for address in turns), end="")
        return
    known = estimate.speed()
    if about.startswith("profile "):
        about += f": {_profile(asked).about}"
    print(about)
    gpu, rate = estimate.gpu()
    print(f"{'study':14} {'variant':36} {'seeds':>7} {'begun':>6} {'next':>5} {'epochs':>7} {'one run':>10} "
          f"{'on a GPU':>9} {'multiply-adds':>14}  address of first seed")
    turn = {address: n for n, (address, _) in enumerate(study.missing(grids, by_seed).items(), 1)}
    for each in grids:
        for keys, cells in each.variants():
            waits = [turn[cell.address] for cell in cells if cell.address in turn]
            begun = sum(store.begun(cell.address) for cell in cells)
            experiment = cells[0].experiment
            whole = experiments.work(experiment)
            print(f"{each.name:14} {keys:36} "
                  f"{len(cells) - len(waits):>3} / {len(cells):<1} {begun or '–':>6} "
                  f"{waits[0] if waits else '–':>5} {experiment.recipe.epochs:>7} "
                  f"{estimate.clock(whole / known[1]) if known else f'{whole / 1e12:.3g} T':>10} "
                  f"{estimate.clock(whole / rate):>9} "
                  f"{cost.multiply_adds(experiment.network) / 1e6:>12.1f} M  {cells[0].address}")
    left = sum(experiments.work(experiment) for _, (_, experiment, _) in study.missing(grids).items())
    rest = f"{left / 1e12:.3g} T multiply-adds; no run has finished yet that would tell how fast"
    if known:
        rest = f"about {estimate.clock(left / known[1])}, one after the other, as fast as runs were on {known[0]}"
    rest += (f"; at least {estimate.clock(left / rate)} on a GPU ({gpu}, {rate / 1e12:.3g} T multiply-adds a second; "
             f"small networks are slower)")
    print(f"{len(turn)} to train: {rest}. Runs that were begun come first, then each at its turn (next)." if turn
          else "Nothing is left to train.")


def _run(asked: Any) -> None:
    until = time.monotonic() + _budget(asked)
    heard: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, partial(_hear, heard))
    from replication.runs import bundle
    from replication.studies import torchrun, workers  # `list` must be instant
    with torchrun.crew():
        first = distributed.rank() == 0
        if asked.bundle is not None and first:
            bundle.check(Path(asked.bundle))
        about, grids, by_seed = _grids(asked)
        jobs = list(study.missing(grids, by_seed).values())
        wanted = len({cell.address for grid in grids for cell in grid.cells})
        if first:
            print(f"{about}: {wanted - len(jobs)} of {wanted} runs are stored, {len(jobs)} to train", flush=True)
        try:
            workers.train(jobs, until, asked=lambda: bool(heard))
        finally:
            if asked.bundle is not None and first:
                bundle.pack(Path(asked.bundle), _addresses(asked))


def _budget(asked: Any) -> float:
    """Seconds."""
    if asked.budget == "profile":
        return _profile(asked).budget
    return math.inf if asked.budget in (None, "none") else estimate.seconds(asked.budget)


def _hear(heard: list[int], number: int, _: Any) -> None:
    """Notes a signal for whoever asks: an exception raised just anywhere may be swallowed, in a finaliser say. Only a
    second Ctrl-C is one; SIGTERM comes twice by itself, from `timeout` and schedulers, to the process and its group."""
    if number == signal.SIGINT and number in heard:
        raise KeyboardInterrupt
    heard.append(number)


def _gpu(asked: Any) -> None:
    until = time.monotonic() + estimate.seconds(asked.budget)
    from replication.benchmarks import stages
    from replication.pages import lent
    packed = Path(asked.bundle or paths.mine() / "bundle.tar")
    try:
        paths.mine().mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise store.full(paths.mine(), problem) from problem
    stages.run(until, packed, asked.profile or lent.PROFILES)


def _import(asked: Any) -> None:
    from replication.runs import bundle
    bundle.unpack(asked.files)


def _count(asked: Any) -> None:
    if asked.network not in registry.NETWORKS:
        raise unknown("network", asked.network, registry.NETWORKS)
    network = registry.NETWORKS[asked.network]()
    print(f"{'row':14} {'output':>16} {'parameters':>12} {'multiply-adds':>14} {'activations':>12}")
    for row in cost.table(network, asked.resolution):
        print(f"{row['name']:14} {'×'.join(map(str, row['output'])):>16} {row['parameters']:>12,} "
              f"{row['multiply_adds']:>14,} {row['activation_bytes'] / 1e6:>9.2f} MB")
    print(f"{'inference':14} {'':16} {cost.parameters(network, aux=False):>12,} "
          f"{cost.multiply_adds(network, asked.resolution):>14,}")


def _zoo(_: Any) -> None:
    print(f"{'network':22} {'parameters':>12} {'with heads':>12} {'multiply-adds':>14} {'at':>10} "
          f"{'least':>6} {'to train':>8} {'depth':>6}  where")
    for name, make in registry.NETWORKS.items():
        network = make()
        print(f"{name:22} {cost.parameters(network, aux=False):>12,} {cost.parameters(network):>12,} "
              f"{cost.multiply_adds(network) / 1e6:>12,.1f} M {'×'.join(map(str, cost.input_shape(network))):>10} "
              f"{cost.smallest(network, aux=False):>6} {cost.smallest(network):>8} {cost.depth(network):>6}  "
              f"{_where(make)}")


def _where(make: Callable[..., ops.Network]) -> str:
    """The first sentence of a docstring, up to its semicolon."""
    return re.split(r";|\.(?= [A-Z]|$)", " ".join((make.__doc__ or "").split("\n\n")[0].split()))[0]


def _power(asked: Any) -> None:
    from replication.pages import power  # `list` must be instant
    print(power.report(asked.profile))


def _compare(asked: Any) -> None:
    from replication.pages import metrics, reproduced
    print(reproduced.agreement(metrics.pages()) + (f" The book: {asked.book}" if asked.book else ""))


def _publish(asked: Any) -> None:
    from replication.pages import publish
    publish.publish(profiles.profile(asked.profile))


def _bench(asked: Any) -> None:
    from replication.benchmarks import latency, roofline, savings, smoke, sparsity, streaming, throughput
    until = math.inf if asked.budget is None else time.monotonic() + estimate.seconds(asked.budget)
    if asked.roofline:
        roofline.run(quick=asked.quick)
    elif asked.savings:
        savings.run(quick=asked.quick)
    elif asked.sparsity:
        sparsity.run(quick=asked.quick)
    elif asked.streaming:
        streaming.run()
    elif asked.latency:
        latency.run()
    elif asked.smoke:
        smoke.run(until)
    else:
        throughput.run(asked.quick, until)


VERBS = {"list": _list, "run": _run, "gpu": _gpu, "import": _import, "count": _count, "zoo": _zoo, "power": _power,
         "compare": _compare, "publish": _publish, "bench": _bench}

if __name__ == "__main__":
    sys.exit(main())
