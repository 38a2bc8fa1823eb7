"""A module run in another precision, or with channels silenced, parameter by parameter: nothing is copied as a whole.

A copy shares the memory of the module's parameters; each operator is handed the parameters that it reads as they would
be in that copy, for as long as it runs.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from edgebuild.nn.prune.trace.numbers import Ids

    Axes = Mapping[int, Ids]


def sharing(module: nn.Module) -> nn.Module:
    """A copy of a module whose parameters are objects of their own over the same memory; all else is copied.

    Whoever changes a parameter of it gives it other data, and leaves the data alone.
    """
    shared: dict[int, Any] = {id(held): _over(held, held.data) for held in module.parameters()}
    return copy.deepcopy(module, shared)


def forget(module: nn.Module) -> None:
    """Let the module drop what it has computed of its parameters and kept, as it would when they are trained."""
    modes = {part: part.training for part in module.modules()}
    module.train()
    module.train(modes[module])
    for part, training in modes.items():
        part.training = training


def hollow(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy whose parameters have shapes and this type, and no memory: what reads one unasked gets no number."""
    import torch

    def empty(held: Tensor) -> Tensor:
        if not held.is_floating_point():
            return held.data
        return torch.full((), float("nan"), dtype=dtype).expand(held.shape)

    return copy.deepcopy(module, {id(held): _over(held, empty(held)) for held in module.parameters()})


def handed(
    module: nn.Module, sources: nn.Module, dtype: torch.dtype, silent: Mapping[str, Axes] | None = None
) -> AbstractContextManager[Any]:
    """Within it, operators that are given parameters of the module get those of `sources` in this precision.

    silent: which indices of their axes are zero then, by the parameter's name
    """
    own = dict(module.named_parameters(remove_duplicate=False))
    sides = dict(sources.named_parameters(remove_duplicate=False))
    zeros = {id(own[name]): axes for name, axes in (silent or {}).items() if name in own}
    values = {id(held): sides[name].detach() for name, held in own.items() if held.is_floating_point()}
    mode: AbstractContextManager[Any] = _handing()(values, zeros, dtype)
    return mode


@cache
def _handing() -> Any:
    """The class, made once: classes are freed late, and what they close over with them."""
    import torch
    from torch.overrides import TorchFunctionMode
    from torch.utils import _pytree

    plain, type_of = _says_nothing_of_values(), torch.Tensor.dtype.__get__  # type: ignore[attr-defined]

    class Handing(TorchFunctionMode):
        def __init__(self, values: Mapping[int, Tensor], zeros: Mapping[int, Axes], dtype: torch.dtype) -> None:
            super().__init__()
            self._values, self._zeros, self._dtype = values, zeros, dtype

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func == type_of and id(args[0]) in self._values:
                return self._dtype
            if func in plain:
                return func(*args, **(kwargs or {}))
            return func(*_pytree.tree_map(self._of, args), **_pytree.tree_map(self._of, kwargs or {}))

        def _of(self, leaf: Any) -> Any:
            if id(leaf) not in self._values:
                return leaf
            axes = self._zeros.get(id(leaf), {})
            held = self._values[id(leaf)].to(self._dtype, copy=bool(axes))
            for axis, places in axes.items():
                held.index_fill_(axis, torch.from_numpy(places), 0)
            return held

    return Handing


def _over(held: Tensor, data: Tensor) -> Any:
    from torch import nn

    return nn.Parameter(data, requires_grad=held.requires_grad)


def _says_nothing_of_values() -> frozenset[Any]:
    """Functions that ask a tensor for its shape or place: they need none of its numbers."""
    from torch import Tensor

    getters: Any = (Tensor.shape, Tensor.ndim, Tensor.device, Tensor.requires_grad, Tensor.layout)
    methods = (Tensor.size, Tensor.dim, Tensor.numel, Tensor.is_floating_point, Tensor.__len__)
    return frozenset([*(getter.__get__ for getter in getters), *methods])
