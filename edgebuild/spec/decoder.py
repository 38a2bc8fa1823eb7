"""How what a detector answers becomes boxes: data that the judge follows, and the bundle's runner as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt
from pydantic import ConfigDict, Field

from edgebuild.spec.fields import STRICT

Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True)
class Decoder:
    """`kind` is the form of the outputs (formulas: `travels/boxes.py`); the other keys say what forms leave open.

    `fastestdet`: one map [5 + classes, H, W]. `yolo`: one output [anchors, 4 + 1 + classes] or its transpose, without
    the 1 where there is no `objectness`. `ssd`: an output of boxes [A, 4], then one of scores [A, classes]. `detected`:
    outputs of boxes [A, 4], their classes [A] and scores [A], and perhaps how many there are, of a file that has chosen
    them itself; with `background` its classes count from 1, and `iou = 1` leaves its choice as it is.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    kind: Annotated[Literal["fastestdet", "yolo", "ssd", "detected"], Field(description="the form of the outputs")]
    iou: Annotated[Share, Field(description="overlap at which the less sure of two boxes of a class goes")] = 0.45
    score: Annotated[Share, Field(description="below which nothing is a detection to the judge")] = 0.001
    show: Annotated[Share, Field(description="below which run.py shows nothing")] = 0.3
    most: Annotated[int, Ge(1), Field(description="detections of a picture")] = 100
    corners: Annotated[
        Literal["centre", "xyxy", "yxyx"],
        Field(description="a box's numbers: centre and size, or corners"),
    ] = "centre"
    size: Annotated[
        tuple[Annotated[float, Gt(0)], Annotated[float, Gt(0)]] | None,
        Field(description="width and height that boxes are in, such as pixels; none: shares of the picture"),
    ] = None
    objectness: Annotated[bool, Field(description="yolo: a score of there being anything, before those of classes")] = (
        True
    )
    background: Annotated[bool, Field(description="ssd, detected: the first class is nothing")] = False
    logits: Annotated[bool, Field(description="scores are before their sigmoid, or softmax with a background")] = False

    def mistake(self, shapes: tuple[tuple[int, ...], ...], classes: int) -> str | None:
        """What does not fit outputs of these shapes (of one example); None when nothing does not."""
        expected = {
            "fastestdet": f"one output [{5 + classes}, H, W]",
            "yolo": f"one output [anchors, {4 + self.objectness + classes}] or its transpose",
            "ssd": f"an output [A, 4] of boxes and then one [A, {classes + self.background}] of scores",
            "detected": "outputs [A, 4] of boxes, [A] of classes, [A] of scores, and perhaps one number of how many",
        }[self.kind]
        named = " and ".join(str(list(shape)) for shape in shapes)
        message = (
            f"decoder {self.kind!r} reads {expected} for {classes} classes, and the outputs have the shape {named}"
        )
        return None if self._fits(shapes, classes) else message

    @property
    def apart(self) -> bool:
        """Whether boxes and scores are outputs of their own."""
        return self.kind in ("ssd", "detected")

    def real(self, count: int) -> tuple[int, ...]:
        """The places of those of so many outputs that are no whole numbers."""
        return (0, 2) if self.kind == "detected" else tuple(range(count))

    def _fits(self, shapes: tuple[tuple[int, ...], ...], classes: int) -> bool:
        if self.kind == "ssd":
            ends = [(shape[-1], len(shape)) for shape in shapes]
            return ends == [(4, 2), (classes + self.background, 2)] and shapes[0][0] == shapes[1][0]
        if self.kind == "detected":
            most = shapes[0][:1]
            return shapes[:3] == ((*most, 4), most, most) and shapes[3:] in ((), ((),), ((1,),))
        if len(shapes) != 1:
            return False
        (shape,) = shapes
        if self.kind == "fastestdet":
            return len(shape) == 3 and shape[0] == 5 + classes
        return len(shape) == 2 and min(shape) == 4 + self.objectness + classes
