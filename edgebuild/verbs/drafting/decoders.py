"""How a detector's outputs become boxes, by which form their shapes are of."""

from __future__ import annotations

from collections.abc import Sequence

from edgebuild.spec.decoder import Decoder
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import TensorSpec

_FORMS = (
    Decoder("fastestdet"),
    Decoder("yolo"),
    Decoder("yolo", objectness=False),
    Decoder("ssd"),
    Decoder("ssd", background=True),
)


def line(outputs: Sequence[TensorSpec], classes: int, file: str) -> str:
    """The key `decoder` with its table; UsageError where no form has these shapes."""
    shapes = tuple(output.shape for output in outputs)
    form = next((form for form in _FORMS if form.mistake(shapes, classes) is None), None)
    if form is None:
        named = " and ".join(str([*shape]) for shape in shapes)
        told = f"answers {named}, which no decoder reads for {classes} classes"
        raise UsageError(told, file=file, key="--data", hint="known: fastestdet, yolo, ssd")
    more = "" if form.objectness else ", objectness = false"
    more += ", background = true" if form.background else ""
    return f'decoder = {{kind = "{form.kind}"{more}}}  # guessed by shapes; look at corners, size and logits'
