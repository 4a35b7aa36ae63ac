#!/usr/bin/env bash
# On Linux's glibc a map of just over 32 MB costs torch several times what one of just under does, at every step: smaller
# ones find the memory that the last one left, larger ones are given to the system as they are freed and fetched anew,
# page by page, each cleared first. Nothing in torch says so, profilers charge it to whichever operation comes first, and
# 32 MB is as far as glibc's own adaptation goes. The second local response normalisation of GoogLeNet at 224 px has maps
# of 38.5 MB at a batch of 16, and of 31 MB at 13. One call, mallopt(M_MMAP_MAX, 0), ends it.
# Versions: torch 2.14.1 on glibc 2.36 (seen: 0 page faults a call below, 8,449 above, and five times the time).
# It matters to whoever measures or trains with large batches on a CPU: a batch a little larger can be slower an image.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
"$dir/venv/bin/python" - <<'EOF'
import ctypes
import platform
import resource
import statistics
import time

import torch

torch.set_num_threads(1)
print("torch", torch.__version__, *platform.libc_ver())
assert platform.libc_ver()[0] == "glibc", "this is about glibc"


def cost(megabytes):
    """Page faults and ms of a squared map, each the median of 20 calls after 5."""
    x = torch.ones(int(megabytes * 2 ** 20 / 4))
    faults, times = [], []
    for _ in range(25):
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.perf_counter()
        x.square()
        times.append(1e3 * (time.perf_counter() - began))
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return statistics.median(faults[5:]), statistics.median(times[5:])


below, above = cost(31), cost(33)
ctypes.CDLL(None).mallopt(-4, 0)   # M_MMAP_MAX
ctypes.CDLL(None).mallopt(-1, 2 ** 31 - 1)  # M_TRIM_THRESHOLD
kept = cost(33)
for what, (faults, ms) in (("31 MB", below), ("33 MB", above), ("33 MB, memory kept", kept)):
    print(f"{what}: {faults:,.0f} page faults and {ms:.1f} ms a call")
assert below[0] < 10, "changed: maps below 32 MB are fetched anew, too"
assert above[0] >= 16, "changed: maps above 32 MB are kept"  # 16 pages of 2 MB, 8,448 of 4 kB
assert kept[0] < 10, "changed: mallopt does not keep them"
print("as described: maps above 32 MB are cleared anew at every call")
EOF
