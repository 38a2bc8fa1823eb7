"""How pictures go into a drafted model: its size, and mean and deviation by what it then answers right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgebuild.spec.data import Guess
from edgebuild.spec.errors import UsageError
from edgebuild.spec.layout import NCHW, NHWC, Layout
from edgebuild.spec.outputs import USUAL_TASK
from edgebuild.spec.preprocess import ImageInput
from edgebuild.verbs.drafting import answered, named, toml

if TYPE_CHECKING:
    from edgebuild.spec.signature import TensorSpec
    from edgebuild.verbs.drafting.examples import Recognised
    from edgebuild.verbs.drafting.interview import Interview
    from edgebuild.verbs.drafting.outputs import Answers

Way = tuple[tuple[float, ...], tuple[float, ...]]  # mean and deviation of pixels in 0..1
# As most networks were trained: plainly, on ImageNet's statistics, as Keras does for some, and on raw pixels.
WAYS: Mapping[str, Way] = {
    "as 0 to 1": ((0.0,), (1.0,)),
    "by ImageNet's mean and deviation": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "as -1 to 1": ((0.5,), (0.5,)),
    "as 0 to 255": ((0.0,), (1 / 255,)),
}
_TRIED = 32  # pictures
_SCALES = ("Rescaling", "Normalization")  # layers of Keras that a model has which takes pixels as they are


def expected(interview: Interview, data: Recognised) -> bool:
    """Whether the data is pictures, which feed one input."""
    return data.guess.pictures


def table(interview: Interview, inputs: tuple[TensorSpec, ...], data: Recognised, answers: Answers) -> list[str]:
    """The lines of [preprocess]; UsageError for inputs that no picture goes into, and for a size of another."""
    how = sized(interview, inputs)
    return [*head(how), *_normalised(interview, how, data, answers)]


def head(how: ImageInput) -> list[str]:
    """The lines of [preprocess] but for mean and deviation; what is usual goes without saying."""
    lines = ["[preprocess]", f"width = {how.width}", f"height = {how.height}", f"channels = {how.channels}"]
    lines += [] if how.layout == NCHW else [f"layout = {toml.quoted(how.layout)}"]
    lines += [] if how.order == "rgb" else [f"order = {toml.quoted(how.order)}"]
    lines += [] if how.dtype == "float32" else [f"dtype = {toml.quoted(how.dtype)}  # pixels as they are"]
    return [*lines, f"crop = {how.crop}"] if how.crop is not None else lines


def sized(interview: Interview, inputs: tuple[TensorSpec, ...]) -> ImageInput:
    """Size and layout of the one input, and the flag's crop."""
    file, wishes = str(interview.file), interview.wishes
    if len(inputs) != 1 or len(inputs[0].shape) != 3:
        shown = "; ".join(f"{spec.name} {list(spec.shape)}" for spec in inputs)
        raise UsageError(f"pictures are for one input of three axes, not {shown}", file=file, key="--data")
    shape = inputs[0].shape
    layout: Layout = NCHW if shape[0] in (1, 3) else NHWC
    channels, height, width = shape if layout == NCHW else (shape[2], shape[0], shape[1])
    if channels not in (1, 3):
        raise UsageError(f"pictures have 1 or 3 channels, input {list(shape)} has neither", file=file)
    if wishes.size not in (None, (height, width)):
        reason = f"the model takes pictures of {height}×{width}"
        raise UsageError(reason, file=file, key="--size", hint="--shape fixes open sizes")
    usual = named.preparation(interview.network, channels)[2] if interview.network is not None else None
    crop = wishes.crop if wishes.crop is not None else usual
    colours: Literal[1, 3] = 1 if channels == 1 else 3
    how = ImageInput(width=width, height=height, channels=colours, crop=crop, layout=layout)
    return how if inputs[0].dtype.startswith("float") else replace(how, dtype=_whole(interview))


def _whole(interview: Interview) -> Literal["uint8"]:
    """The type of pixels that go into an input of whole numbers; UsageError where a flag would scale them."""
    for key, value in (("--mean", interview.wishes.mean), ("--std", interview.wishes.std)):
        if value is not None:
            reason = "is for inputs of real numbers, and pixels go into this one as they are"
            raise UsageError(reason, file=str(interview.file), key=key)
    interview.guesses.append("pixels go in as they are, since the model takes whole numbers")
    return "uint8"


def _normalised(interview: Interview, how: ImageInput, data: Recognised, answers: Answers) -> list[str]:
    """Mean and deviation: what flags say, else what the file answers best, of what is usual; none of whole numbers."""
    wishes = interview.wishes
    if how.dtype == "uint8":
        return []
    if wishes.mean is not None or wishes.std is not None:
        return lines((wishes.mean or (0.0,), wishes.std or (1.0,)))
    if interview.network is not None:
        mean, std, _ = named.preparation(interview.network, how.channels)
        if mean:
            origin = f"as {named.shown(interview.network)} is usually trained"
            interview.guesses.append(f"pixels go in {origin}; --mean and --std say otherwise")
            return lines((mean, std), f"  # guessed: {origin}; value = (pixel / 255 - mean) / std")
    ways = {name: way for name, way in WAYS.items() if len(way[0]) in (1, how.channels)}
    name, why = _best(interview, ways, how, data, answers)
    interview.guesses.append(f"pixels go in {name}{why}; --mean and --std say otherwise")
    return lines(ways[name], f"  # guessed: {name}{why}; value = (pixel / 255 - mean) / std")


def lines(way: Way, comment: str = "") -> list[str]:
    """Mean and deviation."""
    mean, std = way
    return [f"mean = {list(mean)}{comment}", f"std = {list(std)}"]


def _best(
    interview: Interview, ways: Mapping[str, Way], how: ImageInput, data: Recognised, answers: Answers
) -> tuple[str, str]:
    """The way by which most pictures of some are answered right, the first of several, and in words why.

    What is loaded by workers alone is not tried here.
    """
    outputs, pictures = answers.outputs, _some(data.guess, answers.classes)
    if interview.trainable and (own := next((layer for layer in _SCALES if layer in interview.look.operators), None)):
        return "as 0 to 255", f", since the model scales them itself ({own})"
    if interview.trainable or len(outputs) != 1 or len(outputs[0].shape) > 1 or not pictures:
        return next(iter(ways)), ""
    right = {
        name: answered.right(
            interview.reader(), interview.file, replace(how, mean=mean, std=std), pictures, interview.patience
        )
        for name, (mean, std) in ways.items()
    }
    best = max(right, key=lambda name: right[name])
    others = ", ".join(f"{count} {name}" for name, count in right.items() if name != best)
    return best, f", with which {right[best]} of {len(pictures)} pictures are answered right ({others})"


def _some(guess: Guess, labels: Sequence[str]) -> list[tuple[Path, int]]:
    """Pictures of folders of classes with the numbers of these in `labels`, as many of each as there may be."""
    from edgebuild.data._folders import training
    from edgebuild.data.images import pictures_below

    place, known = guess.options.get("folder"), [name for name in guess.classes if name in labels]
    if guess.task != USUAL_TASK or not isinstance(place, Path):
        return []
    each = [(labels.index(name), pictures_below(training(place) / name)) for name in known[:_TRIED]]
    share = max(_TRIED // max(len(each), 1), 1)
    return [(path, number) for number, paths in each for path in paths[:: max(len(paths) // share, 1)][:share]]
