"""Names of splits as data sets have them, and the cutting of what comes without."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from edgebuild.spec import drawing

if TYPE_CHECKING:
    import numpy as np

    from edgebuild.spec.rows import Array

    Rows = np.ndarray[tuple[int, ...], np.dtype[np.int64]]

ALIASES: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
    "unlabelled": ("unlabelled", "unlabeled"),
}
LABELLED = ("train", "validation", "test")
Share = Annotated[float, Field(gt=0, lt=1, description="of all examples, cut for the judge where no test split comes")]


def cut(
    total: int,
    classes: Array | None,
    present: Collection[str],
    *,
    test: float,
    seed: int,
    groups: Array | None = None,
) -> tuple[dict[str, Rows], str]:
    """Rows of what `total` examples become, in order: "train", and those of "validation" and "test" that are not
    present; and a line that says so. ValueError for too few, of which one at least is left to learn from.

    groups: what examples have in common, [total]: those of one are never in two of these
    """
    import numpy as np

    rows: dict[str, Rows] = {}
    rest = np.arange(total)
    absent = [name for name in ("test", "validation") if name not in present]
    if groups is None and total <= len(absent):
        counted = f"{total} example{'' if total == 1 else 's'}"
        raise ValueError(
            f"has {counted}, and {len(absent) + 1} are needed: one to learn from, and {' and '.join(absent)}"
        )
    for name in absent:
        if groups is None and len(rest) < 2:
            raise ValueError(f"leaves {len(rest)} of {total} examples to learn from and choose by (test = {test:g})")
        options = {"share": test, "most": None} if name == "test" else {}
        if groups is not None:
            aside = drawing.groups_aside(groups[rest], seed, **options)  # type: ignore[arg-type]
        else:
            own = None if classes is None else classes[rest]
            aside = drawing.set_aside(len(rest), own, seed, **options)  # type: ignore[arg-type]
        rows[name], rest = rest[aside], rest[~aside]
    rows["train"] = rest
    counts = ", ".join(f"{len(rows[name])} {name}" for name in LABELLED if name in rows)
    line = f"the data has no {' or '.join(absent)} split: {total} examples are cut at random into {counts}"
    return rows, line if groups is None else f"{line}, and no group is in two of them"


def masks(names: Sequence[object]) -> dict[str, Array]:
    """Which of the examples [N] belong to each slice, by its name; an empty name belongs to none."""
    import numpy as np

    texts = np.array([str(name) for name in names])
    return {name: texts == name for name in np.unique(texts).tolist() if name}
