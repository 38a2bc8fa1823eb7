"""Where the examples of a drafted model come from: what kinds of data see in a file or folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.spec.data import DATA, Guess
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import TensorSpec
from edgebuild.verbs.drafting import toml

if TYPE_CHECKING:
    from edgebuild.verbs.drafting.interview import Interview


@dataclass(frozen=True, slots=True)
class Recognised:
    """The kind of data that a place is of."""

    use: str
    guess: Guess


_LOUD = [
    "# THERE IS NO DATA. What is calibrated and judged on here is noise: the verdict tells how near answers stay to",
    "# those of the file as it came (agreement), and NOTHING OF ACCURACY. Better are real inputs without labels,",
    '# use = "inputs" and file = "some.npz" (arrays by the names of inputs); best labelled examples (init --data).',
]
NOISE = Recognised("noise", Guess("noise", {}, "agreement"))  # in the place of data, where nobody has any
_KINDS = "pictures or recordings in folders of classes, COCO, YOLO, .npz, .csv, .parquet, save_to_disk of datasets"


def place(interview: Interview, inputs: tuple[TensorSpec, ...]) -> Recognised:
    """NOISE where there is none; UsageError for what is not there, or of no kind."""
    data = interview.wishes.data
    if data is None and interview.ask is not None:
        question = f"examples: {_KINDS} (nothing: noise)"
        data = Path(text).expanduser() if (text := interview.ask("--data", question)) else None
    if data is None:
        interview.guesses.append(
            "THERE IS NO DATA: answers are held against the file's own on noise, which says nothing of accuracy; "
            "--data gives examples"
        )
        return NOISE
    if not data.exists():
        raise UsageError(f"no such file or folder: {str(data)!r}", key="--data")
    recognised = _recognised(data.resolve(), inputs)
    interview.guesses.extend(recognised.guess.guesses)
    return recognised


def _recognised(data: Path, inputs: tuple[TensorSpec, ...]) -> Recognised:
    """What the surest kind of data sees in it."""
    seen = [(use, guess) for use, kind in DATA.usable().items() if (guess := kind.seen(data, inputs)) is not None]
    if not seen:
        raise UsageError(f"{str(data)!r} is no data that is known for these inputs: {_KINDS}", key="--data")
    return Recognised(*max(seen, key=lambda one: one[1].sure))


def table(interview: Interview, data: Recognised) -> list[str]:
    """The lines of [data]; paths within the project start from the model's folder."""
    if data == NOISE:
        return [*_LOUD, "[data]", 'use = "noise"']
    lines = ["[data]", f"use = {toml.quoted(data.use)}"]
    lines += [f"{key} = {toml.value(_placed(interview, value))}" for key, value in data.guess.options.items()]
    if not interview.trainable:  # nothing is learnt: more is left to judge by
        return [*lines, "test = 0.5  # of all examples, for the judge, where the data brings no test split"]
    return lines


def _placed(interview: Interview, value: Any) -> Any:
    """A path as model.toml names it, anything else as it is."""
    root = interview.project.root
    if not isinstance(value, Path):
        return value
    return os.path.relpath(value, root / "models" / interview.name) if value.is_relative_to(root) else str(value)
