"""Plans what a model starts from: its code, its data, its float weights and its teacher."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from edgebuild.engine.graph import Graph, Node
from edgebuild.engine.store import Store
from edgebuild.plan.packages import need
from edgebuild.spec import tasks
from edgebuild.spec.artifact import Artifact
from edgebuild.spec.checked import check
from edgebuild.spec.data import DATA, Data
from edgebuild.spec.dataset import Held
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import ModelSpec, Teacher
from edgebuild.spec.reads import Read
from edgebuild.spec.source import SOURCES, Making, ProjectFile, Source
from edgebuild.spec.units import show_bytes
from edgebuild.steps.load_data import LoadData
from edgebuild.steps.unroll import SPLITS, Unroll

_MODULE = "torch"


@dataclass(frozen=True, slots=True)
class Weights:
    """What every target of a model shares: its source, and ids. Without declared teachers the float model teaches
    itself.

    `trained` are those of the weights that are not read from a file; `untrained` is the model before, None when
    nothing is trained. `files` are the project's own that the float model is made of, by role.

    Of a model that is lifted, `undecided` is the step that finds out whether it can be, until that has run; then the
    plan is made anew: for the file as it is where it was refused, `refusal` says why.
    """

    source: Source
    code: str
    data: str
    float: str
    teachers: tuple[str, ...]
    trained: tuple[str, ...]
    untrained: str | None
    files: Mapping[str, str]
    undecided: str | None = None
    refusal: str | None = None

    @classmethod
    def plan(cls, graph: Graph, store: Store, model: ModelSpec) -> Weights:
        """Add the shared nodes of `model`; UsageError for a source that is unknown or that cannot be read."""
        source = source_of(model)
        requires, extra = source.packages()
        need(requires, "a build", file=model.file, key=None, extra=extra)
        members = {member.name: cls.plan(graph, store, member) for member in model.members}
        code, data = plan_data(graph, store, model)
        add = _Maker(
            graph, store, model, {"code": code, "data": data}, {name: of.float for name, of in members.items()}
        )
        start = _Start.plan(source, add)
        teaching = [_lessons(model, key, teacher) for key, teacher in model.declared.keyed_teachers]
        teachers = tuple(add(role, making, kind) for role, making, kind in _numbered(teaching))
        makings = zip((start.node, *teachers), (start.making, *(making for making, _ in teaching)), strict=True)
        trained = tuple(dict.fromkeys(item for item, making in makings if making.trains))
        before = source.untrained(model) if trained else None
        untrained = add("untrained", before, source.kind) if before else None
        files = {role: item for role, item in graph.nodes[start.node].inputs.items() if role in start.making.files}
        data = _in_streams(graph, model, start.source, {"model": start.node, "data": data, **files})
        taught_by = teachers or (start.node,)
        weighed = (start.source, code, data, start.node, taught_by, trained, untrained, files)
        undecided = next((own.undecided for own in members.values() if own.undecided), start.undecided)
        return cls(*weighed, undecided, start.refusal)


@dataclass(frozen=True, slots=True)
class _Start:
    """The step that makes the float model, and the source that it is one of: of a lift that was refused another."""

    source: Source
    making: Making
    node: str
    undecided: str | None = None
    refusal: str | None = None

    @classmethod
    def plan(cls, source: Source, add: _Maker) -> _Start:
        """Add it; where it may be refused, what an earlier run has found out decides."""
        making = source.float(add.model)
        if source.as_file("") is None:
            return cls(source, making, add("float", making, source.kind))
        from edgebuild.plan import lifting  # few models are lifted

        lift = add("lift", making, source.kind)
        tried = lifting.artifact(add.graph, add.store, lift)
        why = lifting.refusal(tried)
        file = source.as_file(why) if why else None
        if file is None:
            return cls(source, making, lift, None if tried else lift)
        making = file.float(add.model)
        return cls(file, making, add("float", making, file.kind), None, why)


def _lessons(model: ModelSpec, key: str, teacher: Teacher) -> tuple[Making, str]:
    """What makes a teacher, and the kind of that; UsageError for a source that teaches nobody."""
    origin = teacher.origin(key)
    kind = SOURCES.get(origin.use, file=model.file, key=f"{origin.key}.use")
    source: Source = check(kind, origin.options, file=model.file, prefix=origin.key)
    requires, extra = source.packages()
    need(requires, "the teacher", file=model.file, key=key, extra=extra)
    making = source.teacher(model, teacher, origin)
    return making, making.kind or source.kind


def _numbered(teaching: Sequence[tuple[Making, str]]) -> Iterator[tuple[str, Making, str]]:
    """Each with its role: `teacher`, `teacher-2`."""
    for number, (making, kind) in enumerate(teaching, 1):
        yield "teacher" + (f"-{number}" if number > 1 else ""), making, kind


def _in_streams(graph: Graph, model: ModelSpec, source: Source, known: Mapping[str, str]) -> str:
    """The data with the states that the float model leaves in streams, where outputs come back as inputs; its id."""
    loops = model.declared.signature.loops
    if not loops:
        return known["data"]
    answers: dict[str, str] = {}
    for split in SPLITS:
        making = source.reference(cast(Held, split))
        step = replace(making.step, loops=loops)  # type: ignore[type-var]
        node = Node(step, {name: known[name] for name in step.uses()}, "outputs", making.code, making.tools)
        answers[split] = graph.add(f"{model.name}/streams-{split}", node)
    node = Node(Unroll(loops), {"data": known["data"], **answers}, "data")
    return graph.add(f"{model.name}/streams", node)


def source_of(model: ModelSpec) -> Source:
    """Where the model comes from; UsageError for an unknown source or a wrong option."""
    origin = model.declared.origin
    kind = SOURCES.get(origin.use, file=model.file, key="source.use")
    source: Source = check(kind, origin.options, file=model.file, prefix=origin.key)
    return source


def plan_data(graph: Graph, store: Store, model: ModelSpec) -> tuple[str, str]:
    """Add the model's code as it is now and the data that it loads; their ids."""
    declared, name = model.declared, model.name
    need(declared.tools, "the model's code", file=model.file, key="tools")
    code = graph.add_source(f"{name}/code", store.snapshot(_files(model), "code"))
    step = loader(model, _reads(store, model))
    need(step.data.requires, f"data of {model.name}", file=model.file, key="data", extra=step.data.extra)
    node = Node(
        step,
        {"code": code} if step.uses() else {},
        "data",
        code=(type(step.data).__module__, *task_code(model)),
        tools=(*declared.tools, *step.data.requires),
    )
    return code, graph.add(f"{name}/data", node)


def loader(model: ModelSpec, reads: tuple[Read, ...] = ()) -> LoadData:
    """The step that has the model's examples loaded; UsageError for an unknown kind of data or a wrong option."""
    declared, data = model.declared, data_of(model)
    heads = tuple(replace(head, labels=()) for head in declared.heads)
    return LoadData(
        data,
        declared.signature.bare,
        heads,
        model.origin,
        reads,
        declared.preprocess if data.prepares else None,
        next((head.labels for head in declared.heads if head.labels), ()) if data.by_name else (),
    )


def data_of(model: ModelSpec) -> Data:
    """Where the model's examples come from; UsageError for an unknown kind or a wrong option."""
    origin = model.declared.examples
    kind = DATA.get(origin.use, file=model.file, key="data.use")
    data: Data = check(kind, origin.options, file=model.file, prefix=origin.key)
    return data


def _needs_code(model: ModelSpec) -> bool:
    """Whether anything in its declaration names a function of its own."""
    declared = model.declared
    own = data_of(model).code or declared.augment or declared.fit or source_of(model).coded
    return bool(own) or any(teacher.builder is not None for teacher in declared.all_teachers)


def task_code(model: ModelSpec) -> tuple[str, ...]:
    """The modules of the model's tasks, which all that learns from labels or looks at answers runs."""
    return tasks.modules(model.declared.heads)


def _reads(store: Store, model: ModelSpec) -> tuple[Read, ...]:
    """What the model's data is read from besides its own folder, as it is now; UsageError for what is not there."""
    reads = []
    own = {f"reads[{number}]": name for number, name in enumerate(model.declared.reads)}
    data, how = data_of(model), model.declared.preprocess
    prepared = dict(how.reads()) if how is not None and data.prepares else {}
    for key, name in (own | dict(data.reads()) | prepared).items():
        place = model.place(name, key)
        try:
            read = store.reads.read(place.parent, place.name)
        except OSError as error:
            raise UsageError(f"{name!r} cannot be read: {error.strerror}", file=model.file, key=key) from None
        if read is None:
            hint = "paths start from the model's folder"
            raise UsageError(f"no such file: {name!r}", file=model.file, key=key, hint=hint)
        reads.append(replace(read, name=name))
    return tuple(reads)


@dataclass(frozen=True, slots=True)
class _Maker:
    """Adds the steps of sources; `shared` are ids by role of what any of them may need, `members` those of the models
    that this one is made of, by name.
    """

    graph: Graph
    store: Store
    model: ModelSpec
    shared: Mapping[str, str]
    members: Mapping[str, str]

    def __call__(self, role: str, making: Making, kind: str) -> str:
        label = f"{self.model.name}/{role}"
        inputs = {name: self.shared[name] for name in making.step.uses() if name in self.shared}
        for name, member in making.models.items():
            inputs[name] = self._member(member)
        for name, files in making.files.items():
            inputs[name] = self.graph.add_source(f"{label}/{name}", self._snapshot(files, name))
        of_code = self.model.declared.tools if "code" in inputs else ()
        tools = (*making.tools, *of_code)
        return self.graph.add(label, Node(making.step, inputs, kind, making.code, tools))

    def _member(self, name: str) -> str:
        """The float model of a member; UsageError for one that is a file, which no module can have in it."""
        if (kind := self.graph.kind(self.members[name])) != _MODULE:
            reason, hint = (
                f"{name!r} comes as {kind}, and only modules can be one network",
                'use = "lifted" makes it one',
            )
            raise UsageError(reason, file=self.model.file, key="source.members", hint=hint)
        return self.members[name]

    def _snapshot(self, files: tuple[ProjectFile, ...], kind: str) -> Artifact:
        for file in files:
            self._check(file)
        paths = [self.model.place(file.path, file.key) for file in files]
        folder = paths[0].parent
        return self.store.snapshot({path.relative_to(folder).as_posix(): path for path in paths}, kind)

    def _check(self, file: ProjectFile) -> None:
        path = self.model.place(file.path, file.key)
        if not path.is_file():
            raise UsageError(f"no such file: {file.path!r}", file=self.model.file, key=file.key)
        size = path.stat().st_size
        if file.largest is not None and size > file.largest:
            message = f"{file.path!r} has {show_bytes(size)}, more than the {show_bytes(file.largest)} that are read"
            raise UsageError(message, file=self.model.file, key=file.key)


def _files(model: ModelSpec) -> dict[str, Path]:
    """The files of the folder that the model's code is made of."""
    patterns = ("*.py", *model.declared.include)
    paths = {path for pattern in patterns for path in model.folder.glob(pattern) if path.is_file()}
    paths = {path for path in paths if "__pycache__" not in path.parts}
    if model.folder / "model.py" not in paths and _needs_code(model):
        raise UsageError("no such file", file=f"{model.origin}/model.py", hint="it holds the builder and the data")
    return {path.relative_to(model.folder).as_posix(): path for path in sorted(paths)}
