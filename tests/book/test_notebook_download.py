from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import nbformat
import nbformat.v4 as nb
import pytest
from pybtex.database import parse_file
from tinybook import ROOT

KNOWN = {"eq-one": ("here", 2), "fig-far": ("there", 3)}
TITLES = {"here": "Here", "there": "Over *there*"}


@pytest.fixture
def download(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    import download
    return download


@pytest.fixture
def plain(download: ModuleType) -> Callable[[str], str]:
    books = parse_file(str(ROOT / "book" / "references.bib")).entries
    return lambda text: download.plain(text, "here", lambda key: f"<{key}>", books, KNOWN, TITLES)


@pytest.mark.parametrize(("text", "expected"), [
    ("{val}`a.b:.1f` points", "<a.b:.1f> points"),
    ("As {cite:t}`lin2013network` say", "As Lin et al. (2013) say"),
    ("It is known {cite}`ioffe2015batch`.", "It is known (Ioffe and Szegedy, 2015)."),
    ("{cite}`chollet2017xception,lin2013network`", "(Chollet, 2017; Lin et al., 2013)"),
    ("by {eq}`eq-one` and {numref}`fig-far`", "by (2) and Figure 3 of *Over *there**"),
    ("$$\na\n$$ (eq-one)\n", "$$\na\n\\tag{2} $$\n"),
    ("[a pilot](power), [code](https://example.org/x)", "*a pilot*, [code](https://example.org/x)"),
    ("see {doc}`there`, {term}`LRN`, {doc}`its page <there>`", "see *Over *there**, *LRN*, *its page*"),
    (":::{dropdown} Ask\n:open:\nWell, {val}`x`.\n:::", "<details><summary>Ask</summary>\n\nWell, <x>.\n\n</details>"),
    ("```{note}\nOne.\nTwo.\n```", "> **Note** One.\n> Two."),
    ("```python\nx[i](y)\n```", "```python\nx[i](y)\n```"),
    ("```{clone}\nmake book\n```\n```{try-it}\n```", "```\nmake book\n```\n"),
])
def test_what_only_the_book_understands(plain: Callable[[str], str], text: str, expected: str) -> None:
    assert plain(text) == expected


def test_a_figure_has_its_caption_and_its_number(download: ModuleType) -> None:
    made = nb.new_notebook()
    for n in (1, 2):
        drawn = {"mystnb": {"figure": {"name": f"fig-{n}", "caption": "By {numref}`fig-2`."}}}
        made.cells.append(nb.new_code_cell("draw()", metadata=drawn))
    known = download.labels({"here": made})
    assert known == {"fig-1": ("here", 1), "fig-2": ("here", 2)}
    found = download.alone(made, "here", numbers=str, books={}, known=known, titles={})
    assert download.markdown(found) == ["**Figure 1.** By Figure 2.", "**Figure 2.** By Figure 2."]
    nbformat.validate(found)


def test_nothing_of_the_books_own_is_left_on_any_page(download: ModuleType) -> None:
    pages = {path.stem: nbformat.read(path, 4) for path in sorted((ROOT / "book").glob("*.ipynb"))}
    books = parse_file(str(ROOT / "book" / "references.bib")).entries
    known = {"numbers": lambda _: "1", "known": download.labels(pages), "books": books,
             "titles": {page: download.title(notebook) for page, notebook in pages.items()}}
    for page, notebook in pages.items():
        words = "\n\n".join(download.markdown(download.alone(notebook, page, **known)))
        assert not re.findall(r"\{[\w:]+\}`|\$\$ *\(eq|^:::|^`{3,}\{", words, re.M), page


def test_how_to_cite_is_what_the_citation_file_says() -> None:
    import yaml
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    about = (ROOT / "book" / "about.md").read_text(encoding="utf-8")
    bibtex = about.split("```bibtex")[1].split("```")[0]
    fields = dict(re.findall(r"(\w+)\s*=\s*\{+([^{}]*)\}", bibtex))
    assert fields == {"title": citation["title"], "author": citation["authors"][0]["name"],
                      "version": citation["version"], "license": citation["license"], "url": citation["url"]}


@pytest.mark.parametrize("name", ["about.md", "index.ipynb"])
def test_pages_link_to_the_pdf_once_there_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    pytest.importorskip("playwright")
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_tools"))
    import pdf
    (tmp_path / "book.pdf").write_bytes(b"%" * 1_234_567)
    page = (tmp_path / name).with_suffix(".html")
    source = (ROOT / "book" / name).read_text(encoding="utf-8").replace('\\"', '"')
    inside, = re.findall(r'<span class="pdf">(.*?)</span>', source)
    assert "`" not in inside  # code is spans of its own
    page.write_text(f'<p><span class="pdf">{inside}</span> More.</p>')
    for _ in range(2):  # also a second time
        pdf.link(tmp_path / "book.pdf")
        assert page.read_text() == ('<p><span class="pdf"><a href="book.pdf">The whole book as one PDF</a> (1.2 MB).'
                                    '</span> More.</p>')


@pytest.mark.skipif(not shutil.which("chromium"), reason="no Chromium")
def test_no_link_of_the_pdf_leads_to_the_machine_that_made_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("playwright")
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_tools"))
    import pdf
    single = tmp_path / "index.html"
    single.write_text("""<link rel="canonical" href="https://a.example/book/index.html">
        <p id="row">One</p> <p id="off" style="display: none">No</p> <a href="https://b.example/">elsewhere</a>
        <a href="two.html#row">a row</a> <a href="two.html#off">not printed</a> <a href="two.html">a chapter</a>
        <a href="#off">not printed</a> <a href="runs/x.csv">a file</a>
        <span id="document-two"></span><section><p id="row">Two</p><p id="off" style="display: none">No</p>
        </section>""")
    pdf.write(single, tmp_path / "book.pdf")
    printed = (tmp_path / "book.pdf").read_bytes()
    addresses = set(re.findall(rb"/URI \((.*?)\)", printed))
    assert addresses == {b"https://b.example/", b"https://a.example/book/runs/x.csv"}
    assert sorted(set(re.findall(rb"/Dest /(\S+)", printed))) == [b"document-two", b"two--row"]


def test_without_a_chromium_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("playwright")
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_tools"))
    import pdf
    monkeypatch.setattr(pdf, "CHROMIUM", None)
    monkeypatch.setattr("sys.argv", ["pdf.py", str(tmp_path / "index.html"), str(tmp_path)])
    assert pdf.main() == 1
    said = capsys.readouterr().err
    assert "install chromium" in said
    assert said.count("\n") == 1
