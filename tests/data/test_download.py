from __future__ import annotations

import errno
import hashlib
import io
import os
import socket
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from replication.data import download
from replication.errors import BadInput

CONTENT = bytes(range(256)) * 12_000  # 3 MB
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server:
    """A web server on this machine whose answers a test decides; `asked` keeps the Range headers it was sent."""

    def __init__(self) -> None:
        self.content, self.cut_after, self.ranges, self.asked = CONTENT, [], True, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path != "/set.zip":
                    self.send_error(404)
                    return
                asked = self.headers.get("Range")
                outer.asked.append(asked)
                start = int(asked.split("=")[1].rstrip("-")) if asked and outer.ranges else 0
                if start and start >= len(outer.content):
                    self.send_error(416)
                    return
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(outer.content) - 1}/{len(outer.content)}")
                self.send_header("Content-Length", str(len(outer.content) - start))
                self.end_headers()
                end = start + outer.cut_after.pop(0) if outer.cut_after else None
                self.wfile.write(outer.content[start:end])

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/set.zip"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.http.shutdown()
    made.http.server_close()
    thread.join()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "set.zip"


def test_whole_and_only_once(server, target):
    download.fetch(server.url, target, MD5)
    download.fetch(server.url, target, MD5)
    assert target.read_bytes() == CONTENT
    assert server.asked == [None]
    assert [p.name for p in target.parent.iterdir() if p.is_file()] == ["set.zip"]


def test_without_a_checksum(server, target):
    for _ in range(2):
        download.fetch(server.url, target, None)
    assert target.read_bytes() == CONTENT
    assert server.asked == [None]


def test_goes_on_where_the_connection_was_cut(server, target):
    server.cut_after = [1_000_000, 500_000]
    download.fetch(server.url, target, MD5)
    assert target.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000000-", "bytes=1500000-"]


def test_goes_on_in_another_process(server, target):
    target.with_name("set.zip.part").write_bytes(CONTENT[:2_000_000])
    download.fetch(server.url, target, MD5)
    assert target.read_bytes() == CONTENT
    assert server.asked == ["bytes=2000000-"]


def test_a_part_that_was_whole_already(server, target):
    target.with_name("set.zip.part").write_bytes(CONTENT)
    download.fetch(server.url, target, MD5)
    assert target.read_bytes() == CONTENT


def test_a_server_that_cannot_resume(server, target):
    server.ranges = False
    server.cut_after = [1_000_000]
    download.fetch(server.url, target, MD5)
    assert target.read_bytes() == CONTENT


def test_cut_again_and_again(server, target):
    server.cut_after = [1000, 0, 0, 0]
    with pytest.raises(BadInput, match="what has come so far is kept"):
        download.fetch(server.url, target, MD5)
    assert target.with_name("set.zip.part").stat().st_size == 1000
    server.cut_after = []
    download.fetch(server.url, target, MD5)
    assert target.read_bytes() == CONTENT


def test_a_wrong_checksum(server, target):
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(BadInput, match="its md5 is not") as caught:
        download.fetch(server.url, target, MD5)
    assert str(target) in str(caught.value), "says where to put it by hand"
    assert not list(target.parent.glob("set.zip*")), "the next try starts afresh"


def test_not_found(server, target):
    with pytest.raises(BadInput, match="answers 404") as caught:
        download.fetch(server.url.replace("set", "other"), target, MD5)
    assert "by hand" in str(caught.value)


def test_no_server(target):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(BadInput, match="cannot be reached") as caught:
        download.fetch(f"http://127.0.0.1:{port}/set.zip", target, MD5)
    assert f"at {target} by hand" in str(caught.value)


def test_a_file_put_there_by_hand(server, target):
    target.write_bytes(CONTENT)
    download.fetch(server.url, target, MD5)
    target.write_bytes(CONTENT[:100])
    with pytest.raises(BadInput, match="remove it to have it downloaded"):
        download.fetch(server.url, target, MD5)
    assert target.exists(), "what a reader put there is the reader's"
    assert server.asked == []


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_disk_full_while_downloading(server, target, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(download, "open", full, raising=False)
        with pytest.raises(BadInput, match="is full; free some space"):
            download.fetch(server.url, target, MD5)
    assert not target.exists()
    download.fetch(server.url, target, MD5)


# -- unpacking ----------------------------------------------------------------------------------------------------
def archive(path, entries):
    """A zip or tar, as the suffix says, of {name: content}."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as held:
            for name, content in entries.items():
                held.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz") as tar:
            for name, content in entries.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("name", ["set.zip", "set.tgz"])
def test_unpacked_entirely(tmp_path, name):
    held = archive(tmp_path / name, {"set/a/1.txt": b"one", "set/2.txt": b"", "other.txt": b"left behind"})
    download.unpack(held, tmp_path / "set")
    assert (tmp_path / "set/a/1.txt").read_bytes() == b"one"
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(("set", "other"))) == ["set", name]


@pytest.mark.parametrize("name", ["set.zip", "set.tgz"])
@pytest.mark.parametrize("entry", ["../escaped.txt", "set/../../escaped.txt", "{root}/escaped.txt"])
def test_an_entry_that_would_leave_the_folder(tmp_path, name, entry):
    held = archive(tmp_path / name, {"set/1.txt": b"one", entry.format(root=tmp_path): b"bad"})
    with pytest.raises(BadInput, match="outside"):
        download.unpack(held, tmp_path / "set")
    assert not list(tmp_path.rglob("escaped.txt"))
    assert not (tmp_path / "set").exists()
    assert not (tmp_path / "set.partial").exists()


def test_a_link_in_a_tar(tmp_path):
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        link = tarfile.TarInfo("set/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(link)
    with pytest.raises(BadInput, match="no plain file"):
        download.unpack(tmp_path / "set.tar", tmp_path / "set")


def test_a_file_without_a_name_in_a_zip(tmp_path):
    held = archive(tmp_path / "set.zip", {"set/1.txt": b"one", "": b"bad"})
    with pytest.raises(BadInput, match="without a name"):
        download.unpack(held, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_damaged_and_unexpected_archives(tmp_path):
    (tmp_path / "noise.zip").write_bytes(b"noise" * 100)
    with pytest.raises(BadInput, match="is damaged"):
        download.unpack(tmp_path / "noise.zip", tmp_path / "set")
    whole = archive(tmp_path / "flip.zip", {"set/1.txt": b"0123456789"}).read_bytes()
    (tmp_path / "flip.zip").write_bytes(whole.replace(b"0123456789", b"0123456780"))
    with pytest.raises(BadInput, match="is damaged"):
        download.unpack(tmp_path / "flip.zip", tmp_path / "set")
    with pytest.raises(BadInput, match="holds no folder 'set'"):
        download.unpack(archive(tmp_path / "other.zip", {"other/1.txt": b""}), tmp_path / "set")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(("inside", "found"), [("other", ["2.txt"]), ("", ["other", "set"])])
def test_a_folder_of_another_name_or_all_there_is(tmp_path, inside, found):
    held = archive(tmp_path / "set.zip", {"set/1.txt": b"one", "other/2.txt": b"two"})
    download.unpack(held, tmp_path / "set", inside)
    assert sorted(p.name for p in (tmp_path / "set").iterdir()) == found
    assert not (tmp_path / "set.partial").exists()


def test_disk_full_while_unpacking(tmp_path, monkeypatch):
    held = archive(tmp_path / "set.zip", {"set/1.txt": b"one"})
    monkeypatch.setattr(download.shutil, "copyfileobj", full)
    with pytest.raises(BadInput, match="is full; free some space"):
        download.unpack(held, tmp_path / "set")
    assert not (tmp_path / "set").exists()
    assert not (tmp_path / "set.partial").exists()


def test_obtain_downloads_checks_and_unpacks_once(server, tmp_path):
    held = archive(tmp_path / "made.zip", {"set/1.txt": b"one"})
    server.content = held.read_bytes()
    for _ in range(2):
        download.obtain(server.url, download.checksum(held), tmp_path / "new" / "set")
    assert (tmp_path / "new/set/1.txt").read_bytes() == b"one"
    assert server.asked == [None]


def test_obtain_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="set REPLICATION_DATA"):
        download.obtain("http://127.0.0.1:9/set.zip", MD5, tmp_path / "file" / "set")
