"""How a drafted detector's outputs become boxes, and how pictures go in: what finds most of the boxes in some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from edgebuild.spec.decoder import Decoder
from edgebuild.spec.errors import UsageError
from edgebuild.verbs.drafting import answered, pictures, toml

if TYPE_CHECKING:
    from edgebuild.spec.preprocess import ImageInput
    from edgebuild.spec.signature import TensorSpec
    from edgebuild.verbs.drafting.interview import Interview
    from edgebuild.verbs.drafting.outputs import Answers

_TRIED = 16  # pictures
_RIGHT = 0.5  # overlap at which a box is found


@dataclass(frozen=True, slots=True)
class Detector:
    """What was chosen: the decoder, how pixels go in, and in words why."""

    decoder: Decoder
    how: ImageInput
    why: str = ""


def table(interview: Interview, inputs: tuple[TensorSpec, ...], answers: Answers) -> list[str]:
    """The lines of [decoder] and [preprocess]; UsageError for outputs that no decoder reads."""
    how = pictures.sized(interview, inputs)
    if how.crop is not None:
        raise UsageError("would cut boxes: pictures are stretched", key="--crop")
    best = _chosen(interview, answers, _ways(interview, how))
    guess = f"boxes are read as {best.decoder.kind!r} has them{best.why}"
    pixels = f"pixels go in as (pixel / 255 - {list(best.how.mean)}) / {list(best.how.std)}, {best.how.order}"
    interview.guesses.extend([guess, f"{pixels}; --mean and --std say otherwise"])
    usual, own = asdict(Decoder(best.decoder.kind)), asdict(best.decoder)
    told = {key: value for key, value in own.items() if key == "kind" or value != usual[key]}
    decoder = ["[decoder]", f"# guessed: {guess}", *(f"{key} = {_value(value)}" for key, value in told.items())]
    return [*decoder, "", *pictures.head(best.how), *pictures.lines((best.how.mean, best.how.std), "  # guessed")]


def _ways(interview: Interview, how: ImageInput) -> list[ImageInput]:
    """How pixels may go in: as flags say, else what is usual."""
    wishes = interview.wishes
    if wishes.mean is not None or wishes.std is not None:
        return [replace(how, mean=wishes.mean or (0.0,), std=wishes.std or (1.0,))]
    usual = pictures.WAYS.values()
    return [replace(how, mean=mean, std=std) for mean, std in usual if len(mean) in (1, how.channels)]


def forms(shapes: tuple[tuple[int, ...], ...], classes: int, how: ImageInput) -> list[Decoder]:
    """The decoders that read outputs of these shapes, the commonest first."""
    return [each for each in _all(how) if each.mistake(shapes, classes) is None]


def _chosen(interview: Interview, answers: Answers, ways: Sequence[ImageInput]) -> Detector:
    """The decoder and the way of pixels with which most boxes of some pictures are found, the first of several."""
    shapes = tuple(spec.shape for spec in answers.outputs)
    decoders = forms(shapes, len(answers.classes), ways[0])
    if not decoders:
        shown = " and ".join(str(list(shape)) for shape in shapes)
        told = f"no [decoder] reads outputs of the shape {shown} for {len(answers.classes)} classes"
        hint = "edgebuild schema model shows the forms; --labels names other classes"
        raise UsageError(told, file=str(interview.file), hint=hint)
    examples = interview.annotated.some(_TRIED) if interview.annotated is not None else []
    if interview.trainable or not examples:
        return Detector(decoders[0], ways[0])
    places, boxes = [place for place, _ in examples], [rows for _, rows in examples]

    def tried(several: Sequence[ImageInput]) -> Iterator[tuple[int, Decoder, ImageInput]]:
        for how in several:
            answered_ = answered.of_pictures(interview.source, interview.file, how, places)
            yield from ((found(decoder, answered_, boxes), decoder, how) for decoder in decoders)

    def right(each: tuple[int, Decoder, ImageInput]) -> int:
        return each[0]

    best = max(tried(ways), key=right)
    if best[2].channels == 3:
        best = max([best, *tried([replace(best[2], order="bgr")])], key=right)
    count, decoder, how = best
    total = sum(map(len, boxes))
    return Detector(decoder, how, f", with which {count} of {total} boxes in {len(places)} pictures are found")


def found(decoder: Decoder, answers: Sequence[Sequence[Any]], boxes: Sequence[Sequence[Any]]) -> int:
    """How many boxes are among as many detections as there are boxes in each picture, best first."""
    import numpy as np

    from edgebuild.travels import boxes as decoding

    count = 0
    with np.errstate(all="ignore"):  # of answers that are read in a wrong form
        for outputs, rows in zip(answers, boxes, strict=True):
            detections = decoding.decoded(asdict(decoder), outputs)[0, : len(rows)]
            count += sum(_finds(detections, np.asarray(row, np.float32), decoding) for row in rows)
    return count


def _finds(detections: Any, row: Any, decoding: Any) -> bool:
    same = detections[detections[:, 0] == row[0]]
    return bool(len(same)) and bool((decoding.overlaps(row[1:], same[:, 2:]) >= _RIGHT).any())


def _all(how: ImageInput) -> Iterator[Decoder]:
    yield Decoder("fastestdet")
    pixels = (float(how.width), float(how.height))
    for logits, size in product((False, True), (pixels, None)):
        for objectness, corners in product((True, False), ("centre", "xyxy")):
            yield Decoder("yolo", corners=corners, size=size, objectness=objectness, logits=logits)  # type: ignore[arg-type]
        for background, corners in product((True, False), ("xyxy", "yxyx", "centre")):
            yield Decoder("ssd", corners=corners, size=size, background=background, logits=logits)  # type: ignore[arg-type]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return toml.quoted(value) if isinstance(value, str) else str(list(value) if isinstance(value, tuple) else value)
