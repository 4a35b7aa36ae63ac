"""Any folder of images: PATH/train/<class>/* with PATH/val/<class>/*, or PATH/<class>/* split 80 to 20 within a class.

Images of a class may lie in folders within its folder, as torchvision's ImageFolder has it. Which files are images,
their suffixes say; what is none is counted and said, and what is a picture that Pillow does not read is refused. What
begins with a dot, or is litter (see `listing.hidden`), is passed over.

An experiment's address must not say where a folder lies, or the same images on another machine would be another
experiment. So the value holds a digest of what its images are called and hold (see `content`), and where such a folder
was last seen is a line of text in `folders/<digest>` beside the data. Ask once for `folder:PATH` on each machine; from
then on its runs are found and trained by their address. A folder that has changed since is refused, not quietly used.
"""
from __future__ import annotations

import os
import random
from pathlib import Path

from replication import files, paths
from replication.data import content
from replication.data.listing import Listing, below, skips, tell_left, visible
from replication.errors import BadInput

# Pillow's kinds of pixels; what it is in truth the content of a file says.
SUFFIXES = (".apng", ".avif", ".avifs", ".blp", ".bmp", ".bw", ".cur", ".dcx", ".dds", ".dib", ".flc", ".fli", ".ftc",
            ".ftu", ".gbr", ".gif", ".icb", ".icns", ".ico", ".im", ".j2c", ".j2k", ".jfif", ".jp2", ".jpc", ".jpe",
            ".jpeg", ".jpf", ".jpg", ".jpx", ".mpo", ".msp", ".pbm", ".pcd", ".pcx", ".pfm", ".pgm", ".png", ".pnm",
            ".ppm", ".psd", ".pxr", ".qoi", ".ras", ".rgb", ".rgba", ".sgi", ".tga", ".tif", ".tiff", ".vda", ".vst",
            ".webp", ".xbm", ".xpm")
# Pictures that it needs other programs for, or does not know.
OTHERS = (".arw", ".cr2", ".cr3", ".dng", ".emf", ".eps", ".exr", ".fit", ".fits", ".hdr", ".heic", ".heif", ".hif",
          ".jxl", ".jxr", ".nef", ".orf", ".palm", ".pdf", ".ps", ".raf", ".raw", ".rw2", ".svg", ".wmf", ".xcf")
PARTS = ("dev", "eval", "test", "testing", "train", "training", "val", "valid", "validation")
VAL_SHARE = 0.2


def read(path: str | Path) -> Listing:
    """The image files of a folder, sorted by name within each class. Raises BadInput where there is no set in it."""
    root = Path(path).expanduser().resolve()
    if not str(path) or not root.is_dir():
        raise BadInput(f"There is no folder '{path}'; give folder:PATH with PATH/<class>/<images> in it.")
    left: list[str] = []
    if _parted(root):
        train, val = _classes(root / "train", left), _classes(root / "val", left)
        left += [e.path for part in visible(root) if part.is_dir() and part.name not in ("train", "val")
                 for e in below(part.path)]
        if train.keys() != val.keys():
            odd = sorted(train.keys() ^ val.keys())[0]
            raise BadInput(f"The class '{odd}' is in only one of {root}/train and {root}/val; it must be in both.")
    else:
        whole = _classes(root, left)
        split = {name: _split(root / name, files) for name, files in whole.items()}
        train, val = {n: s[0] for n, s in split.items()}, {n: s[1] for n, s in split.items()}
    if len(train) < 2:
        raise BadInput(f"{root} holds {len(train) or 'no'} class{'' if len(train) == 1 else 'es'}, a folder of images "
                       f"each; at least two are needed.")
    tell_left(root, left)
    classes = tuple(sorted(train))
    lists = tuple(tuple(train[c]) for c in classes), tuple(tuple(val[c]) for c in classes)
    found = content.identity(root, lists, lambda file: file.relative_to(root).as_posix())
    return Listing(root, classes, *lists, found, len(left))


def remember(listing: Listing) -> None:
    """Notes where the folder of this content lies. Raises BadInput where the note cannot be written."""
    if _noted(listing.content) == f"{listing.root}":
        return
    note = paths.kept("folders") / listing.content
    try:
        files.write(note, f"{listing.root}\n")
    except OSError as error:
        raise BadInput(f"{note} cannot be written ({error.strerror}); set REPLICATION_DATA to a folder of yours with "
                       f"some space.") from error


def find(content: str) -> Listing:
    """The folder of this content, where it was last seen. Raises BadInput if it is not there or has changed."""
    path = _noted(content)
    if path is None:
        raise BadInput(f"No folder of content {content} has been seen here; ask once for folder:PATH with the PATH it "
                       f"has on this machine.")
    listing = read(path)
    if listing.content != content:
        raise BadInput(f"{path} is not what it was: its content is {listing.content}, not {content}; ask for "
                       f"folder:{path} again, as another experiment.")
    return listing


def _noted(content: str) -> str | None:
    notes = (place / content for place in paths.found("folders"))
    return next((note.read_text(encoding="utf-8").rstrip("\n") for note in notes if note.is_file()), None)


def _parted(root: Path) -> bool:
    """Whether it is parted into train/ and val/, rather than that a class is called so. Raises BadInput where it is
    parted in another way, whose parts would be taken for classes."""
    try:
        folders = [Path(e.path) for e in visible(root) if e.is_dir()]
        own = {f.name: [e for e in visible(f) if _image(e.name) and not e.is_dir()] for f in folders}
        parts = [f.name for f in folders if f.name.lower() in PARTS and not own[f.name]
                 and any(e.is_dir() for e in visible(f))]
    except OSError as error:
        raise BadInput(f"{root} cannot be read ({error}).") from error
    named, some = own.keys() & {"train", "val"}, any(own.values())
    if (named & set(parts) and (len(named) == 2 or not some)) or (len(named) == 2 and own.keys() <= set(PARTS)):
        return True
    if parts and not some:
        raise BadInput(f"{root} holds {', '.join(f'{name}/' for name in sorted(own))}; a folder needs both train/ and "
                       f"val/, with a folder for each class in them, or neither.")
    return False


def _image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _classes(root: Path, left: list[str]) -> dict[str, list[Path]]:
    """The images of each class; whatever else is among them is added to `left`."""
    if not root.is_dir():
        raise BadInput(f"{root} is missing; a folder needs both train/ and val/, or neither.")
    found: dict[str, list[Path]] = {}
    try:
        for folder in visible(root):
            if not folder.is_dir():
                if not os.path.exists(folder.path):
                    raise BadInput(f"{folder.path} leads nowhere; remove it, or mend it if it is to be a class.")
                if _image(folder.name):
                    left.append(folder.path)
                continue
            images = found[folder.name] = []
            for entry in below(folder.path):
                if _image(entry.name):
                    if not entry.is_file():
                        raise BadInput(f"{entry.path} is not a file or leads nowhere; remove it.")
                    images.append(Path(entry.path))
                elif entry.name.lower().endswith(OTHERS) and not skips():
                    raise BadInput(f"{entry.path} is a picture of a kind that is not read; convert it, to PNG say, "
                                   f"remove it, or set REPLICATION_SKIP_BAD=1 to go on without such pictures.")
                else:
                    left.append(entry.path)
            if not images:
                raise BadInput(f"{folder.path} holds no images ({', '.join(SUFFIXES)}).")
            images.sort()
    except OSError as error:
        raise BadInput(f"{root} cannot be read ({error}).") from error
    return found


def _split(folder: Path, files: list[Path]) -> tuple[list[Path], list[Path]]:
    if len(files) < 2:
        raise BadInput(f"{folder} holds one image; a class needs at least two, one to train and one to validate.")
    val = set(random.Random(0).sample(files, max(1, round(VAL_SHARE * len(files)))))
    return [f for f in files if f not in val], sorted(val)
