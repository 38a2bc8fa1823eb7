"""Texts that a function returns as a model's inputs, by what `[preprocess]` says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from edgebuild.spec.data import DataRequest

if TYPE_CHECKING:
    import numpy as np

    Values = np.ndarray[Any, Any]


def inputs(texts: Sequence[str], request: DataRequest, wrong: Callable[[str, str], Exception]) -> tuple[Values, ...]:
    """What becomes of texts, [N, …] each, in the order of the inputs; `wrong` makes the error of a reason and a key."""
    import numpy as np

    how = request.preprocess
    if how is None or how.what != "text":
        raise wrong("says how a text becomes the model's inputs, and is missing", "preprocess")
    places = how.places(request.signature.inputs)
    if len(places) != len(request.signature.inputs):
        raise wrong("makes not all inputs of the model", "preprocess")
    try:
        prepared = [how.fit(text) for text in texts]
    except (OSError, ValueError) as error:
        raise wrong(str(error), "preprocess.vocabulary") from None
    return tuple(np.stack([one[places.index(place)] for one in prepared]) for place in range(len(places)))


def are(values: Any) -> bool:
    """Whether these are texts: a list of them, or an array [N]."""
    import numpy as np

    if isinstance(values, list):
        return bool(values) and all(isinstance(one, str) for one in values)
    return isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind == "U" and bool(len(values))
