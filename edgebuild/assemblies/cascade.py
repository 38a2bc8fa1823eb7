"""A cascade: a small part answers where it is sure, else the large one; validation says how sure it must be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Gt
from pydantic import Field

from edgebuild.gates.statistics import paired
from edgebuild.spec import tasks
from edgebuild.spec.errors import UsageError
from edgebuild.spec.joining import LINK, Choice, Joined, Joining, Validated, alike
from edgebuild.spec.signature import TensorSpec
from edgebuild.spec.units import Seconds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[np.float64]
    Flags = NDArray[np.bool_]

_TASK = "classification"
_ROOM = 1 << 12  # bytes of a frame beside its values: why there is no answer
_NEVER = 2.0  # a threshold that no probability reaches


@dataclass(frozen=True, slots=True)
class Cascade(Joining):
    """The first of two parts answers where the calibrated probability of its choice reaches a threshold.

    The threshold is the lowest that keeps the drop in right answers against the second part alone, on the validation
    examples, below `loss` (a share) at `confidence`. Thresholds are tried from the highest down, and the first that
    fails ends it, so that the bound holds for the one that is taken (fixed-sequence testing; Angelopoulos et al. 2021,
    Learn then Test).
    """

    loss: Annotated[float, Gt(0), Field(lt=1, description="most right answers that it may cost, as a share")] = 0.01
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    server: Annotated[bool, Field(description="whether the second part runs on a server, over a link")] = False
    timeout: Annotated[Seconds, Field(description="longest wait for the server")] = 2.0
    offline: Annotated[
        Literal["error", "answer"], Field(description="answer: without the server, the first part's")
    ] = "error"

    router: ClassVar[str] = "edgebuild.travels.route_cascade"

    def check(self, whole: Joined, parts: Sequence[Joined]) -> None:
        """Both parts take and answer the same, and that is one classification."""
        if [head.task for head in whole.heads] != [_TASK] or len(whole.signature.outputs) != 1:
            told = " and ".join(head.task for head in whole.heads)
            raise ValueError(f"a cascade needs a probability to be sure by: one {_TASK}, not {told}")
        if whole.signature.loops:
            raise ValueError("a cascade through a recurrent state is none: a part that does not run leaves no state")
        alike(whole, parts)

    def brings(self) -> tuple[str, ...]:
        """The link to the server, where there is one."""
        return LINK if self.server else ()

    def choose(self, validated: Validated) -> Choice:
        """The threshold and the temperature, which makes the first part's probabilities honest."""
        from edgebuild.travels import route_cascade

        (head,), (labels,) = validated.heads, validated.labels
        first, second = validated.answers
        heat = temperature(route_cascade.as_logits(first[0].astype("float64")), labels)
        sure = route_cascade.confidence(first[0], heat)
        right = [tasks.of(head).hits(each, labels) for each in (first, second)]
        self._refuse_few(len(labels))
        threshold = self._threshold(sure, *right)
        deferred = float((sure < threshold).mean())
        notes = [f"sure from a probability of {min(threshold, 1):.4f} on, at temperature {heat:.3g}"]
        lost, won = _discordant(sure >= threshold, *right)
        bound = paired.drop_bound(lost, won, len(labels), self.confidence)
        notes.append(
            f"on {len(labels)} validation examples {deferred:.1%} go to the second part, and at most "
            f"{100 * bound.high:.2f} pp of right answers are lost against it alone ({100 * self.confidence:.4g} % sure)"
        )
        if threshold >= _NEVER:
            notes.append("the first part answers nothing: it is never sure enough to pay")
        rule = {"threshold": threshold, "temperature": heat}
        if self.server:
            most = max(_frame(validated.signature.inputs), _frame(validated.signature.outputs))
            rule |= {"seconds": self.timeout, "bytes": float(most + _ROOM), "offline": float(self.offline == "answer")}
            notes.append(f"an example that goes on sends {_frame(validated.signature.inputs)} bytes to the server")
        return Choice(rule, tuple(notes))

    def _refuse_few(self, n: int) -> None:
        """UsageError where not even an equal part could be shown to lose as little."""
        if paired.drop_bound(0, 0, n, self.confidence).high > self.loss:
            needed = next(m for m in range(n, 10**7) if paired.drop_bound(0, 0, m, self.confidence).high <= self.loss)
            reason = f"{self.loss:.2%} cannot be bounded by {n} validation examples: {needed} are needed"
            raise UsageError(reason, option="loss", hint="allow a larger loss, or bring a larger validation split")

    def _threshold(self, sure: Values, first: Flags, second: Flags) -> float:
        """The lowest that holds, half-way to the next lower probability: another machine's rounding changes nothing."""
        import numpy as np

        levels = np.unique(sure)[::-1]
        held = _NEVER
        for place, level in enumerate(levels.tolist()):
            lost, won = _discordant(sure >= level, first, second)
            if paired.drop_bound(lost, won, len(sure), self.confidence).high > self.loss:
                break
            below = levels[place + 1] if place + 1 < len(levels) else 0.0
            held = float((level + below) / 2)
        return held


def _frame(specs: Sequence[TensorSpec]) -> int:
    """Bytes of a frame with these tensors of one example."""
    import numpy as np

    from edgebuild.travels import edge_link

    sizes = [math.prod(spec.shape) * np.dtype(spec.dtype).itemsize + 2 + 4 * (1 + len(spec.shape)) for spec in specs]
    return sum(sizes) + edge_link.OVERHEAD


def _discordant(answered: Flags, first: Flags, second: Flags) -> tuple[int, int]:
    """Examples that the first part answers and only the second, or only the first, has right."""
    return int((answered & second & ~first).sum()), int((answered & first & ~second).sum())


def temperature(logits: Values, labels: NDArray[np.generic]) -> float:
    """What logits [N, C] are divided by so that probabilities are as often right as they say (Guo et al. 2017).

    The negative log-likelihood of the labels is convex in 1/T; golden-section search of ln T in [ln 0.05, ln 20].
    """
    import numpy as np

    rows, classes = np.arange(len(labels)), labels.astype(int)

    def loss(heat: float) -> float:
        scaled = logits / math.exp(heat)
        top = scaled.max(1)
        return float((np.log(np.exp(scaled - top[:, None]).sum(1)) + top - scaled[rows, classes]).mean())

    low, high, golden = math.log(0.05), math.log(20), (math.sqrt(5) - 1) / 2
    for _ in range(60):
        a, b = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, b) if loss(a) <= loss(b) else (a, high)
    return round(math.exp((low + high) / 2), 6)
