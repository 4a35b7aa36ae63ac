from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from tinybook import build, notebook, stage, tool

pytestmark = pytest.mark.xdist_group("book")  # which is executed and built once


def test_every_page_is_there_with_its_number_and_its_footer(site: Path) -> None:
    index = (site / "index.html").read_text()
    assert re.search(r'<a class="val[^"]*" href="#number-index-chapter-gap" title="chapter.gap; [^"]*">−0.25</a>',
                     index)
    assert '<li id="number-index-chapter-gap"><code>chapter.gap</code>: −0.25</li>' in index
    assert (site / "numbers" / "chapter.json").exists()
    assert not (site / "genindex.html").exists()
    chapter = (site / "chapter.html").read_text()
    assert "How this page was made" in chapter
    assert "papermill book/chapter.ipynb out.ipynb -p epochs 2" in chapter
    assert (site / "reproduced.html").exists()


def test_a_network_that_is_not_in_the_build_is_said_so(site: Path) -> None:
    chapter = (site / "chapter.html").read_text()
    assert "built without onnxruntime-web" in chapter
    assert "data-try-it" not in chapter
    assert (site / "_static/network/network.onnx").exists()
    assert "try_it.mjs" not in chapter  # the script comes when a reader asks


def test_the_first_use_of_a_term_says_what_it_means(site: Path) -> None:
    chapter = (site / "chapter.html").read_text()
    term, = re.findall(r'<a [^>]*class="term[^>]*>[^<]*</a>', chapter)
    assert term.endswith(">LRN</a>")
    assert 'href="glossary.html#term-LRN"' in term
    assert 'aria-description="Divides each value by a power' in term
    assert 'class="term' not in (site / "glossary.html").read_text()


def test_a_notebook_to_download_reads_well_alone(site: Path) -> None:
    index, chapter = (nbformat.read(site / "_sources" / f"{name}.ipynb", 4) for name in ("index", "chapter"))
    assert index.cells[0].source == "# Index\n\nThe gap is −0.25 (Szegedy et al., 2015)."
    words = chapter.cells[0].source
    assert "\\tag{1} $$" in words
    assert "As (1) says of LRN, and Table 1, and Figure 1." in words
    captions = [cell.source for cell in chapter.cells if cell.id.startswith("caption")]
    assert captions == ["**Table 1.** What was counted.", "**Figure 1.** Drawn."]
    assert "<summary>What was measured</summary>\n\nLRN, −0.25." in words


def test_a_table_has_its_number_and_its_caption_above(site: Path) -> None:
    chapter = (site / "chapter.html").read_text()
    figure, = re.findall(r'<figure[^>]* id="tab-told">.*?</figure>', chapter, re.S)
    assert re.search(r'<figcaption>\s*<p><span class="caption-number">Table 1.1 </span><span class="caption-text">'
                     r"What was counted.</span>.*</figcaption>.*<table", figure, re.S)
    assert figure.count("figcaption") == 2
    assert re.search(r'href="#tab-told"><span class="std std-numref">Table\s1.1</span>', chapter)
    assert re.search(r'href="#fig-drawn"><span class="std std-numref">Fig.\s1.1</span>', chapter)


# points at (2, 30), the middle one of three, with the mouse, by keys, and by a tap
POINTED = """() => {
  const figure = document.getElementById("fig-drawn"), tip = figure.querySelector(".point-says");
  const image = figure.querySelector("img").getBoundingClientRect();
  const ring = figure.querySelector(".point-ring").getBoundingClientRect(), box = tip.getBoundingClientRect();
  return tip.hidden ? null : {says: tip.innerText, x: (ring.left + ring.width / 2 - image.left) / image.width,
    y: (ring.top + ring.height / 2 - image.top) / image.height,
    inside: box.left >= 0 && box.right <= document.documentElement.clientWidth};
}"""


@pytest.mark.skipif(not shutil.which("chromium"), reason="no Chromium")
@pytest.mark.parametrize("wide", [1280, 375])
def test_a_figure_says_the_values_of_its_points(site: Path, wide: int) -> None:
    pytest.importorskip("playwright")
    from playwright.sync_api import sync_playwright
    known, = json.loads((site / "_downloads/fig-drawn.js").read_text().removeprefix(
        "document.currentScript.points = ").strip().rstrip(";"))
    assert [point[2:] for point in known["points"]] == [["1", "10"], ["2", "30"], ["3", "20"]]
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(viewport={"width": wide, "height": 800}, has_touch=wide < 600)
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url.rsplit("/", 1)[-1]))
        page.goto((site / "chapter.html").as_uri())  # without a server, where nothing can be fetched but scripts
        image = page.locator("#fig-drawn img")
        image.scroll_into_view_if_needed()
        assert "fig-drawn.js" not in asked
        assert page.evaluate(POINTED) is None

        def at(n: int) -> tuple[float, float]:
            box = image.bounding_box()
            assert box
            left, top, *_ = known["points"][n]
            return box["x"] + left * box["width"], box["y"] + top * box["height"]

        def shown(n: int) -> None:
            (left, top, x, y), says = known["points"][n], page.wait_for_function(POINTED).json_value()
            assert says["says"].splitlines() == ["known", f"steps: {x}", f"error, %: {y}"]
            assert (says["x"], says["y"]) == (pytest.approx(left, abs=0.01), pytest.approx(top, abs=0.01))
            assert says["inside"]

        if wide < 600:
            page.touchscreen.tap(*at(2))
            shown(2)
        else:
            page.mouse.move(*at(1))
            shown(1)
            assert asked.count("fig-drawn.js") == 1
            page.mouse.move(5, 5)
            page.wait_for_function("document.querySelector('.point-says').hidden")
            image.focus()
            for key, n in (("Home", 0), ("ArrowRight", 1), ("ArrowRight", 2), ("ArrowRight", 2), ("ArrowLeft", 1),
                           ("End", 2), ("Home", 0)):
                page.keyboard.press(key)
                shown(n)
                assert image.get_attribute("aria-valuetext") == "; ".join(
                    ["known", f"steps: {known['points'][n][2]}", f"error, %: {known['points'][n][3]}"])
            page.keyboard.press("Escape")
            assert page.evaluate(POINTED) is None
        browser.close()


def test_nothing_comes_from_elsewhere(site: Path) -> None:
    assert (site / "_static/mathjax/tex-chtml.js").exists()
    assert "_static/mathjax/tex-chtml.js" in (site / "chapter.html").read_text()
    done = tool("check_links", site, root=site)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("fault", ['<img src="https://example.org/x.png">', '<a href="nowhere.html">x</a>',
                                   '<a href="#nowhere">x</a>', '<link rel="stylesheet" href="//example.org/x.css">'])
def test_a_planted_fault_is_found(site: Path, tmp_path: Path, fault: str) -> None:
    shutil.copytree(site, tmp_path / "html")
    page = tmp_path / "html" / "chapter.html"
    page.write_text(page.read_text().replace("</article>", fault + "</article>"))
    done = tool("check_links", tmp_path / "html", root=tmp_path)
    assert done.returncode == 1
    assert "chapter.html" in done.stdout


def test_a_number_that_is_not_there_fails_the_build(root: Path) -> None:
    words = "# Chapter\n\n{val}`chapter.gone:.2f` {val}`nowhere.gap` {val}`chapter.lost:.1f` {val}`chapter.gap:.1q`"
    (root / "book/chapter.ipynb").unlink()
    notebook(root / "book/chapter.ipynb", words)
    notebook(root / "out/notebooks/chapter.ipynb", words)
    done = nbformat.read(root / "out/notebooks/chapter.ipynb", 4)
    for n, cell in enumerate(cell for cell in done.cells if cell.cell_type == "code"):
        cell.execution_count = n + 1
    nbformat.write(done, root / "out/notebooks/chapter.ipynb")
    assert stage("out", root).returncode == 0
    built = build(root)
    assert built.returncode != 0
    for key in ("chapter.gone", "nowhere.gap", "chapter.lost", "chapter.gap"):
        assert f"no value for {{val}}`{key}" in built.stdout + built.stderr


@pytest.mark.skipif(not shutil.which("chromium"), reason="no Chromium")
def test_a_phone_shows_every_page_without_fault(site: Path) -> None:
    pytest.importorskip("playwright")
    done = tool("check_site", site, "--views", "phone", root=site)
    assert done.returncode == 0, done.stdout + done.stderr
