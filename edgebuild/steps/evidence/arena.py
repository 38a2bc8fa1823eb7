"""Memory for the activations of one inference, as a static plan finds it in the model file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.registry import FORMATS
from edgebuild.steps.evidence import _packing


@dataclass(frozen=True, slots=True)
class Arena:
    """Bytes of inputs, outputs and everything between, without weights and without the kernels' own scratch."""

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("candidate", "baseline")
    tools: ClassVar[tuple[str, ...]] = ()
    deterministic: ClassVar[Determinism] = "everywhere"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`."""
        found = {}
        for role in ("candidate", "baseline"):
            kind = FORMATS.get(io.kind(role))
            tensors = kind().lifetimes((io.path(role) / kind.file).read_bytes())
            found[role] = {"bytes": _packing.planned(tensors), "tensors": len(tensors)}
        (io.output / "evidence.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
