"""What tasks share whose labels are values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgebuild.spec.signature import Head, TensorSpec

if TYPE_CHECKING:
    import numpy as np

    from edgebuild.spec.task import Array


def no_classes(task: str, head: Head) -> None:
    """ValueError where classes are named."""
    if head.labels:
        raise ValueError(f"task {task!r} has no classes, and no labels that name them")


def mistake(task: str, labels: Array, output: TensorSpec) -> str | None:
    """What is wrong with the shape or type of labels for this output; None when nothing is."""
    if labels.shape[1:] == output.shape and labels.dtype.kind in "fiu":
        return None
    expected = f"needs numbers of shape {['N', *output.shape]}".replace("'", "")
    return f"{expected} as labels for task {task!r}, got {labels.dtype} {list(labels.shape)}"


def unreal(labels: Array, *, directed: bool = False) -> str | None:
    """Where values are NaN, infinite or too large for float32, or `directed` vectors have no length."""
    import numpy as np

    flat: Any = labels.reshape(len(labels), -1)
    good = (np.abs(flat) <= np.finfo(np.float32).max).all(1)  # NaN is not
    if directed:
        good &= (flat != 0).any(1)
    if good.all():
        return None
    what = "NaN, infinite or zero vectors" if directed else "NaN or infinite values"
    return f"has {what} among its labels, first in example {int(np.argmin(good))}"


def rows(values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Each example's values in one row, [N, D]."""
    import numpy as np

    return np.asarray(values, np.float64).reshape(len(values), -1)
