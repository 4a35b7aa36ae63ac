#!/usr/bin/env bash
# scipy says of BSR, blocks of a sparse matrix stored densely, that for matrices with such blocks it is considerably
# more efficient than CSR for many operations. Multiplied with a dense matrix of some hundred columns, blocks of 16x16
# take it several times as long as CSR takes for the very same entries, at every density from 1 to 50 %.
# Versions: scipy 1.17.1, numpy 2.4.6 (seen: 4 times as long, with the processor's own time, on one thread).
# It matters to whoever prunes a network in blocks and wants to see it run faster: CSR does better until a library that
# multiplies blocks as blocks is at hand.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet scipy==1.17.1 numpy==2.4.6
"$dir/venv/bin/python" - <<'EOF'
import time

import numpy as np
import scipy
from scipy import sparse

print("scipy", scipy.__version__, "numpy", np.__version__)
random = np.random.default_rng(0)
given = random.standard_normal((1152, 784), dtype=np.float32)


def shortest(matrix):
    """Milliseconds of the processor, the least of seven calls."""
    found = []
    for _ in range(7):
        began = time.process_time()
        matrix @ given
        found.append(1e3 * (time.process_time() - began))
    return min(found)


for density in (0.01, 0.05, 0.2, 0.5):
    blocks = np.kron(random.random((12, 72)) < density, np.ones((16, 16), bool))
    dense = (blocks * random.standard_normal(blocks.shape)).astype(np.float32)
    bsr, csr = sparse.bsr_array(dense, blocksize=(16, 16)), sparse.csr_array(dense)
    assert bsr.nnz == csr.nnz, "BSR stores what is not there"
    np.testing.assert_allclose(bsr @ given, csr @ given, rtol=1e-3, atol=1e-3)
    b, c = shortest(bsr), shortest(csr)
    print(f"{density:.0%} of the blocks, {csr.nnz} entries: BSR {b:.2f} ms, CSR {c:.2f} ms, {b / c:.1f} times as long")
    assert b > 1.5 * c, "changed: BSR is about as fast as CSR, or faster"
print("as described: BSR takes longer than CSR for the same blocks")
EOF
