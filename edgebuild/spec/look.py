"""What somebody's model file is, as far as it tells without a project: which `inspect` shows, `init` declares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Size = int | str  # a number, or what an open axis is called ("?" where it has no name)

UNKNOWN: tuple[Size, ...] = ("...",)  # of a file that does not say how many axes there are
# What to do with a file that takes words.
NUMBERS = "let the file begin behind what makes numbers of words (an encoder, a tokenizer), and give it these"


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of the file, with its batch axis."""

    name: str
    shape: tuple[Size, ...]
    dtype: str

    @property
    def shown(self) -> str:
        """As people read it."""
        return f"{self.name} [{', '.join(map(str, self.shape))}] {self.dtype}"


@dataclass(frozen=True, slots=True)
class Look:
    """A file in words, its ports, how often it has each operator, the numbers that were learnt, its bytes with those of
    files beside it, which `beside` names, what says that it computes in integers, if it does, its classes in order,
    where it names them, a line for each output that is not taken as it came, and the outputs that it says end in a
    sigmoid (or softmax), and those that end in a layer.
    """

    what: str
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    operators: Mapping[str, int] = field(default_factory=dict)
    parameters: int = 0
    bytes: int = 0
    beside: tuple[str, ...] = ()
    integer: str | None = None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    probabilities: tuple[str, ...] = ()
    logits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usual:
    """What a network that has a name is usually fed: its inputs, and how pictures are prepared for it (as
    `[preprocess]` has it); `classes` is the option that says how many it has.
    """

    inputs: tuple[Port, ...]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    crop: float | None = None
    classes: str = "num_classes"
