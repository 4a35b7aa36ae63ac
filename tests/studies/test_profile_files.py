"""Profiles as people write them: numbers are numbers, what YAML 1.1 takes for something else is words, and whatever a
file seems to say and does not is one sentence."""
from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import papermill.cli
import pytest
import yaml

from replication import paths
from replication.__main__ import main
from replication.errors import BadInput
from replication.studies import profiles, values
from replication.studies.setting import setting


def loaded(tmp_path: Path, text: str) -> Any:
    (tmp_path / "one.yaml").write_text(text, encoding="utf-8")
    return values.loaded(tmp_path / "one.yaml")


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "1e3", ".5", "5.", "-.5e+2", "+5", "-7", "0", "1_000", "0.1", "0x10",
                                  "1_000.5", "12", "-0.0"])
def test_a_number_is_python_s_in_a_profile_and_in_a_command(tmp_path: Path, text: str) -> None:
    wanted = ast.literal_eval(text)
    for found in (loaded(tmp_path, text), values.read(text)):
        assert (found, type(found)) == (wanted, type(wanted))


@pytest.mark.parametrize("text", ["010", "1:30", "2026-01-31", "2026-01-31 10:00:00", "on", "off", "yes", "no", "y",
                                  "1__0", "_1", "4a", "12 of half", "1e", "e3", ".", "1.2.3", "007", ".inf", ".nan"])
def test_what_is_no_number_everywhere_is_a_text(tmp_path: Path, text: str) -> None:
    assert loaded(tmp_path, text) == text


def test_what_else_there_is_in_yaml(tmp_path: Path) -> None:
    assert loaded(tmp_path, "[true, False, null, ~, 'x', \"1e-3\"]") == [True, False, None, None, "x", "1e-3"]
    assert loaded(tmp_path, "a: &a {b: 1, c: 2}\nd: {<<: *a, b: 1e-3}")["d"] == {"b": 0.001, "c": 2}


@pytest.mark.parametrize("path", sorted((paths.ROOT / "profiles").glob("*.yaml")), ids=lambda path: path.stem)
def test_our_profiles_say_to_everybody_what_they_say_to_us(path: Path) -> None:
    assert values.loaded(path) == yaml.safe_load(path.read_text(encoding="utf-8"))


ONE = "about: x\nparameters: {epochs: 1}\n"


@pytest.mark.parametrize(("text", "said"), [
    ("about: x\nparameters: {lr: 0.1,\n  epochs: 1,\n  lr: 0.2}\nstudies: [v1.long]", "yaml, line 4: 'lr' is said"),
    (ONE + "studies: [v1.long]\nabout: y", "line 4: 'about' is said twice; mend that"),
    (ONE + "studies: [v1.aux, v1.aux: {lr: 0.1}]", "lists the study v1.aux twice"),
    (ONE + "studies:\n- {v1.aux: {}, v1.long: {}}", "in 'studies' is no study; write each as '- NAME'"),
    (ONE + "studies: [[v1.aux]]", "['v1.aux'] in 'studies' is no study"),
    (ONE + "studies: [v1.long]\nbudgets: 7m", "'budgets'. Did you mean 'budget'?"),
    (ONE + "studies: [{v1.aux: {only: bn}}]", "'bn' in 'only' of v1.aux chooses no arms"),
    (ONE + "studies: [{v1.aux: {only: {norm: bn, seeds: few}}}]", "seeds in 'only' of v1.aux='few' is a str"),
    ("about: x\nparameters: {1: 2}\nstudies: [v1.long]", "1 is no parameter's name"),
    ("about: x\nparameters: {set: {1: 2}}\nstudies: [v1.long]", "a name in set=1 is an int"),
    ("about: x\nparameters: {recipe.augment: {a: 1}}\nstudies: [v1.long]", "recipe.augment={'a': 1} holds names"),
    ("about: x\nparameters: {epochs: 010}\nstudies: [v1.long]", "epochs='010' is a str; it must be an int"),
    ("about: x\nparameters: {epochs: 1:30}\nstudies: [v1.long]", "epochs='1:30' is a str"),
    ("about: x\nparameters: {epochs: yes}\nstudies: [v1.long]", "epochs='yes' is a str"),
    ("about: x\nparameters: {epochs: true}\nstudies: [v1.long]", "epochs=True is a bool"),
    ("about: x\nparameters: {epochs: 2026-01-31}\nstudies: [v1.long]", "epochs='2026-01-31' is a str"),
    ("about: x\nparameters: {epochs: 1e3}\nstudies: [v1.long]", "epochs=1000.0 is a float"),
    ("about: x\nparameters: {lr: .inf}\nstudies: [v1.long]", "lr='.inf' is a str"),
    ("about: x\nparameters: {seeds: 99999999999}\nstudies: [v1.long]", "seeds=99999999999 is out of range"),
    ("about: x\nparameters: {stem: 4.0}\nstudies: [v1.long]", "Unknown stem '4.0'"),
    ("about: x\nparameters: {a: !!python/name:os.system x}\nstudies: []", "line 2: could not determine a constructor"),
    (ONE + "studies: [{v1.aux: {only: {norm: []}}}]", "{'norm': []} in 'only' of v1.aux chooses no arms"),
    (ONE + "studies: [{v1.aux: {only: []}}]", "[] in 'only' of v1.aux chooses no arms"),
    (ONE + "studies: [{v1.aux: {only: [{norm: bn}, {}]}}]", "{} in 'only' of v1.aux chooses no arms"),
    ("about: [x", "mine.yaml, line 1: "), *((text, "mine.yaml is no text of YAML") for text in (
        "\0", "about: !!int x", f"about: {'9' * 5000}", f"about: {'[' * 3000}{']' * 3000}")),
], ids=lambda value: value[-40:])
def test_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str,
                      said: str) -> None:
    monkeypatch.setenv("REPLICATION_OUT", str(tmp_path / "out"))
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(text)
    assert main(["list", "--profile", "mine.yaml"]) == 2
    printed, problem = capsys.readouterr()
    assert said in problem
    assert (printed, problem.count("\n")) == ("", 1)


def test_no_finite_number_is_none() -> None:
    with pytest.raises(BadInput, match=r"^lr=inf is no finite number; it must be one.$"):
        setting(lr=float("inf"))


def test_a_rate_in_every_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile's, --set's, papermill's -p and -y: one number, whoever read it."""
    (tmp_path / "mine.yaml").write_text("about: x\nparameters: {lr: 1e-3}\nstudies: [v1.long]")
    rates = [profiles.profile(str(tmp_path / "mine.yaml")).setting("v1.long").lr,
             setting(lr=values.read("1e-3")).lr]
    for flags in (["-p", "lr", "1e-3"], ["-y", "lr: 1e-3"], ["-y", '{"lr": "1e-3"}']):
        given: dict[str, Any] = {}
        monkeypatch.setattr(papermill.cli, "execute_notebook", lambda given=given, **other: given.update(other))
        papermill.cli.papermill(["in.ipynb", "out.ipynb", *flags], standalone_mode=False)
        rates.append(setting(**given["parameters"]).lr)
    assert rates == [0.001] * 5


# -- auto ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program nvidia-smi that fails, as where the driver is there and the GPU is not."""
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(("sees", "asked", "name"), [(False, "auto", "cpu"), (True, "auto", "gpu"), (True, "", "gpu"),
                                                     (True, "cpu", "cpu"), (True, "cuda", "gpu")])
def test_auto_is_what_training_would_choose(monkeypatch: pytest.MonkeyPatch, sees: bool, asked: str, name: str) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: sees)
    monkeypatch.setenv("REPLICATION_DEVICE", asked)
    assert profiles.profile("auto").name == name


def test_auto_where_a_gpu_was_asked_for_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setenv("REPLICATION_DEVICE", "cuda")
    with pytest.raises(BadInput, match="A GPU was asked for"):
        profiles.profile("auto")


@pytest.mark.usefixtures("driver")
def test_auto_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head node, which trains nothing."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "replication.training.device", raising=False)
    assert profiles.profile("auto").name == "cpu"
