"""The recipes of CONTRIBUTING.md, carried out in a copy of the repository: what they say to add is added where they
say, and works."""
from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import nbformat.v4 as nb
import pytest
from test_rooms import ROOMS
from waiting import HANG

from replication import paths

WORDS = (paths.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

# What the recipes show, word for word; and what they leave to whoever follows them.
ARM = '"3a": Arm("3a", {"network.aux": ("3a",)}),'
STUDY = 'Study("two.rate", "What learning rate does it bear?", "two_rows", {"rate": each("recipe.lr", 0.001, 0.03)}),'
TABLE = '''def two_rows(*, classes: int = 10, resolution: int = 32, name: str = "Two rows") -> Network:
    """A convolution and a linear layer; in no paper."""
    return Network(name, (Row("conv", Conv(8, 3, stride=4)), Row("linear", Linear(classes))), resolution)
'''
NETWORK = '"two_rows": two_rows,'
READ = "def read(data: Data) -> ByClass:"
STRIPES = f'''"""Stripes, lying and standing."""
from __future__ import annotations

from replication.data.listing import ByClass
from replication.data.spec import Data


{READ}
    import numpy as np

    def image(standing: bool, grey: int) -> np.ndarray:
        lying = np.zeros((data.resolution, data.resolution, 3), np.uint8)
        lying[::2] = 100 + grey
        return lying.transpose(1, 0, 2) if standing else lying

    def part(n: int) -> list[list[np.ndarray]]:
        return [[image(standing, grey) for grey in range(n)] for standing in (False, True)]

    return ("lying", "standing"), part(40), part(20)
'''
SET = '"stripes": Known(32, (40,) * 2, (20,) * 2, read=stripes.read),'
CLAIM = '''Claim("X-01", "A rate of 0.001 is too low.", "here", "no number", "error at 0.001 less error at 0.03",
      "points", (0, INF), "two.rate", Difference({"rate": "0.001"}, {"rate": "0.03"})),
'''
NUMBERS = '''"""What the page *Two rows* quotes."""
from __future__ import annotations

from typing import Any

from replication.studies.study import Grid


def numbers(rates: Grid) -> dict[str, Any]:
    """The lowest error of all runs."""
    return {"best": rates.summary().val_error.min()}
'''
LAST = 'metrics.write_page("two_rows", ["X-01"], [rates], **two_rows.numbers(rates))'
PAGE = (("markdown", "# Two rows", None),
        ("code", 'profile: str = "cpu-full"  # what is trained\nseeds: "Optional[int]" = None  # of every variant',
         "parameters"),
        ("code", "from replication.pages import html, metrics, two_rows\n"
                 "from replication.studies import setting, study\n"
                 'rates = study.asked("two.rate", **setting.given(globals())).train()\nhtml.neat(rates.errors(), 1)',
         "hide-input"),
        ("markdown", "The best run errs on {val}`two_rows.best|percent:.1f` %.", None),
        ("code", LAST, "hide-input"))
TOC = "- file: two_rows"
SHOWN = (ARM, STUDY, TABLE, SET, CLAIM)

EDITED = ("replication/studies/grid.py", "replication/models/baselines.py", "replication/models/registry.py",
          "replication/data/registry.py", "replication/pages/trained.py", "book/_toc.yml")
COPIED = ("replication", "book", "profiles", "tests", "pyproject.toml", "README.md", "CONTRIBUTING.md", "hubconf.py")


def indented(text: str, by: int = 4) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in text.splitlines())


# -- the words ----------------------------------------------------------------------------------------------------
def test_every_file_it_names_is_there() -> None:
    folders = "replication|book|tests|profiles|results"
    named = re.findall(rf"(?<![\w/.<-])(?:(?:{folders})/[\w./]*|\w+\.(?:py|md))(?![\w<])", WORDS)
    assert len(named) > 20
    beside = (paths.ROOT, paths.ROOT / "replication")
    assert [name for name in named if not any((place / name).exists() for place in beside)] == []
    assert set(EDITED) <= set(named)


def test_what_it_shows_is_what_is_done_here() -> None:
    lines = {line.strip() for line in WORDS.splitlines()}
    assert [line for shown in SHOWN for line in shown.splitlines() if line.strip() not in lines] == []
    assert f"`{NETWORK}`" in WORDS
    assert f"`{READ}`" in WORDS


@pytest.mark.parametrize("file", ["CONTRIBUTING.md", "README.md"])
def test_the_rooms_are_named_in_their_order(file: str) -> None:
    said = re.findall(r"^\| `replication/(\w+)/` \|", (paths.ROOT / file).read_text(encoding="utf-8"), flags=re.M)
    assert said == list(ROOMS)


# -- the recipes --------------------------------------------------------------------------------------------------
pytestmark = pytest.mark.xdist_group("copy")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which the first five recipes were followed; a profile of its own keeps it to seconds."""
    root = tmp_path_factory.mktemp("copy")
    for name in COPIED:
        here = paths.ROOT / name
        if here.is_dir():
            shutil.copytree(here, root / name, ignore=shutil.ignore_patterns("__pycache__", "_build"))
        else:
            shutil.copy(here, root / name)

    def add(file: str, after: str, text: str, before: str = "") -> None:
        """Between two neighbours."""
        path = root / file
        whole = path.read_text(encoding="utf-8")
        assert whole.count(after + before) == 1, f"{file} has no single {after + before!r}"
        path.write_text(whole.replace(after + before, after + text + before), encoding="utf-8")

    grid, networks, sets, claims = (f"replication/{name}.py" for name in (
        "studies/grid", "models/registry", "data/registry", "pages/trained"))
    add(grid, "HEADS = {", f"{ARM}\n         ")
    add(grid, "STUDIES = {study.name: study for study in (\n", indented(STUDY))
    add("replication/models/baselines.py", "ALEXNET = alexnet()\nLENET5 = lenet5()\n", f"\n\n{TABLE}")
    add(networks, "from replication.models.baselines import ", "two_rows, ")
    add(networks, "NETWORKS: dict[str, Callable[..., Network]] = {\n", indented(NETWORK))
    (root / "replication/data/stripes.py").write_text(STRIPES)
    add(sets, "from replication.data import ", "stripes, ")
    add(sets, "KNOWN = {\n", indented(SET))
    add(claims, "CLAIMS = (\n", indented(CLAIM))
    (root / "replication/pages/two_rows.py").write_text(NUMBERS)
    page = nb.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3",
                                                    "language": "python"}})
    page.cells = [nb.new_markdown_cell(text) if kind == "markdown" else
                  nb.new_code_cell(text, metadata={"tags": [tag]}) for kind, text, tag in PAGE]
    nbformat.write(page, root / "book/two_rows.ipynb")
    add("book/_toc.yml", "  - file: network_in_network\n", f"  {TOC}\n")
    (root / "profiles/seconds.yaml").write_text("about: a test\nparameters: {dataset: stripes, epochs: 1, batch: 20, "
                                                "seeds: 2}\nstudies: [two.rate]\n")
    return root


def python(copy: Path, *words: str, fails: int = 0) -> str:
    """What a command in the copy says; the copy's package comes before the installed one."""
    mine = {"PYTHONPATH": str(copy), "REPLICATION_OUT": str(copy / "out"), "REPLICATION_DATA": str(copy / "data"),
            "REPLICATION_READ": "mine", "REPLICATION_JOBS": "1", "REPLICATION_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *words], cwd=copy, env={**os.environ, **mine}, capture_output=True,
                          text=True, timeout=HANG)
    assert done.returncode == fails, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr * bool(fails)


def test_an_arm_leaves_the_addresses_of_the_others(copy: Path) -> None:
    def addresses(package: Path) -> dict[str, str]:
        printed = python(package, "-m", "replication", "list", "v1.aux", "--profile", "worth")
        return dict(re.findall(r"^v1\.aux +(norm \w+, aux \S+) .* (\w{12})$", printed, flags=re.M))

    now, before = addresses(copy), addresses(paths.ROOT)
    assert now.keys() - before.keys() == {"norm lrn, aux 3a", "norm bn, aux 3a"}
    assert len(before) == 8
    assert before.items() <= now.items()


def test_a_network_and_a_data_set_are_known(copy: Path) -> None:
    assert re.search(r"^conv +8×8×8 ", python(copy, "-m", "replication", "count", "two_rows"), flags=re.M)
    asked = ("--network", "two_rows", "--dataset", "stripes", "--set", "epochs=2")
    assert re.search(r"^two_rows .* 0 / 1 ", python(copy, "-m", "replication", "list", *asked), flags=re.M)


def test_a_study_is_listed_trained_settled_and_shown(copy: Path) -> None:
    """Of the new network on the new data set."""
    listed = python(copy, "-m", "replication", "list", "two.rate", "--profile", "seconds")
    assert re.findall(r"^two\.rate +(rate [\d.]+) ", listed, flags=re.M) == ["rate 0.001", "rate 0.03"]
    python(copy, "-m", "replication", "run", "two.rate", "--profile", "seconds")
    runs = [json.loads(path.read_text())["experiment"] for path in (copy / "out/runs").glob("*/experiment.json")]
    assert [(run["data"]["name"], run["data"]["train_images"], run["network"]["name"]) for run in runs] == [
        ("stripes", 80, "Two rows")] * 4

    tools = copy / "book/_tools"
    python(copy, str(tools / "execute.py"), "seconds", "--only", "two_rows")
    numbers = json.loads((copy / "out/metrics/two_rows.json").read_text())
    assert numbers["claims"]["X-01"]["n"] == 2
    assert numbers["claims"]["X-01"]["verdict"] in ("supported", "contradicted", "not resolved")
    assert numbers["provenance"]["runs"] == 4
    assert 0 <= numbers["best"] <= 0.5
    assert python(copy, str(tools / "lint_prose.py"), str(copy / "book/two_rows.ipynb")) == ""

    staged = python(copy, str(tools / "stage.py"), "--from", "out", "--root", str(copy), fails=1)  # the other pages
    assert "two_rows" not in staged
    page: Any = nbformat.read(copy / "build/reproduced/src/two_rows.ipynb", 4)
    assert "verdict" in page.cells[-1].outputs[0]["data"]["text/html"]
    assert TOC.removeprefix("- ") in (copy / "build/reproduced/src/_toc.yml").read_text()


def test_what_was_added_passes_the_tests_that_are_there(copy: Path) -> None:
    """Those that need no torch, which would take as long as all others here."""
    python(copy, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "--noconftest", "tests/test_rooms.py",
           "tests/pages/test_claims.py", "-k", "nobody or circle or import_only or ids_regions")
