"""Whether a module answers by numbers that are drawn whenever it is built, and that no state dict has: nobody has them
again, be it from a file of weights or where the artifact is loaded.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edgebuild.nn import chance

if TYPE_CHECKING:
    from torch import Tensor, nn

_SEED = 0x5EED  # one that nobody begins a training with
_SHOWN = 3


def aside(module: nn.Module, build: Callable[[], nn.Module], example: tuple[Tensor, ...]) -> str | None:
    """The tensors that another module of the same code and state dict has otherwise, where it answers otherwise for
    them; None where nothing does.

    Tried as in `chance.drawn`. Nothing is built where all tensors are in the state dict. Numbers that are drawn
    afterwards are the same as if nobody had asked.
    """
    import torch

    own = dict(_aside(module))
    if not own:
        return None
    with _as_before(), torch.no_grad():
        torch.manual_seed(_SEED)
        other = build()
        other.load_state_dict(module.state_dict())
        theirs = dict(_aside(other))
        drawn = [name for name in own if name in theirs and not _equal(own[name], theirs[name])]
        if not drawn or chance.alike(module, other, example):
            return None
    more = len(drawn) - _SHOWN
    return ", ".join(drawn[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _aside(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Tensors that a module keeps beside its state dict, by the names that lead to them."""
    saved = {id(tensor) for tensor in module.state_dict(keep_vars=True).values()}
    seen = {id(module)}
    for name, tensor in _reached(module, "", seen):
        if id(tensor) not in saved:
            yield name, tensor


def _reached(value: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Tensor]]:
    import torch
    from torch import nn

    if isinstance(value, torch.Tensor):
        yield path, value
        return
    if isinstance(value, nn.Module):
        kept = {key: each for key, each in vars(value).items() if not key.startswith("_")}
        parts: Any = {**kept, **value._parameters, **value._buffers, **value._modules}.items()
    elif isinstance(value, Mapping):
        parts = list(value.items())
    elif type(value) in (list, tuple):
        parts = enumerate(value)
    else:
        return
    for key, part in parts:
        if isinstance(part, torch.Tensor) or id(part) not in seen:
            seen.add(id(part))
            yield from _reached(part, f"{path}.{key}" if path else str(key), seen)


def _equal(one: Tensor, other: Tensor) -> bool:
    import torch

    return one.shape == other.shape and one.dtype == other.dtype and torch.equal(one.nan_to_num(), other.nan_to_num())


@contextmanager
def _as_before() -> Iterator[None]:
    """What PyTorch, numpy and Python draw afterwards is what they would have drawn."""
    import numpy as np
    import torch

    of_numpy, of_python = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        np.random.set_state(of_numpy)
        random.setstate(of_python)
