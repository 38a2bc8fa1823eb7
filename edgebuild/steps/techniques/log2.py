"""Rounds weights to powers of two: a multiplication by one is a shift, and an exponent is all there is to store."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Le
from pydantic import Field

from edgebuild.nn import checkpoint, records
from edgebuild.nn.quantize import sharing
from edgebuild.nn.quantize.folding import fold
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.technique import Technique

if TYPE_CHECKING:
    from torch import Tensor


_BIAS, _FRACTION, _LEAST = 127, 23, -126  # of a float32: its exponent's, bits behind it, the least exponent


@dataclass(frozen=True, slots=True)
class Log2(Technique):
    """Logarithmic weights, sign·2^round(log₂|w|) (Miyashita, Lee & Murmann 2016, section 3).

    Of the 2^bits codes one bit is the sign and one code zero: 2^(bits−1) − 1 exponents below that of the tensor's
    largest weight, smaller weights become 0. Batch norms are folded first. No runtime here has kernels that shift:
    the gain is in the download.
    """

    bits: Annotated[int, Ge(2), Le(8), Field(description="of a weight, its sign included")] = 5

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    needs: ClassVar[tuple[str, ...]] = ("model",)
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    deterministic: ClassVar[Determinism] = "everywhere"
    values_only: ClassVar[bool] = True
    final: ClassVar[bool] = True
    gentler: ClassVar[str] = "more `bits`"

    def run(self, io: StepIO) -> None:
        """Fold, round every matrix and kernel, save."""
        import torch

        model = checkpoint.load(io.path("model"))
        fold(model.module, model.inputs)
        values: dict[str, list[int]] = {}
        with torch.no_grad():
            for name, weight in model.module.named_parameters():
                if weight.ndim > 1:
                    rounded = powers_of_two(weight, self.bits)
                    values[name] = [sharing.distinct(weight), sharing.distinct(rounded)]
                    weight.copy_(rounded)
        checkpoint.save(model, io.output)
        records.write(io.output, {"values": values})


def powers_of_two(weight: Tensor, bits: int) -> Tensor:
    """Sign(w)·2^e, e = round(log₂|w|), for the 2^(bits−1) − 1 exponents from the largest down; 0 below them.

    No logarithm is taken, whose last bit would be the processor's: with |w| = m·2^k and ½ ≤ m < 1, e is k where m > √½,
    else k − 1.
    """
    import torch

    mantissas, powers = torch.frexp(weight.abs())
    exponents = powers - (mantissas <= math.sqrt(0.5)).int()
    exponents = exponents.masked_fill(weight == 0, _LEAST)
    least = exponents.max() - (2 ** (bits - 1) - 1)
    magnitudes = ((exponents.clamp(min=_LEAST) + _BIAS) << _FRACTION).view(torch.float32)
    return torch.where((exponents > least) & (weight != 0), weight.sign() * magnitudes, 0.0)
