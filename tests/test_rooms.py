"""The package is seven rooms, each of which imports only rooms before it; no file imports itself by a way round; what a
head node or the book reads needs no torch; and nothing stands there that nobody uses (design.md, Layout)."""
from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from replication import paths

ROOMS = ("models", "data", "runs", "training", "studies", "pages", "benchmarks")
# of no room: every room may import them, they import none
BESIDE = ("", "errors", "paths", "files", "checked", "provenance", "stats")
NEVER = {("pages", "training"): "the book is read where nothing is trained"}

# (module, what it imports): imports within functions that close a circle, and why they must.
LATER: dict[tuple[str, str], str] = {}

# Modules that must be there without torch, and those of them that may not even wait for pandas or numpy.
INSTANT = {"errors", "paths", "files", "checked", "provenance", "__main__",
           *(f"models.{name}" for name in ("ops", "cost", "googlenet", "inception_v3", "bn_inception", "factorised",
                                           "baselines", "kws", "registry")),
           *(f"data.{name}" for name in ("spec", "registry", "subset", "listing", "content", "folder", "speech",
                                         "tiny_imagenet", "imagenet")),
           "runs.experiments", "runs.store", "runs.bundle", "training.distributed", "training.crops",
           *(f"studies.{name}" for name in ("grid", "compose", "setting", "values", "study", "profiles", "estimate",
                                            "queue"))}
NO_TORCH = INSTANT | {"training.logits", "training.calibration", "studies.workers", "studies.torchrun"}  # and pages
TORCH = {"torch", "torchvision", "lightning", "lightning_fabric"}
SLOW = TORCH | {"numpy", "pandas", "scipy", "matplotlib", "seaborn", "sklearn", "PIL"}


# -- reading a package --------------------------------------------------------------------------------------------
class Source(ast.NodeVisitor):
    """What a program imports, and which names of the package it reads. `module` is its own name in the package."""

    def __init__(self, package: Package, text: str, module: str = "") -> None:
        self.package, self.module, self.late = package, module, False
        self.tree = ast.parse(text)
        self.imports: set[tuple[str, bool]] = set()  # (what, whether only when a function is called)
        self.names: set[tuple[str, str]] = set()     # (module of the package, name)
        self.bound: dict[str, str] = {}              # what a module of the package is called here
        self.visit(self.tree)
        for node in ast.walk(self.tree):
            match node:
                case ast.Attribute(ast.Name(name), attribute) if name in self.bound:
                    self.names.add((self.bound[name], attribute))
                case ast.Call(ast.Attribute(attr="setattr"), [ast.Name(name), ast.Constant(str(attribute)), *_]
                              ) if name in self.bound:
                    self.names.add((self.bound[name], attribute))

    def visit_FunctionDef(self, node: Any) -> None:
        before, self.late = self.late, True
        self.generic_visit(node)
        self.late = before

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) not in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.imports.add((alias.name, self.late))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            inside = f"{self.package.name}.{self.module}".split(".")
            inside = inside if self.package.modules[self.module].name == "__init__.py" else inside[:-1]
            base = ".".join([*inside[:len(inside) - node.level + 1], *([base] if base else [])])
        for alias in node.names:
            whole = f"{base}.{alias.name}"
            if (module := self.package.inside(whole)) is not None:
                self.imports.add((whole, self.late))
                self.bound[alias.asname or alias.name] = module
            else:
                self.imports.add((base, self.late))
                if (module := self.package.inside(base)) is not None:
                    self.names.add((module, alias.name))


class Package:
    """The modules below a folder, by name without the package's own ("" is its __init__)."""

    def __init__(self, root: Path) -> None:
        self.root, self.name = root, root.name
        self.modules = {".".join(path.relative_to(root).with_suffix("").parts).removesuffix("__init__").rstrip("."):
                        path for path in sorted(root.rglob("*.py"))}

    @cached_property
    def sources(self) -> dict[str, Source]:
        return {module: Source(self, path.read_text(encoding="utf-8"), module)
                for module, path in self.modules.items()}

    def inside(self, name: str) -> str | None:
        """A module of this package by its full name, or None."""
        short = name.removeprefix(self.name).removeprefix(".")
        return short if name.split(".")[0] == self.name and short in self.modules else None

    def imports(self, module: str) -> dict[str, bool]:
        """Modules of this package that one imports, each with whether it does so in functions alone."""
        found: dict[str, bool] = {}
        for name, late in self.sources[module].imports:
            if (what := self.inside(name)) is not None:
                found[what] = late and found.get(what, True)
        return found

    def backwards(self, rooms: tuple[str, ...] = ROOMS, beside: Iterable[str] = BESIDE,
                  never: Iterable[tuple[str, str]] = NEVER) -> list[str]:
        """Imports of a room that does not come before, also those within functions."""
        order = {room: n for n, room in enumerate(rooms)}

        def rank(module: str) -> int:
            return -1 if module in beside else order.get(module.split(".")[0], len(rooms))  # __main__: above all

        return [f"{module} imports {what}" for module in self.modules for what in self.imports(module)
                if rank(what) > rank(module) or (module.split(".")[0], what.split(".")[0]) in never]

    def circles(self, later: Iterable[tuple[str, str]] = LATER) -> list[str]:
        """Each circle of imports once, from its first module by name on."""
        ahead = {module: sorted(what for what in self.imports(module) if (module, what) not in later)
                 for module in self.modules}
        found: set[tuple[str, ...]] = set()
        state: dict[str, str] = {}

        def walk(way: list[str]) -> None:
            state[way[-1]] = "open"
            for what in ahead[way[-1]]:
                if state.get(what) == "open":
                    circle = way[way.index(what):]
                    first = circle.index(min(circle))
                    found.add((*circle[first:], *circle[:first], circle[first]))
                elif what not in state:
                    walk([*way, what])
            state[way[-1]] = "done"

        for module in self.modules:
            if module not in state:
                walk([module])
        return [" → ".join(circle) for circle in sorted(found)]

    def public(self) -> Iterator[tuple[str, str]]:
        """(module, name) of what stands at the top of a module without an underscore."""
        for module, source in self.sources.items():
            for node in source.tree.body:
                targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
                names = [node.name] if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) else [
                    part.id for target in targets if target for part in ast.walk(target) if isinstance(part, ast.Name)]
                yield from ((module, name) for name in names if not name.startswith("_"))

    def unused(self, elsewhere: Iterable[str] = ()) -> list[str]:
        """What no other module and no program of `elsewhere` reads, and its own module nowhere but where it is made."""
        read = {name for source in self.sources.values() for name in source.names}
        read |= {name for text in elsewhere for name in Source(self, text).names}
        return [f"{module}.{name}" for module, name in self.public()
                if (module, name) not in read and not _again(self.sources[module].tree, name)]


def _again(tree: ast.Module, name: str) -> bool:
    """Whether a module reads a name of its own, other than in what defines it."""
    return any(isinstance(part, ast.Name) and part.id == name and isinstance(part.ctx, ast.Load)
               for node in tree.body if getattr(node, "name", None) != name for part in ast.walk(node))


REPLICATION = Package(paths.ROOT / "replication")


# -- made-up packages ---------------------------------------------------------------------------------------------
def made(tmp_path: Path, **files: str) -> Package:
    """made(tmp_path, low__one="import os"): modules by name, __ for a dot."""
    root = tmp_path / "made"
    for name, text in {"__init__": "", **files}.items():
        path = root.joinpath(*name.split("__")).with_suffix(".py") if name != "__init__" else root / "__init__.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Package(root)


TWO = {"rooms": ("low", "high"), "beside": ("",), "never": ()}


@pytest.mark.parametrize("line", [
    "from made.high import two", "from made.high.two import x", "import made.high.two", "from ..high import two",
    "from ..high.two import x", "def f():\n    from made.high import two", "if True:\n    import made.high.two"])
def test_an_arrow_back_is_found(tmp_path: Path, line: str) -> None:
    package = made(tmp_path, low__one=line, high__two="x = 1")
    assert package.backwards(**TWO) == ["low.one imports high.two"]


def test_arrows_ahead_and_those_for_type_checkers_are_none(tmp_path: Path) -> None:
    package = made(tmp_path, low__one="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import made.high.two\n",
                   high__two="from made.low import one\nimport os", __main__="from made.high import two")
    assert package.imports("high.two") == {"low.one": False}
    assert package.backwards(**TWO) == package.circles() == []
    assert package.backwards(**{**TWO, "never": [("high", "low")]}) == ["high.two imports low.one"]


def test_a_circle_inside_a_room_is_found_also_a_late_one(tmp_path: Path) -> None:
    package = made(tmp_path, low__a="from made.low import b", low__b="from made.low.c import x\ny = x",
                   low__c="def x():\n    from made.low import a", low__d="from made.low import a")
    assert package.backwards(**TWO) == []
    assert package.circles() == ["low.a → low.b → low.c → low.a"]
    assert package.circles({("low.c", "low.a")}) == []


def test_a_name_that_nobody_reads_is_found(tmp_path: Path) -> None:
    package = made(tmp_path, low__one="USED = 1\nDEAD: int = 2\nOWN = 3\n_quiet = OWN\n\n\ndef again():\n    again()\n"
                                      "class Read:\n    pass\n\n\ndef page():\n    pass\n",
                   high__two="from made.low import one\nfrom made.low.one import Read\nprint(one.USED, Read)")
    assert package.unused(["from made.low import one as other\nother.page()"]) == ["low.one.DEAD", "low.one.again"]
    assert package.unused() == ["low.one.DEAD", "low.one.again", "low.one.page"]


# -- ours ---------------------------------------------------------------------------------------------------------
def test_every_module_has_its_room() -> None:
    assert {module.split(".")[0] for module in REPLICATION.modules} == {*ROOMS, *BESIDE, "__main__"}


def test_rooms_import_only_rooms_before_them() -> None:
    assert REPLICATION.backwards() == []


def test_there_is_no_circle() -> None:
    assert REPLICATION.circles() == []
    assert all(REPLICATION.imports(module).get(what) for module, what in LATER), "an exception is no longer needed"


def programs() -> Iterator[str]:
    """Whatever uses the package besides its tests: the book and its tools, torch.hub's entries."""
    for path in (*(paths.ROOT / "book").rglob("*.py"), paths.ROOT / "hubconf.py"):
        yield path.read_text(encoding="utf-8")
    for path in (paths.ROOT / "book").glob("*.ipynb"):
        yield "\n".join("".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
                        if cell["cell_type"] == "code")


# Public names that only tests and people read, and why they stand there.
WEIGHTS = "README: weights in and out of files, for people who want a network and no book"
FOR_PEOPLE = {
    **dict.fromkeys(("models.weights.rebuilt", "models.weights.classifier_only",
                     "models.torchvision.from_torchvision"),
                    WEIGHTS),
    "data.colour.CONTRAST": "one of three that are numbered",
}


def test_nothing_stands_there_for_nobody() -> None:
    assert sorted(set(REPLICATION.unused(programs())) ^ set(FOR_PEOPLE)) == []


def test_whoever_reads_names_by_hand_finds_them() -> None:
    """README's own words for the modules it names."""
    said = re.findall(r"from replication\.(\w+) import ([\w, ]+)`", (paths.ROOT / "README.md").read_text("utf-8"))
    assert said
    for room, names in said:
        assert {f"{room}.{name.strip()}" for name in names.split(",")} <= set(REPLICATION.modules)


# -- without torch ------------------------------------------------------------------------------------------------
PAGES = {module for module in REPLICATION.modules if module.startswith("pages.")}


@pytest.mark.parametrize("module", sorted(NO_TORCH | PAGES))
def test_no_torch_at_the_top(module: str) -> None:
    top = {what.split(".")[0] for what, late in REPLICATION.sources[module].imports if not late}
    assert not top & (SLOW if module in INSTANT else TORCH)


WITHOUT = """
import importlib, sys
banned = sys.argv[1].split()
for module in sys.argv[2].split():
    importlib.import_module(f"replication.{module}")
    found = [name for name in banned if name in sys.modules]
    assert not found, (module, found)
"""


@pytest.mark.parametrize(("modules", "banned"), [(INSTANT, SLOW), (NO_TORCH | PAGES, TORCH | {"sklearn"})],
                         ids=["instant", "without torch"])
def test_importing_really_brings_none(python: Any, modules: set[str], banned: set[str]) -> None:
    """Whatever is imported on the way."""
    done = python(WITHOUT, " ".join(sorted(banned)), " ".join(sorted(modules)))
    assert done.returncode == 0, done.stderr
