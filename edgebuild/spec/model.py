"""A model: who builds it, on which data it is trained and judged, and what it may cost on each target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt
from pydantic import ConfigDict, Discriminator, Field, Tag

from edgebuild.spec import places
from edgebuild.spec.checked import placed
from edgebuild.spec.decoder import Decoder
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import STRICT, Distribution, Inside, Seed
from edgebuild.spec.layout import Layout
from edgebuild.spec.outputs import SCORES, Answers, Labels, Outputs
from edgebuild.spec.preprocess import Preprocess
from edgebuild.spec.signature import Head, Scores, Signature, TensorSpec
from edgebuild.spec.target import Recipe

# Which of its two forms `data` has; no part of a key that messages name.
_NAME, _TABLE = "[name]", "[table]"


def _data_form(data: object) -> str:
    return _NAME if isinstance(data, str) else _TABLE


Optimizer = Annotated[Literal["sgd", "adamw"], Field(description="sgd has Nesterov momentum")]
Clip = Annotated[float | None, Field(gt=0, description="largest norm of a batch's gradient; none: as it comes")]
Patience = Annotated[
    int | None,
    Field(ge=1, description="epochs without a lower validation loss that end it; none: never"),
]


Averaging = Annotated[
    Literal["ema", "swa"] | None,
    Field(description="mean of the weights along the way, kept where validation examples say it is no worse"),
]


Processes = Annotated[
    int, Field(ge=1, le=64, description="processes that each hold a part of the model while it is trained")
]

Replicas = Annotated[
    int | None,
    Field(
        ge=1, le=64, description="processes that each have the whole model and a share of every batch; none: by GPUs"
    ),
]


@dataclass(frozen=True, slots=True)
class Training:
    """How weights are made: passes over the data, examples a step, peak learning rate, decay, seed.

    patience: epochs without a lower validation loss after which it ends, with the weights of the best one
    processes: that each hold a part of the model, with its gradients and its optimizer's state
    replicas: processes that each have all of it and a share of every batch; None: one for each CUDA device
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    epochs: Annotated[int, Ge(1)] = 20
    batch_size: Annotated[int, Ge(1)] = 64
    learning_rate: Annotated[float, Gt(0)] = 2e-3
    weight_decay: Annotated[float, Ge(0)] = 1e-2
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    seed: Seed = 0
    optimizer: Optimizer = "sgd"
    clip: Clip = None
    patience: Patience = None
    averaging: Averaging = None
    processes: Processes = 1
    replicas: Replicas = None

    def __post_init__(self) -> None:
        """ValueError for what looks at the whole model while it is trained in parts, and for no share of a batch."""
        if self.processes > 1 and (self.replicas or 1) > 1:
            raise ValueError("processes hold a part of the model each, replicas all of it: keep one of the two")
        if (self.replicas or 1) > self.batch_size:
            raise ValueError(f"replicas is {self.replicas}, and a batch has {self.batch_size} examples to share")
        whole = {"patience": self.patience, "averaging": self.averaging}
        if self.processes > 1 and (named := [name for name, value in whole.items() if value is not None]):
            raise ValueError(
                f"{' and '.join(named)} need the whole model in one process, and processes is {self.processes}"
            )


@dataclass(frozen=True, slots=True)
class Teacher:
    """A larger model that the compressed one learns from: built, and trained like the model unless weights are given,
    or a file of another source, which teaches by its answers.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    builder: Annotated[str | None, Field(description="function in model.py that returns the torch.nn.Module")] = None
    source: Annotated[
        Mapping[str, Any] | None, Field(description="a file that teaches by its answers, if there is no builder")
    ] = None
    weights: Inside | None = None
    training: Training = field(default_factory=Training)
    layout: Annotated[
        Layout | None, Field(description="of the pictures that a source takes, where the model takes the other")
    ] = None

    def __post_init__(self) -> None:
        """ValueError unless it comes from one place."""
        if (self.builder is None) == (self.source is None):
            raise ValueError("a teacher has a builder or a source: one of the two")
        if self.source is not None and self.weights is not None:
            raise ValueError("weights are a builder's; a source names its own file")
        if self.source is not None and not isinstance(self.source.get("use"), str):
            raise ValueError("source.use must name where the teacher comes from")
        if self.source is None and self.layout is not None:
            raise ValueError("layout is for a source: a builder's module takes what the model takes")

    def origin(self, key: str) -> PluginSpec:
        """Where it comes from; `key` is where it is declared."""
        if self.source is not None:
            return _plugin(self.source, f"{key}.source")
        return PluginSpec(_BUILT, _known(builder=self.builder, weights=self.weights), key)


@dataclass(frozen=True, slots=True)
class PluginSpec:
    """A source or a kind of data by name with its options, checked when the plan is made; `key` is where they stand,
    for messages.
    """

    use: str
    options: Mapping[str, Any]
    key: str

    def key_of(self, option: str) -> str:
        """How messages name one of the options."""
        return f"{self.key}.{option}" if self.key else option


_BUILT = "torch"  # the source that a builder alone stands for
_CODED = "function"  # the kind of data that the name of a function alone stands for


@dataclass(frozen=True, slots=True)
class ModelFile:
    """The content of a `model.toml`."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    description: str
    data: Annotated[
        Annotated[str, Tag(_NAME), Field(description="function in model.py that returns the examples")]
        | Annotated[Mapping[str, Any], Tag(_TABLE)],
        Discriminator(_data_form),
    ]
    inputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1)]
    task: Annotated[
        str | None, Field(description="what labels are, where one task has all outputs; usually classes")
    ] = None
    builder: Annotated[str | None, Field(description="function in model.py that returns the torch.nn.Module")] = None
    source: Annotated[
        Mapping[str, Any] | None, Field(description="where the model comes from, if not from a builder")
    ] = None
    labels: Labels = ()
    outputs: Annotated[
        Outputs | None, Field(description="values that the model answers, or a table for each output")
    ] = None
    decoder: Annotated[Decoder | None, Field(description="how a detector's answers become boxes")] = None
    scores: Annotated[Scores | None, Field(description=SCORES)] = None
    augment: str | None = None
    fit: Annotated[
        str | None, Field(description="function fit(module, data, io) in model.py that trains in the place of ours")
    ] = None
    weights: Annotated[
        Inside | None, Field(description="safetensors or .pth file with the state dict; else the model is trained")
    ] = None
    include: Annotated[tuple[Inside, ...], Field(description="more files of the folder that the code reads")] = ()
    reads: Annotated[
        tuple[str, ...], Field(description="files, folders or patterns elsewhere that data reads; their content counts")
    ] = ()
    tools: Annotated[tuple[Distribution, ...], Field(description="distributions that the code uses")] = ()
    base: Annotated[
        str | None, Field(description="model of the project whose declaration and folder hold where this one is silent")
    ] = None
    assembly: Annotated[
        Mapping[str, Any] | None, Field(description="parts that answer together, and what joins them")
    ] = None
    recipe: Annotated[
        str | None, Field(description="what a build takes where neither target nor search says; usually balanced")
    ] = None
    by_name: Annotated[
        bool, Field(description="built only where --model names it: what is heavy, or needs packages of its own")
    ] = False
    training: Training = field(default_factory=Training)
    teacher: Teacher | None = None
    teachers: Annotated[tuple[Teacher, ...], Field(description="several teachers, which teach as their mean")] = ()
    preprocess: Preprocess | None = None
    sample: Annotated[int, Ge(0), Field(description="held-out example that the bundle carries as a sample")] = 0
    steps: Annotated[Mapping[str, Mapping[str, Any]], Field(description="options of steps for this model")] = field(
        default_factory=dict
    )
    budgets: Annotated[Mapping[str, Mapping[str, str]], Field(description="target → metric → limit")] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        """ValueError for declarations that contradict each other."""
        names = [spec.name for spec in self.inputs]
        if len({*names}) < len(names):
            raise ValueError(f"inputs must have different names, not {', '.join(names)}")
        if self.preprocess is not None:
            self.preprocess.places(self.inputs)
        if self.builder is None and self.source is None:
            raise ValueError("builder is missing: a model in PyTorch has one, any other has a [source]")
        if self.builder is not None and self.source is not None:
            raise ValueError("builder and [source] both say where the model comes from: keep one of the two")
        if self.source is not None and self.weights is not None:
            raise ValueError("weights are a builder's; a [source] names its own file")
        if self.source is not None and not isinstance(self.source.get("use"), str):
            raise ValueError("source.use must name where the model comes from")
        if not isinstance(self.data, str):
            if not isinstance(self.data.get("use"), str):
                raise ValueError("data must be a function of model.py by name, or a table whose `use` says its kind")
            if self.reads:
                raise ValueError("reads is for a function of model.py; [data] names its own files")
        if self.assembly is not None and not isinstance(self.assembly.get("use"), str):
            raise ValueError("assembly.use must name what joins the parts")
        several = [name for name in ("processes", "replicas") if (getattr(self.training, name) or 1) > 1]
        if self.fit is not None and several:
            raise ValueError(
                f"fit trains in the place of our loop, and training.{several[0]} is ours: keep one of the two"
            )
        if self.teacher is not None and self.teachers:
            raise ValueError("teacher is for one, teachers for several: keep one of the two")
        self.answers.check()
        self._check_states()

    def _check_states(self) -> None:
        """ValueError for an input that is no output of the model come back."""
        outputs = {output.name: output for output in self.answers.specs}
        for one in self.inputs:
            if one.state is None:
                continue
            output = outputs.get(one.state.source)
            if output is None:
                known = ", ".join(outputs)
                raise ValueError(f"state of input {one.name!r} comes from {one.state.source!r}, no output of {known}")
            if (output.shape, output.dtype) != (one.shape, one.dtype):
                described = f"{output.dtype} {list(output.shape)}, and the input is {one.dtype} {list(one.shape)}"
                raise ValueError(f"state of input {one.name!r} comes from {output.name!r}, which is {described}")
        if self.inputs and all(one.state for one in self.inputs):
            raise ValueError("every input is a state: nothing goes in")

    @property
    def all_teachers(self) -> tuple[Teacher, ...]:
        """Those that are declared, however many."""
        return (self.teacher,) if self.teacher is not None else self.teachers

    @property
    def keyed_teachers(self) -> tuple[tuple[str, Teacher], ...]:
        """The same, each with the key that it is declared under."""
        if self.teacher is not None:
            return (("teacher", self.teacher),)
        return tuple((f"teachers[{number}]", teacher) for number, teacher in enumerate(self.teachers))

    @property
    def origin(self) -> PluginSpec:
        """Where it comes from: what `[source]` says, or what builder and weights stand for."""
        if self.source is not None:
            return _plugin(self.source, "source")
        return PluginSpec(_BUILT, _known(builder=self.builder, weights=self.weights), "")

    @property
    def members(self) -> tuple[str, ...]:
        """The other models of the project that its source makes it of, by name."""
        named = (self.source or {}).get("members", ())
        return tuple(each for each in named if isinstance(each, str)) if isinstance(named, list | tuple) else ()

    @property
    def joining(self) -> PluginSpec | None:
        """What joins its parts, without these; None for a model of one part."""
        if self.assembly is None:
            return None
        return _plugin({name: value for name, value in self.assembly.items() if name != "parts"}, "assembly")

    @property
    def examples(self) -> PluginSpec:
        """Where the examples come from: what `[data]` says, or what the name of a function stands for."""
        if isinstance(self.data, str):
            return PluginSpec(_CODED, {"name": self.data}, "data")
        return _plugin(self.data, "data")

    @property
    def smooths(self) -> bool:
        """Whether any training of it smooths labels."""
        return any(own.label_smoothing for own in (self.training, *(each.training for each in self.all_teachers)))

    @property
    def signature(self) -> Signature:
        """Inputs and outputs in their order."""
        return Signature(self.inputs, self.answers.specs)

    @property
    def heads(self) -> tuple[Head, ...]:
        """What has a task: outputs with one of their own, or all together."""
        return self.answers.heads

    @property
    def answers(self) -> Answers:
        """All that is said of the outputs."""
        return Answers(self.outputs, self.task, self.labels, self.decoder, self.scores)


def _known(**options: str | None) -> dict[str, str]:
    return {name: value for name, value in options.items() if value is not None}


def _plugin(table: Mapping[str, Any], key: str) -> PluginSpec:
    return PluginSpec(str(table.get("use")), {name: value for name, value in table.items() if name != "use"}, key)


@dataclass(frozen=True, slots=True)
class PartLine:
    """A line of `[[assembly.parts]]`: another model of the project in the place of this one, and how it is compressed.

    Without a recipe it is the other model's, else the target's; without a name the part is called by its recipe, or
    its model.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: Annotated[str | None, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")] = None
    model: str | None = None
    recipe: str | None = None


@dataclass(frozen=True, slots=True)
class PartSpec:
    """A part of an assembly: a model, and the recipe that makes its file (None: the target's); `key` declares it."""

    name: str
    model: ModelSpec
    recipe: Recipe | None
    key: str


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model of the project: its name, folder and declaration. `file` is the path that messages show.

    A model with a `base` has the folder of that; `parts` are those of an assembly, `members` the models that its source
    makes it of. A draft, which is not in its place yet, is `drafted` under the name that its folder will have.
    """

    name: str
    folder: Path
    file: str
    declared: ModelFile
    parts: tuple[PartSpec, ...] = ()
    members: tuple[ModelSpec, ...] = ()
    drafted: str | None = None

    @property
    def origin(self) -> str:
        """How messages name the model's folder; the same wherever the project lies."""
        return f"models/{self.drafted or self.folder.name}"

    def place(self, name: str, key: str) -> Path:
        """Where a file or folder lies that model.toml names at `key`; UsageError for one that no place can be told of.

        That it is there is not asked.
        """
        try:
            return places.of(self.folder, name)
        except UsageError as error:
            raise placed(error, self.file, key) from None
