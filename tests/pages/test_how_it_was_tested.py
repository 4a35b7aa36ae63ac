"""What the ordeal left in tables, as the page shows it: every case counted, none that failed hidden."""
from __future__ import annotations

from pathlib import Path

import pytest

from replication.pages import how_it_was_tested as page

HEAD = "kind,case,status,said,seconds,utc,commit,dirty,processor,cores,python,versions\n"
WHERE = "2026-01-02T03:04:05+00:00,0123456789abcdef,False,EPYC,2,3.11.7,torch 2.14\n"


@pytest.fixture(autouse=True)
def tables(out: Path) -> Path:
    (out / "tables").mkdir(parents=True)
    for part, lines in {"kills": ("training,a,passed,,1", "training,b,failed,x differs,2", "import,c,passed,,1"),
                        "inputs": ("verbs,<b>,passed,Unknown verb '<b>'. Valid: run.,0.5",),
                        "environments": ("conda,dry,not run,there is no conda,0",),
                        "kills-quick": ("training,z,failed,y,1",)}.items():
        (out / "tables" / f"ordeal-{part}.csv").write_text(
            HEAD + "".join(f"{line},{WHERE}" for line in lines), encoding="utf-8")
    return out / "tables"


def test_counted_are_full_runs_alone_and_every_case_of_them() -> None:
    found = page.results()
    assert list(found.part) == ["kills", "kills", "kills", "inputs", "environments"]
    said = page.answer(found)
    assert "4 cases were tried; 3 of them went as they should." in said
    assert "The 1 that did not are listed below." in said
    assert "1 more could not be tried" in said
    assert "Of 3 kills at random moments, 2 ended" in said


def test_what_failed_and_what_was_not_run_is_listed_with_its_reason() -> None:
    found = page.results()
    assert "x differs" in page.failures(found)
    assert page.failures(found).count("<tr") == 2
    assert "there is no conda" in page.not_run(found)


def test_a_bad_input_is_shown_as_words() -> None:
    shown = page.sentences(page.results())
    assert "Unknown verb '&lt;b&gt;'. Valid: run." in shown
    assert "<b>" not in shown


def test_it_says_when_where_and_of_which_code() -> None:
    said = page.when(page.results())
    assert "Last run (kills, inputs and environments): 2026-01-02, 2 cores of EPYC, Python 3.11.7, torch 2.14" in said
    assert "commit 012345678." in said


def test_where_it_was_never_run(tables: Path) -> None:
    for path in tables.iterdir():
        path.unlink()
    found = page.results()
    assert "make ordeal" in page.answer(found)
    assert page.numbers(found)["cases"] == 0
    assert page.summary(found) == "<p>None so far.</p>"
