"""What is known of a file before there is a model: what it says, what flags say, and who answers the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.spec.checked import check
from edgebuild.spec.errors import UsageError
from edgebuild.spec.look import Look
from edgebuild.spec.names import suggest
from edgebuild.spec.project import Project
from edgebuild.spec.source import SOURCES
from edgebuild.verbs.inspect import Inspected

if TYPE_CHECKING:
    from edgebuild.engine.apart import Patience
    from edgebuild.nn.network import Network
    from edgebuild.spec.reader import Reader
    from edgebuild.spec.source import Source
    from edgebuild.verbs.drafting.script import Script

Ask = Callable[[str, str], str]  # flag and question → what somebody answered


@dataclass(frozen=True, slots=True)
class Wishes:
    """What flags say; `shapes` are texts such as "image=1,3,224,224", `constants` such as "sr=16000", `size` of
    pictures is (height, width).

    Of a network by its name are `weights` and `options`, which are texts such as "num_classes=10"; of one in a Python
    file also what its code reads (`include`).
    """

    name: str | None = None
    data: Path | None = None
    task: str | None = None
    labels: str | None = None
    shapes: tuple[str, ...] = ()
    constants: tuple[str, ...] = field(default=(), kw_only=True)
    include: tuple[Path, ...] = field(default=(), kw_only=True)
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    size: tuple[int, int] | None = None
    crop: float | None = None
    weights: str | None = None
    options: tuple[str, ...] = ()
    target: str = "host"


@dataclass(frozen=True, slots=True)
class Interview:
    """A file that becomes the model `name`; `guesses` grows with each thing that nobody said.

    `network` is what the file has the weights of, where it was asked for by its name; `patience` is what a look may
    use, and who is told that it takes long.
    """

    project: Project
    file: Path
    name: str
    inspected: Inspected
    wishes: Wishes
    ask: Ask | None
    guesses: list[str] = field(default_factory=list)
    network: Network | Script | None = None
    patience: Patience | None = None

    @property
    def look(self) -> Look:
        """What the file says of itself."""
        return self.inspected.look

    @property
    def source(self) -> str:
        """The name of the source that takes the file."""
        return self.inspected.source

    @property
    def coded(self) -> bool:
        """Whether the source needs code beside the file."""
        return SOURCES.get(self.source).coded

    @property
    def trainable(self) -> bool:
        """Whether it becomes a module of PyTorch, which workers alone load."""
        return SOURCES.get(self.source).trainable

    @property
    def constants(self) -> Mapping[str, float | int]:
        """The inputs that are always the same, as the flag has them; UsageError for what is no NAME=NUMBER."""
        values: dict[str, float | int] = {}
        for text in self.wishes.constants:
            name, _, value = text.rpartition("=")
            try:
                number = float(value)
            except ValueError:
                name = ""
            if not name:
                raise UsageError(f"{text!r} is not NAME=NUMBER", key="--constant")
            values[name] = int(number) if value.strip().lstrip("+-").isdecimal() else number
        known = [port.name for port in self.look.inputs]
        for name in values:
            if name not in known:
                reason = f"has no input {name!r}"
                raise UsageError(reason, file=str(self.file), key="--constant", hint=suggest(name, known))
        return values

    def reader(self) -> Reader:
        """What has the file answer; only where the source needs no code of the project's."""
        source = {"file": self.file.name} | ({"constants": self.constants} if self.wishes.constants else {})
        kind: Source = check(SOURCES.get(self.source), source, file=str(self.file))
        reader = kind.reader()
        assert reader is not None  # what is not asked here is code of the project's
        return reader

    def needed(self, flag: str, question: str, hint: str | None = None) -> str:
        """What somebody answers; UsageError with the flag where nobody is there."""
        if self.ask is None:
            raise UsageError(f"is missing: {question}", file=str(self.file), key=flag, hint=hint)
        return self.ask(flag, question)
