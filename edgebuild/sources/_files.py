"""What sources whose models are files have in common: the plan of their import and of their own answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from edgebuild.spec.dataset import SplitName
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.source import Making, ProjectFile
from edgebuild.steps.evidence.original_outputs import OriginalOutputs
from edgebuild.steps.import_file import ImportFile, Reader

LARGEST = 2**31  # bytes: offsets in flatbuffers and sizes in protocol buffers end there


def making(reader: Reader, model: ModelSpec, file: str, external: tuple[str, ...] = ()) -> Making:
    """The import of `file`, with its `external` weights: patterns of paths from its folder."""
    declared = model.declared
    if declared.all_teachers:
        told = f"a teacher needs somebody who learns, and a model that comes as {reader.kind} does not"
        raise UsageError(told, file=model.file, key="teacher" if declared.teacher else "teachers")
    step = ImportFile(reader, PurePosixPath(file).name, declared.signature.bare, shown=f"{model.origin}/{file}")
    files = project_files(model, file, external)
    return Making(step, files, code=modules(reader), tools=FORMATS.get(reader.kind).tools)


def project_files(model: ModelSpec, file: str, external: tuple[str, ...] = ()) -> dict[str, tuple[ProjectFile, ...]]:
    """By role, the file and those with its weights; UsageError for a link."""
    key = model.declared.origin.key_of("file")
    if (model.folder / file).is_symlink():
        raise UsageError(f"{file!r} is a link", file=model.file, key=key)
    return {"file": (ProjectFile(file, key, LARGEST), *_beside(model, file, external))}


def reference(reader: Reader, file: str, split: SplitName) -> Making:
    """The file's own answers."""
    step = OriginalOutputs(reader, PurePosixPath(file).name, split)
    return Making(step, code=modules(reader), tools=(FORMATS.get(reader.kind).runtime,))


def modules(reader: Reader) -> tuple[str, ...]:
    """Those whose code reads the file."""
    return (type(reader).__module__, FORMATS.module(reader.kind))


def _beside(model: ModelSpec, file: str, patterns: tuple[str, ...]) -> Iterator[ProjectFile]:
    folder, key = (model.folder / file).parent, model.declared.origin.key_of("external")
    paths = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file() and not path.is_symlink()}
    for path in sorted(paths):
        yield ProjectFile(path.relative_to(model.folder).as_posix(), key)
