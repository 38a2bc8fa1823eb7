"""A module as torch.export sees it, also where its code decides by numbers that it keeps in buffers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edgebuild.spec.errors import exhausted

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.export import ExportedProgram

_BY_VALUES = ("data-dependent", "DataDependent", "dynamic shape operator")  # as PyTorch names it


def exported(
    module: nn.Module, arguments: tuple[Any, ...], named: Mapping[str, Any] | None = None, **how: Any
) -> ExportedProgram:
    """What `torch.export.export` gives for the module in eval mode, or raises.

    Where the module decides by what a buffer of one number holds (`if self.initialized:`), as codebooks and
    normalizations do that set themselves up when they are first trained, its decisions are those of the numbers that
    it has now.
    """
    import torch

    try:
        return torch.export.export(module.eval(), arguments, dict(named or {}), **how)
    except Exception as error:  # models that cannot be exported fail in many ways
        if exhausted(error) or not by_values(error) or not any(_numbers(part) for part in module.modules()):
            raise
        try:
            with _known(module):
                return torch.export.export(module, arguments, dict(named or {}), **how)
        except Exception as again:
            if exhausted(again):
                raise
            raise error from None


def decided(module: nn.Module, example: tuple[Tensor, ...]) -> bool:
    """Whether the module can be exported for the numbers that it keeps, and not without them."""
    import torch

    if not any(_numbers(part) for part in module.modules()):
        return False
    try:
        torch.export.export(module.eval(), example)
    except Exception as error:  # as above
        if exhausted(error):
            raise
        return by_values(error)
    return False


def by_values(error: BaseException) -> bool:
    """Whether code that is exported decides by what tensors hold, or makes as many values as they say."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return any(words in str(error) or any(words in name for name in names) for words in _BY_VALUES)


@contextmanager
def _known(module: nn.Module) -> Iterator[None]:
    """Buffers of one number are constants of the code that reads them, which an exporter knows the values of."""
    kinds = {part: type(part) for part in module.modules()}
    try:
        for part, kind in kinds.items():
            if numbers := _numbers(part):
                names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
                constants = {name: _constant(number) for name, number in numbers.items()}
                part.__class__ = type(kind.__name__, (kind,), names | constants)
        yield
    finally:
        for part, kind in kinds.items():
            part.__class__ = kind


def _numbers(part: nn.Module) -> dict[str, Tensor]:
    """The buffers that code may decide by; how many batches a normalization has seen decides nothing any more."""
    own = part._buffers.items()
    return {name: one for name, one in own if one is not None and one.numel() == 1 and name != "num_batches_tracked"}


def _constant(number: Tensor) -> property:
    import torch

    values, dtype = number.tolist(), number.dtype
    return property(lambda _: torch.tensor(values, dtype=dtype))
