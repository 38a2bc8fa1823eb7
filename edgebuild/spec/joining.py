"""What joins the parts of an assembly: what every file in `assemblies/` tells a plan, and the steps that run it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from edgebuild.spec.plugins import Registry
from edgebuild.spec.signature import Head, Signature

if TYPE_CHECKING:
    from edgebuild.spec.preprocess import Preprocess
    from edgebuild.spec.rows import Array

    Outputs = Sequence[Array]

# What carries arrays to a server's part, and runs that.
LINK = ("edgebuild.travels.edge_link", "edgebuild.travels.serve_part")
Rule = Mapping[str, float]  # numbers that decide which parts answer, by name: the router's own words


@dataclass(frozen=True, slots=True)
class Joined:
    """What a plan knows of a part, or of the whole: its name in messages, what it takes and gives, and what for.

    `preprocess` is what makes its input of pictures or sounds.
    """

    name: str
    signature: Signature
    heads: tuple[Head, ...]
    preprocess: Preprocess | None = None


@dataclass(frozen=True, slots=True)
class Validated:
    """What a rule is chosen by: each part's outputs [N, …] on the validation examples, and the labels of each head; and
    what the whole takes and gives.
    """

    answers: Sequence[Outputs]
    heads: tuple[Head, ...]
    labels: Sequence[Array]
    signature: Signature


@dataclass(frozen=True, slots=True)
class Choice:
    """A rule, and in words what it was chosen by and what it is expected to do."""

    rule: Rule
    notes: tuple[str, ...] = ()


class Joining(Protocol):
    """A frozen dataclass whose fields are the options of `[assembly]`; one file in `assemblies/`.

    least, most: of how many parts
    cuts: whether its first part is one model that is cut in two
    files: what the two files are called that its one part becomes, where that is a network with an exit
    router: the module that travels and in a bundle decides which parts run. It has `answer(rule, parts, values)`, which
        calls the `parts` that are needed, and `combined(rule, answers)`, the same for what every part answers to many
        examples: the whole's outputs, and which parts would have run
    """

    __slots__ = ()

    least: ClassVar[int] = 2
    most: ClassVar[int] = 2
    cuts: ClassVar[bool] = False
    files: ClassVar[tuple[str, ...]] = ()
    router: ClassVar[str]

    @abstractmethod
    def check(self, whole: Joined, parts: Sequence[Joined]) -> None:
        """ValueError, in words that follow the assembly's key, where the parts cannot be joined to this whole."""

    def brings(self) -> tuple[str, ...]:
        """Modules that travel beside the router."""
        return ()

    @abstractmethod
    def choose(self, validated: Validated) -> Choice:
        """The rule; UsageError, with an option where one is to blame, where the examples do not allow any."""


# Here and not beside the others, which know nothing of what a signature is.
ASSEMBLIES: Registry[Joining] = Registry(
    Joining,  # type: ignore[type-abstract]
    "edgebuild.assemblies",
    "kind of assembly",
    "edgebuild.assemblies",
    options=True,
)


def alike(whole: Joined, parts: Sequence[Joined]) -> None:
    """ValueError unless every part takes and answers what the whole does: tensors, tasks, and labels in their order."""
    for part in parts:
        for side in ("inputs", "outputs"):
            _same_tensors(side, whole, part)
        ours, theirs = ([(head.task, head.outputs) for head in each.heads] for each in (whole, part))
        if ours != theirs:
            shown = " and ".join(head.task for head in part.heads)
            expected = " and ".join(head.task for head in whole.heads)
            raise ValueError(f"part {part.name!r} answers another task ({shown}) than the whole ({expected})")
        if part.preprocess != whole.preprocess:
            raise ValueError(f"part {part.name!r} prepares its inputs otherwise than the whole ([preprocess])")
        for own, other in zip(whole.heads, part.heads, strict=True):
            _same_labels(part.name, own.labels, other.labels)


def _same_tensors(side: str, whole: Joined, part: Joined) -> None:
    ours, theirs = whole.signature, part.signature
    own, other = (ours.inputs, theirs.inputs) if side == "inputs" else (ours.outputs, theirs.outputs)
    shapes = [", ".join(f"{list(spec.shape)} {spec.dtype}" for spec in each) for each in (own, other)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"{side} of part {part.name!r} are {shapes[1]}, and those of the whole {shapes[0]}")


def _same_labels(name: str, ours: tuple[str, ...], theirs: tuple[str, ...]) -> None:
    if ours == theirs:
        return
    if sorted(ours) == sorted(theirs):
        place = next(place for place, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1])
        difference = f"number {place} is {theirs[place]!r}, and {ours[place]!r} in the whole"
        raise ValueError(f"part {name!r} has the labels in another order: {difference}")
    raise ValueError(f"part {name!r} has other labels than the whole")
