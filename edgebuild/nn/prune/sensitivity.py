"""Accuracy against ratio, layer by layer, and the ratios that an accuracy budget buys (Li et al. 2017, section 3.2).

A layer alone often costs no example at all, so layers are compared by what they cost in loss, which is continuous;
whether the whole is within its budget is a matter of accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from edgebuild.nn.answers import listed
from edgebuild.nn.train import batches, losses
from edgebuild.spec import tasks
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import Head

if TYPE_CHECKING:
    from torch import nn

    from edgebuild.spec.rows import Split

GRID = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_BATCH = 256


class Quality(NamedTuple):
    """Share of right answers, the mean over the heads whose answers are choices, and the loss of all heads.

    `heads` are the shares of each of those: none may fall by more than a budget allows.
    """

    accuracy: float
    loss: float
    heads: tuple[float, ...] = ()

    def drop(self, after: Quality) -> float:
        """What the head that loses most of its right answers loses."""
        pairs = zip(self.heads or (self.accuracy,), after.heads or (after.accuracy,), strict=True)
        return max(before - then for before, then in pairs)

    def recorded(self) -> dict[str, Any]:
        """As plain data for a record; of one head there is nothing to tell beside the mean."""
        record: dict[str, Any] = {"accuracy": self.accuracy, "loss": self.loss}
        return record | ({"heads": list(self.heads)} if len(self.heads) > 1 else {})


# The quality of the model pruned by these ratios, by name of the layer.
Trial = Callable[[Mapping[str, float]], Quality]


@dataclass(frozen=True, slots=True)
class Scan:
    """`whole` is the model before pruning, `alone[layer][ratio]` with that layer alone pruned and nothing retrained."""

    whole: Quality
    alone: Mapping[str, Mapping[float, Quality]]

    def ratios(self, rise: float) -> dict[str, float]:
        """For each layer the ratio up to which, pruned alone, it raises the loss by at most `rise`."""
        return {layer: self._largest(curve, rise) for layer, curve in self.alone.items()}

    def _largest(self, curve: Mapping[float, Quality], rise: float) -> float:
        largest = 0.0
        for ratio, quality in sorted(curve.items()):
            if quality.loss - self.whole.loss > rise:
                break
            largest = ratio
        return largest

    def rises(self) -> list[float]:
        """Every rise of the loss that was seen, and none at all; smallest first."""
        seen = {quality.loss - self.whole.loss for curve in self.alone.values() for quality in curve.values()}
        return sorted({0.0, *(rise for rise in seen if rise > 0)})


def chosen(layers: Sequence[str], budget: float, trial: Trial, heads: Sequence[Head]) -> dict[str, Any]:
    """The scan and the ratios chosen from it, as plain data for a record; UsageError for tasks without accuracy."""
    if not any(tasks.of(head).choice for head in heads):
        named = " and ".join(dict.fromkeys(head.task for head in heads))
        message = f"a budget is one of accuracy, which a model for {named} has not"
        raise UsageError(message, option="budget", hint="give a ratio")
    scanned = scan(layers, trial)
    ratios = choose(scanned, budget, trial)
    return {
        "whole": scanned.whole.recorded(),
        "alone": {name: {r: q.recorded() for r, q in curve.items()} for name, curve in scanned.alone.items()},
        "ratios": ratios,
        "together": trial(ratios).recorded(),
    }


def scan(layers: Sequence[str], trial: Trial, grid: Sequence[float] = GRID) -> Scan:
    """Prune each layer alone to each ratio of the grid."""
    return Scan(trial({}), {layer: {ratio: trial({layer: ratio}) for ratio in grid} for layer in layers})


def choose(scanned: Scan, budget: float, trial: Trial) -> dict[str, float]:
    """Ratios by layer with which each head of the model loses at most `budget` (a share) in accuracy, all pruned.

    One limit on the rise of the loss serves all layers; the largest is sought by bisection, for what each layer costs
    alone does not add up to what all cost together. UsageError when no layer can be pruned within the budget.
    """
    rises = scanned.rises()
    low, high = -1, len(rises) - 1
    while low < high:
        middle = (low + high + 1) // 2
        fits = scanned.whole.drop(trial(scanned.ratios(rises[middle]))) <= budget
        low, high = (middle, high) if fits else (low, middle - 1)
    ratios = scanned.ratios(rises[low]) if low >= 0 else {}
    if not any(ratios.values()):
        message = (
            f"no layer can be pruned within {100 * budget:.3g} pp of {100 * scanned.whole.accuracy:.2f} % accuracy"
        )
        raise UsageError(message, option="budget", hint="raise the budget, or give a ratio and fine-tune")
    return ratios


def measure(module: nn.Module, data: Split, heads: Sequence[Head]) -> Quality:
    """The quality of a module in eval mode."""
    import torch

    right, loss = [0] * len(heads), 0.0
    with torch.no_grad():
        for inputs, labels in batches.in_order(data, _BATCH):
            answers = listed(module(*inputs))
            loss += float(losses.of_labels(heads, answers, labels, inputs=inputs)) * len(inputs[0])
            for place, (head, known) in enumerate(zip(heads, labels, strict=True)):
                if tasks.of(head).choice:
                    of_head = [answers[position].numpy() for position in head.outputs]
                    right[place] += int(tasks.of(head).hits(of_head, known.numpy()).sum())
    shares = tuple(n / len(data) for n, head in zip(right, heads, strict=True) if tasks.of(head).choice)
    return Quality(sum(shares) / max(len(shares), 1), loss / len(data), shares)
