"""Where a model's examples come from: what every file in `data/` tells a plan, and gives the step that keeps them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from edgebuild.spec.errors import UsageError
from edgebuild.spec.plugins import Registry
from edgebuild.spec.reads import Read
from edgebuild.spec.signature import Head, Signature, TensorSpec

if TYPE_CHECKING:
    import numpy as np

    from edgebuild.spec.preprocess import Preprocess
    from edgebuild.spec.rows import Array


@runtime_checkable
class Blocks(Protocol):
    """Examples of one input that need not fit into memory: [N, …], handed over some rows at a time."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all examples together."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of their elements."""

    def blocks(self) -> Iterator[Array]:
        """All rows in order, each block an array [some, …]; memory holds one at a time."""


@runtime_checkable
class Placed(Blocks, Protocol):
    """Blocks that know where in a file each of their examples lies."""

    def place(self, row: int) -> str:
        """How messages call the example of this row, such as "row 7 of array 'x'"."""


@dataclass(frozen=True, slots=True)
class DataRequest:
    """What a model needs examples for: its `signature`, its `heads`, how pictures become its input, the names of
    its `classes` (these two only where the kind of data asks for them), and what is read: the model's own code where
    that is asked for, and `reads`, each place as it is now. `origin` is how messages name the model's folder; what is
    opened in the folders `own` is nobody's data. What must be written on the way goes to `scratch`.
    """

    signature: Signature
    heads: tuple[Head, ...]
    origin: str
    reads: tuple[Read, ...] = ()
    preprocess: Preprocess | None = None
    classes: tuple[str, ...] = ()
    code: Path | None = None
    own: tuple[Path, ...] = ()
    scratch: Path | None = None

    def wrong(self, usual: str) -> Callable[..., UsageError]:
        """What makes an error of a reason, with perhaps a hint and a key of model.toml; `usual` is the key else."""

        def error(reason: str, hint: str | None = None, key: str = usual) -> UsageError:
            return UsageError(reason, file=f"{self.origin}/model.toml", key=key, hint=hint)

        return error


@dataclass(frozen=True, slots=True)
class Loaded:
    """Splits by name: "train", "test" and perhaps "validation" are pairs (inputs, labels), "unlabelled" inputs alone,
    "slices" masks by name, "streams" by split the number of the stream that each example is of, "groups" by split what
    examples have in common (a person, a recording), [N] names or numbers: no group may be in two splits. Inputs
    are an array or Blocks, or a tuple of these; labels an array, or one for each head.

    cut: whether the validation split was cut from the training examples
    notes: what was done of its own accord
    without: what the inputs are called in verdicts where nobody labelled them; None where there are labels
    unnamed: whether files were read that no key knows: no other machine can have the same
    """

    splits: Mapping[str, Any]
    cut: bool = False
    notes: tuple[str, ...] = ()
    without: str | None = None
    unnamed: bool = False


@dataclass(frozen=True, slots=True)
class Guess:
    """What a place on disk is taken for, for who drafts a model.toml; it is checked before anybody relies on it.

    what: the data in words
    options: keys of [data] beside `use`
    task: what labels are
    classes: their names, in an order that `order` says; empty where they are numbers, `count` of them (with a count,
        labels are numbers all the same, and names that are not as many as the model answers are none)
    preprocess: keys of [preprocess]; of pictures, whose size and scale follow from the model, `pictures` alone
    example: the shape of one example that goes into the only input as it is, where that is known
    dtypes: element types of the arrays that go into inputs as they are, by the names of inputs, where they are known
    guesses: what was guessed, a line each
    sure: of several kinds that may be meant, the surest is
    """

    what: str
    options: Mapping[str, Any]
    task: str = "classification"
    classes: tuple[str, ...] = ()
    order: str = "the folders in the order of their names"
    count: int = 0
    pictures: bool = False
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    example: tuple[int, ...] = ()
    dtypes: Mapping[str, str] = field(default_factory=dict)
    guesses: tuple[str, ...] = ()
    sure: int = 1


class Data(Protocol):
    """A frozen dataclass whose fields are the options of `[data]`; one file in `data/`.

    code: whether the model's own `model.py` has a part in it
    prepares: whether it makes inputs of pictures, as `[preprocess]` says
    by_name: whether it knows classes by their names, so that these decide what the labels are
    requires: distributions that it needs, whose versions count
    extra: the extra of edgebuild's that brings them
    """

    __slots__ = ()

    code: ClassVar[bool] = False
    prepares: ClassVar[bool] = False
    by_name: ClassVar[bool] = False
    requires: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str | None] = None

    @abstractmethod
    def load(self, request: DataRequest) -> Loaded:
        """All splits; UsageError for what cannot be read or lacks what the model needs.

        What comes is checked against the declaration by who keeps it.
        """

    @staticmethod
    def seen(place: Path, inputs: tuple[TensorSpec, ...]) -> Guess | None:
        """What a file or folder is taken for, for a model of these inputs; None where it is none of this kind.

        UsageError for what is of this kind and cannot be read.
        """
        return None

    @abstractmethod
    def place(self, origin: str) -> tuple[str, str]:
        """The file and the key that messages about its examples name."""

    def reads(self) -> Mapping[str, str]:
        """Files, folders or patterns that it reads, absolute or from the model's folder, by the key that names each."""
        return {}


DATA: Registry[Data] = Registry(
    Data,  # type: ignore[type-abstract]
    "edgebuild.data",
    "kind of data",
    "edgebuild.data",
    options=True,
)
