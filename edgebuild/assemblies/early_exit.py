"""An early exit: a network's first layers answer where they are sure, else the others go on from their features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt
from pydantic import Field

from edgebuild.assemblies import _deferring
from edgebuild.spec.joining import Choice, Joined, Joining, Validated, alike


@dataclass(frozen=True, slots=True)
class EarlyExit(Joining):
    """The one part is the network. Behind its module `after` stands a head, which learns to answer as the network does
    at its end (Teerapittayanon et al. 2016, "BranchyNet"; here on a network that stays as it is).

    The head answers where the calibrated probability of its choice reaches a threshold, which is chosen as a cascade's
    is: the lowest that keeps the drop in right answers against the whole network, on the validation examples, below
    `loss` (a share) at `confidence`, or the one that the `share` of them does not reach.
    """

    after: Annotated[
        str,
        Field(
            description="sub-module that the exit stands behind, by its name in the network; left out: the last one "
            "with at most half of the multiplications up to its end"
        ),
    ] = ""
    loss: Annotated[float, Gt(0), Field(lt=1, description="most right answers that it may cost, as a share")] = 0.01
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    share: Annotated[
        float | None,
        Field(
            gt=0, lt=1, description="share of examples that go on, the least sure; left out: as few as `loss` allows"
        ),
    ] = None
    grid: Annotated[int, Ge(1), Field(description="places along each axis of the features that the head looks at")] = 4
    alpha: Annotated[float, Field(ge=0, le=1, description="weight of the labels, beside the network's answers")] = 0.5
    temperature: Annotated[float, Gt(0)] = 2.0

    least: ClassVar[int] = 1
    most: ClassVar[int] = 1
    router: ClassVar[str] = "edgebuild.travels.route_early_exit"
    files: ClassVar[tuple[str, ...]] = ("exit", "rest")

    def check(self, whole: Joined, parts: Sequence[Joined]) -> None:
        """One classification without a state."""
        _deferring.check(whole, "an early exit")
        alike(whole, parts)

    def brings(self) -> tuple[str, ...]:
        """A cascade's router, which knows what is sure."""
        return ("edgebuild.travels.route_cascade",)

    def choose(self, validated: Validated) -> Choice:
        """The threshold and the temperature, which makes the exit's probabilities honest."""
        (*answers, _), rest = validated.answers
        return _deferring.choose(answers, rest, validated, self.loss, self.confidence, self.share)
