"""Where a model comes from: what every file in `sources/` tells a plan."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from edgebuild.spec.artifact import Step
from edgebuild.spec.errors import UsageError
from edgebuild.spec.plugins import Registry

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from edgebuild.spec.dataset import Held
    from edgebuild.spec.look import Look, Usual
    from edgebuild.spec.model import ModelSpec, PluginSpec, Teacher
    from edgebuild.spec.reader import Reader


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A file below the model's folder that a step reads; `key` is where model.toml names it, for messages.

    `largest` is the most bytes that it may have, None where nothing limits it.
    """

    path: str
    key: str
    largest: int | None = None


@dataclass(frozen=True, slots=True)
class Making:
    """A step that a source has a plan take. The roles that it may need are `code` (the model's own code), `data` (its
    examples), and those of `files`, which are copied into the store as they are now.

    trains: whether it takes long to make weights, so that a trial of the untrained model must come before it
    code, tools: modules and distributions that decide what the step makes, beside its own
    kind: of the artifact, where it is not the source's own
    models: other models of the project whose float models it takes, their names by role
    """

    step: Step
    files: Mapping[str, tuple[ProjectFile, ...]] = field(default_factory=dict)
    trains: bool = False
    code: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    kind: str | None = None
    models: Mapping[str, str] = field(default_factory=dict)


class Source(Protocol):
    """A frozen dataclass whose fields are the options of `[source]`; one file in `sources/`.

    kind: of the artifact that it makes: "torch", or a format's name for a model file
    trainable: whether gradients pass through it, so that it can be pruned, distilled and trained for integers
    requires: distributions that a build from it needs
    extra: the extra of edgebuild's that brings them
    instead: for one that is not trainable, what would let steps take it that cannot
    coded: whether the project's own model.py has to build it
    named: whether a package builds it, by a name
    endings: of the files that it takes, where a model is one file
    unbatched: whether it takes inputs and outputs that have no batch axis for one example as a whole
    mark: a file by which a folder is known to be a model of it, where a model is a folder
    """

    __slots__ = ()

    kind: ClassVar[str]
    trainable: ClassVar[bool] = False
    requires: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str | None] = None
    instead: ClassVar[str] = ""
    coded: ClassVar[bool] = False
    named: ClassVar[bool] = False
    endings: ClassVar[tuple[str, ...]] = ()
    unbatched: ClassVar[bool] = False
    mark: ClassVar[str | None] = None

    def packages(self) -> tuple[tuple[str, ...], str | None]:
        """The distributions that a build of its own file needs, and the extra that brings them."""
        return self.requires, self.extra

    @abstractmethod
    def float(self, model: ModelSpec) -> Making:
        """What makes the float model: it is read, or trained.

        UsageError for what the model declares and this source cannot use.
        """

    @staticmethod
    def look(path: Path) -> Look:
        """What a file with one of its endings is; UsageError, which need not name it, where it cannot be used."""
        raise UsageError(f"no source of this kind looks at {path.name}")

    @staticmethod
    def network(name: str, options: Mapping[str, Any]) -> nn.Module:
        """Where `named`: what the package builds by this name, with weights drawn at random; nothing is downloaded.

        UsageError for an unknown name or option; whatever the package raises means that too.
        """
        raise UsageError(f"no source of this kind builds {name!r}")

    @staticmethod
    def usual(name: str, options: Mapping[str, Any]) -> Usual:
        """Where `named`: what the network of this name is usually fed; UsageError for an unknown name."""
        raise UsageError(f"no source of this kind knows {name!r}")

    @staticmethod
    def brought_by(name: str) -> tuple[str, ...]:
        """Where `named`: the distributions beside `requires` whose versions decide what this name builds.

        UsageError where there is none that tells.
        """
        return ()

    def teacher(self, model: ModelSpec, teacher: Teacher, origin: PluginSpec) -> Making:
        """What has a model of this source teach; UsageError where none can. `origin` is where it is declared."""
        raise UsageError("models of this source cannot teach", file=model.file, key=f"{origin.key}.use")

    def untrained(self, model: ModelSpec) -> Making | None:
        """What makes the model as it is before any training; None where there is no such model."""
        return None

    def reader(self) -> Reader | None:
        """What reads its model, where that is a file with a runtime of its own."""
        return None

    def as_file(self, why: str) -> Source | None:
        """The same model as a file, for where its step finds that it cannot become a module, which `why` says.

        None where it always is what it is.
        """
        return None

    def original(self, split: Held) -> Making | None:
        """What answers a split's examples as the model came, in the runtime that it was made for: its import is held
        against that. None where that is PyTorch.
        """
        return None

    def second(self, format_name: str, split: Held) -> Making | None:
        """What answers a split as the float file does that another converter makes of the model in this format: a
        second opinion on ours. It has the roles of `original`. None where there is no other converter.
        """
        return None

    @abstractmethod
    def reference(self, split: Held) -> Making:
        """What answers a split's examples in the source's own runtime: a conversion is held against that.

        It may need `model` as well, an artifact of this source; its files are those of the float model.
        """


# Here and not beside the others: a source is told of a whole model, which knows the tasks by their registry.
SOURCES: Registry[Source] = Registry(
    Source,  # type: ignore[type-abstract]
    "edgebuild.sources",
    "source",
    "edgebuild.sources",
    options=True,
)
