"""Which images or sounds, and what is done to them on their way into a network: frozen values, no torch."""
from __future__ import annotations

from dataclasses import dataclass


# -- data, recipe, experiment --------------------------------------------------------------------------------------
@dataclass(frozen=True)
class LogMel:
    """What a network hears: log energies in `mels` bands of the mel scale from `low` to `high` Hz, every `hop` ms over
    a Hann window of `window` ms of sound at `rate` Hz; with `mfcc`, that many of their cepstral coefficients.
    Energies below `floor` (of samples in ±1) count as silence, whose features are 0. With `centred`, the mean of every
    recording is taken off first; with `loudest`, of what is longer than a second the loudest one is kept, without it
    the middle one; with `peak`, every second is then made as loud as it can be."""
    rate: int
    window: int = 40
    hop: int = 20
    mels: int = 80
    mfcc: int | None = None
    low: float = 20.0
    high: float = 7000.0
    floor: float = 1e-4
    peak: bool | None = None
    loudest: bool | None = None
    centred: bool | None = None

    @property
    def samples(self) -> tuple[int, int]:
        """Of the window and of the hop."""
        return self.rate * self.window // 1000, self.rate * self.hop // 1000

    @property
    def frames(self) -> int:
        """Windows that fit into one second, the length every recording is brought to."""
        window, hop = self.samples
        return (self.rate - window) // hop + 1

    @property
    def features(self) -> int:
        """Numbers a frame: the channels a network takes."""
        return self.mels if self.mfcc is None else self.mfcc


@dataclass(frozen=True)
class Data:
    """Which images; `None` is "all there are". `content` is a digest where the name does not say what is in it.
    Of sound, `resolution` is the frames a second that `features` give, and `held` what validation holds out: speakers
    of FSDD, official lists of Speech Commands. `part`: None is what verdicts are made of, "pilot" what settings are
    chosen on, whose validation images are no others' (see `subset.pilot`)."""
    name: str
    resolution: int
    classes: int | None = None
    train_images: int | None = None
    val_images: int | None = None
    content: str | None = None
    features: LogMel | None = None
    held: tuple[str, ...] | None = None
    part: str | None = None


@dataclass(frozen=True)
class RandomCrop:
    """A square of `size` px at a uniform position, after `pad` px of zeros a side; the centre square in evaluation."""
    size: int
    pad: int = 0


@dataclass(frozen=True)
class Flip:
    """Mirrored left to right with probability one half."""


@dataclass(frozen=True)
class TimeShift:
    """Sound earlier or later by a whole number of frames, uniform up to `frames` each way; silence comes in."""
    frames: int


@dataclass(frozen=True)
class AreaCrop:
    """V1 §6: a box of `area` of the image, evenly, and of an `aspect` (width over height), evenly in its logarithm, at
    a uniform position, resized to a square of `size` px; the centre square of 7/8 of the short side in evaluation.

    `interpolation`: which of the four of V1 §6 to draw from, each image its own. They are torch's F.interpolate
    (align_corners=False) on the box alone: none looks beyond it, and only "area" averages where it makes smaller.
    """
    size: int
    area: tuple[float, float] = (0.08, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: tuple[str, ...] = ("bilinear",)


@dataclass(frozen=True)
class Photometric:
    """V1 §6's distortions "by Andrew Howard" (arXiv 1312.5402, §2.2): brightness, contrast and colour in an order of
    the image's own, each by a factor between `low` and `high` (1 changes nothing, as PIL's ImageEnhance), then
    Krizhevsky's lighting (AlexNet §4.1): along each principal axis of colour N(0, `lighting`²) times its variance."""
    low: float = 0.5
    high: float = 1.5
    lighting: float = 0.1


Augmentation = RandomCrop | Flip | AreaCrop | Photometric | TimeShift
