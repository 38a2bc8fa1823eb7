"""Whether a graph answers as the code that it was traced from: what is written through `.data` no trace can see."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from edgebuild.nn import comparison
from edgebuild.spec.errors import UsageError, exhausted

if TYPE_CHECKING:
    from torch import fx, nn

    from edgebuild.nn.comparison import Answers, Example

_SEED = 0
_TOLERANCE = 1e-3  # of the largest answer: the same operators compute both


def refuse_otherwise(graph: fx.GraphModule, module: nn.Module, example: Example) -> None:
    """UsageError where the graph answers otherwise than the module in eval mode, on noise in the example's shapes.

    Nothing is said of a module that does not run on noise nor on the example, or that answers otherwise every time.
    """
    import torch

    for inputs in (comparison.noise(example, "normal", len(example[0]), torch.float32), example):
        try:
            expected, again = _answers(module, inputs), None
            observed = _answers(graph, inputs)
            if not comparison.alike(observed, expected, _TOLERANCE):
                again = _answers(module, inputs)
        except Exception as error:  # the user's code may want other inputs, and says so in any way
            if exhausted(error):
                raise
            continue
        if again is not None and comparison.alike(again, expected, _TOLERANCE):
            message = "the model cannot be traced: its graph answers otherwise than its code"
            hint = "what code writes through .data is not seen: write into the value itself (y += 1, not y.data += 1)"
            raise UsageError(message, key="builder", hint=hint)
        return


def _answers(module: nn.Module, inputs: Example) -> Answers:
    """Those of a copy, for code may write into its inputs and its buffers."""
    import torch

    tried = copy.deepcopy(module)
    for part in tried.modules():
        part.training = False
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        return comparison.answers(tried, tuple(one.clone() for one in inputs))
