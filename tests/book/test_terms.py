from __future__ import annotations

import re
from types import ModuleType

import pytest
from docutils import nodes
from docutils.utils import new_document
from tinybook import ROOT

SAYS = [(["module", "Inception module"], "term-module", "Several branches."),
        (["naive module"], "term-naive-module", "One without reductions."),
        (["LRN", "local response normalisation"], "term-LRN", "Divides."), (["γ"], "term-g", "A factor."),
        (["4a", "4d"], "term-4a", "Modules.")]


@pytest.fixture
def terms(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    import terms
    return terms


def marked(terms: ModuleType, *parts: nodes.Node) -> list[tuple[str, str]]:
    """What is marked in a paragraph of these parts, and where that leads."""
    document = new_document("page")
    document += nodes.paragraph("", "", *parts)
    terms.mark(document, SAYS, "glossary.html#")
    assert document.astext() == "".join(part.astext() for part in parts)  # not a word is lost
    return [(node.astext(), node["refuri"]) for node in document.findall(terms.glossed)]


@pytest.mark.parametrize(("words", "expected"), [
    ("A module, and modules again.", ["module"]),
    ("Modules come first.", ["Modules"]),
    ("A naive module is no module.", ["naive module", "module"]),
    ("An Inception\nmodule beside a modulefile.", ["Inception\nmodule"]),
    ("lrn is not LRN.", ["LRN"]),
    ("On 4a and 4d; submodule-4a.", ["4a"]),
    ("Nothing here.", []),
])
def test_the_first_use_is_marked(terms: ModuleType, words: str, expected: list[str]) -> None:
    assert [text for text, _ in marked(terms, nodes.Text(words))] == expected


def test_a_synonym_is_the_same_term(terms: ModuleType) -> None:
    assert marked(terms, nodes.Text("LRN, or local response normalisation")) == [("LRN", "glossary.html#term-LRN")]


def test_only_prose_is_marked(terms: ModuleType) -> None:
    link = nodes.reference("", "the module", refuri="x.html")
    number = nodes.inline("", "LRN", classes=["val"])
    assert marked(terms, nodes.literal("", "LRN"), link, number) == []
    document = new_document("page")
    document += nodes.title("", "The module")
    terms.mark(document, SAYS, "")
    assert not list(document.findall(terms.glossed))


def test_a_greek_letter_is_a_formula(terms: ModuleType) -> None:
    parts = nodes.math("", r"\gamma + 1"), nodes.Text(" and "), nodes.math("", r"\gamma")
    assert marked(terms, *parts) == [(r"\gamma", "glossary.html#term-g")]
    document = new_document("page")
    document += nodes.paragraph("", "", nodes.math("", r"\gamma"))
    terms.mark(document, SAYS, "")
    assert [node["name"] for node in document.findall(terms.glossed)] == ["γ"]


def test_each_entry_of_the_glossary_is_two_sentences_and_no_term_stands_twice() -> None:
    text = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
    body = text.split("```{glossary}\n")[1].split("```")[0]
    terms = re.findall(r"^(\S.*)$", body, re.M)
    assert len(terms) == len(set(terms)) > 50
    for entry in body.strip().split("\n\n"):
        says = " ".join(line.strip() for line in entry.splitlines() if line.startswith("  "))
        assert len(re.findall(r"[.?](?= [A-Z]|$)", says)) == 2, says
    for word in ("LRN", "γ", "stem", "6e", "α", "logit", "auxiliary head", "module", "reduction", "grid", "endpoint",
                 "seed", "interval", "region", "verdict", "not resolved", "quarter width", "profile", "multiply-add",
                 "receptive field", "label smoothing", "BN", "RMSProp", "CSR", "BSR"):
        assert word in terms
