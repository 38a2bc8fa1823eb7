"""What a file is and what can be done with it here; no project, and nothing in the file is run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.engine import apart, keys
from edgebuild.plan.packages import need
from edgebuild.spec.errors import UsageError
from edgebuild.spec.look import Look
from edgebuild.spec.names import suggest
from edgebuild.spec.registry import FORMATS, STEPS, takes
from edgebuild.spec.source import SOURCES, Source
from edgebuild.spec.technique import recomputed
from edgebuild.verbs._quiet import runtimes_silent
from edgebuild.verbs.preloading import preload_reader

if TYPE_CHECKING:
    from edgebuild.engine.apart import Patience


_OF_FLOATS = "it can be coded, judged and bundled as it is; what quantizes or trains needs its float file"


@dataclass(frozen=True, slots=True)
class Inspected:
    """A file, the source that takes it, the techniques that work on it, the formats that are made of it, and for each
    technique that does not why; `instead` is what would let it.
    """

    file: str
    source: str
    look: Look
    techniques: tuple[str, ...]
    refused: dict[str, str]
    formats: tuple[str, ...]
    instead: str = ""


def run(path: Path, patience: Patience | None = None) -> Inspected:
    """Look at one file; UsageError for one that is missing, empty, of no known kind, or damaged, StepError for one that
    ends the process that looks, or uses up its limits.
    """
    name = source_for(path)
    source = SOURCES.get(name)
    need(source.requires, f"looking at {path.suffix or path.name}", file=str(path), key=None, extra=source.extra)
    preload_reader(source.kind)
    try:
        look = apart.call(partial(_looked_at, source, path), str(path), patience)
    except UsageError as error:
        raise UsageError(error.reason, file=str(path), hint=error.hint) from None
    refused = {step: why for step in STEPS.names() if (why := _why_not(step, source, look))}
    formats = tuple(kind for kind in FORMATS.names() if kind == source.kind or (source.trainable and _installed(kind)))
    techniques = tuple(step for step in STEPS.names() if step not in refused)
    instead = _OF_FLOATS if look.integer else source.instead
    return Inspected(str(path), name, look, techniques, refused, formats, instead if refused else "")


def _looked_at(source: type[Source], path: Path) -> Look:
    with runtimes_silent():
        return source.look(path)


def source_for(path: Path) -> str:
    """The source whose files have this ending, or whose folders this one is; UsageError where there is none."""
    for name, kind in SOURCES.usable().items():
        if kind.mark is not None and (path / kind.mark).is_file():
            return name
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        message = "is a folder, and a model file is looked at" if path.is_dir() else error.strerror or "cannot be read"
        raise UsageError(message, file=str(path)) from None
    if empty:
        raise UsageError("is empty", file=str(path))
    endings = {ending: name for name, kind in SOURCES.usable().items() for ending in kind.endings}
    if path.suffix.lower() not in endings:
        message = f"no source takes {path.suffix or 'files without ending'}"
        raise UsageError(message, file=str(path), hint=suggest(path.suffix, endings))
    return endings[path.suffix.lower()]


def _why_not(step: str, source: type[Source], look: Look) -> str:
    """Why a technique does not work on the file; empty where it does."""
    technique = STEPS.get(step)
    if source.trainable:
        return ""
    if not takes(technique, source.kind):
        return f"works on {' or '.join(technique.consumes)}"
    return recomputed(technique.numbers, look.integer, (port.dtype for port in (*look.inputs, *look.outputs)))


def _installed(kind: str) -> bool:
    return all(keys.version(name) != "absent" for name in FORMATS.get(kind).requires)
