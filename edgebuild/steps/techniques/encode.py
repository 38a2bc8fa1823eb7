"""Codes the model file for its download: sparse indices, codebooks and entropy coding, undone on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebuild.formats.coding import SUFFIX
from edgebuild.spec import compressors
from edgebuild.spec.artifact import FILE, StepIO
from edgebuild.spec.errors import StepError
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.technique import Technique


@dataclass(frozen=True, slots=True)
class Encode(Technique):
    """Deep Compression's third stage (Han, Mao & Dally 2016), on the runtime's own file and bit for bit.

    The output has the file as it was and beside it the download; a bundle carries the download and a decoder that
    needs numpy alone. It pays after `prune_weights` and `codebook`; integer files gain some per cent.
    """

    consumes: ClassVar[tuple[str, ...]] = (FILE,)
    needs: ClassVar[tuple[str, ...]] = ("model",)
    tools: ClassVar[tuple[str, ...]] = ("numpy",)
    final: ClassVar[bool] = True

    @staticmethod
    def versions() -> dict[str, str]:
        """Those of the compressors, and what they make of a probe."""
        return compressors.versions()

    def run(self, io: StepIO) -> None:
        """Write the model file and its download; StepError should the download not give the same file again."""
        from edgebuild.formats.coding import encoder
        from edgebuild.travels import decoder

        target_format = FORMATS.get(io.kind("model"))()
        model = (io.path("model") / target_format.file).read_bytes()
        coded = encoder.encode(model, target_format.constants(model))
        if decoder.decode(coded) != model:
            raise StepError("the download does not give the model file again")
        (io.output / target_format.file).write_bytes(model)
        (io.output / (target_format.file + SUFFIX)).write_bytes(coded)
