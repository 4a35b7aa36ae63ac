"""Tables and their checksums: whatever differs from what was written is refused, in a sentence that names the file."""
from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from replication import checked, files, paths
from replication.errors import BadInput
from replication.pages import publish
from replication.studies import profiles

TEXT = "device,ms,utc\nx,1.25,2026-05-01\ny,2.5,2026-05-02\nz,3.75,2026-05-03\n"
CHANGES = {"another digit": TEXT.replace("2.5", "2.6"), "a line less": TEXT.replace("y,2.5,2026-05-02\n", ""),
           "its first line less": TEXT.partition("\n")[2], "its last line less": TEXT[:TEXT.index("z")],
           "a line twice": TEXT + "z,3.75,2026-05-03\n",
           "another order": "".join(sorted(TEXT.splitlines(True), reverse=True)),
           "cut": TEXT[:40], "cut by a byte": TEXT[:-1], "empty": "", "carriage returns": TEXT.replace("\n", "\r\n")}


@pytest.fixture
def table(out: Path) -> Path:
    checked.write(out / "tables" / "bench-x.csv", TEXT)
    return out / "tables" / "bench-x.csv"


def test_a_table_comes_back_with_its_sum_beside_it_as_sha256sum_writes_it(table: Path) -> None:
    assert checked.content(table).decode() == TEXT
    assert list(checked.read(table).ms) == [1.25, 2.5, 3.75]
    assert sorted(path.name for path in table.parent.iterdir()) == ["bench-x.csv", "bench-x.csv.sha256"]
    assert table.with_name("bench-x.csv.sha256").read_text() == (
        f"{hashlib.sha256(TEXT.encode()).hexdigest()}  bench-x.csv\n")


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_one_is_refused(table: Path, change: str) -> None:
    table.write_text(CHANGES[change], newline="")
    with pytest.raises(BadInput, match=rf"{re.escape(str(table))} is not what was written there.*take both from git\."):
        checked.read(table)
    checked.write(table, TEXT)  # measured again
    assert checked.content(table).decode() == TEXT


def test_one_without_a_sum_is_read_as_it_stands(table: Path) -> None:
    table.with_name("bench-x.csv.sha256").unlink()
    table.write_text(CHANGES["another digit"])
    assert list(checked.read(table).ms) == [1.25, 2.6, 3.75]
    table.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(BadInput, match="is no table"):
        checked.read(table)


@pytest.mark.parametrize("said", [b"", b"\xff\x00", b"0123  bench-x.csv\n"])
def test_a_damaged_sum_refuses_its_table(table: Path, said: bytes) -> None:
    table.with_name("bench-x.csv.sha256").write_bytes(said)
    with pytest.raises(BadInput, match=r"by its checksum in bench-x\.csv\.sha256"):
        checked.read(table)


def test_killed_between_table_and_sum_leaves_what_is_read(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt
    monkeypatch.setattr(files, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        checked.write(table, CHANGES["another digit"])
    assert list(checked.read(table).ms) == [1.25, 2.6, 3.75]


def test_a_table_that_is_being_written_is_read_once_it_is(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another writes between the reading of a table and of its sum."""
    told, writes = checked._told, iter([CHANGES["another digit"]])

    def meanwhile(path: Path) -> str | None:
        for content in writes:
            checked.write(path, content)
        return told(path)

    monkeypatch.setattr(checked, "_told", meanwhile)
    assert list(checked.read(table).ms) == [1.25, 2.6, 3.75]


def test_published_it_is_checked_first_and_one_of_before_is_given_a_sum(
        table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "results"
    monkeypatch.setattr(paths, "PUBLISHED", there)
    monkeypatch.setattr(publish.study, "of_profile", lambda _: [])
    monkeypatch.setattr(publish.study, "stored", lambda *_: None)
    monkeypatch.setattr(publish.provenance, "collect", lambda: {"dirty": False})
    monkeypatch.setattr(publish.figures, "learning_curves", lambda _: None)
    table.with_name("images-x.csv").write_text("file\n1.JPEG\n")
    publish.publish(profiles.profile("cpu"))
    assert {path.name for path in (there / "tables").iterdir()} == {
        "bench-x.csv", "bench-x.csv.sha256", "images-x.csv", "images-x.csv.sha256"}
    assert checked.content(there / "tables" / "bench-x.csv").decode() == TEXT
    table.write_text(CHANGES["another digit"])
    with pytest.raises(BadInput, match="is not what was written there"):
        publish.publish(profiles.profile("cpu"))
    assert checked.content(there / "tables" / "bench-x.csv").decode() == TEXT


def test_every_published_table_has_its_sum() -> None:
    """A table put there by hand needs `sha256sum x.csv > x.csv.sha256`."""
    place = paths.PUBLISHED / "tables"
    tables = sorted(path.name for path in place.glob("*.csv"))
    assert tables
    assert sorted(path.name for path in place.glob("*.sha256")) == [f"{name}.sha256" for name in tables]
    for name in tables:
        assert checked.content(place / name)
