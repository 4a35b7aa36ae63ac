"""A web server on this machine, in a process of its own, that behaves as it is told."""
from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ordeal import forked

STALL = 100.0  # seconds for which a server that stalls says nothing


class Server:
    """What it shows lies in a folder: a file a path, with how it behaves beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def show(self, path: str, content: bytes, **how: Any) -> None:
        """`how`: status, a Location to `redirect` to, `cut` after so many bytes of each answer, `stall` after so many
        of the first, no `ranges`."""
        (self.folder / _key(path)).write_bytes(content)
        (self.folder / f"{_key(path)}.json").write_text(json.dumps(how))


def _key(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()


@contextmanager
def serving() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        made = Server(Path(folder))
        http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made))
        made.port = http.server_port
        child = forked.Child(lambda: http.serve_forever(0.05))
        http.server_close()
        try:
            yield made
        finally:
            child.kill()
            child.wait()


def _handler(shown: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            file = shown.folder / _key(self.path)
            if not file.exists():
                self.send_error(404)
                return
            how, content = json.loads(file.with_suffix(".json").read_text()), file.read_bytes()
            if "redirect" in how:
                self.send_response(302)
                self.send_header("Location", how["redirect"])
                self.end_headers()
                return
            asked = self.headers.get("Range")
            start = int(asked.split("=")[1].rstrip("-")) if asked and how.get("ranges", True) else 0
            if start and start >= len(content):
                self.send_error(416)
                return
            self.send_response(how.get("status", 206 if start else 200))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            if "stall" in how:
                self.wfile.write(content[start:how["stall"]])
                self.wfile.flush()
                time.sleep(STALL)
                return
            self.wfile.write(content[start:start + how["cut"] if "cut" in how else None])

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
