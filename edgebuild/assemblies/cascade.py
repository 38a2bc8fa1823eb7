"""A cascade: a small part answers where it is sure, else the large one; validation says how sure it must be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Gt
from pydantic import Field

from edgebuild.assemblies import _deferring
from edgebuild.spec.joining import LINK, Choice, Joined, Joining, Validated, alike
from edgebuild.spec.signature import TensorSpec
from edgebuild.spec.units import Seconds

_ROOM = 1 << 12  # bytes of a frame beside its values: why there is no answer


@dataclass(frozen=True, slots=True)
class Cascade(Joining):
    """The first of two parts answers where the calibrated probability of its choice reaches a threshold.

    The threshold is the lowest that keeps the drop in right answers against the second part alone, on the validation
    examples, below `loss` (a share) at `confidence`. Thresholds are tried from the highest down, and the first that
    fails ends it, so that the bound holds for the one that is taken (fixed-sequence testing; Angelopoulos et al. 2021,
    Learn then Test). With `share` it is the one that so many examples do not reach, where the bound holds for that.
    """

    loss: Annotated[float, Gt(0), Field(lt=1, description="most right answers that it may cost, as a share")] = 0.01
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    share: Annotated[
        float | None,
        Field(
            gt=0, lt=1, description="share of examples that go on, the least sure; left out: as few as `loss` allows"
        ),
    ] = None
    server: Annotated[bool, Field(description="whether the second part runs on a server, over a link")] = False
    timeout: Annotated[Seconds, Field(description="longest wait for the server")] = 2.0
    offline: Annotated[
        Literal["error", "answer"], Field(description="answer: without the server, the first part's")
    ] = "error"

    router: ClassVar[str] = "edgebuild.travels.route_cascade"

    def check(self, whole: Joined, parts: Sequence[Joined]) -> None:
        """Both parts take and answer the same, and that is one classification."""
        _deferring.check(whole, "a cascade")
        alike(whole, parts)

    def brings(self) -> tuple[str, ...]:
        """The link to the server, where there is one."""
        return LINK if self.server else ()

    def choose(self, validated: Validated) -> Choice:
        """The threshold and the temperature, which makes the first part's probabilities honest."""
        first, second = validated.answers
        chosen = _deferring.choose(first, second, validated, self.loss, self.confidence, self.share)
        if not self.server:
            return chosen
        most = max(_frame(validated.signature.inputs), _frame(validated.signature.outputs))
        link = {"seconds": self.timeout, "bytes": float(most + _ROOM), "offline": float(self.offline == "answer")}
        note = f"an example that goes on sends {_frame(validated.signature.inputs)} bytes to the server"
        return Choice({**chosen.rule, **link}, (*chosen.notes, note))


def _frame(specs: Sequence[TensorSpec]) -> int:
    """Bytes of a frame with these tensors of one example."""
    import numpy as np

    from edgebuild.travels import edge_link

    sizes = [math.prod(spec.shape) * np.dtype(spec.dtype).itemsize + 2 + 4 * (1 + len(spec.shape)) for spec in specs]
    return sum(sizes) + edge_link.OVERHEAD
