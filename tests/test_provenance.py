"""The names of processors, by excerpts of /proc/cpuinfo as real ones have it; numbers by their makers' manuals."""
from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import Any

import pytest

from replication import provenance

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
