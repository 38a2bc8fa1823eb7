"""How far each part's file is from the model that it was converted from, by part and output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.evidence import Converted, OnDevice, Parity
from edgebuild.steps.assemblies._parts import OfParts, read_all


@dataclass(frozen=True, slots=True)
class JoinedParity(OfParts):
    """Inputs: `parity/<part>`. A conversion is right where each part's is, so every one is kept by its name."""

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`."""
        every = read_all(Parity, io, "parity", self.parts)
        on_device = [each.device for each in every if each.device is not None]
        device = None
        if len(on_device) == len(every):
            device = OnDevice(on_device[0].origin, self._named([each.outputs for each in on_device]))
        whole = Parity(every[0].origin, self._named([each.outputs for each in every]), device)
        documents.write(io.output / evidence.FILE, whole)

    def _named(self, every: list[Mapping[str, Converted]]) -> dict[str, Converted]:
        pairs = zip(self.parts, every, strict=True)
        return {f"{part}.{name}": one for part, outputs in pairs for name, one in outputs.items()}
