"""Examples that are of streams: inputs that are outputs come back, filled with what a stream starts with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.spec.signature import Signature

if TYPE_CHECKING:
    import numpy as np

    from edgebuild.spec.rows import Mask

    Values = np.ndarray[Any, Any]

_ROWS = 1024  # of a state that are made at a time
_SHARE = 0.1  # of the streams that are set aside to choose by


@dataclass(frozen=True, slots=True)
class Start:
    """A state [N, …] of nothing but what streams start with, handed over some rows at a time."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    value: float

    def blocks(self) -> Iterator[Values]:
        """All rows."""
        import numpy as np

        for first in range(0, self.shape[0], _ROWS):
            yield np.full((min(_ROWS, self.shape[0] - first), *self.shape[1:]), self.value, self.dtype)


def with_states(inputs: Sequence[Any], signature: Signature) -> tuple[Any, ...]:
    """The inputs that data brings, with those between them that are states; as they came where any is missing."""
    import numpy as np

    if not signature.loops or len(inputs) != sum(one.state is None for one in signature.inputs):
        return tuple(inputs)
    own, count = iter(inputs), inputs[0].shape[0] if inputs[0].shape else 0
    return tuple(
        next(own) if one.state is None else Start((count, *one.shape), np.dtype(one.dtype), one.state.start)
        for one in signature.inputs
    )


def late(streams: Values) -> Mask | None:
    """Which examples [N] are of the last tenth of the streams, or of one stream its last tenth."""
    import numpy as np

    if len(streams) < 2:
        return None
    numbers = list(dict.fromkeys(streams.tolist()))
    if len(numbers) == 1:
        return np.arange(len(streams)) >= len(streams) - max(1, round(_SHARE * len(streams)))
    return np.isin(streams, numbers[-max(1, round(_SHARE * len(numbers))) :])
