"""What the candidate and its baseline weigh: bytes of the file, parameters, multiply-accumulates an inference."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edgebuild.formats.coding import SUFFIX
from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.registry import FORMATS

if TYPE_CHECKING:
    from edgebuild.nn.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Footprint(Step):
    """Bytes are the exported file's, `download` those of its coded download where it has one.

    Parameters and MACs are counted on the model before conversion that the file was made of; on one that comes as a
    file they are the elements of its constants, and what its operators multiply.
    """

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("candidate", "candidate_model", "baseline", "baseline_model")
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    deterministic: ClassVar[Determinism] = "everywhere"

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`."""
        footprint = evidence.Footprint(self._weigh(io, "candidate"), self._weigh(io, "baseline"))
        documents.write(io.output / evidence.FILE, footprint)

    def _weigh(self, io: StepIO, role: str) -> evidence.Weight:
        parameters, products = _counted(io, f"{role}_model")
        file = io.path(role) / FORMATS.get(io.kind(role)).file
        size, download = file.stat().st_size, file.with_name(file.name + SUFFIX)
        coded = download.stat().st_size if download.is_file() else size
        return evidence.Weight(size, coded, parameters, products)


def _counted(io: StepIO, role: str) -> tuple[int, int]:
    """Parameters, and multiply-accumulates of one inference."""
    from edgebuild.nn import checkpoint

    kind = io.kind(role)
    if kind in FORMATS.names():
        file = (io.path(role) / FORMATS.get(kind).file).read_bytes()
        counter = FORMATS.get(kind)()
        return sum(each.count for each in counter.constants(file)), sum(each.macs for each in counter.work(file))
    model = checkpoint.load(io.path(role))
    return sum(values.numel() for values in model.module.parameters()), macs(model)


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
