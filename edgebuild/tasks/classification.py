"""Classification: one of several classes, by a score for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from edgebuild.spec.errors import StepError
from edgebuild.spec.signature import Head, Scores, TensorSpec
from edgebuild.spec.task import Goal, Show, Task
from edgebuild.tasks._outputs import floats, in_logits, is_chosen, learnt, single, threshold
from edgebuild.tasks._teachers import only, stacked

if TYPE_CHECKING:
    from torch import Tensor

    from edgebuild.spec.task import Array, Errors, Flags

_SUMS_TO_1 = 1e-3  # how far from it rounding takes a softmax, of 16 bits too


@dataclass(frozen=True)
class Classification(Task):
    """Answers are logits [N, C], labels class numbers [N]; the largest logit is the answer.

    Models of others often end in a softmax: probabilities are trained, and teach, as the logits that they are of. Where
    one ends in an ArgMax, its whole number is the answer. Of two classes the second's score may be all, [N, 1]: a
    logit, or a probability where the head says so.
    """

    classes: int = 0
    scores: Scores = "logits"

    labels: ClassVar[str] = "[N] class numbers"
    element: ClassVar[Literal["int64", "float32"]] = "int64"
    missing: ClassVar[float] = -1
    choice: ClassVar[bool] = True
    named: ClassVar[bool] = True
    smooths: ClassVar[bool] = True
    show: ClassVar[Show] = "ranked"

    @classmethod
    def of(cls, head: Head) -> Self:
        """With the number of its classes, and what a single score is."""
        return cls(len(head.labels), head.scores or "logits")

    def check(self, head: Head, outputs: Sequence[TensorSpec]) -> None:
        """One output with a score for each named class, or the number of one."""
        output = single("classification", outputs, numbers=True)
        if not head.labels:
            raise ValueError("a classification names its classes in labels")
        if is_chosen(output) and math.prod(output.shape) == 1:
            return
        floats("classification", outputs)
        if output.shape != (len(head.labels),) and not (output.shape == (1,) and len(head.labels) == 2):
            shape = list(output.shape)
            raise ValueError(f"{len(head.labels)} labels are named, and output {output.name!r} has the shape {shape}")

    @classmethod
    def classes_of(cls, output: TensorSpec) -> int | None:
        """As many as there are logits; two where there is one."""
        return None if is_chosen(output) else max(output.shape[-1], 2)

    @classmethod
    def by_itself(cls, output: TensorSpec) -> bool:
        """The one score of two classes."""
        return output.shape == (1,) and not is_chosen(output)

    def label_mistake(self, labels: Array, outputs: Sequence[TensorSpec]) -> str | None:
        """Whole numbers below the number of classes."""
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            return f"needs whole-number labels of shape [N], got {labels.dtype} {list(labels.shape)}{_way_out(labels)}"
        classes = self.classes if is_chosen(outputs[0]) else max(outputs[0].shape[0], 2)
        if labels.min() < 0 or labels.max() >= classes:
            return f"has labels from {labels.min()} to {labels.max()}; the model declares {classes} classes"
        return None

    def loss(self, answers: Sequence[Tensor], labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """Cross-entropy of logits with class numbers, smoothed (Szegedy et al. 2016, section 7)."""
        from torch.nn import functional

        (scores,) = learnt(answers)
        return functional.cross_entropy(self._logits(scores), labels, label_smoothing=smoothing)

    def distilled(
        self, goal: Goal, answers: Sequence[Tensor], teachers: Sequence[Sequence[Tensor]], temperature: float
    ) -> Tensor:
        """How far logits are from those of several teachers, who are one with their mean probabilities (or logits).

        soft: T²·KL(teacher ‖ student) of probabilities at temperature T; T² keeps gradients as large as those of labels
        (Hinton et al. 2015). logits: mean squared difference (Ba & Caruana 2014). pseudo_labels: cross-entropy with the
        teachers' first choice (Lee 2013).
        """
        import torch
        from torch.nn import functional

        student = self._logits(learnt(answers)[0])
        every = stacked(student, [self._logits(answer) for answer in only(teachers)])
        if goal == "logits":
            return functional.mse_loss(student, every.mean(0))
        if goal == "pseudo_labels":
            return functional.cross_entropy(student, every.softmax(2).mean(0).argmax(1))
        together = functional.log_softmax(every / temperature, 2).logsumexp(0)
        log_goal = together - torch.log(torch.tensor(float(len(every))))
        log_given = functional.log_softmax(student / temperature, 1)
        return temperature**2 * functional.kl_div(log_given, log_goal, reduction="batchmean", log_target=True)

    def errors(self, answers: Sequence[Array], labels: Array) -> Errors:
        """1 where the answer is wrong."""
        import numpy as np

        return 1 - self.hits(answers, labels).astype(np.float64)

    def scored(self, answers: Sequence[Array], inputs: Sequence[Any] = ()) -> Array:
        """Scores of all classes, [N, C]: of the one that is answered 1, and 0 of the others."""
        import numpy as np

        (logits,) = answers
        if logits.dtype.kind not in "iu":
            return self._both(logits)
        chosen: Array = self.choices(answers)[:, None] == np.arange(self.classes)
        return chosen.astype(np.float32)

    def choices(self, answers: Sequence[Array]) -> Array:
        """The class of the largest logit, or that is answered, [N]."""
        (logits,) = answers
        if logits.dtype.kind in "iu":
            return logits.reshape(len(logits))
        largest: Array = self._both(logits.reshape(len(logits), -1)).argmax(1)
        return largest

    def hits(self, answers: Sequence[Array], labels: Array) -> Flags:
        """Top-1; StepError for outputs that are no scores of classes."""
        if answers[0].ndim != 2 and answers[0].dtype.kind not in "iu":
            message = f"outputs of shape {list(answers[0].shape)} cannot be compared with {len(labels)} labels"
            raise StepError(message)
        right: Flags = self.choices(answers) == labels
        return right

    def _both(self, scores: Array) -> Array:
        """Scores of two classes, [N, 2], where the second's is answered alone: how far it is above its threshold."""
        import numpy as np

        if self.classes != 2 or scores.ndim != 2 or scores.shape[1] != 1:
            return scores
        above = scores.astype(np.float64) - threshold(self.scores)
        return np.concatenate([-above, above], 1)

    def _logits(self, scores: Tensor) -> Tensor:
        """Scores [N, C] as logits: a batch of probabilities, each row of which sums to 1, is its logarithm; one score
        alone is the logit of the second of two classes against 0.
        """
        import torch

        if scores.shape[1] == 1:
            second = in_logits(scores, self.scores)
            return torch.cat([torch.zeros_like(second), second], 1)
        if bool((scores < 0).any()) or bool(((scores.sum(1) - 1).abs() > _SUMS_TO_1).any()):
            return scores
        return scores.clamp_min(torch.finfo(scores.dtype).tiny).log()


def _way_out(labels: Array) -> str:
    """What makes numbers of classes of labels of this kind, where that is plain."""
    if labels.ndim == 2 and labels.shape[1] > 1 and labels.dtype.kind in "biuf":
        return " (a mark for each class? take argmax(1))"
    if labels.ndim == 1 and (labels.dtype.kind == "b" or (labels.dtype.kind == "f" and not (labels % 1).any())):
        return " (astype(int) makes whole numbers of them)"
    if labels.dtype.kind in "USO":
        return " (of names: their numbers in the order of the model's labels)"
    return ""
