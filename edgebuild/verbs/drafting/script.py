"""A network that a Python file of somebody's builds, asked for as net.py:Net: what becomes the model's code."""

from __future__ import annotations

import ast
import glob
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.spec.errors import UsageError
from edgebuild.spec.look import Usual
from edgebuild.spec.names import suggest

if TYPE_CHECKING:
    from torch import nn

BUILDER = "edgebuild_builder"  # of model.py, where the class or function needs to be told something


@dataclass(frozen=True, slots=True)
class Script:
    """The file, the class or function in it, and the keyword arguments that this is called with."""

    path: Path
    name: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    files: tuple[str, ...] = ()  # and folders in its own one that its code reads

    @property
    def use(self) -> str:
        """What stands before the name, as it was asked for."""
        return str(self.path)

    def usual(self) -> Usual:
        """Nothing is known of what it is fed."""
        return Usual(())

    def module(self) -> nn.Module:
        """With the weights that it draws; UsageError for whatever its code raises, and for what is no module."""
        from edgebuild.nn.model_code import ModelCode
        from edgebuild.nn.offline import offline

        with offline(f"something of {self.path}"):
            return ModelCode(self.path.parent.absolute(), str(self.path.parent), self.path.name).module(
                self.name, self.options
            )

    @property
    def builder(self) -> str:
        """The function of model.py that builds it."""
        return BUILDER if self.options else self.name

    def code(self) -> str:
        """The text of model.py: the file's own, and behind it a function without arguments where it takes some."""
        text = self.path.read_text(encoding="utf-8")
        if not self.options:
            return text
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.options.items())
        return f"{text.rstrip()}\n\n\ndef {BUILDER}():\n    return {self.name}({arguments})\n"

    def beside(self) -> list[Path]:
        """The files and packages beside it that it imports, and that these import, and what its code reads."""
        folder, seen = self.path.parent, dict[Path, None]()
        rest = [self.path]
        while rest:
            for name in _imported(rest.pop(), folder):
                for each in (folder / f"{name}.py", folder / name):
                    if each != self.path and each not in seen and (each.is_file() or (each / "__init__.py").is_file()):
                        seen[each] = None
                        rest += [each] if each.is_file() else sorted(each.rglob("*.py"))
        return [*seen, *(path for name in self.files if (path := folder / name) not in seen)]

    def include(self) -> list[str]:
        """Patterns for what is beside the code and is taken by name alone: all but the Python files of its folder."""
        folder, patterns = self.path.parent, list[str]()
        for each in self.beside():
            name = glob.escape(each.relative_to(folder).as_posix())
            if each.parent != folder or each.suffix != ".py":
                patterns.append(f"{name}/**/*" if each.is_dir() else name)
        return patterns


def asked(text: str, options: Mapping[str, Any], files: Sequence[Path] = ()) -> Script | None:
    """The network that FILE.py:NAME names, whose code reads `files`; None for anything else.

    UsageError where the file has no such name, and for what does not lie in its folder: the code could not find it.
    """
    file, colon, name = text.rpartition(":")
    path = Path(file)
    if not colon or path.suffix != ".py" or Path(text).exists():
        return None
    known = [node.name for node in _tree(path).body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    if name not in known:
        raise UsageError(f"has no class or function {name!r}", file=file, hint=suggest(name, known))
    return Script(path, name, options, tuple(_read(path.parent, each) for each in files))


def _read(folder: Path, path: Path) -> str:
    """The name of what the code reads, from the code's folder."""
    if not path.exists():
        raise UsageError("no such file or folder", file=str(path), key="--include")
    whole, above = path.resolve(), folder.resolve()
    if above not in whole.parents:
        hint = "the code finds it from its own folder, which becomes the model's"
        raise UsageError(
            f"does not lie in the folder of the code, {folder}", file=str(path), key="--include", hint=hint
        )
    return whole.relative_to(above).as_posix()


def _tree(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", file=str(path)) from None
    except (SyntaxError, ValueError) as error:
        raise UsageError(
            f"is no Python of {sys.version_info.major}.{sys.version_info.minor}: {error}", file=str(path)
        ) from None


def _imported(path: Path, folder: Path) -> Iterator[str]:
    """The first parts of the names of modules that a file imports from outside of its own package below the folder."""
    depth = len(path.relative_to(folder).parts)  # as many dots lead to the folder
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level in (0, depth):
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from (name.partition(".")[0] for name in names)
