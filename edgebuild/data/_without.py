"""Examples that nobody labelled, cut into the splits that a build needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgebuild.data._prepared import Prepared
from edgebuild.data._splits import LABELLED, cut
from edgebuild.data.npz import Rows
from edgebuild.spec import drawing, tasks
from edgebuild.spec.data import DataRequest, Loaded
from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    Values = np.ndarray[Any, Any]

FEWEST = 3  # examples: one for each split


def unlabelled(
    request: DataRequest,
    inputs: Sequence[Rows | Prepared | Values],
    total: int,
    what: str,
    note: str,
    *,
    test: float,
    seed: int,
) -> Loaded:
    """All splits, with labels that are none; UsageError for a model that is judged by labels.

    what: how verdicts call these inputs
    """
    import numpy as np

    for head in request.heads:
        if not tasks.of(head).original:
            message = f"has no labels, and task {head.task!r} of {head.name!r} is judged by them"
            raise UsageError(message, file=f"{request.origin}/model.toml", key="data.use", hint='task = "agreement"')
    rows, line = cut(total, None, (), test=test, seed=seed)
    splits: dict[str, Any] = {}
    for name in LABELLED:
        mask = drawing.mask(rows[name], total)
        labels = {head.name: np.full((len(rows[name]), 1), np.nan, np.float32) for head in request.heads}
        splits[name] = (tuple(_taken(values, mask) for values in inputs), labels)
    return Loaded(splits, True, (note, line), what)


def _taken(values: Rows | Prepared | Values, mask: Values) -> Any:
    if isinstance(values, Prepared):
        return replace(values, files=[file for file, own in zip(values.files, mask, strict=True) if own])
    return replace(values, mask=mask) if isinstance(values, Rows) else values[mask]
