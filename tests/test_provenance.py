"""The names of processors, by excerpts of /proc/cpuinfo as real ones have it; numbers by their makers' manuals."""
from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import pytest

from replication import paths, provenance

# Virtual machines of this and the next kind both call themselves "AMD EPYC".
MILAN = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 1
model name\t: AMD EPYC
stepping\t: 1
flags\t\t: fpu vme de pse tsc msr pae mce cx8 sse sse2 ht syscall nx pni ssse3 fma sse4_1 sse4_2 avx f16c avx2 bmi2 vaes
"""
GENOA = MILAN.replace("model\t\t: 1\n", "model\t\t: 17\n").replace(" avx2 ", " avx2 avx512f avx512dq avx512_bf16 ")
SAPPHIRE_RAPIDS = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R)  Platinum 8481C CPU @ 2.70GHz
flags\t\t: fpu vme sse sse2 avx fma avx2 avx512f avx512dq avx512_fp16 amx_bf16 amx_tile amx_int8

processor\t: 1
cpu family\t: 6
model\t\t: 143
model name\t: another
flags\t\t: fpu
"""
NEHALEM = """cpu family\t: 6
model\t\t: 26
model name\t: Intel(R) Xeon(R) CPU           X5570  @ 2.93GHz
flags\t\t: fpu vme sse sse2 ssse3 sse4_1 sse4_2 popcnt
"""
GRAVITON3 = """processor\t: 0
BogoMIPS\t: 2100.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm sve i8mm bf16
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: 0xd40
CPU revision\t: 1
"""
GRAVITON2 = GRAVITON3.replace(" sve ", " ").replace("0xd40", "0xd0c")
VISION_FIVE = "processor\t: 0\nhart\t\t: 1\nisa\t\t: rv64imafdc\nmmu\t\t: sv39\nuarch\t\t: sifive,u74-mc\n"


@pytest.mark.parametrize(("text", "machine", "name"), [
    (MILAN, "x86_64", "AMD EPYC (family 25, model 1; AVX2)"),
    (GENOA, "x86_64", "AMD EPYC (family 25, model 17; AVX-512)"),
    (SAPPHIRE_RAPIDS, "x86_64", "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz (family 6, model 143; AMX)"),
    (NEHALEM, "x86_64", "Intel(R) Xeon(R) CPU X5570 @ 2.93GHz (family 6, model 26; SSE)"),
    (GRAVITON3, "aarch64", "aarch64 (implementer 0x41, part 0xd40; SVE)"),
    (GRAVITON2, "aarch64", "aarch64 (implementer 0x41, part 0xd0c; NEON)"),
    (VISION_FIVE, "riscv64", "riscv64"), ("", "x86_64", "x86_64")])
def test_a_processor_by_what_linux_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, machine: str,
                                        name: str) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(provenance, "CPUINFO", tmp_path / "cpuinfo")
    provenance.CPUINFO.write_text(text)
    assert provenance.processor() == name
    assert provenance.collect()["processor"] == name


@pytest.mark.parametrize(("system", "brand", "name"), [
    ("Darwin", "Apple M2\n", "Apple M2"), ("Darwin", "", "arm"), ("Darwin", None, "arm"),
    ("Windows", "never asked", "arm")])
def test_elsewhere_by_what_the_system_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str,
                                           brand: str | None, name: str) -> None:
    """None: there is no sysctl."""
    def run(command: tuple[str, ...], **_: Any) -> subprocess.CompletedProcess[str]:
        assert (system, command[0]) == ("Darwin", "sysctl")
        if brand is None:
            raise FileNotFoundError
        return subprocess.CompletedProcess(command, 0, brand)

    monkeypatch.setattr(provenance, "CPUINFO", tmp_path / "none")
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    monkeypatch.setattr(subprocess, "run", run)
    assert provenance.processor() == name


# -- whose commit -------------------------------------------------------------------------------------------------
ME = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false", "-c", "init.defaultBranch=m")


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *ME, "-C", str(folder), *words], check=True, text=True, capture_output=True,
                          env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}).stdout.strip()


def code(folder: Path) -> Path:
    """Files as an archive of the project has them."""
    for name in provenance.CODE:
        (folder / name).mkdir(parents=True)
    (folder / provenance.OWN).touch()
    return folder


def committed(folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    git(folder, "init", "-q")
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "--allow-empty", "-m", "x")
    return git(folder, "rev-parse", "HEAD")


def said(monkeypatch: pytest.MonkeyPatch, root: Path) -> tuple[str | None, bool]:
    monkeypatch.setattr(paths, "ROOT", root)
    found = provenance.collect()
    return found["commit"], found["dirty"]


@pytest.fixture(autouse=True)
def _not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REPLICATION_COMMIT", raising=False)


def test_a_repository_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a worktree, a submodule, a shallow clone, a folder of a name that needs care; with changes and without."""
    own = code(tmp_path / "it's one")
    head = committed(own)
    assert said(monkeypatch, own) == (head, False)
    git(own, "worktree", "add", "-q", str(tmp_path / "tree"))
    assert said(monkeypatch, tmp_path / "tree") == (head, False)
    git(tmp_path, "clone", "-q", "--depth", "1", own.as_uri(), "shallow")
    assert said(monkeypatch, tmp_path / "shallow") == (head, False)
    outer = tmp_path / "outer"
    committed(outer)
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(own), "part")
    assert said(monkeypatch, outer / "part") == (head, False)
    (own / provenance.OWN).write_text("x = 1\n")
    assert said(monkeypatch, own) == (head, True)


@pytest.mark.parametrize("tracked", [True, False])
def test_in_another_repository_its_head_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                    tracked: bool) -> None:
    """Unpacked below it or installed in a .venv of it, whether they are among what it tracks or not."""
    inside = tmp_path / "theirs" / "lib" / "site-packages"
    if tracked:
        code(inside)
    committed(tmp_path / "theirs")
    if not tracked:
        code(inside)
    assert said(monkeypatch, inside) == (None, False)


def test_in_a_repository_that_knows_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At its top: a new one, without a commit and with one of a readme's."""
    own = code(tmp_path / "unpacked")
    git(own, "init", "-q")
    assert said(monkeypatch, own) == (None, False)
    git(own, "commit", "-q", "--allow-empty", "-m", "x")
    assert said(monkeypatch, own) == (None, False)


@pytest.mark.parametrize("there", ["git", "none", "another's"])
def test_what_it_is_told_counts_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str) -> None:
    root = code(tmp_path / "outer" / "code")
    if there != "none":
        committed(root if there == "git" else tmp_path / "outer")
    monkeypatch.setenv("REPLICATION_COMMIT", " abc123\n")
    assert said(monkeypatch, root) == ("abc123", False)
    monkeypatch.setenv("REPLICATION_COMMIT", "")
    assert (said(monkeypatch, root)[0] is None) is (there != "git")


def test_a_hook_of_another_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """git tells what it starts, by the environment, where the repository lies."""
    own, other = code(tmp_path / "own"), code(tmp_path / "other")
    head, _ = committed(own), git(tmp_path, "init", "-q", "other")
    git(other, "add", "--all")
    git(other, "commit", "-q", "-m", "another")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    assert said(monkeypatch, own) == (head, False)


def test_files_of_another_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container with a folder from outside: git refuses "dubious ownership"."""
    own = code(tmp_path / "own")
    head = committed(own)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    refused = subprocess.run(["git", "-C", str(own), "status"], capture_output=True, text=True,
                             env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull})
    assert "dubious ownership" in refused.stderr
    assert said(monkeypatch, own) == (head, False)


def test_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = code(tmp_path / "own")
    committed(own)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert said(monkeypatch, own) == (None, False)
