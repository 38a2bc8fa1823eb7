"""What the torch model answers on examples that nothing has learnt from: the reference that a conversion must keep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from edgebuild.spec import dataset, loop
from edgebuild.spec.artifact import Step, StepIO
from edgebuild.spec.signature import Loop

if TYPE_CHECKING:
    from torch import nn

    from edgebuild.spec.rows import Array

_BATCH = 64


@dataclass(frozen=True, slots=True)
class TorchOutputs(Step):
    """`outputs.npz` as a device's runner would write it, on the examples of a `split`.

    `loops`: go through streams in order, with the states that the module itself has left.
    """

    split: dataset.SplitName = "test"
    loops: tuple[Loop, ...] = ()

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    produces: ClassVar[str | None] = "outputs"
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch", "numpy")

    def run(self, io: StepIO) -> None:
        """Run every held-out example through the module."""
        import numpy as np
        import torch

        from edgebuild.nn import checkpoint

        module = checkpoint.load(io.path("model")).module
        test = dataset.read(io.path("data"), self.split)
        if self.loops:
            streams = dataset.streams(io.path("data"), self.split)
            answers = list(loop.through(partial(_singly, module), test.singly(), streams, self.loops))
            looped = {str(k): np.concatenate(values) for k, values in enumerate(zip(*answers, strict=True))}
            np.savez(io.output / "outputs.npz", **looped)  # type: ignore[arg-type]
            return
        parts: list[list[torch.Tensor]] = []
        with torch.no_grad():
            for start in range(0, len(test), _BATCH):
                rows = slice(start, start + _BATCH)
                answer = module(
                    *(torch.from_numpy(np.require(values[rows], requirements=("W", "C"))) for values in test.inputs)
                )
                parts.append([answer] if isinstance(answer, torch.Tensor) else list(answer))
        stacked = {str(k): torch.cat(values).numpy() for k, values in enumerate(zip(*parts, strict=True))}
        np.savez(io.output / "outputs.npz", **stacked)  # type: ignore[arg-type]


def _singly(module: nn.Module, samples: Iterable[tuple[Array, ...]]) -> Iterator[tuple[Array, ...]]:
    """What the module answers to one sample after another."""
    import numpy as np
    import torch

    from edgebuild.nn.answers import listed

    with torch.no_grad():
        for sample in samples:
            inputs = (torch.from_numpy(np.require(values, requirements=("W", "C"))) for values in sample)
            yield tuple(each.numpy() for each in listed(module(*inputs)))
