"""Exports a torch model into a runtime's file format, in float32."""

from __future__ import annotations

import ctypes
import gc
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.spec import notes
from edgebuild.spec.artifact import Step, StepIO
from edgebuild.spec.errors import StepError, exhausted
from edgebuild.spec.layout import Layout
from edgebuild.spec.registry import FORMATS

if TYPE_CHECKING:
    from pathlib import Path

    from edgebuild.nn.checkpoint import Checkpoint
    from edgebuild.nn.quantize import ranges
    from edgebuild.spec.format import Format
    from edgebuild.spec.signature import Signature


@dataclass(frozen=True, slots=True)
class Convert(Step):
    """The format's own exporter; static shapes, batch 1. Learnt ranges go on in `ranges.json`, by the file's names.

    What the format is known not to take, or its runtime to compute badly, is rewritten before, and noted.

    `layout` is that of pictures which go in and come out; None leaves it to the format.
    """

    format: str
    layout: Layout | None = None

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    produces: ClassVar[str | None] = None
    needs: ClassVar[tuple[str, ...]] = ("model",)
    tools: ClassVar[tuple[str, ...]] = ("torch",)

    def run(self, io: StepIO) -> None:
        """Write the model file."""
        from edgebuild.nn import checkpoint
        from edgebuild.nn.quantize import ranges

        target_format, place = FORMATS.get(self.format)(), io.path("model")
        converted, signature = self._converted(target_format, place, io)
        _give_back()
        converted = target_format.named(converted, signature) if signature.outputs else converted
        (io.output / target_format.file).write_bytes(converted)
        if target_format.real and (learnt := ranges.load(place)):  # else nothing will ask for them
            named = _named(checkpoint.load(place), learnt, target_format, converted, ranges.probe(place))
            (io.output / ranges.FILE).write_text(json.dumps(named, indent=1, sort_keys=True) + "\n")

    def _converted(self, target_format: Format, place: Path, io: StepIO) -> tuple[bytes, Signature]:
        """The file, with the exporter's names, and what the model declares; the module is given back before that is
        named, so that its weights are not in memory beside two files.
        """
        from edgebuild.nn import checkpoint, untraceable
        from edgebuild.nn.legalize.legalize import legal

        model = checkpoint.load(place)
        lawful = legal(model.module, model.example(), self.format)
        notes.write(io.output, lawful.lines)
        try:
            return target_format.convert(lawful.module, model.example(), self.layout), model.signature
        except Exception as error:  # exporters raise whatever they like, over many lines
            if exhausted(error):
                raise
            cannot = f"the model cannot be converted to {self.format}"
            if (refusal := untraceable.refusal(model.module, model.example(), cannot)) is not None:
                raise refusal from None
            raise StepError(f"{cannot}: {_cause(error)}") from None


def _give_back() -> None:
    """Return the memory of what nobody needs: exporters leave circles, and the C library keeps what tensors had."""
    gc.collect()
    with suppress(OSError, AttributeError):  # only one C library has it
        ctypes.CDLL(None).malloc_trim(0)


def _named(
    model: Checkpoint, learnt: ranges.Ranges, target_format: Any, file: bytes, probe: list[Any]
) -> ranges.Ranges:
    """The learnt ranges by the names of the file's tensors, found by running both on the same examples.

    Values that the exporter made of its own, or that have no learnt range, are left to calibration.
    """
    import numpy as np

    from edgebuild.nn.quantize import ranges

    known = {name: pair for name, pair in ranges.values(model, probe).items() if pair[0] in learnt}
    runs = list(target_format.activations(file, probe))
    tensors = {name: np.concatenate([run[name].ravel() for run in runs]) for name in runs[0]}
    matched = ranges.match({name: values for name, (_, values) in known.items()}, tensors)
    ends = {name: (learnt[known[node][0]], factor) for name, (node, factor) in matched.items()}
    return {name: (factor * low, factor * high) for name, ((low, high), factor) in ends.items()}


def _cause(error: BaseException) -> str:
    """The first line of what went wrong first; the whole is in the step's log."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text[:200]}"
