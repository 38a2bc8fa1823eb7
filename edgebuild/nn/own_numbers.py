"""What code reads of tensors that no input has reached: numbers, places of a mask, repeats.

They are the same for every example, so a graph need not find them. An exporter takes each for a size that only the file
will know.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    Call = tuple[str, tuple[Any, ...], dict[str, Any]]

_VALUES = (
    *("item", "tolist", "__int__", "__float__", "__index__"),
    *("nonzero", "argwhere", "unique", "unique_consecutive", "bincount"),  # and where(mask)
)
_DRAWN = ("rand", "normal", "bernoulli", "multinomial", "empty", "dropout", "poisson")


class Own:
    """The tensors that no input has reached: buffers, what is made of nothing, and what is made of these alone."""

    def __init__(self, module: nn.Module) -> None:
        from torch.utils.weak import WeakIdKeyDictionary

        self._known: Any = WeakIdKeyDictionary()
        for buffer in module.buffers():
            self._known[buffer] = True

    def __contains__(self, value: object) -> bool:
        return value in self._known

    def follow(self, call: Call, answer: Any) -> None:
        """What a call has made of what it was given, or written to."""
        name, args, kwargs = call
        own = all(one in self._known for one in tensors((args, kwargs)))
        written = [*args[:1]] if name == "__setitem__" or (name.endswith("_") and not name.endswith("__")) else []
        if own and not any(word in name for word in _DRAWN):
            for one in tensors(answer):
                self._known[one] = True
            return
        for one in tensors((written, kwargs.get("out"))):
            self._forget(one)

    def _forget(self, written: Tensor) -> None:
        """A tensor, and all that show the same memory."""
        place = written.untyped_storage()._cdata
        for one in [*self._known]:
            if one.untyped_storage()._cdata == place:
                del self._known[one]


def tensors(values: Any) -> list[Tensor]:
    """All tensors in nested values."""
    import torch
    from torch.utils import _pytree

    return [one for one in _pytree.tree_leaves(values) if isinstance(one, torch.Tensor)]


@dataclass(frozen=True, slots=True)
class Reads:
    """Of each call that reads values, in their order, what stands for it where no input has reached that, else None.

    truths: by its number among all truths of tensors that are asked for, each that no input has reached
    """

    values: list[_Value | _Places | _Repeats | None]
    truths: dict[int, bool]

    def where_equal(self, other: Reads) -> Reads:
        """Those that are the same for other examples, or so many of them."""
        pairs = zip(self.values, other.values, strict=True)
        values = [one if one is not None and one.read == _read(two) else None for one, two in pairs]
        truths = {number: truth for number, truth in self.truths.items() if other.truths.get(number) is truth}
        return Reads(values, truths)


def reads(module: nn.Module, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> Reads:
    """What the code reads when it is run on these."""
    import torch
    from torch.overrides import TorchFunctionMode

    own = Own(module)
    values: list[_Value | _Places | _Repeats | None] = []
    truths: list[bool | None] = []

    class Reading(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            call = (getattr(func, "__name__", ""), args, kwargs or {})
            reader = _reader(call)
            if reader is not None:
                values.append(reader(own, func, call))
            answer = func(*args, **call[2])
            if call[0] == "__bool__":
                truths.append(answer if args[0] in own else None)
            answer = [*answer] if call[0] == "__iter__" else answer
            own.follow(call, answer)
            return iter(answer) if call[0] == "__iter__" else answer

    with torch.no_grad(), Reading():
        module(*arguments, **named)
    return Reads(values, {number: truth for number, truth in enumerate(truths) if truth is not None})


@contextmanager
def known(module: nn.Module, values: Sequence[_Value | _Places | _Repeats | None]) -> Iterator[None]:
    """The code of the module reads these values, whatever it computes.

    They are put in its `forward`, where they come before what an exporter makes of its calls.
    """
    from torch.overrides import TorchFunctionMode

    class Known(TorchFunctionMode):
        asked = 0

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            call = (getattr(func, "__name__", ""), args, kwargs or {})
            if _reader(call) is None:
                return func(*args, **call[2])
            value, self.asked = values[self.asked], self.asked + 1
            return func(*args, **call[2]) if value is None else value.answer(func, call)

    own, within = vars(module).get("forward"), module.forward

    @functools.wraps(within)
    def forward(*args: Any, **kwargs: Any) -> Any:
        with Known():
            return within(*args, **kwargs)

    module.forward = forward
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own


def _read(value: _Value | _Places | _Repeats | None) -> Any:
    return None if value is None else value.read


class _Value:
    """A number, or tensors of numbers, in the place of a call."""

    def __init__(self, value: Any) -> None:
        self._value = value

    @property
    def read(self) -> Any:
        return _plain(self._value)

    def answer(self, func: Callable[..., Any], call: Call) -> Any:
        from torch.utils import _pytree

        return _pytree.tree_map(_constant, self._value)


class _Places:
    """Places in the stead of masks and numbers that a tensor is indexed by; those of None stay."""

    def __init__(self, places: list[list[Tensor | int] | None]) -> None:
        self._places = places

    @property
    def read(self) -> Any:
        return _plain(self._places)

    def answer(self, func: Callable[..., Any], call: Call) -> Any:
        index = _index(call)
        pairs = zip(index, self._places, strict=True)
        items = [one for item, places in pairs for one in ([item] if places is None else map(_constant, places))]
        return func(call[1][0], tuple(items))


class _Repeats:
    """Which element stands at each place of what `repeat_interleave` makes."""

    def __init__(self, places: Tensor) -> None:
        self._places = places

    @property
    def read(self) -> Any:
        return _plain(self._places)

    def answer(self, func: Callable[..., Any], call: Call) -> Any:
        _, args, kwargs = call
        axis = kwargs.get("dim", args[2] if len(args) > 2 else None)
        values = args[0].flatten() if axis is None else args[0]
        return values.index_select(0 if axis is None else axis, _constant(self._places))


def _plain(values: Any) -> list[Any]:
    """Numbers alone, which can be compared."""
    import torch
    from torch.utils import _pytree

    return [one.tolist() if isinstance(one, torch.Tensor) else one for one in _pytree.tree_leaves(values)]


def _constant(value: Any) -> Any:
    """A tensor that an exporter takes for a constant of the code."""
    import torch

    if not isinstance(value, torch.Tensor):
        return value
    return torch.tensor(value.tolist(), dtype=value.dtype).reshape(value.shape)


def _reader(call: Call) -> Callable[[Own, Any, Call], Any] | None:
    """What finds out what a call reads; None for one that reads no values."""
    name, args, kwargs = call
    if name in _VALUES or (name == "where" and len(args) + len(kwargs) == 1):
        return _value
    if name == "repeat_interleave":
        alone = len(args) == 1 and "repeats" not in kwargs
        return _value if alone else _repeats if tensors((args[1:2], kwargs.get("repeats"))) else None
    if name == "__getitem__" and any(_asks(item) for item in _index(call)):
        return _places
    return None


def _value(own: Own, func: Any, call: Call) -> _Value | None:
    operands = tensors(call[1:])
    return _Value(func(*call[1], **call[2])) if all(one in own for one in operands) else None


def _repeats(own: Own, _: Any, call: Call) -> _Repeats | None:
    import torch

    repeats = tensors((call[1][1:2], call[2].get("repeats")))[0]
    if repeats not in own or repeats.numel() == 1:
        return None
    return _Repeats(torch.arange(len(repeats)).repeat_interleave(repeats.long()))


def _places(own: Own, _: Any, call: Call) -> _Places | None:
    import torch

    named: list[list[Tensor | int] | None] = []
    for item in _index(call):
        if not _asks(item) or item not in own:
            named.append(None)
        else:
            named.append([*item.nonzero(as_tuple=True)] if item.dtype == torch.bool else [int(item)])
    return _Places(named) if any(places is not None for places in named) else None


def _asks(item: Any) -> bool:
    """Whether how many places an item of an index names, or which axis is left, is in its values."""
    import torch

    return isinstance(item, torch.Tensor) and (
        (item.dtype == torch.bool and item.ndim > 0) or (item.ndim == 0 and not item.is_floating_point())
    )


def _index(call: Call) -> tuple[Any, ...]:
    index = call[1][1]
    return index if isinstance(index, tuple) else (index,)
