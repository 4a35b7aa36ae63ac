"""Which recordings: the Free Spoken Digit Dataset and Speech Commands, in their official layouts.

    fsdd/recordings/<digit>_<speaker>_<number>.wav                          8 kHz, six speakers, 50 of every digit each
    speech-commands/<word>/<speaker>_nohash_<number>.wav                    16 kHz, 35 words
    speech-commands/{validation,testing}_list.txt                           <word>/<file>, no speaker of training
    speech-commands/_background_noise_/*.wav                                a minute or so each

FSDD is split by speaker, for a split of its recordings hears in training the voices it is validated on. So does the one
that its readme calls official, recordings 0 to 4 of everybody to test by: it is held=("mixed",).

Speech Commands (Warden, arXiv 1804.03209) has twelve labels, in the proportions of TensorFlow's input_data.py: ten
words, *unknown* and *silence*, each of these two a tenth of the words' number, rounded up. Unknown are other words.
Silence is a second of noise as recorded, where TensorFlow mixes it quietly into zeros and into words; one of the six
noises is validation's alone. Nothing is drawn: wherever some of many are taken, they are the first by a digest of their
names.

A whole set has no digest in its value: its name says it all. FSDD is told by what its recordings hold. What those of
Speech Commands hold nobody publishes: it is told by its archive's checksum where it was unpacked from it here, and
otherwise by the numbers of its recordings, as long as it stays what it was when it was first read here.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from replication import paths
from replication.data import content
from replication.data.listing import digest, tell_left, visible
from replication.data.spec import LogMel
from replication.errors import BadInput

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
PER_DIGIT = 50  # recordings of every digit by every speaker
FSDD = "f4360af40513"  # its recordings' identity, of release 1.0.10
MIXED, TESTED = "mixed", 5  # of these its readme sets the first aside, of every digit and speaker, to test by

# As split by its lists: training, validation, testing. A row adds up to the paper's number of recordings of that word.
WORDS = {
    "yes": (3228, 397, 419), "no": (3130, 406, 405), "up": (2948, 350, 425), "down": (3134, 377, 406),
    "left": (3037, 352, 412), "right": (3019, 363, 396), "on": (3086, 363, 396), "off": (2970, 373, 402),
    "stop": (3111, 350, 411), "go": (3106, 372, 402),
}
LISTS = ("validation", "testing")
NOISE, VAL_NOISE = "_background_noise_", "running_tap.wav"


class Clip(NamedTuple):
    """A recording; of a long one, the second that begins at this fraction of what leaves room for it."""
    path: Path
    at: float | None = None


Groups = tuple[tuple[Clip, ...], ...]


class Recordings(NamedTuple):
    """`train[c]` and `val[c]` are the recordings of class c, in the order in which a smaller set takes them; `files`
    are all that it is made of. `whole`: whether there are as many as there should be. `content` is None of the whole
    set, whose name says it all; of a part of it, or of another one, what is in it."""
    classes: tuple[str, ...]
    train: Groups
    val: Groups
    files: tuple[Path, ...]
    whole: bool
    content: str | None = None


Counts = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class Layout:
    """A set: where it is from (`inside`: its folder in the archive, "" for all of it), what it sounds like unless said
    otherwise, what may be held out of training, what is in all of it where that is known, and how its recordings are
    found or, where it is not here, counted."""
    url: str
    md5: str | None
    inside: str
    features: LogMel
    held: tuple[str, ...]
    content: str | None
    find: Callable[[Path, tuple[str, ...]], Recordings]
    count: Callable[[tuple[str, ...]], Counts]


def root(name: str) -> Path:
    return paths.data() / name


def obtain(name: str) -> None:
    """Downloads and unpacks the set if it is not there. Raises BadInput (see `download`)."""
    if not root(name).is_dir():
        from replication.data import download  # what follows is not needed to name a set

        download.obtain(SETS[name].url, SETS[name].md5, root(name), SETS[name].inside)
        if SETS[name].md5:
            content.unpacked(name, _identity(root(name), read(name, SETS[name].held)))


def read(name: str, held: tuple[str, ...]) -> Recordings:
    """The recordings that are there. Raises BadInput where the layout is not the official one, where a class has none
    to train or none to validate, and for something to hold out that there is not."""
    top = root(name)
    try:
        folders = [top, *(Path(e.path) for e in visible(top) if e.is_dir())]
        # A folder's time changes when a file comes or goes.
        found = _read(name, top, held, tuple(f.stat().st_mtime_ns for f in folders), _lists(top))
    except OSError as error:
        raise BadInput(f"{top} cannot be read ({error}); unpack {SETS[name].url} again.") from error
    of = _identity(top, found)
    if found.whole:
        known = SETS[name].content
        if of == known if known else content.official(name, of):
            return found
        content.tell_other(top)
    return found._replace(content=of)


def _identity(top: Path, found: Recordings) -> str:
    return content.identity(top, ((found.files,),), lambda path: path.relative_to(top).as_posix())


def _lists(top: Path) -> tuple[bytes, ...]:
    """The lists of what is held out, which may be changed while their folder's time is not."""
    return tuple(path.read_bytes() for name in LISTS if (path := top / f"{name}_list.txt").is_file())


def numbers(name: str, held: tuple[str, ...]) -> tuple[Counts, str | None]:
    """Recordings of every class in training and validation, and `content`: of what is there, or of the whole set."""
    if not root(name).is_dir():
        return SETS[name].count(held), None
    found = read(name, held)
    return (tuple(map(len, found.train)), tuple(map(len, found.val))), found.content


@lru_cache(maxsize=4)
def _read(name: str, top: Path, held: tuple[str, ...], stamp: tuple[int, ...], lists: tuple[bytes, ...]) -> Recordings:
    """Without its content."""
    found = SETS[name].find(top, held)
    for part, groups in (("train", found.train), ("validate", found.val)):
        empty = [c for c, group in zip(found.classes, groups, strict=True) if not group]
        if empty:
            raise BadInput(f"{top} holds nothing to {part} of {', '.join(empty[:3])}, with {', '.join(held)} held out; "
                           f"unpack {SETS[name].url} there, or hold out less.")
    return found


def _chosen(held: Iterable[str], valid: Iterable[str], what: str) -> None:
    valid = list(valid)
    wrong = [h for h in held if h not in valid]
    if wrong:
        raise BadInput(f"held names the {what} '{wrong[0]}'; there are {', '.join(valid)}.")


# -- FSDD ----------------------------------------------------------------------------------------------------------
def _mixed(held: tuple[str, ...], speakers: Iterable[str]) -> bool:
    """Whether all speakers are on both sides. Raises BadInput for what is neither that nor a choice of speakers."""
    if MIXED not in held:
        _chosen(held, speakers, "speaker")
    elif len(held) > 1:
        raise BadInput(f"held={held}: '{MIXED}' holds out recordings of every speaker; give it alone, or speakers.")
    return MIXED in held


def _digits(top: Path, held: tuple[str, ...]) -> Recordings:
    clips: dict[tuple[str, int, str], Clip] = {}
    entries = visible(top / "recordings")
    tell_left(top, [e.path for e in entries if not e.name.endswith(".wav")])
    for file in (Path(e.path) for e in entries):
        digit, _, rest = file.stem.partition("_")
        speaker, _, number = rest.rpartition("_")
        if file.suffix == ".wav":
            if not (digit.isdecimal() and speaker and number.isdecimal()):
                raise BadInput(f"{file} is not named <digit>_<speaker>_<number>.wav; rename or remove it.")
            if twin := clips.get(key := (digit, int(number), speaker)):
                raise BadInput(f"{file} has the number of {twin.path.name}; rename or remove one of them.")
            clips[key] = Clip(file)
    speakers = sorted({speaker for _, _, speaker in clips})
    mixed = _mixed(held, speakers)
    if not set(speakers) - set(held):
        raise BadInput(f"{top} has the speakers {', '.join(speakers)}, and held leaves none of them for training.")
    classes = tuple(sorted({digit for digit, _, _ in clips}))

    def part(in_val: bool) -> Groups:  # speakers take turns
        return tuple(tuple(clips[c, n, speaker] for digit, n, speaker in sorted(clips) if digit == c
                           and (n < TESTED if mixed else speaker in held) == in_val) for c in classes)

    whole = {(str(d), n, s) for d in range(10) for n in range(PER_DIGIT) for s in SPEAKERS}
    return Recordings(classes, part(False), part(True), tuple(sorted(clip.path for clip in clips.values())),
                      clips.keys() == whole)


def _count_digits(held: tuple[str, ...]) -> Counts:
    if _mixed(held, SPEAKERS):
        return (len(SPEAKERS) * (PER_DIGIT - TESTED),) * 10, (len(SPEAKERS) * TESTED,) * 10
    return ((len(SPEAKERS) - len(held)) * PER_DIGIT,) * 10, (len(held) * PER_DIGIT,) * 10


# -- Speech Commands -----------------------------------------------------------------------------------------------
def _commands(top: Path, held: tuple[str, ...]) -> Recordings:
    _chosen(held, LISTS, "list")
    lists = {name: set((top / f"{name}_list.txt").read_text().split()) for name in LISTS}
    folders = [e.name for e in visible(top) if e.is_dir() and not e.name.startswith("_")]
    there = {name: visible(top / name) for name in (*folders, NOISE)}
    tell_left(top, [e.path for word in folders for e in there[word] if not e.name.endswith(".wav")])
    files = {word: [f"{word}/{e.name}" for e in there[word] if e.name.endswith(".wav")] for word in folders}
    if missing := [word for word in WORDS if word not in files]:
        raise BadInput(f"{top} has no folder '{missing[0]}'; unpack {SETS['speech-commands'].url} there.")
    noises = [e.name for e in there[NOISE] if e.name.endswith(".wav")]
    listed, val = set().union(*lists.values()), set().union(*(lists[name] for name in held))

    def part(keep: Callable[[str], bool], noises: list[str]) -> Groups:
        kept = {word: sorted(filter(keep, names), key=lambda name: digest([name])) for word, names in files.items()}
        share = _tenth(sum(len(kept[word]) for word in WORDS))
        others = sorted((n for word, names in kept.items() if word not in WORDS for n in names),
                        key=lambda name: digest([name]))[:share]
        words = [tuple(Clip(top / name) for name in names) for names in (*(kept[w] for w in WORDS), others)]
        return *words, _silence([top / NOISE / name for name in noises], share)

    train = part(lambda name: name not in listed, [n for n in noises if n != VAL_NOISE])
    held_out = part(lambda name: name in val, [n for n in noises if n == VAL_NOISE])
    counts = tuple(map(len, train)), tuple(map(len, held_out))
    every = (*(f"{name}_list.txt" for name in LISTS), *(name for names in files.values() for name in sorted(names)),
             *(f"{NOISE}/{name}" for name in noises))
    return Recordings((*WORDS, "unknown", "silence"), train, held_out, tuple(top / name for name in every),
                      counts == _count_commands(held))


def _silence(noises: list[Path], n: int) -> tuple[Clip, ...]:
    """`n` seconds, the noises in turn, evenly spaced in each; they may overlap."""
    rounds = -(-n // max(1, len(noises)))
    return tuple(Clip(noise, (i + 0.5) / rounds) for i in range(rounds) for noise in noises)[:n]


def _count_commands(held: tuple[str, ...]) -> Counts:
    _chosen(held, LISTS, "list")

    def part(columns: list[int]) -> tuple[int, ...]:
        words = tuple(sum(row[c] for c in columns) for row in WORDS.values())
        return *words, *(_tenth(sum(words)),) * 2

    return part([0]), part([1 + LISTS.index(name) for name in held])


def _tenth(n: int) -> int:
    return -(-n // 10)


SETS = {
    # GitHub makes the archive anew at will, so it has no checksum to rely on; a zip checks its own entries. Two of the
    # six speakers were recorded 15 dB below the others: hence `peak`; one with an offset: `centred`. Two recordings
    # hold nothing in their middle second: `loudest`. The two held out are the easiest pair (the page on keywords has
    # all six); they stay, since published addresses hold them.
    "fsdd": Layout("https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip", None,
                   "free-spoken-digit-dataset-1.0.10",
                   LogMel(rate=8000, mels=40, mfcc=30, high=3800.0, peak=True, loudest=True, centred=True),
                   ("theo", "yweweler"), FSDD,
                   _digits, _count_digits),
    # The published accuracies are on the testing list, held=("testing",); the validation list is for choosing settings.
    # Neither list is ever trained on.
    "speech-commands": Layout(
        "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
        "6b74f3901214cb2c2934e98196829835", "", LogMel(rate=16000, mels=80, mfcc=30), ("validation",), None,
        _commands, _count_commands),
}
