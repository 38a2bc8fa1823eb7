"""What sources whose models are files have in common: the plan of their import, of their own answers and lessons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from edgebuild.nn.train.teachers import KIND
from edgebuild.spec.dataset import Held
from edgebuild.spec.errors import UsageError
from edgebuild.spec.layout import Layout, axes
from edgebuild.spec.model import ModelSpec, PluginSpec, Teacher
from edgebuild.spec.reader import Reader
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.signature import Signature
from edgebuild.spec.source import Making, ProjectFile
from edgebuild.steps.evidence.original_outputs import OriginalOutputs
from edgebuild.steps.evidence.second_opinion import SecondOpinion
from edgebuild.steps.import_file import ImportFile
from edgebuild.steps.teacher_answers import TeacherAnswers

Constants = Mapping[str, float | int | bool]  # inputs that are always the same number, by name
LARGEST = 2**31  # bytes: offsets in flatbuffers and sizes in protocol buffers end there


def refuse_teachers(model: ModelSpec, kind: str) -> None:
    """UsageError where a model that stays a file has a teacher, or a training."""
    refuse_fit(model)
    if model.declared.all_teachers:
        message = f"a teacher needs somebody who learns, and a model that comes as {kind} does not"
        raise UsageError(message, file=model.file, key="teacher" if model.declared.teacher else "teachers")


def refuse_fit(model: ModelSpec) -> None:
    """UsageError where a model whose module is not built by the project's code brings its training."""
    if model.declared.fit is not None:
        raise UsageError("is for a model that code of yours builds", file=model.file, key="fit")


def making(reader: Reader, model: ModelSpec, file: str, external: tuple[str, ...] = (), why: str = "") -> Making:
    """The import of `file`, with its `external` weights: patterns of paths from its folder; `why` for the report."""
    signature, shown = model.declared.signature.bare, f"{model.origin}/{file}"
    step = ImportFile(reader, PurePosixPath(file).name, signature, shown, why)
    files = project_files(model, file, external, model.declared.origin.key_of("file"))
    return Making(step, {"file": files}, code=_code(reader), tools=_tools(reader))


def project_files(model: ModelSpec, file: str, external: tuple[str, ...], key: str) -> tuple[ProjectFile, ...]:
    """The file and those beside it; UsageError for a link. `key` is where model.toml names it, for messages."""
    if model.place(file, key).is_symlink():
        raise UsageError(f"{file!r} is a link", file=model.file, key=key)
    return (ProjectFile(file, key, LARGEST), *_beside(model, file, external, key))


def reference(reader: Reader, file: str, split: Held) -> Making:
    """The file's own answers."""
    step = OriginalOutputs(reader, PurePosixPath(file).name, split, reader.runtime)
    return Making(step, code=_code(reader), tools=(*reader.tools, reader.runtime))


def second(reader: Reader, file: str, split: Held) -> Making:
    """The answers of the file that another converter makes, which `reader` stands for."""
    step = SecondOpinion(reader, PurePosixPath(file).name, split)
    return Making(step, code=_code(reader), tools=(*reader.tools, reader.runtime))


def teacher(
    reader: Reader, model: ModelSpec, own: Teacher, origin: PluginSpec, file: str, external: tuple[str, ...] = ()
) -> Making:
    """A file that teaches by its answers: written down once, or, where every epoch sees examples otherwise, as it runs.

    A student must learn of the picture that it was shown, so answers to pictures before augmentation are no lesson.
    """
    declared, name, shown = model.declared, PurePosixPath(file).name, f"{model.origin}/{file}"
    files = {"file": project_files(model, file, external, origin.key_of("file"))}
    if declared.augment is None:
        step = TeacherAnswers(reader, name, declared.signature.bare, own.layout, shown)
        return Making(step, files, code=_code(reader), tools=(*reader.tools, reader.runtime), kind=KIND)
    importing = ImportFile(reader, name, _turned(declared.signature.bare, own.layout), shown)
    return Making(importing, files, code=_code(reader), tools=_tools(reader), kind=reader.kind)


def _turned(signature: Signature, layout: Layout | None) -> Signature:
    """With pictures as the file takes them."""
    if layout is None:
        return signature
    order = [axis - 1 for axis in axes(layout)[1:]]
    turned = (tuple(spec.shape[k] for k in order) if len(spec.shape) == 3 else spec.shape for spec in signature.inputs)
    inputs = tuple(replace(spec, shape=shape) for spec, shape in zip(signature.inputs, turned, strict=True))
    return replace(signature, inputs=inputs)


def _code(reader: Reader) -> tuple[str, ...]:
    return (type(reader).__module__, FORMATS.module(reader.kind))


def _tools(reader: Reader) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*reader.tools, reader.runtime, *FORMATS.get(reader.kind).tools)))


def _beside(model: ModelSpec, file: str, patterns: tuple[str, ...], key: str) -> Iterator[ProjectFile]:
    folder, table = model.place(file, key).parent, key.rpartition(".")[0]
    paths = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file() and not path.is_symlink()}
    for path in sorted(paths):
        named = PurePosixPath(file).parent / path.relative_to(folder).as_posix()
        yield ProjectFile(str(named), f"{table}.external")
