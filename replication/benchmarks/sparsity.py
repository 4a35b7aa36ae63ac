"""How long products with sparse matrices of GoogLeNet's sizes take, over the dense product of the same sizes.

All ways to multiply take turns, each right after a dense product; only ratios within a turn are told apart from noise.
What takes more than GIVE_UP times as long as the dense product at one density is not tried at higher ones. On one
thread of a CPU it is the processor's own time that counts: other programs change it least.
"""
from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import torch
from scipy import sparse
from torch import Tensor

from replication import provenance
from replication.benchmarks import harness
from replication.models.googlenet import INCEPTION
from replication.pages import blocks
from replication.pages.sparsity import (
    GIVE_UP,
    GIVEN_UP,
    HIDDEN,
    NUMBERED,
    OK,
    PERMUTED,
    SCATTERED,
    TILED,
    TWO_OF_FOUR,
)

DENSITIES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
BLOCKS = (32, 16, 8, 4, 2)  # hidden ones; their number is one over the density
SIDE = 16                   # of a tile
TURNS, QUICK_TURNS = 7, 3
FEWEST, MOST, LEAST_MS = 3, 50, 4.0  # a turn calls so often, about as long as that
COLUMNS = ("device", "product", "rows", "columns", "positions", "threads", "pattern", "density", "kind", "status",
           "turns", "calls", "dense_ms", "ms", "ms_low", "ms_high", "ratio", "ratio_low", "ratio_high", "ratios",
           "load", "versions", "commit", "utc")

Multiply = Callable[[], Any]
Make = Callable[[Tensor, Tensor], Multiply]  # of weights (rows, columns), with their zeros, and what they multiply


class NotHere(Exception):
    """A way to multiply that this device has not."""


# -- what is multiplied -------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Product:
    """Weights (rows, columns) times what im2col makes of a map, or a batch of vectors: (columns, positions)."""
    name: str
    rows: int
    columns: int
    positions: int


def products(quick: bool = False) -> tuple[Product, ...]:
    """The kernels of module 3b on its map of 28×28, one image, and the hidden layer of a side head, 32 images (V1
    Table 1, §5). Quick: an eighth of the positions, the 1×1 and the 5×5 alone."""
    m, places = INCEPTION["3b"], 28 * 28 // (8 if quick else 1)
    every = (Product("1×1", m.n1x1, 256, places), Product("3×3", m.n3x3, 9 * m.n3x3_reduce, places),
             Product("5×5", m.n5x5, 25 * m.n5x5_reduce, places), Product("fully connected", 1024, 4 * 4 * 128, 32))
    return every[::2] if quick else every


def matrices(product: Product, random: np.random.Generator) -> Iterator[tuple[str, float, Tensor]]:
    """(pattern, share of entries that are not zero, weights), of each pattern from the lowest density up."""
    rows, columns = product.rows, product.columns
    for density in DENSITIES:
        yield _as(SCATTERED, blocks.scattered(rows, columns, density, random))
    before = 0.0
    for density in DENSITIES:
        pattern, share, weights = _as(TILED, blocks.tiled(rows, columns, density, SIDE, random))
        if share > before:  # a matrix of few tiles cannot have less than one
            yield pattern, share, weights
        before = share
    for number in BLOCKS:
        yield _as(HIDDEN, blocks.hidden(rows, columns, number, random).matrix)
    yield TWO_OF_FOUR, 0.5, two_of_four(torch.from_numpy(blocks.scattered(rows, columns, 1, random)))


def _as(pattern: str, matrix: blocks.Matrix) -> tuple[str, float, Tensor]:
    return pattern, float((matrix != 0).mean()), torch.from_numpy(matrix)


def two_of_four(weights: Tensor) -> Tensor:
    """Of every four neighbours in a row the two largest, the others zero: what a GPU calls semi-structured."""
    four = weights.reshape(-1, 4)
    kept = torch.zeros_like(four).scatter(1, four.abs().topk(2, dim=1).indices, 1.0)
    return (four * kept).reshape(weights.shape)


# -- ways to multiply ---------------------------------------------------------------------------------------------
def _scipy(form: str) -> Make:
    """DOK and LIL are kept as they are: a DOK's product is a Python loop over its entries, a LIL's makes a CSR matrix
    first, every time, and that counts."""
    def make(weights: Tensor, given: Tensor) -> Multiply:
        if weights.is_cuda:
            raise NotHere
        dense, x = weights.numpy(), given.numpy()
        matrix = sparse.bsr_array(dense, blocksize=(SIDE, SIDE)) if form == "bsr" else (
            sparse.coo_array(dense).asformat(form))
        return lambda: matrix @ x
    return make


def _torch(convert: Callable[[Tensor], Tensor]) -> Make:
    def make(weights: Tensor, given: Tensor) -> Multiply:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            matrix = convert(weights)
        return lambda: matrix @ given
    return make


def _semi_structured(weights: Tensor, given: Tensor) -> Multiply:
    if not weights.is_cuda or torch.cuda.get_device_capability(weights.device) < (8, 0):
        raise NotHere
    matrix = torch.sparse.to_sparse_semi_structured(weights)
    return lambda: matrix @ given


def _dense_blocks(permuted: bool) -> Make:
    """The hidden blocks, searched for and multiplied as one batch of dense products; with the permutation of what comes
    and of what goes, or without, as between layers whose channels are numbered so."""
    def make(weights: Tensor, given: Tensor) -> Multiply:
        rows, columns = weights.shape
        number = round(rows * columns / int((weights != 0).sum()))
        found = blocks.clusters(weights.cpu().numpy(), number)
        into, out = (torch.from_numpy(blocks.together(labels)).to(weights.device) for labels in found[::-1])
        cut = weights[out][:, into].reshape(number, rows // number, number, columns // number)
        each = torch.stack([cut[n, :, n] for n in range(number)])
        back = torch.argsort(out)
        ready = given[into]

        def whole() -> Tensor:
            return torch.bmm(each, given[into].view(number, -1, given.shape[1])).flatten(0, 1)[back]

        def inner() -> Tensor:
            return torch.bmm(each, ready.view(number, -1, given.shape[1])).flatten(0, 1)
        return whole if permuted else inner
    return make


def _tiles(weights: Tensor) -> Tensor:
    return weights.to_sparse_bsr((SIDE, SIDE))


WAYS: dict[str, dict[str, Make]] = {  # by pattern
    SCATTERED: {**{f"scipy {form.upper()}": _scipy(form) for form in ("dok", "lil", "coo", "csr")},
                "torch COO": _torch(lambda weights: weights.to_sparse_coo().coalesce()),
                "torch CSR": _torch(lambda weights: weights.to_sparse_csr())},
    TILED: {"torch CSR": _torch(lambda weights: weights.to_sparse_csr()), "scipy BSR": _scipy("bsr"),
            "torch BSR": _torch(_tiles)},
    HIDDEN: {"scipy CSR": _scipy("csr"), "torch CSR": _torch(lambda weights: weights.to_sparse_csr()),
             PERMUTED: _dense_blocks(permuted=True), NUMBERED: _dense_blocks(permuted=False)},
    TWO_OF_FOUR: {"torch semi-structured": _semi_structured},
}


# -- measuring ----------------------------------------------------------------------------------------------------
@dataclass
class Timed:
    """One line in the making: what one call does, how many a turn makes, and what its turns took."""
    kind: str
    multiply: Multiply | None
    status: str = OK
    calls: int = FEWEST
    ms: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)


@dataclass
class Group:
    """A dense matrix, and the ways to multiply it that take turns with its dense product."""
    pattern: str
    density: float
    dense: Timed
    ways: list[Timed]

    def turn(self, cuda: bool) -> None:
        base = _turn(self.dense, cuda)
        self.dense.ms.append(base)
        for way in self.ways:
            if way.status == OK:
                way.ms.append(_turn(way, cuda))
                way.ratios.append(way.ms[-1] / base)


def _turn(timed: Timed, cuda: bool) -> float:
    """Milliseconds of the shortest of its calls: what makes one longer is not the product."""
    assert timed.multiply is not None
    alone = not cuda and torch.get_num_threads() == 1
    found = []
    for _ in range(timed.calls):
        clock, began = harness.Clock(cuda), time.process_time()
        timed.multiply()
        used = 1e3 * (time.process_time() - began)
        clock("product")
        found.append(used if alone else clock.milliseconds()["product"])
    return min(found)


def groups(product: Product, where: torch.device, seed: int = 0) -> list[Group]:
    """Made, tried and compared with the dense product; the densities of a way up to the first that is given up."""
    random, cuda, slow = np.random.default_rng(seed), where.type == "cuda", set()
    given = torch.from_numpy(random.standard_normal((product.columns, product.positions), dtype=np.float32)).to(where)
    found = []
    for pattern, density, weights in matrices(product, random):
        weights = weights.to(where)
        answer = weights @ given

        def multiply(weights: Tensor = weights) -> Tensor:
            return weights @ given
        dense = Timed("dense", multiply)
        base = _tried(dense, cuda)
        ways = []
        for kind, make in WAYS[pattern].items():
            if (kind, pattern) in slow:
                continue
            way = Timed(kind, None)
            try:
                way.multiply = make(weights, given)
                made = torch.as_tensor(way.multiply(), device=where)
                if kind != NUMBERED and not torch.allclose(made, answer, rtol=1e-3, atol=1e-3):
                    raise ArithmeticError("another product than the dense one's")
                took = _tried(way, cuda)
            except NotHere:
                way.status = "not on this device"
            except Exception as problem:
                way.status = f"failed: {harness.brief(problem)}"
            else:
                if took > GIVE_UP * base and pattern in (SCATTERED, TILED):
                    way.status, way.ms, way.ratios = GIVEN_UP, [took], [took / base]
                    slow.add((kind, pattern))
            if way.status != OK:
                way.multiply = None  # a matrix that is not needed takes memory
            ways.append(way)
        found.append(Group(pattern, density, dense, ways))
    return found


def _tried(timed: Timed, cuda: bool) -> float:
    """The shortest of the fewest calls, which says how many make a turn."""
    took = _turn(timed, cuda)
    timed.calls = max(FEWEST, min(MOST, math.ceil(LEAST_MS / max(took, 1e-3))))
    return took


def lines(product: Product, group: Group) -> Iterator[dict[str, Any]]:
    """A line for each way."""
    of = {"product": product.name, "rows": product.rows, "columns": product.columns, "positions": product.positions,
          "pattern": group.pattern, "density": group.density,
          "dense_ms": float(np.median(group.dense.ms)) if group.dense.ms else math.nan}
    for way in group.ways:
        yield {**of, "kind": way.kind, "status": way.status, "turns": len(way.ratios), "calls": way.calls,
               "ratios": " ".join(f"{ratio:.4g}" for ratio in way.ratios),
               **(harness.spread("ms", way.ms) | harness.spread("ratio", way.ratios) if way.ratios else {})}


def run(quick: bool = False, turns: int = TURNS) -> Path:
    """Measures, prints and writes `<your store>/tables/sparsity-<device>.csv`, on one thread and on two where the
    processor has them, this process may use them and not too many programs want them. Quick: small products and few
    turns, in a table of its own (`-quick`). Returns its path."""
    before = torch.get_num_threads()
    where, path, common = harness.begin("sparsity", quick)
    cuda = where.type == "cuda"
    common["versions"] = f"torch {torch.__version__}, scipy {scipy.__version__}"
    rows: list[dict[str, Any]] = []
    try:
        for threads in (1,) if cuda or min(provenance.cores(), before) == 1 else (1, 2):
            if threads > 1 and (load := os.getloadavg()[0]) > provenance.cores():
                print(f"Load {load:.1f}: two threads would wait for each other, and are not timed. Run it again later.")
                break
            torch.set_num_threads(threads)
            for product in products(quick):
                found = groups(product, where)
                for _ in range(QUICK_TURNS if quick else turns):
                    for group in found:
                        group.turn(cuda)
                rows += [{**common, **line, "threads": threads} for group in found for line in lines(product, group)]
                frame = harness.write(path, rows, COLUMNS)
                print(f"{product.name}, {threads} threads", flush=True)
    finally:
        torch.set_num_threads(before)
    print(harness.shown(frame, ("product", "threads", "pattern", "density", "kind", "dense_ms", "ratio", "status")))
    print(path)
    return path
