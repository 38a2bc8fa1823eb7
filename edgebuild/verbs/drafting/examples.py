"""Where the examples of a drafted model come from: a folder of pictures, or an .npz of arrays."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.spec.errors import UsageError
from edgebuild.verbs.drafting import toml

if TYPE_CHECKING:
    from edgebuild.verbs.drafting.interview import Interview


_LOUD = [
    "# THERE IS NO DATA. What is calibrated and judged on here is noise: the verdict tells how near answers stay to",
    "# those of the file as it came (agreement), and NOTHING OF ACCURACY. Better are real inputs without labels,",
    '# use = "inputs" and file = "some.npz" (arrays by the names of inputs); best labelled examples (init --data).',
]
NOISE = Path("noise")  # in the place of data, where nobody has any


def place(interview: Interview) -> Path:
    """NOISE where there is none; UsageError for what is not there, or of neither kind."""
    data = interview.wishes.data
    if data is None and interview.ask is not None:
        question = "a folder of pictures with a folder for each class, or an .npz of arrays (nothing: noise)"
        data = Path(text).expanduser() if (text := interview.ask("--data", question)) else None
    if data is None:
        interview.guesses.append(
            "THERE IS NO DATA: answers are held against the file's own on noise, which says nothing of accuracy; "
            "--data gives examples"
        )
        return NOISE
    if not data.exists():
        raise UsageError(f"no such file or folder: {str(data)!r}", key="--data")
    if not data.is_dir() and data.suffix != ".npz":
        raise UsageError(f"{str(data)!r} is neither a folder of pictures nor an .npz of arrays", key="--data")
    return data.resolve()


def table(interview: Interview, data: Path) -> list[str]:
    """The lines of [data]; paths within the project start from the model's folder."""
    if data == NOISE:
        return [*_LOUD, "[data]", 'use = "noise"']
    root = interview.project.root
    path = os.path.relpath(data, root / "models" / interview.name) if data.is_relative_to(root) else str(data)
    lines = ["[data]", 'use = "images"', f"folder = {toml.quoted(path)}"]
    if not data.is_dir():
        lines = ["[data]", 'use = "npz"', f"file = {toml.quoted(path)}"]
    if not interview.trainable:  # nothing is learnt: more is left to judge by
        return [*lines, "test = 0.5  # of all examples, for the judge, where the data brings no test split"]
    return lines
