"""Ten shapes at many scales, drawn on the fly: a set that needs no download and that raw pixels do not give away.

Every shape is a signed distance d(u, v) in object coordinates, negative inside, within the unit disc or just beyond.
An image then puts it at a random place, angle, size, contrast and tint, on a low-frequency background behind which
bars distract, under noise. The size is kept, so that accuracy *by object scale* costs nothing.

Sines differ by a last bit between machines: images repeat exactly on one machine, to ±1 grey level across machines.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]  # float32 all through


@dataclass(frozen=True)
class Difficulty:
    """Ranges every image draws from. `radius` is a fraction of the image's side; grey levels run from 0 to 1."""
    radius: tuple[float, float]
    noise: tuple[float, float]
    contrast: tuple[float, float]
    clutter: int
    background: float


# Hard enough that a quarter-width batch-normalised GoogLeNet is not at its ceiling after a few epochs of 3,000 images,
# easy enough that the published one, which starts slowly, is far above chance by then.
DIFFICULTY = Difficulty(radius=(0.17, 0.47), noise=(0.0, 0.08), contrast=(0.3, 0.8), clutter=2, background=0.10)

# Of the training and the validation images, by the part of the set (`spec.Data`).
SEEDS = {None: (1000, 2000), "pilot": (3000, 4000)}
# Part of what is drawn, not a tuning knob: the generator starts anew for every chunk, which makes a set a prefix of
# any longer one.
CHUNK = 64


def _disc(u: Floats, v: Floats, radius: float = 1.0) -> Floats:
    return np.sqrt(u * u + v * v) - radius


def _ring(u: Floats, v: Floats, middle: float = 0.78, half: float = 0.22) -> Floats:
    return np.abs(_disc(u, v, middle)) - half


def _square(u: Floats, v: Floats, half: float = 0.75) -> Floats:
    return np.maximum(np.abs(u), np.abs(v)) - half


def _triangle(u: Floats, v: Floats) -> Floats:
    slope = np.float32(np.sqrt(3) / 2)
    return np.maximum(slope * np.abs(u) + 0.5 * v, -v) - 0.5


def _plus(u: Floats, v: Floats, arm: float = 0.95, half: float = 0.3) -> Floats:
    a, b = np.abs(u), np.abs(v)
    return np.minimum(np.maximum(a - arm, b - half), np.maximum(a - half, b - arm))


def _star(u: Floats, v: Floats, inner: float = 0.42) -> Floats:
    """Five points: folded into one tenth of the turn, a single edge from the tip (1, 0) to the inner corner is left."""
    tenth = np.pi / 5
    angle = np.abs(np.mod(np.arctan2(v, u) + tenth, 2 * tenth) - tenth)
    rho = np.sqrt(u * u + v * v)
    edge_x, edge_y = inner * np.cos(tenth) - 1.0, inner * np.sin(tenth)
    length = float(np.hypot(edge_x, edge_y))
    normal_x, normal_y = float(edge_y) / length, -float(edge_x) / length
    return (rho * np.cos(angle) - 1.0) * normal_x + rho * np.sin(angle) * normal_y


def _crescent(u: Floats, v: Floats) -> Floats:
    return np.maximum(_disc(u, v), -_disc(u - 0.45, v, 0.8))


def _stripes(u: Floats, v: Floats, period: float = 0.64) -> Floats:
    bars = np.abs(u - period * np.round(u / period)) - period / 4
    return np.maximum(_disc(u, v), bars)


def _checker(u: Floats, v: Floats, cell: float = 0.4) -> Floats:
    """Four by four cells; the product of two triangle waves is negative in every other one."""
    def wave(x: Floats) -> Floats:
        return np.abs(x - 2 * cell * np.round(x / (2 * cell))) - cell / 2

    # The waves are shifted by half a cell so that four whole ones fit between -2 cell and 2 cell.
    a, b = wave(u - cell / 2), wave(v - cell / 2)
    return np.maximum(_square(u, v, 2 * cell), np.sign(a * b) * np.minimum(np.abs(a), np.abs(b)))


def _bullseye(u: Floats, v: Floats) -> Floats:
    return np.minimum(_disc(u, v, 0.36), _ring(u, v, 0.83, 0.17))


SHAPES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "disc": _disc, "ring": _ring, "square": _square, "triangle": _triangle, "plus": _plus, "star": _star,
    "crescent": _crescent, "stripes": _stripes, "checker": _checker, "bullseye": _bullseye,
}


def coverage(shape: str, u: Floats, v: Floats, scale: Floats | float) -> Floats:
    """How much of each pixel the shape covers, 0 to 1, at object coordinates (u, v); `scale` is px per object unit."""
    return np.clip(0.5 - SHAPES[shape](u, v) * scale, 0.0, 1.0)


def _turned(grid: Floats, x: Floats, y: Floats, angle: Floats) -> tuple[Floats, Floats]:
    """Pixel centres in the coordinates of an object at (x, y), turned by `angle`, for every image."""
    dx, dy = grid[None, None, :] - x[:, None, None], grid[None, :, None] - y[:, None, None]
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    return cos * dx + sin * dy, cos * dy - sin * dx


def _uniform(rng: np.random.Generator, n: int) -> Callable[..., Floats]:
    def uniform(low: float, high: float, *shape: int) -> Floats:
        return low + (high - low) * rng.random((n, *shape), dtype=np.float32)

    return uniform


def _placed(uniform: Callable[..., Floats], hard: Difficulty) -> tuple[Floats, Floats, Floats, Floats]:
    """Radius, x, y and angle of each object: what a chunk draws first."""
    radius = np.exp(uniform(float(np.log(hard.radius[0])), float(np.log(hard.radius[1]))))
    x, y = 0.5 + (0.5 - radius) * uniform(-1, 1), 0.5 + (0.5 - radius) * uniform(-1, 1)
    return radius, x, y, uniform(0, 2 * np.pi)


def _alpha(shapes: list[str], side: int, radius: Floats, x: Floats, y: Floats, angle: Floats) -> Floats:
    """How much of each pixel the object covers, (n, side, side)."""
    u, v = _turned(_grid(side), x, y, angle)
    u /= radius[:, None, None]
    v /= radius[:, None, None]
    alpha = np.empty((len(shapes), side, side), np.float32)
    for shape in set(shapes):
        rows = [i for i, name in enumerate(shapes) if name == shape]
        alpha[rows] = coverage(shape, u[rows], v[rows], side * radius[rows, None, None])
    return alpha


def _grid(side: int) -> Floats:
    return (np.arange(side, dtype=np.float32) + 0.5) / side


def _chunk(rng: np.random.Generator, shapes: list[str], side: int,
           hard: Difficulty) -> tuple[NDArray[np.uint8], Floats]:
    n = len(shapes)
    uniform = _uniform(rng, n)

    # Everything that does not depend on the side is drawn first: the same objects at any resolution.
    radius, x, y, angle = _placed(uniform, hard)
    sign = np.where(uniform(0, 1) < 0.5, np.float32(-1), np.float32(1))
    contrast = uniform(*hard.contrast)
    level = 0.5 - sign * contrast / 2 + uniform(-0.08, 0.08)
    background = level[:, None] + uniform(-0.06, 0.06, 3)
    colour = background + (sign * contrast)[:, None] * uniform(0.75, 1.1, 3)
    field = hard.background * uniform(-1, 1, 4, 4)
    sigma = uniform(*hard.noise)
    bars = [(uniform(0, 1), uniform(0, 1), uniform(0, 2 * np.pi), uniform(0.1, 0.3), uniform(0.015, 0.035),
             uniform(-0.5, 0.5, 3)) for _ in range(hard.clutter)]

    grid = _grid(side)
    knots = np.clip(1 - np.abs(3 * grid[:, None] - np.arange(4, dtype=np.float32)), 0, 1)
    # Channels before pixels here: numpy's inner loop would otherwise be three long.
    image = background[:, :, None, None] + (knots @ field @ knots.T)[:, None]
    for bar_x, bar_y, bar_angle, half_length, half_width, tint in bars:
        u, v = _turned(grid, bar_x, bar_y, bar_angle)
        distance = np.maximum(np.abs(u) - half_length[:, None, None], np.abs(v) - half_width[:, None, None])
        image += np.clip(0.5 - side * distance, 0, 1)[:, None] * tint[:, :, None, None]

    alpha = _alpha(shapes, side, radius, x, y, angle)
    image += alpha[:, None] * (colour[:, :, None, None] - image)
    image += sigma[:, None, None, None] * rng.standard_normal(image.shape, dtype=np.float32)
    np.clip(image, 0, 1, out=image)
    image *= 255
    image += 0.5
    return image.astype(np.uint8).transpose(0, 2, 3, 1), radius


def generate(n: int, seed: int, side: int, classes: tuple[str, ...] = tuple(SHAPES),
             difficulty: Difficulty = DIFFICULTY) -> tuple[NDArray[np.uint8], NDArray[np.int64], Floats]:
    """`n` images (n, side, side, 3), their labels (n,) and radii (n,), these in fractions of the side.

    A function of (seed, chunk index) only, and the first images of a longer set are the shorter set. Classes take
    turns, so that any prefix is balanced.
    """
    images = np.empty((n, side, side, 3), np.uint8)
    labels = np.arange(n, dtype=np.int64) % len(classes)
    radius = np.empty(n, np.float32)
    for start, rng, shapes in _chunks(n, seed, classes):
        drawn, sizes = _chunk(rng, shapes, side, difficulty)
        images[start:start + CHUNK], radius[start:start + CHUNK] = drawn[:n - start], sizes[:n - start]
    return images, labels, radius


def _chunks(n: int, seed: int, classes: tuple[str, ...]) -> Iterator[tuple[int, np.random.Generator, list[str]]]:
    """Where each begins, what it draws from, and its shapes. Whole chunks, also the last: what is drawn for an image
    must not depend on where the set ends."""
    for index, start in enumerate(range(0, n, CHUNK)):
        yield (start, np.random.default_rng([seed, index]),
               [classes[i % len(classes)] for i in range(start, start + CHUNK)])


def boxes(n: int, seed: int, side: int, classes: tuple[str, ...] = tuple(SHAPES),
          difficulty: Difficulty = DIFFICULTY) -> NDArray[np.int64]:
    """Around the objects of the images that `generate` gives, (n, 4): x0 y0 x1 y1 in px, corners included, of the
    pixels that an object covers by half or more."""
    found = np.empty((n, 4), np.int64)
    for start, rng, shapes in _chunks(n, seed, classes):
        inside = _alpha(shapes, side, *_placed(_uniform(rng, len(shapes)), difficulty)) >= 0.5
        rows, columns = (np.asarray(inside.any(axis)) for axis in (2, 1))
        box = [columns.argmax(1), rows.argmax(1), side - 1 - columns[:, ::-1].argmax(1),
               side - 1 - rows[:, ::-1].argmax(1)]
        found[start:start + CHUNK] = np.stack(box, 1)[:n - start]
    return found


@lru_cache(maxsize=4)
def split(n: int, seed: int, side: int, classes: tuple[str, ...]) -> tuple[
        NDArray[np.uint8], NDArray[np.int64], Floats]:
    """`generate`, remembered: the studies of one process ask for the same few sets again and again."""
    return generate(n, seed, side, classes)
