"""pyproject.toml says what may be installed, requirements.lock what was tested, environment.yml the same for conda."""
from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DIRECT = [Requirement(text) for text in
          [*PROJECT["dependencies"], *(r for extra in PROJECT["optional-dependencies"].values() for r in extra)]]
PYTHONS = ("3.11", "3.12", "3.13")


def locked(python: str) -> dict[str, str]:
    """The pins that hold on Linux under one Python."""
    here = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": "linux",
            "platform_machine": "x86_64", "platform_system": "Linux", "os_name": "posix"}
    text = (ROOT / "requirements.lock").read_text()
    pins = re.findall(r"^([\w.-]+)==([^\s;\\]+)\s*(?:;([^\\\n]*))?", text, flags=re.M)
    return {canonicalize_name(name): version for name, version, marker in pins
            if not marker.strip() or Marker(marker.strip()).evaluate(here)}


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("wanted", DIRECT, ids=str)
def test_what_was_tested_lies_in_the_range(wanted: Requirement, python: str) -> None:
    version = locked(python).get(canonicalize_name(wanted.name))
    assert version, f"{wanted.name} is not in requirements.lock"
    assert wanted.specifier.contains(version), f"requirements.lock has {wanted.name} {version}, pyproject.toml {wanted}"


@pytest.mark.parametrize("pair", [("2.11.0", "0.26.0"), ("2.14.1", "0.29.2")])
def test_the_ranges_admit_what_gpu_machines_carry(pair: tuple[str, str]) -> None:
    ranges = {wanted.name: wanted.specifier for wanted in DIRECT}
    assert ranges["torch"].contains(pair[0])
    assert ranges["torchvision"].contains(pair[1])


def test_pythons() -> None:
    allowed = SpecifierSet(PROJECT["requires-python"])
    assert all(f"{python}.0" in allowed for python in PYTHONS)
    assert "3.10.9" not in allowed


def test_conda_takes_the_same_lock() -> None:
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    python = next(d for d in conda if isinstance(d, str) and d.startswith("python="))
    assert python.removeprefix("python=") in PYTHONS
    assert {"pip": ["-r requirements.lock"]} in conda


def test_every_line_of_the_lock_has_a_hash() -> None:
    entries = re.split(r"\n(?=[\w])", (ROOT / "requirements.lock").read_text())
    assert all("--hash=sha256:" in entry for entry in entries if re.match(r"[\w.-]+==", entry))


def test_binder_installs_the_package_with_the_versions_of_the_lock(tmp_path: Path) -> None:
    """Its step as it is run there, with a python that only notes what it is asked."""
    noted = tmp_path / "python"
    noted.write_text('#!/bin/sh\nfor word; do echo "$word"; done > "$0.words"\ncp "$6" "$0.pins"\n')
    noted.chmod(0o755)
    subprocess.run([ROOT / "binder" / "postBuild"], cwd=ROOT, check=True,
                   env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    words = (tmp_path / "python.words").read_text().splitlines()
    assert words[:4] == ["-m", "pip", "install", "--no-cache-dir"]
    assert words[4] == "--constraint"
    assert words[6:] == ["-e", "."]
    pins = [Requirement(line) for line in (tmp_path / "python.pins").read_text().splitlines()]
    assert {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins
            if pin.marker is None or pin.marker.evaluate({"python_version": "3.11", "python_full_version": "3.11.9"})
            } == {name: version for name, version in locked("3.11").items() if name not in ("torch", "torchvision")}


def test_binder_s_python_and_its_start() -> None:
    brought = yaml.safe_load((ROOT / "binder" / "environment.yml").read_text())["dependencies"]
    assert brought[0].removeprefix("python=") in PYTHONS
    least = dict(each.split(">=") for each in brought if ">=" in each)
    for name, conda in (("torch", "pytorch-cpu"), ("torchvision", "torchvision")):
        asked = next(Requirement(each) for each in PROJECT["dependencies"] if Requirement(each).name == name)
        assert least[conda] in asked.specifier
    done = subprocess.run([ROOT / "binder" / "start", "sh", "-c", "echo $REPLICATION_JOBS $0 'a b'", "x y"],
                          capture_output=True, text=True, check=True)
    assert done.stdout == "1 x y a b\n"


def test_pages_offer_no_place_that_cannot_run_them() -> None:
    """A page opened in Colab is alone: neither the package nor what is published comes along."""
    buttons = yaml.safe_load((ROOT / "book" / "_config.yml").read_text())["launch_buttons"]
    assert {name for name in buttons if name.endswith("_url")} == {"binderhub_url"}
