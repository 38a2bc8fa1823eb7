"""What kinds of assemblies have in common in which a first part answers where it is sure, else a second one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgebuild.gates.statistics import paired
from edgebuild.spec import tasks
from edgebuild.spec.errors import UsageError
from edgebuild.spec.joining import Choice, Joined, Validated

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgebuild.spec.joining import Outputs

    Values = NDArray[np.float64]
    Flags = NDArray[np.bool_]

_TASK = "classification"
NEVER = 2.0  # a threshold that no probability reaches


def check(whole: Joined, what: str) -> None:
    """ValueError unless the whole is one classification without a state; `what` is what it would be."""
    if [head.task for head in whole.heads] != [_TASK] or len(whole.signature.outputs) != 1:
        shown = " and ".join(head.task for head in whole.heads)
        raise ValueError(f"{what} needs a probability to be sure by: one {_TASK}, not {shown}")
    if whole.signature.outputs[0].shape == (1,):
        raise ValueError(f"{what} needs a score of every class to be sure by, and one stands for two here")
    if whole.signature.loops:
        raise ValueError(f"{what} through a recurrent state is none: a part that does not run leaves no state")


def choose(
    first: Outputs, second: Outputs, validated: Validated, loss: float, confidence: float, share: float | None = None
) -> Choice:
    """The threshold and the temperature by what both answer to the validation examples.

    Without a `share` the threshold is the lowest that keeps the drop in right answers against the second part alone
    below `loss` (a share) at `confidence`; with one it is the highest that at most so many examples do not reach, of
    which that must hold. UsageError where there are too few examples for any, or it does not hold.
    """
    from edgebuild.travels import route_cascade

    (head,), (labels,) = validated.heads, validated.labels
    heat = temperature(route_cascade.as_logits(first[0].astype("float64")), labels)
    sure = route_cascade.confidence(first[0], heat)
    right, reference = (tasks.of(head).hits(each, labels) for each in (first, second))
    _refuse_few(len(labels), loss, confidence)
    threshold = _threshold(sure, right, reference, loss, confidence) if share is None else _quantile(sure, share)
    deferred = float((sure < threshold).mean())
    notes = [f"sure from a probability of {min(threshold, 1):.4f} on, at temperature {heat:.3g}"]
    lost, won = _discordant(sure >= threshold, right, reference)
    bound = paired.drop_bound(lost, won, len(labels), confidence)
    if share is not None and bound.high > loss:
        reason = f"{deferred:.1%} go on, and up to {bound.high:.2%} of right answers are lost, more than {loss:.2%}"
        raise UsageError(reason, option="share", hint="let more go on, allow a larger loss, or leave it out")
    notes.append(
        f"on {len(labels)} validation examples {deferred:.1%} go to the second part, and at most "
        f"{100 * bound.high:.2f} pp of right answers are lost against it alone ({100 * confidence:.4g} % sure)"
    )
    if threshold >= NEVER:
        notes.append("the first part answers nothing: it is never sure enough to pay")
    if not deferred:
        notes.append("the second part is never asked: the first one alone would do, unless `share` lets some go on")
    return Choice({"threshold": threshold, "temperature": heat}, tuple(notes))


def _refuse_few(n: int, loss: float, confidence: float) -> None:
    """UsageError where not even an equal part could be shown to lose as little."""
    if paired.drop_bound(0, 0, n, confidence).high > loss:
        needed = next(m for m in range(n, 10**7) if paired.drop_bound(0, 0, m, confidence).high <= loss)
        reason = f"{loss:.2%} cannot be bounded by {n} validation examples: {needed} are needed"
        raise UsageError(reason, option="loss", hint="allow a larger loss, or bring a larger validation split")


def _threshold(sure: Values, first: Flags, second: Flags, loss: float, confidence: float) -> float:
    """The lowest that holds, half-way to the next lower probability: another machine's rounding changes nothing.

    Thresholds are tried from the highest down, and the first that fails ends it, so that the bound holds for the one
    that is taken (fixed-sequence testing; Angelopoulos et al. 2021, Learn then Test).
    """
    import numpy as np

    levels = np.unique(sure)[::-1]
    held = NEVER
    for place, level in enumerate(levels.tolist()):
        lost, won = _discordant(sure >= level, first, second)
        if paired.drop_bound(lost, won, len(sure), confidence).high > loss:
            break
        below = levels[place + 1] if place + 1 < len(levels) else 0.0
        held = float((level + below) / 2)
    return held


def _quantile(sure: Values, share: float) -> float:
    """The highest threshold that at most this share of examples does not reach, half-way to the next probability."""
    import numpy as np

    levels = np.unique(sure)
    places = np.searchsorted(np.sort(sure), levels)  # of examples below each level
    place = int(np.flatnonzero(places <= share * len(sure))[-1])
    return float((levels[place] + (levels[place - 1] if place else 0.0)) / 2)


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
