"""PyTorch's table of what writes each operator in ONNX, kept from one export to the next.

The exporter makes it anew for every file, from some 500 functions whose source it parses: half of what the export of a
small network takes.
"""

from __future__ import annotations

import copy
from functools import cache, lru_cache
from typing import Any


@cache
def keep() -> None:
    """Have the exporter take a copy of the table that it has made before, where no operator has been declared since."""
    import torch
    from torch.onnx._internal.exporter import _registration

    kind: Any = _registration.ONNXRegistry
    make, operators = kind.from_torchlib, torch._C._dispatch_get_all_op_names

    @lru_cache(maxsize=1)
    def table(declared: int, options: tuple[tuple[str, Any], ...]) -> Any:
        return make(**dict(options))

    def taken(**options: Any) -> Any:
        own = copy.copy(table(len(operators()), tuple(options.items())))
        own.functions = {name: [*functions] for name, functions in own.functions.items()}
        return own

    kind.from_torchlib = staticmethod(taken)
