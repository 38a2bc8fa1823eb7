"""Reads what inner layers of a module answer while it runs: for losses on features, and for regressors on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgebuild.spec.errors import UsageError
from edgebuild.spec.names import suggest

if TYPE_CHECKING:
    from torch import Tensor, nn


@contextmanager
def tapped(module: nn.Module, layers: Sequence[str], key: str) -> Iterator[dict[str, Tensor]]:
    """A mapping that holds, after every run of the module, what each named layer answered last.

    UsageError under `key` for a layer that the module lacks, with the nearest names.
    """
    answers: dict[str, Tensor] = {}
    known = dict(module.named_modules())
    handles = []
    for name in layers:
        if not name or name not in known:
            raise UsageError(f"the model has no layer {name!r}", key=key, hint=suggest(name, filter(None, known)))

    def keep(name: str) -> None:
        handles.append(known[name].register_forward_hook(lambda _, __, answer: answers.__setitem__(name, answer)))

    try:
        for name in layers:
            keep(name)
        yield answers
    finally:
        for handle in handles:
            handle.remove()


def shapes(module: nn.Module, example: tuple[Tensor, ...], layers: Sequence[str], key: str) -> dict[str, list[int]]:
    """The shape [1, C, …] that each layer answers on one example; UsageError for one that answers no such tensor."""
    import torch

    with tapped(module, layers, key) as answers, torch.no_grad():
        module.eval()(*example)
        sizes = {}
        for name in layers:
            answer = answers.get(name)
            if not isinstance(answer, torch.Tensor) or answer.ndim < 2:
                raise UsageError(f"layer {name!r} answers no tensor of channels", key=key, hint="name another layer")
            sizes[name] = list(answer.shape)
    return sizes
