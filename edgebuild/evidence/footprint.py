"""What the candidate and its baseline weigh: bytes of the file, parameters, multiply-accumulates an inference."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

from edgebuild.nn import checkpoint
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.registry import FORMATS


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes are the exported file's; parameters and MACs are counted on the torch model that it was made of."""

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("candidate", "candidate_torch", "baseline", "baseline_torch")
    tools: ClassVar[tuple[str, ...]] = ("torch", "torch-pruning")
    deterministic: ClassVar[Determinism] = "everywhere"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`."""
        found = {role: self._weigh(io, role) for role in ("candidate", "baseline")}
        (io.output / "evidence.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")

    def _weigh(self, io: StepIO, role: str) -> dict[str, int]:
        import torch_pruning

        model = checkpoint.load(io.path(f"{role}_torch"))
        example = model.example()
        macs, parameters = torch_pruning.utils.count_ops_and_params(
            model.module, example if len(example) > 1 else example[0]
        )
        file = io.path(role) / FORMATS.get(io.kind(role)).file
        return {"bytes": file.stat().st_size, "parameters": int(parameters), "macs": int(macs)}
