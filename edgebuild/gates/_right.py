"""What metrics on right answers share: whose answers have them, their margins, and the evidence that decides."""

from __future__ import annotations

from typing import ClassVar, Literal

from edgebuild.gates import _margin
from edgebuild.spec.metric import Metric


class RightAnswers(Metric[float]):
    """The limit is a margin such as "1 pp", by which the candidate may get fewer examples right."""

    tasks: ClassVar[tuple[str, ...] | None] = ("classification",)
    measured: ClassVar[Literal["outputs", "latency"] | None] = "outputs"

    @classmethod
    def limit(cls, text: str) -> float:
        """The margin as a share, above 0 and below 1; ValueError otherwise."""
        return _margin.points_of_a_share(text)

    @classmethod
    def unchanged(cls, text: str) -> bool:
        """Whether the baseline itself is inside the limit: it loses nothing."""
        return True

    @classmethod
    def asks(cls, text: str) -> str:
        """The evidence that decides: right answers of both."""
        return "accuracy"
