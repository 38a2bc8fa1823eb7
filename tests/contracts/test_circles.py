"""No two files of the package import each other, however far around: what can be read alone can be changed alone."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT


def imports(tree: ast.Module, module: str, *, package: bool) -> Iterator[str]:
    """Every name that a file imports, also inside functions and for types alone; of `from a import b`, a and a.b."""
    parent = module if package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parent.rsplit(".", node.level - 1)[0] + "." if node.level else ""
            source = (above + (node.module or "")).rstrip(".")
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)


def graph(root: Path) -> dict[str, set[str]]:
    """The modules of a package with those of them that each imports."""
    files = {path: path.relative_to(root.parent).with_suffix("") for path in root.rglob("*.py")}
    names = {path: ".".join(part for part in file.parts if part != "__init__") for path, file in files.items()}
    known = {*names.values()}
    found = {}
    for path, module in names.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named = {*imports(tree, module, package=path.name == "__init__.py")} & known - {module}
        # A package is what it holds, not a file that all of it needs: `from package import module` is the module.
        found[module] = {name for name in named if not any(other.startswith(f"{name}.") for other in named)}
    return found


def circle(modules: dict[str, set[str]]) -> list[str]:
    """Modules that import one another in a ring, or none."""
    try:
        graphlib.TopologicalSorter(modules).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def test_no_files_of_the_package_import_each_other() -> None:
    assert circle(graph(ROOT / "edgebuild")) == []


@pytest.mark.parametrize(
    "line",
    [
        "from pack import b",
        "import pack.b",
        "from pack.b import name",
        "def late():\n    from pack import b",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pack.b import Kind",
        "from . import b",
        "from .b import name",
    ],
)
def test_a_circle_is_seen_wherever_it_is_written(tmp_path: Path, line: str) -> None:
    package = tmp_path / "pack"
    package.mkdir()
    for name, text in {"__init__": "", "a": line, "c": "from pack import a", "b": "from pack.c import a"}.items():
        (package / f"{name}.py").write_text(text)
    assert {*circle(graph(package))} == {"pack.a", "pack.b", "pack.c"}
    (package / "a.py").write_text("import json")
    assert circle(graph(package)) == []
