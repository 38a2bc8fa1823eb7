"""SHA-256 of values, files, folders and of our own code."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import importlib.util
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def of_json(value: Any) -> str:
    """Digest of plain data in canonical JSON; TypeError for anything that is not plain data."""
    return of_bytes(canonical(value).encode())


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def of_bytes(data: bytes) -> str:
    """Digest of bytes, as 64 hex digits: never cut short, so that two keys cannot meet by accident."""
    return hashlib.sha256(data).hexdigest()


def of_file(path: Path) -> str:
    """Digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_tree(folder: Path) -> str:
    """Digest of a folder: relative paths and contents, not times, owners or modes."""
    return of_json(listing(folder))


def listing(folder: Path) -> dict[str, str]:
    """The digest of every file below `folder`, by relative path in POSIX form."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): of_file(path) for path in files}


def of_code(modules: tuple[str, ...]) -> Mapping[str, str]:
    """The digest of each of these modules and of every module of ours that they import, by module name.

    A comment, a docstring or a line break does not change what code does, so it does not change its digest.
    """
    found: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name], imports = _read_module(name)
            waiting.extend(imports)
    return dict(sorted(found.items()))


@cache
def _read_module(name: str) -> tuple[str, tuple[str, ...]]:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(name)
    tree = _without_docstrings(ast.parse(Path(spec.origin).read_bytes()))
    return of_bytes(ast.dump(tree).encode()), tuple(sorted(_imports(tree, spec.parent or name, name)))


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return tree


def _imports(tree: ast.Module, parent: str, name: str) -> set[str]:
    """Modules of ours that the tree imports anywhere, also inside functions; others are never looked up.

    Ours are those of edgebuild, and of the package that the module itself, `name` in `parent`, belongs to.
    """
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names if _ours(alias.name, name))
        elif isinstance(node, ast.ImportFrom):
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), parent)
            if _ours(module, name):
                names.add(module)
                names.update(f"{module}.{alias.name}" for alias in node.names if _is_module(module, alias.name))
    return names


def _ours(module: str, importer: str) -> bool:
    return module.partition(".")[0] in (importer.partition(".")[0], __name__.partition(".")[0])


def _is_module(parent: str, name: str) -> bool:
    spec = importlib.util.find_spec(parent)
    folders = (spec.submodule_search_locations or ()) if spec else ()
    return any(
        path.is_file() for folder in folders for path in (Path(folder, f"{name}.py"), Path(folder, name, "__init__.py"))
    )


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
