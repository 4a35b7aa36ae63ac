"""Any folder of images: PATH/train/<class>/* with PATH/val/<class>/*, or PATH/<class>/* split 80 to 20 within a class.

An experiment's address must not say where a folder lies, or the same images on another machine would be another
experiment. So the value holds a digest of what is in the folder, and where such a folder was last seen is a line of
text in `folders/<digest>` beside the data. Ask once for `folder:PATH` on each machine; from then on its runs are found
and trained by their address. A folder that has changed since is refused, not quietly used.
"""
from __future__ import annotations

import random
from pathlib import Path

from replication import files, paths
from replication.data.listing import Listing, digest
from replication.errors import BadInput

SUFFIXES = (".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
VAL_SHARE = 0.2


def read(path: str | Path) -> Listing:
    """The image files of a folder, sorted by name within each class. Raises BadInput where there is no set in it."""
    root = Path(path).expanduser().resolve()
    if not str(path) or not root.is_dir():
        raise BadInput(f"There is no folder '{path}'; give folder:PATH with PATH/<class>/<images> in it.")
    if (root / "train").is_dir() or (root / "val").is_dir():
        train, val = _classes(root / "train"), _classes(root / "val")
        if train.keys() != val.keys():
            odd = sorted(train.keys() ^ val.keys())[0]
            raise BadInput(f"The class '{odd}' is in only one of {root}/train and {root}/val; it must be in both.")
    else:
        whole = _classes(root)
        split = {name: _split(root / name, files) for name, files in whole.items()}
        train, val = {n: s[0] for n, s in split.items()}, {n: s[1] for n, s in split.items()}
    if len(train) < 2:
        raise BadInput(f"{root} holds {len(train) or 'no'} class{'' if len(train) == 1 else 'es'}, a folder of images "
                       f"each; at least two are needed.")
    classes = tuple(sorted(train))
    lists = tuple(tuple(train[c]) for c in classes), tuple(tuple(val[c]) for c in classes)
    files = sorted(f for groups in lists for group in groups for f in group)
    content = digest(f"{f.relative_to(root).as_posix()} {f.stat().st_size}" for f in files)
    return Listing(root, classes, *lists, content)


def remember(listing: Listing) -> None:
    """Notes where the folder of this content lies. Raises BadInput where the note cannot be written."""
    note = paths.data() / "folders" / listing.content
    try:
        files.write(note, f"{listing.root}\n")
    except OSError as error:
        raise BadInput(f"{note} cannot be written ({error.strerror}); set REPLICATION_DATA to a folder of yours with "
                       f"some space.") from error


def find(content: str) -> Listing:
    """The folder of this content, where it was last seen. Raises BadInput if it is not there or has changed."""
    note = paths.data() / "folders" / content
    if not note.is_file():
        raise BadInput(f"No folder of content {content} has been seen here; ask once for folder:PATH with the PATH it "
                       f"has on this machine.")
    path = note.read_text().rstrip("\n")
    listing = read(path)
    if listing.content != content:
        raise BadInput(f"{path} is not what it was: its content is {listing.content}, not {content}; ask for "
                       f"folder:{path} again, as another experiment.")
    return listing


def _classes(root: Path) -> dict[str, list[Path]]:
    if not root.is_dir():
        raise BadInput(f"{root} is missing; a folder needs both train/ and val/, or neither.")
    found = {}
    try:
        for folder in sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")):
            found[folder.name] = sorted(f for f in folder.iterdir()
                                        if f.suffix.lower() in SUFFIXES and not f.name.startswith("."))
            if not found[folder.name]:
                raise BadInput(f"{folder} holds no images ({', '.join(SUFFIXES)}).")
            missing = next((f for f in found[folder.name] if not f.is_file()), None)
            if missing:
                raise BadInput(f"{missing} is not a file or leads nowhere; remove it.")
    except OSError as error:
        raise BadInput(f"{root} cannot be read ({error}).") from error
    return found


def _split(folder: Path, files: list[Path]) -> tuple[list[Path], list[Path]]:
    if len(files) < 2:
        raise BadInput(f"{folder} holds one image; a class needs at least two, one to train and one to validate.")
    val = set(random.Random(0).sample(files, max(1, round(VAL_SHARE * len(files)))))
    return [f for f in files if f not in val], sorted(val)
