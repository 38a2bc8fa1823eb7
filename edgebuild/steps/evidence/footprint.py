"""What the candidate and its baseline weigh: bytes of the file, parameters, multiply-accumulates an inference."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edgebuild.formats.coding import SUFFIX
from edgebuild.nn import checkpoint
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.registry import FORMATS

if TYPE_CHECKING:
    from edgebuild.nn.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes are the exported file's, `download` those of its coded download where it has one.

    Parameters and MACs are counted on the torch model that the file was made of.
    """

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("candidate", "candidate_torch", "baseline", "baseline_torch")
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    deterministic: ClassVar[Determinism] = "everywhere"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`."""
        found = {role: self._weigh(io, role) for role in ("candidate", "baseline")}
        (io.output / "evidence.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")

    def _weigh(self, io: StepIO, role: str) -> dict[str, int]:
        model = checkpoint.load(io.path(f"{role}_torch"))
        parameters = sum(values.numel() for values in model.module.parameters())
        file = io.path(role) / FORMATS.get(io.kind(role)).file
        size, download = file.stat().st_size, file.with_name(file.name + SUFFIX)
        coded = download.stat().st_size if download.is_file() else size
        return {"bytes": size, "download": coded, "parameters": parameters, "macs": macs(model)}


def macs(model: Checkpoint) -> int:
    """Multiply-accumulates of one inference: all products of matrices and convolutions, whoever asks for them.

    Biases, normalization and activations are not counted. Fused kernels (LSTM, attention) hide their products from
    the counter, so they are switched off, and gradients stay on, which keeps torch from fusing more.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what switching mkldnn says about GPUs
        with torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH), counter:
            model.module(*model.example())
    return int(counter.get_total_flops()) // 2
