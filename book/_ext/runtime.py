"""onnxruntime-web, which runs a network in a reader's browser: fetched once, checked, and laid beside a book's pages.

    python book/_ext/runtime.py build      # fetch it into build/, where npm is at hand; else say so and go on

The archive is the package as published, 26 MB; a book takes three files of it, 12 MB, which a browser asks for only
when a reader does. A book without them has no network that runs, and says so.
"""
from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

VERSION = "1.23.2"
ARCHIVE = f"onnxruntime-web-{VERSION}.tgz"
SHA512 = ("4f4f4952d327f8264b937985c2a887d258107fee12efea181c7b64eae85a6000"
          "0923de5b4dc2a2e5b38e658c0e4577d2fd12d90a30c311719622e3820059448e")
# the smallest build: WebAssembly alone, without WebGPU, and its threads are not used (they need headers of the host)
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


def whole(archive: Path) -> bool:
    """Whether it is there, and the one that was published."""
    return archive.exists() and hashlib.sha512(archive.read_bytes()).hexdigest() == SHA512


def fetch(folder: Path) -> str:
    """Gets the archive into a folder; what went wrong if something did."""
    archive, npm = folder / ARCHIVE, shutil.which("npm")
    if whole(archive):
        return ""
    if npm is None:
        return "there is no npm"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run([npm, "pack", f"onnxruntime-web@{VERSION}", "--pack-destination", folder,
                               "--loglevel=error", "--fetch-retries=1"], capture_output=True, text=True, timeout=180)
    except (OSError, subprocess.TimeoutExpired) as problem:
        return str(problem)
    if done.returncode:
        return "npm could not have it: " + (done.stderr.strip().splitlines() or ["it does not say why"])[0]
    return "" if whole(archive) else "what npm fetched is another package, by its checksum"


def unpack(archive: Path, target: Path) -> bool:
    """The files that a page loads, into a folder; False without a whole archive."""
    if not whole(archive):
        return False
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as held:
        for name in FILES:
            found = held.extractfile(f"package/dist/{name}")
            assert found is not None
            (target / name).write_bytes(found.read())
    return True


if __name__ == "__main__":
    if problem := fetch(Path(sys.argv[1])):
        print(f"onnxruntime-web was not fetched ({problem}): the page Try it will say that it is not in this book.")
