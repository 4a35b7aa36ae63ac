from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from docutils import nodes
from docutils.utils import new_document
from tinybook import ROOT

POINTS = '<metadata class="points">[{"of":"a &lt; b"}]</metadata>'
WITH = "<svg><style>s</style><metadata>a,b\n&lt;1&gt;,2\n</metadata><path/></svg>"


@pytest.fixture
def figure_data(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    import figure_data
    return figure_data


def built(tmp_path: Path, name: str = "html") -> SimpleNamespace:
    for folder in ("src", "out/_images"):
        (tmp_path / folder).mkdir(parents=True)
    return SimpleNamespace(srcdir=tmp_path / "src", outdir=tmp_path / "out",
                           builder=SimpleNamespace(name=name, get_target_uri=lambda page: f"{page}.html"))


def page(*pictures: str) -> nodes.document:
    document = new_document("page")
    for n, picture in enumerate(pictures):
        document += nodes.figure("", nodes.image(uri=picture), nodes.caption("", "What is drawn."), ids=[f"fig-{n}"])
    return document


def test_a_figures_numbers_are_a_file_and_a_link(figure_data: ModuleType, tmp_path: Path) -> None:
    app = built(tmp_path)
    (tmp_path / "src/x.svg").write_text(WITH)
    (tmp_path / "src/y.svg").write_text("<svg></svg>")
    document = page("x.svg", "y.svg", "gone.svg")
    figure_data.offer(app, document, "chapter")
    link, = document.findall(nodes.reference)
    assert link["refuri"] == "_downloads/fig-0.csv"
    assert (tmp_path / "out/_downloads/fig-0.csv").read_text() == "a,b\n<1>,2\n"
    assert [caption.astext() for caption in document.findall(nodes.caption)] == [
        "What is drawn. [csv]", "What is drawn.", "What is drawn."]


def test_where_its_points_lie_is_a_script_beside_it(figure_data: ModuleType, tmp_path: Path) -> None:
    app = built(tmp_path)
    (tmp_path / "src/x.svg").write_text(WITH.replace("<path/>", f"{POINTS}<path/>"))
    (tmp_path / "src/y.svg").write_text(WITH)
    document = page("x.svg", "y.svg")
    figure_data.offer(app, document, "chapter")
    assert [link["classes"] for link in document.findall(nodes.reference)] == [["data", "points"], ["data"]]
    assert (tmp_path / "out/_downloads/fig-0.js").read_text() == 'document.currentScript.points = [{"of":"a < b"}];\n'
    assert (tmp_path / "out/_downloads/fig-0.csv").read_text() == "a,b\n<1>,2\n"
    assert not (tmp_path / "out/_downloads/fig-1.js").exists()


def test_the_picture_of_the_page_is_without_them(figure_data: ModuleType, tmp_path: Path) -> None:
    app = built(tmp_path)
    (tmp_path / "out/_images/x.svg").write_text(WITH.replace("<path/>", f"{POINTS}<path/>"))
    figure_data.lighten(app, None)
    assert (tmp_path / "out/_images/x.svg").read_text() == "<svg><style>s</style><path/></svg>"


def test_paper_has_no_links_to_files(figure_data: ModuleType, tmp_path: Path) -> None:
    app = built(tmp_path, "singlehtml")
    (tmp_path / "src/x.svg").write_text(WITH)
    document = page("x.svg")
    figure_data.offer(app, document, "chapter")
    assert not list(document.findall(nodes.reference))
