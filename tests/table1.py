"""The modules of V1's Table 1, typed again from the paper: what the tests compare the package's own with."""
from __future__ import annotations

from typing import NamedTuple


class Module(NamedTuple):
    """Side and channels of the map that comes in, the columns with filter counts, and the printed K and M."""
    side: int
    channels: int
    n1: int
    r3: int
    n3: int
    r5: int
    n5: int
    pool: int
    params_k: int
    ops_m: int

    @property
    def filters(self) -> tuple[int, ...]:
        return self[2:8]

    @property
    def weights(self) -> int:
        c, (n1, r3, n3, r5, n5, pool) = self.channels, self.filters
        return c * n1 + c * r3 + 9 * r3 * n3 + c * r5 + 25 * r5 * n5 + c * pool


MODULES = {
    #           side  in   1×1  3×3r 3×3  5×5r 5×5  pool  K     M
    "3a": Module(28, 192,  64,  96,  128, 16,  32,  32,  159,  128),
    "3b": Module(28, 256,  128, 128, 192, 32,  96,  64,  380,  304),
    "4a": Module(14, 480,  192, 96,  208, 16,  48,  64,  364,  73),
    "4b": Module(14, 512,  160, 112, 224, 24,  64,  64,  437,  88),
    "4c": Module(14, 512,  128, 128, 256, 24,  64,  64,  463,  100),
    "4d": Module(14, 512,  112, 144, 288, 32,  64,  64,  580,  119),
    "4e": Module(14, 528,  256, 160, 320, 32,  128, 128, 840,  170),
    "5a": Module(7,  832,  256, 160, 320, 32,  128, 128, 1072, 54),
    "5b": Module(7,  832,  384, 192, 384, 48,  128, 128, 1388, 71),
}
