"""python -m replication: quick, and one sentence for whatever cannot be."""
from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from replication.studies import profiles

pytestmark = pytest.mark.usefixtures("out")


def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "replication", *arguments], capture_output=True, text=True,
                          timeout=120)


LIST = """
import sys
from replication.__main__ import main
code = main(sys.argv[1:])
slow = {"torch", "pandas", "numpy", "scipy", "matplotlib", "lightning", "torchvision"} & set(sys.modules)
sys.exit(f"imported {sorted(slow)}" if slow else code)
"""


def test_list_is_instant(python: Any) -> None:
    done = python(LIST, "list", "--profile", "cpu")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("v1.")]
    assert len(lines) == 6 + 8
    seeds = profiles.profile("cpu").setting("v1.aux").seeds
    for line in lines:
        assert re.search(rf" 0 / {seeds} .* [\d.]+ M  [0-9a-f]{{12}}$", line), line
    assert len({line.split()[-1] for line in lines}) == 14


def test_list_of_one_study() -> None:
    done = cli("list", "v1.aux", "--profile", "cpu")
    assert sum(line.startswith("v1.aux") for line in done.stdout.splitlines()) == 8
    assert "v1.gradient" not in done.stdout


def test_count_googlenet() -> None:
    """The numbers of the paper's table that are right: conv2 112 K, linear 1000 K, in all 6,998,552."""
    done = cli("count", "googlenet")
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines()[1:]}
    assert rows["inference"][1:] == ["6,998,552", "1,582,671,872"]
    assert rows["conv1"][1:4] == ["64×112×112", "9,472", "118,013,952"]
    assert rows["3a"][1:4] == ["256×28×28", "163,696", "128,049,152"]
    assert rows["linear"][1:4] == ["1000×1×1", "1,025,000", "1,024,000"]


def test_count_at_another_resolution() -> None:
    assert "64×56×56" in cli("count", "googlenet", "--resolution", "112").stdout


@pytest.mark.parametrize(("arguments", "said"), [
    (("list", "--profile", "cpus"), "Unknown profile 'cpus'. Did you mean 'cpu'?"),
    (("run", "--profile", "gpuu"), "Unknown profile 'gpuu'."),
    (("list", "v1.auxx", "--profile", "cpu"), "Unknown study 'v1.auxx'. Did you mean 'v1.aux'?"),
    (("run", "v1.auxx", "--profile", "cpu"), "Unknown study 'v1.auxx'. Did you mean 'v1.aux'?"),
    (("count", "googlenets"), "Unknown network 'googlenets'. Did you mean 'googlenet'?"),
    (("count", "googlenet", "--resolution", "3"), "too small"),
    (("publish", "--profile", "cpus"), "Unknown profile 'cpus'."),
    (("publish", "--profile", "cpu"), "is not finished"),
])
def test_one_sentence_and_exit_code_2(arguments: tuple[str, ...], said: str) -> None:
    done = cli(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [("lists",), (), ("count",), ("count", "googlenet", "--resolution", "x")])
def test_a_wrong_verb_or_option_shows_the_usage(arguments: tuple[str, ...]) -> None:
    done = cli(*arguments)
    assert done.returncode == 2
    assert "usage: python -m replication" in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_compare_with_nothing_here() -> None:
    done = cli("compare")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1


def test_help_names_every_verb() -> None:
    text = cli("--help").stdout
    assert all(f"    {verb} " in text for verb in ("list", "run", "count", "compare", "publish", "bench"))
