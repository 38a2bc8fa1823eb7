"""What the answers of a head mean: the noun behind `tasks/`, one file each, which this room knows by name alone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self

from edgebuild.spec.errors import StepError
from edgebuild.spec.signature import Head, TensorSpec

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]
    Flags = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    Errors = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

Goal = Literal["soft", "logits", "pseudo_labels"]
# What a bundle's run.py knows to print; `tensor` is for what has no task.
Show = Literal["ranked", "several", "values", "boxes", "areas", "distance", "tensor"]


class Task(Protocol):
    """What every task says of itself; of a head it knows no more than `of` takes from it.

    Answers of a head are a sequence, one array or tensor [N, …] for each output that it reads. Labels are one array
    [N, …] of `element`; an example that nobody labelled has `missing` in the place of each of its values.

    labels: in words, what the labels are
    choice: whether an answer is a choice, which is right or wrong (`hits`) and which two runs may share (`choices`);
        else answers are values, which are more or less far from their labels (`errors`)
    named: whether its classes have names, the `labels` of the head
    smooths: whether the loss takes label smoothing
    original: whether it is judged by what the original answers, since the data has no labels
    show: how `run.py` prints an answer
    metrics: gates on its answers that do not name this task themselves, as those of another package may not
    """

    __slots__ = ()

    labels: ClassVar[str]
    element: ClassVar[Literal["int64", "float32"]]
    missing: ClassVar[float]
    choice: ClassVar[bool] = False
    named: ClassVar[bool] = False
    smooths: ClassVar[bool] = False
    original: ClassVar[bool] = False
    show: ClassVar[Show] = "values"
    metrics: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of(cls, head: Head) -> Self:
        """The task of this head, for one that must know what it declares, such as a decoder."""
        return cls()

    @classmethod
    def classes_of(cls, output: TensorSpec) -> int | None:
        """How many classes an output has scores of; None where it has none, or its shape does not say."""
        return None

    @classmethod
    def by_itself(cls, output: TensorSpec) -> bool:
        """Whether each score of an output is one class's alone: a logit, or behind a sigmoid a probability."""
        return False

    @abstractmethod
    def check(self, head: Head, outputs: Sequence[TensorSpec]) -> None:
        """ValueError where the declaration of a head is not one of this task; the messages name no key."""

    @abstractmethod
    def label_mistake(self, labels: Array, outputs: Sequence[TensorSpec]) -> str | None:
        """What is wrong with labels of any type and shape, in words that follow "split x"; None when nothing is."""

    @abstractmethod
    def loss(self, answers: Sequence[Tensor], labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """How far answers are from their labels, all of which are there: the mean over the batch."""

    @abstractmethod
    def distilled(
        self, goal: Goal, answers: Sequence[Tensor], teachers: Sequence[Sequence[Tensor]], temperature: float
    ) -> Tensor:
        """How far answers are from those of all teachers together: the mean over the batch."""

    @abstractmethod
    def errors(self, answers: Sequence[Array], labels: Array) -> Errors:
        """How wrong each answer is, [N] float64; of a choice, 1 where it is wrong and 0 where it is right."""

    def assumed(self, examples: int, outputs: Sequence[TensorSpec]) -> Array | None:
        """The labels of a split that brings None for them; None where labels must come."""
        return None

    def targets(self, labels: Any, inputs: Sequence[Any]) -> Any:
        """What answers are held against in losses and errors, arrays or tensors: the labels, unless a task teaches
        itself by its inputs.
        """
        return labels

    def scored(self, answers: Sequence[Array], inputs: Sequence[Any]) -> Array:
        """What metrics are given of the answers, one array [N, …]: the first output, unless they are decoded."""
        return answers[0]

    def mixed(self) -> str | None:
        """What one output holds together that one integer scale does not fit, in words; None where it does."""
        return None

    def choices(self, answers: Sequence[Array]) -> Array:
        """What is chosen for each example, [N, …]; only where answers are choices."""
        raise _unchosen(self)

    def hits(self, answers: Sequence[Array], labels: Array) -> Flags:
        """Which examples are right, [N] bool; only where answers are choices."""
        raise _unchosen(self)


def _unchosen(task: Task) -> StepError:
    """The error of a task that says in `choice` that its answers are choices, and does not say which."""
    return StepError(f"{type(task).__name__} does not say what its answers choose")
