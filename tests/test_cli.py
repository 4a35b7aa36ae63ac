"""python -m replication: quick, and one sentence for whatever cannot be."""
from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from waiting import HANG

from replication import __main__, paths
from replication.__main__ import main
from replication.runs import store
from replication.runs.experiments import RMSProp
from replication.studies import profiles, study

pytestmark = pytest.mark.usefixtures("out")
PYTHON = shlex.quote(sys.executable)  # in a folder whose name may hold a space


def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "replication", *arguments], capture_output=True, text=True,
                          timeout=HANG)


LIST = """
import sys
from replication.__main__ import main
code = main(sys.argv[1:])
slow = {"torch", "pandas", "numpy", "scipy", "matplotlib", "lightning", "torchvision"} & set(sys.modules)
sys.exit(f"imported {sorted(slow)}" if slow else code)
"""


def test_list_is_instant(python: Any) -> None:
    done = python(LIST, "list", "--profile", "worth")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("v1.")]
    assert len(lines) == 6 + 8
    seeds = profiles.profile("worth").setting("v1.aux").seeds
    for line in lines:
        assert re.search(rf" 0 / {seeds} .* [\d.]+ M  [0-9a-f]{{12}}$", line), line
    assert len({line.split()[-1] for line in lines}) == 14


def test_list_of_one_study() -> None:
    done = cli("list", "v1.aux", "--profile", "worth")
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
    (("count", "INCEPTION-V3"), "Unknown network 'INCEPTION-V3'. Did you mean 'inception_v3'?"),
    (("count", "googlenet", "--resolution", "3"), "too small"),
    (("publish", "--profile", "cpus"), "Unknown profile 'cpus'."),
    (("publish", "--profile", "cpu"), "is not finished"),
    (("power", "--profile", "cpus"), "Unknown profile 'cpus'."),
    (("power", "--profile", "cpu"), "No pilot run is stored: python -m replication run --profile pilot"),
])
def test_one_sentence_and_exit_code_2(arguments: tuple[str, ...], said: str,
                                      capsys: pytest.CaptureFixture[str]) -> None:
    assert main(list(arguments)) == 2
    problem = capsys.readouterr().err
    assert said in problem
    assert problem.count("\n") == 1


def test_what_main_returns_is_the_exit_code() -> None:
    done = cli("list", "--profile", "cpus")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Unknown profile 'cpus'. Did you mean 'cpu'?")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("variable", "value", "words"), [
    ("REPLICATION_READ", "Mine", ("list", "--profile", "worth")),
    ("REPLICATION_READ", "published", ("list", "--profile", "worth")),
    ("REPLICATION_SKIP_BAD", "yes", ("run", "--network", "googlenet", "--dataset", "folder:.")),
    ("WORLD_SIZE", "-1", ("run", "--network", "googlenet")), ("WORLD_SIZE", "two", ("run", "--network", "googlenet"))])
def test_a_word_that_a_variable_does_not_know(variable: str, value: str, words: tuple[str, ...], tmp_path: Path,
                                              monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jxl").touch()
    monkeypatch.setenv(variable, value)
    assert main(list(words)) == 2
    problem = capsys.readouterr().err
    assert variable in problem
    assert repr(value) in problem
    assert problem.count("\n") == 1


@pytest.mark.parametrize(("words", "said"), [
    (("list", "--profile", "cpu", "--profile", "gpu"), "--profile is said twice, 'cpu' and 'gpu': say it once"),
    (("run", "--network", "nin", "--network", "googlenet"), "--network is said twice"),
    (("run", "--profile", "cpu", "--budget", "5m", "--budget=5h"), "--budget is said twice")])
def test_an_option_that_is_said_twice(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_from_a_folder_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(f"cd {shlex.quote(str(gone))} && rmdir {shlex.quote(str(gone))} && {PYTHON} -m replication "
                          f"run --network nin", shell=True, text=True, capture_output=True, timeout=HANG,
                          env={**os.environ, "PYTHONPATH": str(paths.ROOT)})
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "The folder that this was called from is gone: go to one that is there."


@pytest.mark.parametrize("arguments", [("lists",), (), ("count",), ("count", "googlenet", "--resolution", "x")])
def test_a_wrong_verb_or_option_shows_the_usage(arguments: tuple[str, ...]) -> None:
    done = cli(*arguments)
    assert done.returncode == 2
    assert "usage: python -m replication" in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_power_needs_no_torch(python: Any) -> None:
    done = python(LIST.replace('"pandas", "numpy", "scipy", "matplotlib", ', ""), "power", "--profile", "cpu")
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("No pilot run is stored"), done.stderr


def test_compare_with_nothing_here() -> None:
    done = cli("compare")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1


# -- what there is ------------------------------------------------------------------------------------------------
def told() -> list[list[str]]:
    """Every `python -m replication ...` of README, Makefile, the book and the profiles, as words."""
    found = []
    for path in (paths.ROOT / "README.md", paths.ROOT / "Makefile", *(paths.ROOT / "book").glob("*.md"),
                 *(paths.ROOT / "book").glob("*.ipynb"), *(paths.ROOT / "profiles").glob("*.yaml")):
        text = path.read_text(encoding="utf-8").replace("$(PY)", "python").replace("$(PYTHON)", "python")
        for line in re.findall(r"python -m replication ([^`\n\\;|#()]*(?:\(\w+\))?[^`\n\\;|#()]*)", text):
            words = [word for word in re.sub(r"\$+\((\w+)\)", "auto", line).split() if not word.startswith("(")]
            found.append(words)
    return found


def test_what_is_written_down_is_a_command() -> None:
    """Each verb with its options, as the parser takes them."""
    commands = told()
    assert {words[0] for words in commands} >= {"list", "run", "import", "publish", "compare", "bench"}
    for words in commands:
        try:
            asked = __main__._parser().parse_args([*words, *(["x.tar"] if words == ["import"] else [])])
        except SystemExit:
            pytest.fail(f"python -m replication {' '.join(words)}")
        assert asked.verb in __main__.VERBS


def test_help_says_what_every_verb_is_for() -> None:
    """As many verbs as there are, no other, each with a line of its own."""
    said = cli("--help").stdout
    lines = dict(re.findall(r"^    (\w+) +(\S.*)$", said, re.MULTILINE))
    assert set(lines) == set(__main__.VERBS)
    assert len(set(lines.values())) == len(lines)


# -- one network, some arms ---------------------------------------------------------------------------------------
SMALL = ("epochs=1", "images=40", "val_images=20", "width=0.125", "batch=20")


def test_one_network_on_one_set_is_trained_and_stored(one_core: None, capsys: pytest.CaptureFixture[str]) -> None:
    """The run that a notebook would ask for, and nothing more the second time."""
    words = ["--network", "googlenet", "--dataset", "digits", *(part for each in (
        *SMALL, "recipe.label_smoothing=0.1", "optimiser=RMSProp(epsilon=0.1)", "aux=4a", "network.dropout=0")
        for part in ("--set", each))]
    assert main(["run", *words]) == 0
    said = capsys.readouterr().out
    assert "googlenet: 0 of 1 runs are stored, 1 to train" in said
    assert "1/1  googlenet seed 0: top-1 error " in said
    cell, = study.single("googlenet", dataset="digits", epochs=1, images=40, val_images=20, width=0.125, batch=20,
                         label_smoothing=0.1, optimiser=RMSProp(epsilon=0.1), aux=("4a",), dropout=0, seeds=1).cells
    run, = store.everything(paths.mine())
    assert run.address == cell.address
    assert run.record["experiment"]["recipe"]["label_smoothing"] == 0.1
    again = main(["run", *words])
    assert again == 0


@pytest.mark.parametrize(("only", "keys"), [
    (["norm=bn"], [("bn", "none"), ("bn", "4a"), ("bn", "4d"), ("bn", "4a+4d")]),
    (["norm=lrn", "aux=none,4a+4d"], [("lrn", "none"), ("lrn", "4a+4d")]),
    (["aux=4d"], [("lrn", "4d"), ("bn", "4d")]),
])
def test_some_arms_alone(only: list[str], keys: list[tuple[str, str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "v1.aux", "--profile", "worth", *(part for each in only for part in ("--only", each))]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("v1.aux")]
    assert [re.search(r"norm (\S+), aux (\S+) ", line).groups() for line in lines] == keys  # type: ignore[union-attr]
    wanted = {cell.address for cell in study.stored("v1.aux", "worth").cells if cell.seed == 0 and
              tuple(cell.keys.values()) in keys}
    assert {line.split()[-1] for line in lines} == wanted


def test_a_field_set_for_all_of_a_profile_s_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "v1.aux", "--profile", "worth", "--set", "epochs=3", "--set", "recipe.clip=None", "--set",
                 "seeds=1"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("v1.aux")]
    parameters = {**profiles.profile("worth").given("v1.aux"), "epochs": 3, "seeds": 1, "set": {"recipe.clip": None}}
    assert [line.split()[-1] for line in lines] == [cell.address for cell in study.study("v1.aux", **parameters).cells]
    assert all(" 0 / 1 " in line for line in lines)


@pytest.mark.parametrize(("arguments", "said"), [
    (("list", "v1.aux", "--profile", "cpu", "--only", "norms=bn"), "Unknown factor 'norms'. Did you mean 'norm'?"),
    (("list", "v1.aux", "--profile", "cpu", "--only", "aux=4a+4f"), "Unknown arm of aux '4a+4f'. Did you mean"),
    (("list", "v1.aux", "--profile", "cpu", "--only", "norm"), "'norm' is no NAME=VALUE"),
    (("run", "--network", "googlenets"), "Unknown network 'googlenets'. Did you mean 'googlenet'?"),
    (("run", "--network", "googlenet", "--dataset", "digit"), "Unknown data set 'digit'. Did you mean 'digits'?"),
    (("run", "v1.aux", "--network", "googlenet"), "Name studies or --network, not both"),
    (("run", "--network", "googlenet", "--set", "epoch=1"), "Unknown parameter 'epoch'. Did you mean 'epochs'?"),
    (("run", "--network", "googlenet", "--set", "recipe.clip=x"), "recipe.clip='x' is a str"),
    (("run", "--network", "googlenet", "--set", "=3"), "is no NAME=VALUE"),
    (("list", "--network", "googlenet", "--only", "norm=bn"), "--only chooses arms of studies"),
    (("list", "--network", "googlenet", "--set", "network=nin"), "leave network=nin out of --set"),
    (("list", "--network", ""), "Unknown network ''."), (("list", "--profile", ""), "Unknown profile ''."),
    (("list", "--dataset", "", "--profile", "cpu"), "Unknown data set ''."),
    (("list", "--set", "lr=1", "--set", "lr=2"), "lr is said twice, '1' and '2': say it once."),
    (("list", "v1.aux", "--profile", "cpu", "--only", "aux=4a", "--only", "aux=4d"), "aux is said twice"),
    (("run", "--network", "googlenet", "--bundle", ""), "must name a file ending in .tar"),
    (("run", "--network", "googlenet", "--set", "schedule=Poly(2)"), "give the arguments of Poly by name"),
    (("run", "--network", "lenet5", "--dataset", "digits"), "images of one channel"),
])
def test_one_sentence_for_what_cannot_be_asked(arguments: tuple[str, ...], said: str,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    assert main(list(arguments)) == 2
    printed, problem = capsys.readouterr()
    assert said in problem
    assert (printed, problem.count("\n")) == ("", 1)


# -- single runs --------------------------------------------------------------------------------------------------
TINY = """about: a test
parameters: {images: 40, val_images: 20, resolution: 32, width: 0.125, stem: 4, epochs: 1, batch: 20, seeds: 2}
studies: [v1.long]
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    """A profile in a file of one's own: two variants, two seeds."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    return str(tmp_path / "tiny.yaml")


def missing(own: str, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    capsys.readouterr()
    assert main(["list", "--missing", "--profile", own, *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_addresses_are_listed_in_turn_and_trained_alone(own: str, tmp_path: Path, one_core: None,
                                                        capsys: pytest.CaptureFixture[str]) -> None:
    """A first look at all variants, then a second; what was begun before both."""
    parameters = profiles.profile(own).parameters
    cells = [cell.address for cell in study.study("v1.long", **parameters).cells]
    assert missing(own, capsys) == cells
    assert [cell.seed for cell in study.study("v1.long", **parameters).cells] == [0, 0, 1, 1]
    store.checkpoint(cells[1]).parent.mkdir(parents=True)
    store.checkpoint(cells[1]).touch()
    assert missing(own, capsys) == [cells[1], cells[0], *cells[2:]]
    assert missing(own, capsys, cells[2], cells[0]) == [cells[0], cells[2]]
    store.checkpoint(cells[1]).unlink()
    assert main(["run", cells[3], "--profile", own, "--bundle", str(tmp_path / "one.tar")]) == 0
    assert "profile tiny: 0 of 1 runs are stored, 1 to train" in capsys.readouterr().out
    assert [run.address for run in store.everything(paths.mine())] == [cells[3]]
    assert missing(own, capsys) == cells[:3]
    assert missing(own, capsys, cells[3]) == []
    assert main(["run", cells[3], "--profile", own]) == 0
    assert capsys.readouterr().out == "profile tiny: 1 of 1 runs are stored, 0 to train\n"


@pytest.mark.parametrize(("words", "said"), [
    (("0123456789ab",), "None of the 4 runs asked for has the address 0123456789ab: `list --missing` prints"),
    (("0123456789ab", "v1.long"), "Name studies or addresses, not both"),
    (("0123456789ab", "--network", "googlenet"), "Name studies or --network, not both"),
])
def test_one_sentence_for_a_run_that_is_not_there(own: str, words: tuple[str, ...], said: str,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("list", "run"):
        assert main([verb, *words, "--profile", own]) == 2
        printed, problem = capsys.readouterr()
        assert said in problem
        assert (printed, problem.count("\n")) == ("", 1)


# -- a reader that goes -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("verb", ["count googlenet", "list --profile cpu", "zoo", "--help"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_ends_it_quietly(verb: str, unbuffered: str) -> None:
    """Whether the first line meets it or the last flush."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        done = subprocess.run([sys.executable, "-m", "replication", *verb.split()], stdout=pipe, text=True,
                              stderr=subprocess.PIPE, timeout=HANG, env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
    assert done.stderr == ""
    assert done.returncode == 141 or (verb, unbuffered) == ("--help", "1")  # argparse itself minds no closed pipe


def test_what_was_closed_before_it_began() -> None:
    """It goes on, as where nobody listens: `run >&-` trains."""
    done = subprocess.run(f"{PYTHON} -m replication zoo >&-; echo $?", shell=True, text=True,
                          capture_output=True, timeout=HANG)
    assert (done.stdout, done.stderr) == ("0\n", "")
    done = subprocess.run(f"{PYTHON} -m replication list --profile x >&- 2>&-; echo $?", shell=True, text=True,
                          capture_output=True, timeout=HANG)
    assert (done.stdout, done.stderr) == ("2\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_onto_a_full_disk(unbuffered: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "replication", "zoo"], stdout=full, stderr=subprocess.PIPE,
                              text=True, timeout=HANG, env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
    assert (done.returncode, done.stderr) == (2, "What it prints cannot be written (No space left on device).\n")


@pytest.mark.parametrize("environment", [
    {"PYTHONIOENCODING": "ascii", "TERM": "dumb", "COLUMNS": "20"},
    {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}], ids=str)
def test_a_terminal_that_knows_few_signs(environment: dict[str, str]) -> None:
    """What it does not know is a question mark there."""
    done = subprocess.run([sys.executable, "-m", "replication", "zoo"], capture_output=True, timeout=HANG,
                          env={**os.environ, **environment})
    assert (done.returncode, done.stderr) == (0, b"")
    assert re.search(rb"^googlenet +6,998,552 .* 3\?224\?224 ", done.stdout, re.MULTILINE)


STOPPED = """
import os, signal, sys
from replication import __main__
__main__.VERBS["zoo"] = lambda _: os.kill(os.getpid(), signal.SIGINT)
__main__.VERBS["import"] = __main__.VERBS["run"] = lambda _: (_ for _ in ()).throw(KeyboardInterrupt)
sys.exit(__main__.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(("words", "said"), [
    (["zoo"], "Stopped.\n"), (["import", "x.tar"], "Stopped.\n"),
    (["run"], "Stopped; the same command goes on from the last checkpoints.\n")])
def test_ctrl_c_is_one_line(python: Any, words: list[str], said: str) -> None:
    done = python(STOPPED, *words)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", said)


def test_ctrl_c_amid_the_imports_is_none() -> None:
    """It meets the import of the first module that takes long."""
    code = ("import os, runpy, signal, sys\n"
            "class Finder:\n"
            "    def find_spec(self, name, *_):\n"
            "        if name == 'replication.runs':\n"
            "            os.kill(os.getpid(), signal.SIGINT)\n"
            "sys.meta_path.insert(0, Finder())\n"
            "runpy.run_module('replication', run_name='__main__')\n")
    done = subprocess.run([sys.executable, "-c", code, "zoo"], capture_output=True, text=True, timeout=HANG)
    assert (done.returncode, done.stdout, done.stderr) == (-2, "", "")


@pytest.mark.parametrize("environment", [{"HOME": None}, {"HOME": "/nonexistent"}], ids=str)
def test_without_a_home_and_from_another_folder(tmp_path: Path, environment: dict[str, str | None]) -> None:
    """Nothing is looked for there, nothing left in the folder where it was started."""
    rest = {name: value for name, value in os.environ.items() if name not in environment} | {
        name: value for name, value in environment.items() if value is not None}
    (tmp_path / "elsewhere").mkdir()
    for words in (["list", "--profile", "cpu"], ["compare"]):
        done = subprocess.run([sys.executable, "-m", "replication", *words], capture_output=True, text=True, env={
            "PYTHONPATH": str(paths.ROOT), **rest}, cwd=tmp_path / "elsewhere", timeout=HANG)
        assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "elsewhere").iterdir())


def test_the_first_lines_of_a_table() -> None:
    done = subprocess.run(f"{PYTHON} -m replication count googlenet | head -3", shell=True, text=True,
                          capture_output=True, timeout=HANG, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["row", "conv1", "pool1"]
    assert done.stderr == ""


def test_another_broken_pipe_is_no_reader_that_went(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that died as it was started, say."""
    def broken(_: Any) -> None:
        raise BrokenPipeError("a worker's")

    monkeypatch.setitem(__main__.VERBS, "zoo", broken)
    with pytest.raises(BrokenPipeError, match="a worker's"):
        main(["zoo"])
