"""How a drafted detector's outputs become boxes, and how pictures go in: what finds most of the boxes in some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgebuild.spec.checked import check
from edgebuild.spec.data import DATA, DataRequest
from edgebuild.spec.decoder import Decoder
from edgebuild.spec.errors import UsageError
from edgebuild.spec.reads import Read
from edgebuild.spec.signature import Head, Signature
from edgebuild.verbs.drafting import answered, pictures, toml

if TYPE_CHECKING:
    from edgebuild.data._prepared import Prepared
    from edgebuild.spec.data import Data
    from edgebuild.spec.preprocess import ImageInput
    from edgebuild.spec.rows import Array
    from edgebuild.spec.signature import TensorSpec
    from edgebuild.verbs.drafting.examples import Recognised
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


def table(interview: Interview, inputs: tuple[TensorSpec, ...], data: Recognised, answers: Answers) -> list[str]:
    """The lines of [decoder] and [preprocess]; UsageError for outputs that no decoder reads."""
    how = pictures.sized(interview, inputs)
    if how.crop is not None:
        raise UsageError("would cut boxes: pictures are stretched", key="--crop")
    best = _chosen(interview, answers, _ways(interview, how), Signature(inputs, answers.outputs), data)
    guess = f"boxes are read as {best.decoder.kind!r} has them{best.why}"
    scaled = f"(pixel / 255 - {list(best.how.mean)}) / {list(best.how.std)}, {best.how.order}"
    pixels = [f"pixels go in as {scaled}; --mean and --std say otherwise"] if best.how.dtype == "float32" else []
    interview.guesses.extend([guess, *pixels])
    usual, own = asdict(Decoder(best.decoder.kind)), asdict(best.decoder)
    changed = {key: value for key, value in own.items() if key == "kind" or value != usual[key]}
    decoder = ["[decoder]", f"# guessed: {guess}", *(f"{key} = {toml.value(value)}" for key, value in changed.items())]
    scale = pictures.lines((best.how.mean, best.how.std), "  # guessed") if pixels else []
    return [*decoder, "", *pictures.head(best.how), *scale]


def forms(shapes: tuple[tuple[int, ...], ...], classes: int, how: ImageInput) -> list[Decoder]:
    """The decoders that read outputs of these shapes, the simplest first."""
    return [each for each in _all(how) if each.mistake(shapes, classes) is None]


def found(decoder: Decoder, answers: Sequence[Sequence[Array]], boxes: Sequence[Array]) -> int:
    """How many boxes are among as many detections as there are boxes in each picture, best first."""
    import numpy as np

    from edgebuild.travels import boxes as decoding

    count = 0
    with np.errstate(all="ignore"):  # of answers that are read in a wrong form
        for outputs, rows in zip(answers, boxes, strict=True):
            detections = decoding.decoded(asdict(decoder), outputs)[0, : len(rows)]
            for row in rows:
                same = detections[detections[:, 0] == row[0], 2:]
                count += bool(len(same)) and bool((decoding.overlaps(row[1:], same) >= _RIGHT).any())
    return count


def _ways(interview: Interview, how: ImageInput) -> list[ImageInput]:
    """How pixels may go in: as flags say, else what is usual, or as they are."""
    wishes = interview.wishes
    if how.dtype == "uint8":
        return [how]
    if wishes.mean is not None or wishes.std is not None:
        return [replace(how, mean=wishes.mean or (0.0,), std=wishes.std or (1.0,))]
    usual = pictures.WAYS.values()
    return [replace(how, mean=mean, std=std) for mean, std in usual if len(mean) in (1, how.channels)]


def _chosen(
    interview: Interview, answers: Answers, ways: Sequence[ImageInput], signature: Signature, data: Recognised
) -> Detector:
    """The decoder and the way of pixels with which most boxes of some pictures are found, the first of several."""
    shapes, file = tuple(spec.shape for spec in answers.outputs), interview.file
    decoders = forms(shapes, len(answers.classes), ways[0])
    if not decoders:
        shown = " and ".join(str(list(shape)) for shape in shapes)
        message = f"answers {shown}, which no decoder reads for {len(answers.classes)} classes"
        raise UsageError(
            message, file=str(file), key="--data", hint="known: fastestdet, yolo, ssd, detected; or --labels"
        )
    examples = [] if interview.trainable else _some(data, signature, ways[0], answers.classes)
    if not examples:
        return Detector(decoders[0], ways[0])
    places, boxes = [place for place, _ in examples], [rows for _, rows in examples]

    def tried(several: Sequence[ImageInput]) -> Iterator[tuple[int, Decoder, ImageInput]]:
        for how in several:
            answers = answered.of_pictures(interview.reader(), file, how, places, interview.patience)
            yield from ((found(decoder, answers, boxes), decoder, how) for decoder in decoders)

    best = max(tried(ways), key=_count)
    if best[2].channels == 3:
        best = max([best, *tried([replace(best[2], order="bgr")])], key=_count)
    count, decoder, how = best
    total = sum(map(len, boxes))
    return Detector(decoder, how, f", with which {count} of {total} boxes in {len(places)} pictures are found")


def _count(tried: tuple[int, Decoder, ImageInput]) -> int:
    return tried[0]


def _some(data: Recognised, signature: Signature, how: ImageInput, classes: Sequence[str]) -> list[tuple[Path, Any]]:
    """Pictures of the training split that have boxes [n, 5], spread over it, as the kind of data reads them."""
    options = {key: str(value) if isinstance(value, Path) else value for key, value in data.guess.options.items()}
    kind: Data = check(DATA.get(data.use), options, file="--data")
    reads = tuple(Read(name, "", name) for name in kind.reads().values())
    head = Head("boxes", "detection")
    request = DataRequest(signature, (head,), "--data", reads, how, tuple(classes) if kind.by_name else ())
    prepared, labels = _of(kind.load(request).splits["train"])
    boxes = [rows[rows[:, 0] >= 0] for rows in labels]
    each = [(place, rows) for place, rows in zip(prepared.files, boxes, strict=True) if len(rows)]
    return each[:: max(len(each) // _TRIED, 1)][:_TRIED]


def _of(split: tuple[Prepared, Array]) -> tuple[Prepared, Array]:
    return split


def _all(how: ImageInput) -> Iterator[Decoder]:
    yield Decoder("fastestdet")
    pixels = (float(how.width), float(how.height))
    ends: tuple[Literal["yxyx", "xyxy"], ...] = ("yxyx", "xyxy")
    yolo: tuple[Literal["centre", "xyxy"], ...] = ("centre", "xyxy")
    ssd: tuple[Literal["centre", "xyxy", "yxyx"], ...] = ("xyxy", "yxyx", "centre")
    for size, flag in product((None, pixels), (False, True)):
        for order in ends:
            yield Decoder("detected", iou=1.0, corners=order, size=size, background=flag)
    for logits, size, flag in product((False, True), (None, pixels), (True, False)):
        for corners in yolo:
            yield Decoder("yolo", corners=corners, size=size, objectness=flag, logits=logits)
        for turned in ssd:
            yield Decoder("ssd", corners=turned, size=size, background=flag, logits=logits)
