"""Whether a lifted module answers as its file does, in the file's own runtime."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.nn.lift.reference import Reference
from edgebuild.spec.errors import exhausted

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    Array = np.ndarray[Any, Any]
    Sample = tuple[Array, ...]

TOLERANCE = 2e-4  # of an output's largest value; sums of float32 in another order usually change 1e-6
_ROUNDING = 4 * 2.0**-23  # what a sigmoid of float32 near 0 is off by in ONNX Runtime, however small it is
_DRAWN = 2


@dataclass(frozen=True, slots=True)
class Difference:
    """How far an output is from the file's.

    output: its name in the file
    largest: the largest difference over all values and samples, relative to the file's largest value; inf where
        shape, type, or what is not finite differs
    """

    output: str
    largest: float


@dataclass(frozen=True, slots=True)
class Proof:
    """What was compared, with one example at a time.

    differences: of each output
    tolerance: what a difference may be
    one_at_a_time: why the module takes one example only; empty where several at once are answered like each alone
    """

    differences: tuple[Difference, ...]
    tolerance: float
    one_at_a_time: str = ""

    @property
    def equal(self) -> bool:
        """Whether every output is as the file's."""
        return self.worst.largest <= self.tolerance

    @property
    def worst(self) -> Difference:
        """The output that differs most."""
        return max(self.differences, key=lambda difference: difference.largest)


def prove(
    module: nn.Module,
    model: bytes,
    samples: Sequence[Sample] = (),
    *,
    sizes: Mapping[str, int] | None = None,
    constants: Mapping[str, Array] | None = None,
    answers: Sequence[Sequence[Array]] = (),
    tolerance: float = TOLERANCE,
) -> Proof:
    """Compare the module with the file that it was lifted from.

    samples: inputs in the file's order, without the constants, one example each; drawn where there are none
    sizes, constants: as for `lift`
    answers: what the samples must be answered with besides, where the file was made of another one: that one's answers

    The module runs as it is, in eval mode or not. LiftError where the file itself does not run.
    """
    reference = Reference(model, sizes or {}, constants or {})
    examples = [*samples] or [reference.draw(seed) for seed in range(_DRAWN)]
    held = [[reference.answer(example) for example in examples], *([answers] if answers else [])]
    own = [_run(module, example) for example in examples]
    each = [_apart(computed, answer) for expected in held for computed, answer in zip(own, expected, strict=True)]
    differences = [Difference(name, max(values)) for name, *values in zip(reference.outputs, *each, strict=True)]
    return Proof(tuple(differences), tolerance, _why_alone(module, reference, examples, tolerance))


def _why_alone(module: nn.Module, reference: Reference, examples: Sequence[Sample], tolerance: float) -> str:
    """Why the module does not take two examples at once, empty where it does.

    The file's answers to one after the other are what counts: with an open batch it may mix examples up itself.
    """
    pair = [examples[0], examples[-1]]
    try:
        answers = _run(module, reference.together(pair))
    except Exception as error:  # a forward pass may fail in any way
        if exhausted(error):
            raise
        return f"with two examples it does not run ({_first_line(error)})"
    expected = _joined([reference.answer(example) for example in pair], answers)
    if max(_apart(answers, expected)) > tolerance:
        return "with two examples it does not answer as with each alone"
    return ""


def _joined(each: Sequence[Sequence[Array]], like: Sequence[Array]) -> list[Array]:
    """The answers to several examples as one, along the axis that gives the shape of what is compared with them."""
    import numpy as np

    joined = []
    for result, *parts in zip(like, *each, strict=True):
        fits = [k for k in range(result.ndim) if _size(parts, k) == result.shape]
        joined.append(np.concatenate(parts, fits[0] if fits else 0) if parts[0].ndim else parts[0])
    return joined


def _size(parts: Sequence[Array], axis: int) -> tuple[int, ...]:
    shape = list(parts[0].shape)
    if axis < len(shape):
        shape[axis] = sum(part.shape[axis] for part in parts)
    return tuple(shape)


def _run(module: nn.Module, sample: Sample) -> list[Array]:
    import torch

    from edgebuild.nn.lift.initializers import to_tensor

    with torch.no_grad():
        answer = module(*map(to_tensor, sample))
    return [value.numpy() for value in ((answer,) if isinstance(answer, torch.Tensor) else answer)]


def _apart(answers: Sequence[Array], expected: Sequence[Array]) -> list[float]:
    """Of each output the largest difference, relative to the largest value that is expected."""
    return [_relative(*pair) for pair in zip(answers, expected, strict=True)]


def _relative(answer: Array, expected: Array) -> float:
    import numpy as np

    if answer.shape != expected.shape or answer.dtype != expected.dtype:
        return math.inf
    one, other = answer.astype(np.float64), expected.astype(np.float64)
    finite = np.isfinite(other)
    if not np.array_equal(one[~finite], other[~finite], equal_nan=True) or not np.isfinite(one[finite]).all():
        return math.inf
    if not finite.any():
        return 0.0
    apart = max(0.0, float(np.abs(one - other)[finite].max()) - _ROUNDING)
    return apart / max(float(np.abs(other[finite]).max()), 1e-12)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"[:200]
