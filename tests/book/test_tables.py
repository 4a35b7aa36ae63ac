from __future__ import annotations

import pickle
from pathlib import Path
from types import ModuleType, SimpleNamespace

import nbformat
import pytest
from docutils import nodes
from docutils.utils import new_document
from tinybook import ROOT


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    import tables
    return tables


def test_an_output_that_is_named_a_table_is_one(tables: ModuleType) -> None:
    document = new_document("page")
    for name in ("fig-one", "tab-two"):
        caption = nodes.caption("", "", nodes.Text("Says "), nodes.emphasis("", "so"))
        figure = nodes.figure("", nodes.raw("", "<table></table>", format="html"), caption, ids=[name], names=[name])
        document += figure
        document.note_explicit_target(figure, figure)
    tables.tell_apart(SimpleNamespace(), document)
    one, two = document.children
    assert type(one) is nodes.figure
    assert isinstance(two, tables.tabled)
    assert [type(child) for child in two] == [tables.heading, nodes.raw]
    assert two[0].astext() == "Says so"
    assert document.ids["tab-two"] is two  # by which {numref} finds what to count it as
    assert pickle.loads(pickle.dumps(two[0])).astext() == "Says so"  # sphinx keeps pages so


@pytest.mark.parametrize("page", sorted(path.stem for path in (ROOT / "book").glob("*.ipynb")))
def test_every_table_of_the_book_has_a_caption(page: str) -> None:
    """Of what each cell showed when it was run last, for publication."""
    source = {cell.source: cell.metadata for cell in nbformat.read(ROOT / "book" / f"{page}.ipynb", 4).cells}
    copy = Path(ROOT / "results" / "notebooks" / f"{page}.ipynb")
    if not copy.exists():
        pytest.skip("it is no page of the published book")
    for cell in nbformat.read(copy, 4).cells:
        shown = "".join(output.get("data", {}).get("text/html", "") for output in cell.get("outputs", ()))
        if "<table" in shown and cell.source in source and "remove-cell" not in cell.metadata.get("tags", ()):
            figure = source[cell.source].get("mystnb", {}).get("figure", {})
            assert figure.get("name", "").startswith("tab-"), cell.source
            assert figure["caption"].endswith("."), cell.source


def test_no_name_of_a_table_or_figure_stands_twice() -> None:
    names = [cell.metadata["mystnb"]["figure"]["name"] for path in (ROOT / "book").glob("*.ipynb")
             for cell in nbformat.read(path, 4).cells if "figure" in cell.metadata.get("mystnb", {})]
    assert len(names) == len(set(names)) > 150
