"""Plans what a model starts from: its code, its data, its float weights and its teacher."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgebuild.engine.graph import Graph, Node
from edgebuild.engine.store import Store
from edgebuild.plan.packages import need
from edgebuild.spec.artifact import Artifact
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import ModelSpec, Training
from edgebuild.spec.reads import Read
from edgebuild.steps.import_weights import ImportWeights
from edgebuild.steps.load_data import LoadData
from edgebuild.steps.train import Train
from edgebuild.steps.untrained import Untrained


@dataclass(frozen=True, slots=True)
class Weights:
    """Ids of what every target of a model shares. Without declared teachers the float model teaches itself.

    `trained` are those of the weights that are not read from a file; `untrained` is the model before, None when
    nothing is trained.
    """

    source: str
    data: str
    float: str
    teachers: tuple[str, ...]
    trained: tuple[str, ...]
    untrained: str | None

    @classmethod
    def plan(cls, graph: Graph, store: Store, model: ModelSpec) -> Weights:
        """Add the shared nodes of `model`."""
        declared = model.declared
        need(("torch", "safetensors"), "a build", file=model.file, key=None, extra="torch")
        source, data = plan_data(graph, store, model)
        make = _Maker(graph, store, model, source, data)
        weights = make("float", declared.builder, declared.weights, declared.training)
        teachers = tuple(
            make("teacher" + (f"-{number}" if number > 1 else ""), own.builder, own.weights, own.training)
            for number, own in enumerate(declared.all_teachers, 1)
        )
        trained = tuple({item: None for item in (weights, *teachers) if isinstance(graph.nodes[item].step, Train)})
        untrained = _untrained(graph, model, source) if trained else None
        return cls(source, data, weights, teachers or (weights,), trained, untrained)


def plan_data(graph: Graph, store: Store, model: ModelSpec) -> tuple[str, str]:
    """Add the model's code as it is now and the data that it loads; their ids."""
    declared, name = model.declared, model.name
    need(declared.tools, "the model's code", file=model.file, key="tools")
    source = graph.add_source(f"{name}/source", store.snapshot(_files(model), "source"))
    loader = LoadData(
        declared.data, declared.inputs, declared.width, _origin(model), declared.task, reads=_reads(store, model)
    )
    return source, graph.add(f"{name}/data", Node(loader, {"source": source}, "data", tools=declared.tools))


def _reads(store: Store, model: ModelSpec) -> tuple[Read, ...]:
    """What the model's data is read from besides its own folder, as it is now; UsageError for what is not there."""
    found = []
    for number, name in enumerate(model.declared.reads):
        key = f"reads[{number}]"
        try:
            read = store.reads.read(model.folder, name)
        except OSError as error:
            raise UsageError(f"{name!r} cannot be read: {error.strerror}", file=model.file, key=key) from None
        if read is None:
            hint = "paths start from the model's folder"
            raise UsageError(f"no such file: {name!r}", file=model.file, key=key, hint=hint)
        found.append(read)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Maker:
    """Plans one set of weights: read from the user's file where one is named, else trained."""

    graph: Graph
    store: Store
    model: ModelSpec
    source: str
    data: str

    def __call__(self, role: str, builder: str, weights: str | None, training: Training) -> str:
        declared, label = self.model.declared, f"{self.model.name}/{role}"
        built, shared = (builder, declared.inputs, declared.width), (declared.augment, _origin(self.model))
        if weights is None:
            step = Train(*built, training, *shared)
            return self.graph.add(label, Node(step, {"source": self.source, "data": self.data}, "torch"))
        file = self.model.folder / weights
        taken = self.graph.add_source(f"{label}/file", self._snapshot(file, role))
        reader = ImportWeights(*built, *shared, shown=f"{_origin(self.model)}/{weights}")
        return self.graph.add(label, Node(reader, {"source": self.source, "weights": taken}, "torch"))

    def _snapshot(self, file: Path, role: str) -> Artifact:
        if not file.is_file():
            key = "weights" if role == "float" else f"{role}.weights"
            raise UsageError(f"no such file: {file.name!r}", file=self.model.file, key=key)
        return self.store.snapshot({file.name: file}, "weights")


def _untrained(graph: Graph, model: ModelSpec, source: str) -> str:
    declared = model.declared
    step = Untrained(declared.builder, declared.inputs, declared.width, _origin(model))
    return graph.add(f"{model.name}/untrained", Node(step, {"source": source}, "torch"))


def _origin(model: ModelSpec) -> str:
    """How messages name the model's folder; the same wherever the project lies."""
    return f"models/{model.name}"


def _files(model: ModelSpec) -> dict[str, Path]:
    """The files of the folder that the model's code is made of."""
    patterns = ("*.py", *model.declared.include)
    found = {path for pattern in patterns for path in model.folder.glob(pattern) if path.is_file()}
    found = {path for path in found if "__pycache__" not in path.parts}
    if model.folder / "model.py" not in found:
        raise UsageError("no such file", file=f"{_origin(model)}/model.py", hint="it holds the builder and the data")
    return {path.relative_to(model.folder).as_posix(): path for path in sorted(found)}
