"""SHA-256 of values, files, folders and of our own code."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import json
import os.path
import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from edgebuild.spec.sha256 import of_bytes, of_file

_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def of_json(value: Any) -> str:
    """Digest of plain data in canonical JSON; TypeError for anything that is not plain data."""
    return of_bytes(canonical(value).encode())


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def of_tree(folder: Path) -> str:
    """Digest of a folder: relative paths and contents, not times, owners or modes."""
    return of_contents(listing(folder))


def of_contents(files: Mapping[str, str]) -> str:
    """The same of a folder that has these digests of files by relative path in POSIX form."""
    return of_json(dict(files))


def listing(folder: Path) -> dict[str, str]:
    """The digest of every file below `folder`, by relative path in POSIX form."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): of_file(path) for path in files}


class CodeMemo:
    """What was found in a module's source, by the source's digest: parsing it anew is most of an idle build's time."""

    def __init__(self, known: Mapping[str, Any] | None = None) -> None:
        """Start with what an earlier build knew."""
        self.known: dict[str, Any] = dict(known or {})
        self.grown = False
        self._modules: dict[str, tuple[str, list[str]]] = {}
        self._present: dict[str, bool] = {}

    def read(self, name: str) -> tuple[str, list[str]]:
        """The digest of a module's code, and the modules of ours that it imports."""
        if name not in self._modules:
            self._modules[name] = self._look_up(name)
        return self._modules[name]

    def _look_up(self, name: str) -> tuple[str, list[str]]:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(name)
        source = Path(spec.origin).read_bytes()
        key = f"{_reader()}:{name}:{of_bytes(source)}"
        if key not in self.known:
            self.grown = True
            tree = _without_docstrings(ast.parse(source))
            imports = sorted(_imports(tree, spec.parent or name, name))
            self.known[key] = [of_bytes(ast.dump(tree).encode()), imports]
        digest, imports = self.known[key]
        return digest, [item for item in imports if self._is_present(item)]

    def _is_present(self, name: str) -> bool:
        if name not in self._present:
            self._present[name] = _is_module(name)
        return self._present[name]


@cache
def _reader() -> str:
    """What reads source: a memo of another Python, or of an edgebuild that reads otherwise, is not believed."""
    return f"{platform.python_version()}:{of_file(Path(__file__))}"


def of_code(modules: tuple[str, ...], memo: CodeMemo | None = None) -> Mapping[str, str]:
    """The digest of each of these modules and of every module of ours that they import, by module name.

    A comment, a docstring or a line break does not change what code does, so it does not change its digest.
    """
    memo = memo or CodeMemo()
    digests: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in digests:
            digests[name], imports = memo.read(name)
            waiting.extend(imports)
    return dict(sorted(digests.items()))


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return tree


def _imports(tree: ast.Module, parent: str, name: str) -> set[str]:
    """Names of ours that the tree imports anywhere, also inside functions; some may be no modules, but what is in one.

    Ours are those of edgebuild, and of the package that the module itself, `name` in `parent`, belongs to.
    """
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names if _ours(alias.name, name))
        elif isinstance(node, ast.ImportFrom):
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), parent)
            if _ours(module, name):
                names.update([module, *(f"{module}.{alias.name}" for alias in node.names)])
    return names


def _ours(module: str, importer: str) -> bool:
    return module.partition(".")[0] in (importer.partition(".")[0], __name__.partition(".")[0])


def _is_module(name: str) -> bool:
    """Whether there is such a module now, which no memo can know; the packages above it are imported, not itself."""
    parent, _, own = name.rpartition(".")
    if not parent:
        return True
    spec = importlib.util.find_spec(parent)
    places = [os.path.join(folder, own) for folder in (spec.submodule_search_locations or ())] if spec else []
    return any(os.path.isfile(f"{place}.py") or os.path.isfile(f"{place}/__init__.py") for place in places)


def plain(value: Any) -> Any:
    """`value` as plain data: dataclasses become mappings, tuples lists; TypeError for what has no plain form."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {text(key): plain(item) for key, item in sorted(value.items())}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} cannot be part of a key")


def text(key: Any) -> str:
    """A mapping's key: text, because 1 and "1" would be the same in JSON."""
    if not isinstance(key, str):
        raise TypeError(f"a mapping with {type(key).__name__} keys cannot be part of a key")
    return key
