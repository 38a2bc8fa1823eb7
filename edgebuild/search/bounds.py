"""What a recipe cannot be smaller than, whatever its steps find: known from the float model and its options alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgebuild.gates._ceiling import Counted
from edgebuild.search.trial import Miss
from edgebuild.search.weighing import judge, misses
from edgebuild.spec.artifact import FILE
from edgebuild.spec.evidence import Evidence, Footprint, Weight
from edgebuild.spec.registry import GATES
from edgebuild.spec.target import Gate
from edgebuild.spec.technique import Technique

_BITS = {"int4": 4, "int8": 8, "float16": 16}
_FLOAT = 32
_FOLDED = 0.9  # of the parameters are in a file at least: those of norms are folded into others'


def bound(steps: Sequence[Technique], baseline: Weight) -> Weight:
    """The least that a file made by these steps can weigh and do, given what the float model does."""
    kept = math.prod(step.leaves() for step in steps)
    sizes = [_BITS[how.weights] for step in steps if (how := step.quantization()) is not None]
    came = baseline.bytes * 8 / max(1, baseline.parameters)  # fewer than of floats where integers or halves came
    size = int(_FOLDED * kept * baseline.parameters * min([*sizes, _FLOAT, came]) / 8)
    coded = any(FILE in step.consumes and step.numbers is None for step in steps)
    return Weight(size, 0 if coded else size, int(kept * baseline.parameters), int(kept * baseline.macs))


def refused(steps: Sequence[Technique], baseline: Weight, gates: Sequence[Gate]) -> tuple[Miss, ...]:
    """The gates that no file made by these steps can pass."""
    footprint = Footprint(bound(steps, baseline), baseline)
    return misses(judge([gate for gate in gates if _weighs(gate)], Evidence(footprint=footprint)))


def _weighs(gate: Gate) -> bool:
    """Whether a limit is on what a file weighs, and on nothing else."""
    kind = GATES.get(gate.metric)
    return issubclass(kind, Counted) and kind.asks(gate.limit) is None and kind.measured is None
