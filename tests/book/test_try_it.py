"""The network that runs in its page: the committed file against the published run, what a build makes of it, and the
page in a real browser."""
from __future__ import annotations

import base64
import contextlib
import functools
import http.server
import importlib.util
import io
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from replication import paths
from replication.pages import try_it

pytestmark = pytest.mark.xdist_group("try_it")  # the runtime is fetched once
BOOK = paths.ROOT / "book"
ABOUT = json.loads((try_it.FOLDER / "network.json").read_text(encoding="utf-8"))
CHROMIUM = shutil.which("chromium")


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


runtime = module(BOOK / "_ext" / "runtime.py")


# -- the committed file -------------------------------------------------------------------------------------------
def test_the_file_is_the_published_run() -> None:
    """Its error on the images that judged the run, all of them, by a runtime that shares no code with torch."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    summary = json.loads((paths.PUBLISHED / "runs" / ABOUT["run"] / "summary.json").read_text(encoding="utf-8"))
    assert ABOUT["error"] == summary["val_error"]
    said = try_it.said()
    assert said is not None
    wrong = said.wrong["main"]
    # of 16-bit weights and images that may differ by a grey level
    assert abs(wrong.sum() - round(len(wrong) * ABOUT["error"])) <= 2
    held = {p.key: p.value for p in onnx.load(try_it.FOLDER / "network.onnx").metadata_props}
    assert {name: held[name] for name in ("run", "commit", "weights")} == {
        name: ABOUT[name] for name in ("run", "commit", "weights")}
    assert json.loads(held["replication"])["classes"] == ABOUT["classes"]
    assert (try_it.FOLDER / "network.onnx").stat().st_size < 1.5e6


def test_what_the_page_says_of_it() -> None:
    pytest.importorskip("onnxruntime")
    said = try_it.said(200)
    found = try_it.numbers(said)
    assert found["published"] == pytest.approx(100 * ABOUT["error"])
    assert "Of 200 drawings" in found["answer"]
    assert "disc" in try_it.by_class(said).to_html()
    assert try_it.numbers(None)["images"] == "–"


def test_the_examples_have_what_torch_says() -> None:
    """Every class once and two mistakes; the logits beside them are those of the file."""
    runtime_ = pytest.importorskip("onnxruntime")
    labels = [example["label"] for example in ABOUT["examples"]]
    assert labels[:len(ABOUT["classes"])] == list(range(len(ABOUT["classes"])))
    session = runtime_.InferenceSession(try_it.FOLDER / "network.onnx", providers=["CPUExecutionProvider"])
    x = np.stack([pixels(n) for n in range(len(labels))]).transpose(0, 3, 1, 2) / 255
    found = session.run([*ABOUT["heads"], "maps"], {"images": ((x - 0.5) / 0.25).astype(np.float32)})
    for head, logits in zip(ABOUT["heads"], found, strict=False):
        np.testing.assert_allclose(logits, [one["logits"][head] for one in ABOUT["examples"]], atol=0.05)
    taken = found[0].argmax(1)
    assert (taken[-2:] != labels[-2:]).all()
    bias = found[0] - found[-1].mean((2, 3))  # a map's mean and the class's bias are the logit
    np.testing.assert_allclose(bias, np.broadcast_to(bias[0], bias.shape), atol=1e-4)


def pixels(n: int) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(ABOUT["examples"][n]["png"]))))


# -- what a build makes of it -------------------------------------------------------------------------------------
def test_a_runtime_that_is_not_the_published_one_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "npm"
    fake.write_text(f"#!/bin/sh\necho other > '{tmp_path / runtime.ARCHIVE}'\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "by its checksum" in runtime.fetch(tmp_path)
    assert not runtime.unpack(tmp_path / runtime.ARCHIVE, tmp_path / "to")
    assert not (tmp_path / "to").exists()
    fake.write_text("#!/bin/sh\necho 'npm error code ENOTFOUND' >&2\nexit 1\n")
    assert runtime.fetch(tmp_path).endswith("npm error code ENOTFOUND")
    fake.unlink()
    assert runtime.fetch(tmp_path) == "there is no npm"


# -- in a browser -------------------------------------------------------------------------------------------------
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


PAGE = """<!doctype html><html lang="en"><title>Try it</title><link rel="stylesheet" href="_static/book.css">
<script src="_static/book.js"></script><main><h1>Try it</h1><div class="try-it" data-try-it><p>Off.</p></div></main>"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page's parts as a book has them, without the book."""
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    pytest.importorskip("playwright")
    if problem := runtime.fetch(paths.ROOT / "build"):
        pytest.skip(f"no onnxruntime-web: {problem}")
    root = tmp_path_factory.mktemp("served")
    shutil.copytree(BOOK / "_static", root / "_static")
    assert runtime.unpack(paths.ROOT / "build" / runtime.ARCHIVE, root / "_static" / "network" / "runtime")
    (root / "index.html").write_text(PAGE)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@contextlib.contextmanager
def opened(address: str, init: str = "", **context: Any) -> Iterator[tuple[Any, list[str]]]:
    """A page, and what it asked for and complained of."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(**context).new_page()
        seen: list[str] = []
        page.on("request", lambda r: None if r.url.startswith((address, "data:", "blob:")) else seen.append(r.url))
        page.on("pageerror", lambda e: seen.append(str(e)))
        page.on("console", lambda m: seen.append(m.text) if m.type == "error" and "favicon" not in str(
            m.location) else None)
        page.add_init_script(init)
        page.set_default_timeout(WAIT)
        page.goto(address)
        yield page, seen
        browser.close()


WAIT = 120_000  # ms at most, for an event


def test_the_page(served: str, tmp_path: Path) -> None:
    with opened(served) as (page, seen):
        page.keyboard.press("Tab")
        assert "Fetch the network" in page.evaluate("document.activeElement.textContent")
        page.keyboard.press("Enter")
        page.wait_for_selector(".try-it-taken", timeout=WAIT)
        host = page.locator(".try-it")

        def logits() -> dict[str, list[float]]:
            return json.loads(host.get_attribute("data-logits"))

        # beside torch, which said what is in network.json
        assert float(host.get_attribute("data-difference")) < 0.05
        for n in (0, 5, len(ABOUT["examples"]) - 1):
            page.evaluate("delete document.querySelector('.try-it').dataset.logits")
            page.locator(".try-it-examples button").nth(n).click()
            page.wait_for_selector(".try-it[data-logits]", timeout=WAIT)
            for head, wanted in ABOUT["examples"][n]["logits"].items():
                np.testing.assert_allclose(logits()[head], wanted, atol=0.05)
            taken = ABOUT["classes"][int(np.argmax(ABOUT["examples"][n]["logits"]["main"]))]
            assert f"Taken for: {taken}" in page.locator(".try-it-status").text_content()
            seen_there = page.locator(".try-it canvas[role=img]")
            assert taken in seen_there.first.get_attribute("aria-label")
            if n == 5:  # a star, above, a little to the right
                assert seen_there.last.get_attribute("aria-label").endswith("hangs on: most at the top middle.")
        columns = page.locator(".try-it-heads thead th").all_text_contents()
        assert columns == ["class", "main head", "head at 4a", "head at 4d"]

        # a picture of one's own, whose squares have the pixels of an example
        Image.fromarray(pixels(7)).resize((576, 576), Image.Resampling.NEAREST).save(tmp_path / "mine.png")
        page.evaluate("delete document.querySelector('.try-it').dataset.logits")
        page.locator("input[type=file]").set_input_files(tmp_path / "mine.png")
        page.wait_for_selector(".try-it[data-logits]", timeout=WAIT)
        np.testing.assert_allclose(logits()["main"], ABOUT["examples"][7]["logits"]["main"], atol=0.5)
        (tmp_path / "none.png").write_text("no picture")
        page.locator("input[type=file]").set_input_files(tmp_path / "none.png")
        page.wait_for_function("document.querySelector('.try-it-status').textContent.includes('cannot read')")

        # drawn by keyboard, and by hand
        for draw in ("keyboard", "mouse"):
            page.get_by_role("button", name="Clear").click()
            page.wait_for_function("document.querySelector('.try-it-status').textContent.startsWith('Taken')")
            empty = page.evaluate("document.querySelector('.try-it-pad canvas').toDataURL()")
            pad = page.locator(".try-it-pad canvas")
            page.evaluate("delete document.querySelector('.try-it').dataset.logits")
            if draw == "keyboard":
                pad.focus()
                for key in (" ", "ArrowRight", "ArrowDown", "ArrowDown", " "):
                    page.keyboard.press(key)
            else:
                pad.scroll_into_view_if_needed()
                box = pad.bounding_box()
                page.mouse.move(box["x"] + 60, box["y"] + 60)
                page.mouse.down()
                page.mouse.move(box["x"] + 160, box["y"] + 120)
                page.mouse.up()
            page.wait_for_selector(".try-it[data-logits]", timeout=WAIT)
            assert page.evaluate("document.querySelector('.try-it-pad canvas').toDataURL()") != empty

        axe = pytest.importorskip("axe_playwright_python")
        page.evaluate((Path(axe.__file__).with_name("axe.min.js")).read_text())
        assert page.evaluate("axe.run().then(r => r.violations.map(v => v.id + ' ' + v.nodes[0].html))") == []
        assert seen == []


def test_without_webassembly_a_sentence_stays(served: str) -> None:
    with opened(served, "delete globalThis.WebAssembly") as (page, seen):
        assert page.locator(".try-it").text_content() == "Off."
        assert seen == []
    with opened(served, java_script_enabled=False) as (page, seen):
        assert page.locator(".try-it").text_content() == "Off."


def test_what_cannot_be_fetched_is_said(served: str) -> None:
    with opened(served) as (page, _):
        page.route("**/network.onnx", lambda route: route.fulfill(status=404))
        page.get_by_role("button").click()
        page.wait_for_function("document.querySelector('.try-it').textContent.includes('does not run in this browser')")
