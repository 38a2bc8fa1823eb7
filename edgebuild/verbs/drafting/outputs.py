"""What a drafted model answers: its outputs, the task that is asked of them, and the names of classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.spec.errors import UsageError
from edgebuild.spec.outputs import USUAL_TASK
from edgebuild.spec.registry import TASKS
from edgebuild.spec.signature import TensorSpec
from edgebuild.verbs.drafting import answered, named, toml
from edgebuild.verbs.drafting.inputs import element, fixed, numbers

if TYPE_CHECKING:
    from edgebuild.spec.look import Port
    from edgebuild.verbs.drafting.examples import Recognised
    from edgebuild.verbs.drafting.interview import Interview


@dataclass(frozen=True, slots=True)
class Answers:
    """The file's outputs (none where it does not say), the lines that declare them, its classes in order, and whether
    they are boxes.
    """

    outputs: tuple[TensorSpec, ...]
    lines: list[str]
    classes: list[str]
    boxes: bool = False


def declared(interview: Interview, inputs: tuple[TensorSpec, ...], data: Recognised) -> Answers:
    """UsageError for a task or classes that nobody knows, and for classes that do not fit what the file answers."""
    outputs = _outputs(interview, inputs)
    interview.guesses.extend(interview.look.notes)
    task = _task(interview, data, outputs)
    if TASKS.get(task).show == "boxes":
        return _boxes(interview, outputs, task, data)
    if not outputs or (len(outputs) == 1 and len(outputs[0].shape) == 1 and outputs[0].dtype == "float32"):
        return _one(interview, inputs, outputs, task, data)
    return _several(interview, inputs, outputs, task, data)


def _outputs(interview: Interview, inputs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """What the file answers to zeros, or says of itself with all sizes where only a worker loads it; else nothing."""
    if interview.network is not None:
        ports = named.answers(interview.network, inputs, interview.patience)
        return tuple(TensorSpec(name, shape, element(interview, name, dtype)) for name, shape, dtype in ports)
    if interview.coded:
        return ()
    sizes = (size for port in interview.look.outputs for size in port.shape[1:])
    if interview.trainable and not any(isinstance(size, str) for size in sizes):
        return tuple(_said(interview, port) for port in interview.look.outputs)
    try:
        shapes = answered.shapes(interview.reader(), interview.file, inputs, interview.patience)
    except UsageError as error:
        names = numbers(interview)
        hint = f"tried with {' and '.join(names)} = 0; {fixed(names)}" if names else None
        raise UsageError(error.reason, file=error.file, hint=error.hint or hint) from None
    return tuple(
        TensorSpec(port.name, shape, element(interview, port.name, dtype))
        for port, (shape, dtype) in zip(interview.look.outputs, shapes, strict=True)
    )


def _said(interview: Interview, port: Port) -> TensorSpec:
    return TensorSpec(port.name, tuple(int(size) for size in port.shape[1:]), element(interview, port.name, port.dtype))


def _task(interview: Interview, data: Recognised, outputs: tuple[TensorSpec, ...]) -> str:
    if interview.wishes.task is not None:
        TASKS.get(interview.wishes.task, key="--task")
        return interview.wishes.task
    if data.guess.count > 2 and all(spec.dtype.startswith("float") and math.prod(spec.shape) == 1 for spec in outputs):
        interview.guesses.append("the labels are values, as the model answers one; --task says otherwise")
        return "regression"
    return data.guess.task


def _one(
    interview: Interview, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], task: str, data: Recognised
) -> Answers:
    """The short form: keys of the model itself; a table where two classes have one score."""
    if outputs and outputs[0].shape == (1,) and TASKS.get(task).choice:
        return _several(interview, inputs, outputs, task, data)
    lines = [] if task == USUAL_TASK else [f"task = {toml.quoted(task)}"]
    width = outputs[0].shape[0] if outputs else None
    if TASKS.get(task).named:
        classes, line = _labels(interview, data, width)
        return Answers(outputs, [*lines, line, *_scores(interview, inputs, outputs, 0, task)], classes)
    guessed = "" if width else "  # guessed: how many values it answers"
    return Answers(outputs, [*lines, f"outputs = {width or 1}{guessed}"], [])


def _boxes(interview: Interview, outputs: tuple[TensorSpec, ...], task: str, data: Recognised) -> Answers:
    """All outputs together; what makes boxes of them is a table of its own."""
    classes, line = _labels(interview, data, None)
    lines = [f"task = {toml.quoted(task)}", line]
    lines += [
        text for name, spec in zip(plain(outputs), outputs, strict=True) for text in toml.tensor("outputs", name, spec)
    ]
    return Answers(outputs, lines, classes, boxes=True)


def _several(
    interview: Interview, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], task: str, data: Recognised
) -> Answers:
    """A table for each output, one of which has the task, or all where nobody has labels: the original answers all."""
    every, asked = _originals(interview, task, outputs), _asked(task, outputs)
    which = ", the first" if asked == 0 else ", which has the scores"
    guess = f"{task} is asked of output {outputs[asked].name!r}{which}; the others are held to parity alone"
    guess = f"{guess}, which sees nothing of what quantizes"
    if every:
        learnt = "" if len(every) == len(outputs) else " that something can be learnt through; the others have parity"
        guess = f"{task} is asked of every output{learnt}"
    if len(outputs) > 1:
        interview.guesses.append(guess)
    lines, classes = [f"# {guess}"] if len(outputs) > 1 else [], list[str]()
    for position, (name, spec) in enumerate(zip(plain(outputs), outputs, strict=True)):
        lines += toml.tensor("outputs", name, spec)
        if position in (every or (asked,)):
            lines += [f"task = {toml.quoted(task)}"]
            if TASKS.get(task).named:
                classes, line = _labels(interview, data, TASKS.get(task).classes_of(spec))
                lines += [line, *_scores(interview, inputs, outputs, position, task)]
    return Answers(outputs, lines, classes)


def _originals(interview: Interview, task: str, outputs: tuple[TensorSpec, ...]) -> list[int]:
    """The places of outputs that are held against the original's, where the task has no other labels: of what is
    trained not those in whole numbers, through which nothing is learnt.
    """
    if not TASKS.get(task).original:
        return []
    return [place for place, spec in enumerate(outputs) if not interview.trainable or spec.dtype.startswith("float")]


def _asked(task: str, outputs: tuple[TensorSpec, ...]) -> int:
    """The place of the first output, or, where that is the number of a class, of one behind it with the scores."""
    if TASKS.get(task).choice and not outputs[0].dtype.startswith("float"):
        scores = (
            place for place, spec in enumerate(outputs) if spec.dtype.startswith("float") and len(spec.shape) == 1
        )
        return next(scores, 0)
    return 0


def _scores(
    interview: Interview, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], place: int, task: str
) -> list[str]:
    """The line that says that scores of classes, each for itself, are probabilities: as the file says, or as noise is
    answered.
    """
    spec = outputs[place] if outputs else None
    if spec is None or not TASKS.get(task).by_itself(spec) or interview.network is not None or interview.coded:
        return []
    said = interview.trainable or spec.name in (*interview.look.probabilities, *interview.look.logits)
    if said:
        behind = spec.name in interview.look.probabilities
    else:
        behind = answered.shares(interview.reader(), interview.file, inputs, place, interview.patience)
    what = "probabilities" if behind else "logits"
    interview.guesses.append(f"scores are {what}, by what the file {'says' if said else 'answers'}")
    return [f"scores = {toml.quoted(what)}  # guessed"] if behind else []


def _labels(interview: Interview, data: Recognised, width: int | None) -> tuple[list[str], str]:
    """The names of classes and their line: those of --labels, else of the folders, else numbers."""
    comment, folders, named = "", list(data.guess.classes), list(interview.look.classes)
    if interview.wishes.labels is not None:
        classes = _names(interview.wishes.labels)
    elif {*folders} <= {*named} and width in (None, len(named)) and len({*named}) == len(named) > 1:
        interview.guesses.append("classes are those that the file names, in its order")
        classes = named
    elif folders and width in (None, len(folders)):
        guess = f"classes are {data.guess.order}, as most training code has them"
        interview.guesses.append(guess)
        classes, comment = folders, f"  # guessed: {data.guess.order}"
    elif folders and not data.guess.count:
        question = f"the model answers {width} classes, the data has {len(folders)}: name all, in order"
        classes = _names(interview.needed("--labels", question))
    else:
        why = f", since the data names {len(folders)}" if folders else ""
        interview.guesses.append(f"classes are named by their numbers{why}; --labels names them")
        classes = [str(number) for number in range(width or data.guess.count or 2)]
    if width is not None and len(classes) != width:
        raise UsageError(f"names {len(classes)} classes, and the model answers {width}", key="--labels")
    return classes, f"labels = {toml.quoted(classes)}{comment}"


def _names(text: str) -> list[str]:
    """Of a file with a name on each line, or separated by commas."""
    path = Path(text)
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else text.split(",")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{text!r} cannot be read: {error}", key="--labels") from None
    names = [line.strip() for line in lines if line.strip()]
    if len(names) < 2:
        hint = "a,b,c or a file with a line each"
        raise UsageError(f"{text!r} names fewer than two classes", key="--labels", hint=hint)
    return names


def plain(outputs: Sequence[TensorSpec]) -> list[str]:
    """Names that outputs may have in a model.toml, each another: those of the file in plain letters."""
    names = list[str]()
    for spec in outputs:
        plain = "".join(letter if letter.isalnum() or letter in "_-" else "_" for letter in spec.name)
        plain = plain if plain[:1].isalpha() or plain[:1] == "_" else f"_{plain}"
        numbered = (f"{plain}_{number}" for number in count(2))
        names.append(next(name for name in chain([plain], numbered) if name not in names))
    return names
