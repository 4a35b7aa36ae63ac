"""python -m replication VERB: what the notebooks and the Makefile call."""
from __future__ import annotations

import argparse
import sys
from typing import Any

from replication import cost, experiments, spec, store, zoo
from replication.errors import BadInput, unknown


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m replication", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, about in (("list", "the grid of a profile: seeds done and wanted"),
                        ("run", "train what is missing of a profile")):
        sub = verbs.add_parser(verb, help=about)
        sub.add_argument("studies", nargs="*", help="only these studies, e.g. v1.aux (default: the profile's)")
        sub.add_argument("--profile", default="auto", help="a file of profiles/, or auto (default)")
    count = verbs.add_parser("count", help="parameters, multiply-adds and memory of a network, row by row")
    count.add_argument("network", help=", ".join(zoo.NETWORKS))
    count.add_argument("--resolution", type=int, default=None, help="input side in px (default: the paper's)")
    compare = verbs.add_parser("compare", help="published numbers beside yours, in one sentence")
    compare.add_argument("book", nargs="?", help="where the book lies, to say so")
    publish = verbs.add_parser("publish", help="maintainers: take finished work over from out/ to results/")
    publish.add_argument("--profile", default="auto")
    bench = verbs.add_parser("bench", help="images per second beside torchvision")
    bench.add_argument("--quick", action="store_true", help="the smallest case alone")
    asked = parser.parse_args(arguments)
    try:
        {"list": _list, "run": _run, "count": _count, "compare": _compare, "publish": _publish,
         "bench": _bench}[asked.verb](asked)
    except BadInput as problem:
        print(problem, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped; the same command goes on from the last checkpoints.", file=sys.stderr)
        return 130
    return 0


def _list(asked: Any) -> None:
    profile = experiments.profile(asked.profile)
    seeds = profile.setting.seeds
    print(f"profile {profile.name}: {profile.about}")
    print(f"{'study':14} {'variant':34} {'seeds':>7} {'epochs':>7} {'multiply-adds':>14}  address of seed 0")
    for name in asked.studies or profile.studies:
        for labels, experiment in experiments.cells(name, profile.setting):
            done = sum(store.exists(spec.address(experiment, seed)) for seed in range(seeds))
            print(f"{name:14} {', '.join(f'{k} {v}' for k, v in labels.items()):34} {done:>3} / {seeds:<1} "
                  f"{experiment.recipe.epochs:>7} {cost.multiply_adds(experiment.network) / 1e6:>12.1f} M"
                  f"  {spec.address(experiment, 0)}")


def _run(asked: Any) -> None:
    from replication import study  # pandas: `list` must be instant
    profile = experiments.profile(asked.profile)
    grids = [study.under(name, profile.setting) for name in asked.studies or profile.studies]
    missing, wanted = sum(len(grid.missing) for grid in grids), sum(len(grid.cells) for grid in grids)
    print(f"profile {profile.name}: {wanted - missing} of {wanted} runs are stored, {missing} to train", flush=True)
    study.train(grids)


def _count(asked: Any) -> None:
    if asked.network not in zoo.NETWORKS:
        raise unknown("network", asked.network, zoo.NETWORKS)
    network = zoo.NETWORKS[asked.network]()
    print(f"{'row':14} {'output':>16} {'parameters':>12} {'multiply-adds':>14} {'activations':>12}")
    for row in cost.table(network, asked.resolution):
        print(f"{row['name']:14} {'×'.join(map(str, row['output'])):>16} {row['parameters']:>12,} "
              f"{row['multiply_adds']:>14,} {row['activation_bytes'] / 1e6:>9.2f} MB")
    print(f"{'inference':14} {'':16} {cost.parameters(network, aux=False):>12,} "
          f"{cost.multiply_adds(network, asked.resolution):>14,}")


def _compare(asked: Any) -> None:
    from replication import report
    print(report.agreement(report.pages()) + (f" The book: {asked.book}" if asked.book else ""))


def _publish(asked: Any) -> None:
    from replication import publish
    publish.publish(experiments.profile(asked.profile))


def _bench(asked: Any) -> None:
    from replication import bench
    bench.run(quick=asked.quick)


if __name__ == "__main__":
    sys.exit(main())
