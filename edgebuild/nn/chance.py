"""Whether a module draws random numbers where it is not being trained: no file answers as it does, nor it as itself."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

from edgebuild.nn.answers import in_order, listed
from edgebuild.nn.prune.trace.call import is_users

if TYPE_CHECKING:
    from torch import Tensor, nn

_SEED = 0
_LEAST = 1e-4  # of the largest answer: what counts as another one


def state() -> Tensor:
    """Of the generator: what draws changes it."""
    import torch

    return torch.get_rng_state()


def drawn(module: nn.Module, example: tuple[Tensor, ...]) -> str | None:
    """Which operator draws what the answers of a module in eval mode hang on, and where; None where nothing does.

    It is tried on noise between 0 and 1 in the shapes of `example`, whole numbers as they are. All that is drawn is
    given back: numbers that are drawn afterwards are the same as if nobody had asked.
    """
    import torch

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        inputs = _noise(example)
        answers = [_answers(module, inputs) for _ in range(2)]
        if all(map(_same, *answers)):
            return None
        return _first(module, inputs)


def alike(module: nn.Module, other: nn.Module, example: tuple[Tensor, ...]) -> bool:
    """Whether two modules in eval mode answer the same, tried on the same noise."""
    import torch

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        inputs = _noise(example)
        return all(map(_same, _answers(module, inputs), _answers(other, inputs)))


def _noise(example: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    import torch

    torch.manual_seed(_SEED)
    return tuple(torch.rand_like(one) if one.is_floating_point() else one.clone() for one in example)


def _answers(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    answer = module(*inputs)
    return listed(in_order(module, inputs, answer) or answer)


def _same(one: Tensor, other: Tensor) -> bool:
    import torch

    if one.shape != other.shape:
        return False
    first, second = one.double().nan_to_num(), other.double().nan_to_num()
    return torch.allclose(first, second, rtol=0, atol=_LEAST * float(first.abs().amax()) if one.numel() else 0.0)


def _first(module: nn.Module, inputs: tuple[Tensor, ...]) -> str:
    from torch.utils._python_dispatch import TorchDispatchMode

    places: list[str] = []

    class Watching(TorchDispatchMode):  # type: ignore[no-untyped-call]
        """Notes operators that leave the generator of random numbers otherwise than they found it."""

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            before = state()
            answer = func(*args, **(kwargs or {}))
            if not state().equal(before):
                places.append(f"{func.overloadpacket.__name__}{_line()}")
            return answer

    with Watching():  # type: ignore[no-untyped-call]
        module(*inputs)
    return places[0] if places else "an operator"


def _line() -> str:
    """The innermost line of the model's own code that is being executed."""
    frames = traceback.extract_stack()
    own = [frame for frame in frames if is_users(frame.filename) and "/edgebuild/nn/" not in frame.filename]
    return f" ({own[-1].filename.rpartition('/')[2]}:{own[-1].lineno})" if own else ""
