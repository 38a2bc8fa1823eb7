"""What sources whose models are files have in common: the plan of their import, of their own answers and lessons."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from edgebuild.spec.dataset import Held
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.reader import Reader
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.source import Making, ProjectFile
from edgebuild.steps.evidence.original_outputs import OriginalOutputs
from edgebuild.steps.import_file import ImportFile

LARGEST = 2**31  # bytes: offsets in flatbuffers and sizes in protocol buffers end there


def refuse_teachers(model: ModelSpec, kind: str) -> None:
    """UsageError where a model that stays a file has a teacher."""
    if model.declared.all_teachers:
        told = f"a teacher needs somebody who learns, and a model that comes as {kind} does not"
        raise UsageError(told, file=model.file, key="teacher" if model.declared.teacher else "teachers")


def making(reader: Reader, model: ModelSpec, file: str, external: tuple[str, ...] = (), why: str = "") -> Making:
    """The import of `file`, with its `external` weights: patterns of paths from its folder; `why` for the report."""
    signature, shown = model.declared.signature.bare, f"{model.origin}/{file}"
    step = ImportFile(reader, PurePosixPath(file).name, signature, shown, why)
    files = project_files(model, file, external, model.declared.origin.key_of("file"))
    return Making(step, {"file": files}, code=_code(reader), tools=_tools(reader))


def project_files(model: ModelSpec, file: str, external: tuple[str, ...], key: str) -> tuple[ProjectFile, ...]:
    """The file and those beside it; UsageError for a link. `key` is where model.toml names it, for messages."""
    if (model.folder / file).is_symlink():
        raise UsageError(f"{file!r} is a link", file=model.file, key=key)
    return (ProjectFile(file, key, LARGEST), *_beside(model, file, external, key))


def reference(reader: Reader, file: str, split: Held) -> Making:
    """The file's own answers."""
    step = OriginalOutputs(reader, PurePosixPath(file).name, split)
    return Making(step, code=_code(reader), tools=(*reader.tools, reader.runtime))


def _code(reader: Reader) -> tuple[str, ...]:
    return (type(reader).__module__, FORMATS.module(reader.kind))


def _tools(reader: Reader) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*reader.tools, reader.runtime, *FORMATS.get(reader.kind).tools)))


def _beside(model: ModelSpec, file: str, patterns: tuple[str, ...], key: str) -> Iterator[ProjectFile]:
    folder, place = (model.folder / file).parent, key.rpartition(".")[0]
    paths = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file() and not path.is_symlink()}
    for path in sorted(paths):
        yield ProjectFile(path.relative_to(model.folder).as_posix(), f"{place}.external")
