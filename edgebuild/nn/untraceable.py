"""Why a module cannot be exported, in words for whoever wrote it: the line of the code, and what to write instead."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from edgebuild.nn.exporting import by_values, exported
from edgebuild.nn.prune.trace.call import is_users
from edgebuild.spec.errors import UsageError, exhausted

if TYPE_CHECKING:
    from torch import Tensor, nn

_PACKED = "packs sequences by their lengths"
_UNPACK = "where not self.training, hand the layer the padded batch, and gather the last step of each by its length"
_DECIDED = "decides by what tensors hold, or has as many values as they say"
_DECIDE = "torch.where chooses between values; decide by shapes, options or self.training"

# What PyTorch has no gradient of, by what it says.
_WRITING = {
    "output of a function that returns multiple views": (
        "writes into one of the parts that chunk, split or unbind give, which has no gradient",
        "write into a slice of the whole (y[:, :n] += 1), or into a .clone() of the part",
    ),
    "functions with out=... arguments": (
        "gives an operator out=, which has no gradient",
        "take the result instead: y = torch.add(a, b)",
    ),
}


def why(error: BaseException) -> tuple[str, str | None]:
    """The reason, with the user's innermost line, and what to do where that is known."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if is_users(frame.filename) and "/edgebuild/nn/" not in frame.filename]
    where = f" ({own[-1].filename.rpartition('/')[2]}:{own[-1].lineno})" if own else ""
    if _packed(error):
        return f"its code {_PACKED}{where}", _UNPACK
    for said, (reason, hint) in _WRITING.items():
        if said in str(error):
            return f"its code {reason}{where}", hint
    if by_values(error):
        return f"its code {_DECIDED}{where}", _DECIDE
    first = str(error).strip().partition("\n")[0][:160]
    return f"{type(error).__name__}: {first}{where}", None


def _packed(error: BaseException) -> bool:
    """Whether it comes from what packs sequences, or from a layer that was given a packed one."""
    from torch.nn.utils import rnn

    return any(
        frame.f_code.co_filename == rnn.__file__
        or any(isinstance(value, rnn.PackedSequence) for value in frame.f_locals.values())
        for frame, _ in traceback.walk_tb(error.__traceback__)
    )


def refusal(module: nn.Module, example: tuple[Tensor, ...], prefix: str) -> UsageError | None:
    """What to say where no format can have the module because it cannot be exported; None where it can."""
    try:
        exported(module, example)
    except Exception as error:  # models that cannot be exported fail in many ways
        if exhausted(error):
            raise
        reason, hint = why(error)
        return UsageError(f"{prefix}: {reason}", hint=hint)
    return None
