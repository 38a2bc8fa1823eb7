"""Artifacts, steps and what a step sees while it runs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from edgebuild.spec.calibration import Calibration
from edgebuild.spec.cores import Cores
from edgebuild.spec.documents import named
from edgebuild.spec.errors import owner
from edgebuild.spec.names import file_name
from edgebuild.spec.stage import Stage

Determinism = Literal["everywhere", "same-cpu", "no"]

# In `consumes`: a model file of any format.
FILE = "file"

# Metadata of a step's field that does not change its result and so stays out of the key (labels, limits of time).
EXCUSED: dict[str, Any] = {"in_key": False}


@dataclass(frozen=True, slots=True)
class Artifact:
    """A folder of bytes in the store: `kind` says what it holds, `digest` is the SHA-256 of its content."""

    kind: str
    digest: str


@dataclass(frozen=True, slots=True)
class Input:
    """An artifact that a step may read: its kind, digest and folder (read-only)."""

    kind: str
    digest: str
    path: Path


@dataclass(frozen=True, slots=True)
class Record:
    """What a step did on the way to another's inputs: its key and the parts of that, what came out, what it noted, and
    what it took ranges from.
    """

    step: str
    key: str
    output: str
    deterministic: Determinism
    parts: Mapping[str, str]
    notes: tuple[str, ...] = ()
    calibration: Calibration | None = field(default=None, metadata=named("calibration"))


class Progress(Protocol):
    """Told by a step: the share that is done, a short note, and points of curves at an optimiser step."""

    def __call__(self, done: float, note: str, *, step: int = 0, **scalars: float) -> None:
        """Tell it."""


def _silent(done: float, note: str, *, step: int = 0, **scalars: float) -> None:
    """Progress that nobody listens to."""


@dataclass(frozen=True, slots=True)
class StepIO:
    """All that a running step may touch: inputs by role, an empty output folder, scratch space, a progress line.

    `partial` is a folder that the step finds again when it is run anew with the same key after an interruption, and
    that goes when it ends well. What is found there may be torn: the step checks it. `kept` is a folder that it shares
    with its runs on other inputs, of which nothing else in the key differs: for what was dear to measure and depends on
    a part of the inputs that the step can name (`spec/kept.py`). `cores` are what a step that can
    run processes side by side asks for more of. `stage` is set in a process that a step has started for a part of it.
    """

    inputs: Mapping[str, Input]
    output: Path
    scratch: Path
    progress: Progress = field(default=_silent)
    provenance: tuple[Record, ...] = ()
    partial: Path | None = None
    cores: Cores = field(default_factory=Cores)
    kept: Path | None = None
    stage: Stage | None = None

    def path(self, role: str) -> Path:
        """The folder of the input with this role; KeyError when the plan did not connect it."""
        return self.inputs[role].path

    def kind(self, role: str) -> str:
        """The kind of the input with this role."""
        return self.inputs[role].kind

    def roles(self, prefix: str) -> dict[str, Input]:
        """The inputs whose role is `prefix/name`, by name: for steps that take a varying number of inputs."""
        head = prefix + "/"
        return {role.removeprefix(head): item for role, item in self.inputs.items() if role.startswith(head)}


class Step(Protocol):
    """A frozen dataclass whose fields are its options; one file in `steps/`, `steps/techniques/` or `steps/evidence/`.

    consumes: kinds that the input `model` may have, FILE for every format's (empty: takes no model)
    produces: the kind of the output; None means the kind of `model`
    needs: the other roles that must be connected
    tools: distributions whose versions are part of the key
    deterministic: on which machines the same key gives the same bytes. "same-cpu", unless a step says otherwise:
        kernels for floats decide, of a framework, of the user's code or of the C library, and these differ with what
        the processor can do. "everywhere": nothing but whole numbers, copies and roundings that IEEE 754 fixes decides
        a byte; whoever writes it must show it in `tests/contracts`. "no": time is measured
    exclusive: whether it runs with nothing beside it, as what measures time must
    """

    __slots__ = ()

    consumes: ClassVar[tuple[str, ...]]
    produces: ClassVar[str | None]
    needs: ClassVar[tuple[str, ...]]
    tools: ClassVar[tuple[str, ...]] = ()
    deterministic: ClassVar[Determinism] = "same-cpu"
    exclusive: ClassVar[bool] = False

    @abstractmethod
    def run(self, io: StepIO) -> None:
        """Read `io.inputs`, write files into `io.output`."""

    @property
    def elsewhere(self) -> bool:
        """Whether it measures another machine, so that other builds may work on this one."""
        return False

    @property
    def stays(self) -> bool:
        """Whether it runs where the project is, because it reads what is there and is none of its inputs."""
        return False

    @property
    def shared(self) -> Determinism:
        """Which machines' builds may take what another made under the same key: those on which it would make the same
        bytes, or bytes that are as good because they speak of the key alone. "no" for what speaks of this machine.
        """
        return self.deterministic

    @property
    def trains(self) -> bool:
        """Whether it may compute with all that the machine has: the number of its cores and its CUDA device count."""
        return False

    def uses(self) -> tuple[str, ...]:
        """Of `needs`, the roles that must be connected for the options that it has."""
        return self.needs

    @staticmethod
    def versions() -> Mapping[str, str]:
        """By name, versions of what no distribution stands for and its bytes depend on."""
        return {}


def perform(step: Step, io: StepIO) -> None:
    """Run the step; errors about an option, or about nothing in particular, name the step that ran."""
    with owner(file_name(type(step))):
        step.run(io)


def needs_machine(step: Step) -> bool:
    """Whether nothing else may run on this machine beside it, not even another build."""
    return step.exclusive and not step.elsewhere


def options(step: Step) -> dict[str, Any]:
    """The options of `step` that belong into its key, by name."""
    return {f.name: getattr(step, f.name) for f in option_fields(step) if f.metadata.get("in_key", True)}


def option_fields(step: Step | type[Step]) -> tuple[Field[Any], ...]:
    """The fields of a step, which are its options; TypeError for what is no dataclass, as each step is."""
    return fields(step)  # type: ignore[arg-type]
