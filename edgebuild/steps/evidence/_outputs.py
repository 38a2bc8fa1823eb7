"""Reads what a file or a model answered: every output, and of these what a head reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.spec import documents, drawing, evidence, tasks
from edgebuild.spec.errors import StepError, UsageError
from edgebuild.spec.signature import Head

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array, Mask

ROWS = "rows.npy"  # of those that ran, where they were not drawn


def origin(folder: Path) -> evidence.Origin:
    """What made the outputs in a folder."""
    return documents.read(evidence.Origin, folder / evidence.ORIGIN)


def read(folder: Path) -> list[Array]:
    """Every output on every example, [N, …]; UsageError where one is not a finite number."""
    import numpy as np

    with np.load(folder / "outputs.npz") as stored:
        outputs: list[Array] = [stored[str(position)] for position in range(len(stored.files))]
    for values in outputs:
        if not np.isfinite(values).all():
            first = int(np.argwhere(~np.isfinite(values))[0][0])
            raise UsageError(
                f"the model answers NaN or infinite values on held-out examples, first on example {first}",
                hint="look at this example: a mask that hides all, a division by 0, half precision beyond 65504",
            )
    return outputs


def rows(folder: Path, total: int, count: int) -> Array:
    """Which of all examples so many outputs answer: those that their folder names, else as `drawing.chosen` has it."""
    import numpy as np

    if not (folder / ROWS).is_file():
        return drawing.chosen(total, count)
    own: Array = np.load(folder / ROWS)
    return own


def of_head(head: Head, outputs: Sequence[Array]) -> list[Array]:
    """What a head reads; StepError for a model that has fewer outputs."""
    if max(head.outputs) >= len(outputs):
        raise StepError(f"the model has {len(outputs)} outputs, and {head.name!r} is number {max(head.outputs)}")
    return [outputs[position] for position in head.outputs]


def hits(head: Head, outputs: Sequence[Array], labels: Array) -> Mask:
    """Which examples [N] a head gets right; StepError for outputs that cannot be compared with the labels."""
    answers = of_head(head, outputs)
    if len(answers[0]) != len(labels):
        shapes = ", ".join(str(list(values.shape)) for values in answers)
        raise StepError(f"outputs of shape {shapes} cannot be compared with {len(labels)} labels")
    return tasks.of(head).hits(answers, labels)


def named(names: Sequence[str], outputs: Sequence[Array]) -> Mapping[str, Array]:
    """Outputs by name; StepError where a file has other outputs than its model declares."""
    if len(names) != len(outputs):
        raise StepError(f"the file answers {len(outputs)} outputs, and the model declares {', '.join(names)}")
    return dict(zip(names, outputs, strict=True))
