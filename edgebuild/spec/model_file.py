"""What there is to know of a model file by its name and what it says of itself, whatever its format."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from edgebuild.spec.errors import UsageError
from edgebuild.spec.format import Format
from edgebuild.spec.registry import FORMATS


def layouts(path: Path) -> dict[str, list[str | None]]:
    """The layouts of a model file's inputs and outputs as a job names them; empty where all are as in PyTorch."""
    kind = _kind(path)
    inputs, outputs = kind().layouts_of(path.read_bytes()) if kind else ((), ())
    return {"inputs": list(inputs), "outputs": list(outputs)} if any((*inputs, *outputs)) else {}


def opener(path: Path) -> Path | None:
    """The file that opens a model file where it travels; None for a file of no format that is known here."""
    kind = _kind(path)
    return loader(kind) if kind else None


def loader(kind: type[Format]) -> Path:
    """The file that opens files of a format where they travel. UsageError where there is no such module."""
    try:
        return module(kind.loader)
    except UsageError as error:
        message = f"format {kind.__name__} says that {kind.loader!r} opens its files, and {error.reason}"
        raise UsageError(message) from None


def module(name: str) -> Path:
    """The file of a module that travels. UsageError where there is none."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise UsageError("there is no such module")
    return Path(spec.origin)


def _kind(path: Path) -> type[Format] | None:
    return next((kind for kind in FORMATS.usable().values() if Path(kind.file).suffix == path.suffix), None)
