"""A module as torch.export sees it, also where its code decides by what it keeps, writes to its weights or checks."""

from __future__ import annotations

import copy
import dis
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from edgebuild.nn import own_numbers
from edgebuild.nn.inlined import inlined
from edgebuild.spec.errors import exhausted

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.export import ExportedProgram

_BY_VALUES = ("data-dependent", "DataDependent", "dynamic shape operator")  # as PyTorch names it
_WRITING = "fake tensor in the exported program constant's list"  # what is read as `weight.data`
_TORCH = "/torch/"
_MOST = 32  # decisions that are tried the other way


class Exported(NamedTuple):
    """A graph, and whether the module's code is settled in it."""

    program: ExportedProgram
    settled: bool


def exported(
    module: nn.Module, arguments: tuple[Any, ...], named: Mapping[str, Any] | None = None, **how: Any
) -> ExportedProgram:
    """What `torch.export.export` gives for the module in eval mode, settled where it must be; raises what it raises."""
    return attempt(module, arguments, named, **how).program


def attempt(
    module: nn.Module, arguments: tuple[Any, ...], named: Mapping[str, Any] | None = None, **how: Any
) -> Exported:
    """As `exported`. What torch.export refuses, or leaves to be decided when the file runs, is settled.

    - Decisions by a buffer of one number (`if self.initialized:`), as codebooks and normalizations have them that set
      themselves up when they are first trained, are those of the number that it has now.
    - What is read of other tensors that no input reaches (places of a mask, how often an edge is repeated) is as it is
      now.
    - What the code writes to its weights (`weight.data`, a largest norm) is written once, before.
    - A check of values that ends in the code's own `raise` or `assert` is passed.
    """
    import torch

    try:
        program = inlined(torch.export.export(module.eval(), arguments, dict(named or {}), **how))
    except Exception as error:  # models that cannot be exported fail in many ways
        if exhausted(error) or not (by_values(error) or _WRITING in str(error)):
            raise
        settled = _attempt_settled(module, arguments, named or {}, how)
        if settled is None:
            raise
        return Exported(settled, True)
    unknown = _unknown(program)
    settled = _attempt_settled(module, arguments, named or {}, how) if unknown else None
    if settled is not None and _unknown(settled) < unknown:
        return Exported(settled, True)
    return Exported(program, False)


def _unknown(program: ExportedProgram) -> int:
    """How many of a graph's values are, or are as many as, only a file will know when it runs."""
    from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols

    values = [node.meta.get("val") for node in program.graph.nodes if node.op == "call_function"]
    return sum(bool(free_unbacked_symbols(value)) for value in values if value is not None)


def by_values(error: BaseException) -> bool:
    """Whether code that is exported decides by what tensors hold, or makes as many values as they say."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return any(words in str(error) or any(words in name for name in names) for words in _BY_VALUES)


def _attempt_settled(
    module: nn.Module, arguments: tuple[Any, ...], named: Mapping[str, Any], how: Mapping[str, Any]
) -> ExportedProgram | None:
    import torch

    try:
        read = own_numbers.reads(module, arguments, named)
        if how.get("dynamic_shapes"):
            twice = tuple(torch.cat([argument, argument]) for argument in arguments)
            read = read.where_equal(own_numbers.reads(module, twice, named))
        checks = _checks(module, arguments, named) | read.truths
        with _known(module), _settling(checks), own_numbers.known(module, read.values):
            return inlined(torch.export.export(module, arguments, dict(named), **how))
    except Exception as error:  # as above; why it could not be exported as it is says more
        if exhausted(error):
            raise
        return None


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


@contextmanager
def _settling(checks: Mapping[int, bool]) -> Iterator[None]:
    """The n-th truth of a tensor is what `checks` has for n; data of tensors are copies."""
    import torch
    from torch.overrides import TorchFunctionMode

    read, write = torch.Tensor.data.__get__, torch.Tensor.data.__set__  # type: ignore[attr-defined]

    class Settling(TorchFunctionMode):
        asked = 0

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func == read:
                return args[0].detach().clone()
            if func == write:
                return None
            if getattr(func, "__name__", "") != "__bool__":
                return func(*args, **(kwargs or {}))
            number, self.asked = self.asked, self.asked + 1
            return checks[number] if number in checks else func(*args)

    with Settling():
        yield


def _checks(module: nn.Module, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> dict[int, bool]:
    """By its number the truth of each tensor that the code asks for, where the other ends in the code's own raise."""
    truths = _asked(module, arguments, named, None)
    return {n: truth for n, truth in enumerate(truths[:_MOST]) if _raises(module, arguments, named, n)}


def _raises(module: nn.Module, arguments: tuple[Any, ...], named: Mapping[str, Any], other: int) -> bool:
    """Whether code that is told a truth the other way raises; on a copy, which it may set up anew by that."""
    try:
        _asked(copy.deepcopy(module), arguments, named, other)
    except Exception as error:  # the user's code may raise anything
        if exhausted(error):
            raise
        last = error.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        code = last.tb_frame.f_code if last is not None else None
        own = code is not None and _TORCH not in code.co_filename
        return own and code.co_code[last.tb_lasti] == dis.opmap["RAISE_VARARGS"]  # type: ignore[union-attr]
    return False


def _asked(module: nn.Module, arguments: tuple[Any, ...], named: Mapping[str, Any], other: int | None) -> list[bool]:
    """The truths of tensors that the code asks for, in their order; the number `other` is told it the other way."""
    import torch
    from torch.overrides import TorchFunctionMode

    truths: list[bool] = []

    class Asked(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            answer = func(*args, **(kwargs or {}))
            if getattr(func, "__name__", "") != "__bool__":
                return answer
            truths.append(answer)
            return not answer if len(truths) - 1 == other else answer

    with torch.no_grad(), Asked():
        module(*arguments, **named)
    return truths
