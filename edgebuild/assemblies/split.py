"""A split: one model cut in two, of which the first half runs at the edge and the second at a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from edgebuild.spec.joining import LINK, Choice, Joined, Joining, Validated, alike
from edgebuild.spec.units import BitsPerSecond, Bytes, Seconds


@dataclass(frozen=True, slots=True)
class Split(Joining):
    """The first part is the model that is cut, where it is the fastest over the `link`; the second, if there is one,
    is the fall-back that answers at the edge while the server cannot be reached.
    """

    link: Annotated[BitsPerSecond, Field(description="speed of the link that the cut is chosen for")] = 1e7
    timeout: Annotated[Seconds, Field(description="longest wait for the other half")] = 2.0
    edge: Annotated[Bytes | None, Field(description="most bytes of the edge's half")] = None

    least: ClassVar[int] = 1
    most: ClassVar[int] = 2
    router: ClassVar[str] = "edgebuild.travels.route_split"
    cuts: ClassVar[bool] = True

    def check(self, whole: Joined, parts: Sequence[Joined]) -> None:
        """A model without a state, and a fall-back that answers the same."""
        if whole.signature.loops:
            raise ValueError("a cut through a recurrent state is refused: both halves would have to keep it")
        alike(whole, parts)

    def brings(self) -> tuple[str, ...]:
        """The link, and what serves the second half."""
        return LINK

    def choose(self, validated: Validated) -> Choice:
        """Nothing is left to choose by answers: both halves run for every example."""
        return Choice({"seconds": self.timeout})
