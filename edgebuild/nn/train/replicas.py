"""Several processes that each hold the whole module and answer a share of every batch: one for each GPU.

What they learn is what one process would, to the rounding of floats: answers are gathered, every process computes the
loss of the whole batch, whatever that is over its examples, and gradients are the mean of the processes'. A mean of
losses of the parts, which is what `DistributedDataParallel` follows, is another loss where examples have no label, or
where a loss counts what it finds in the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgebuild.nn import answers, shared_batch
from edgebuild.nn.train import group
from edgebuild.spec.errors import UsageError, exhausted
from edgebuild.spec.stage import Stage

if TYPE_CHECKING:
    from torch import Tensor, nn

_CLOSE = 1e-3  # of the largest answer: kernels sum up in another order for another number of examples


@dataclass(slots=True)
class Replicas:
    """The processes of a training as one of them sees them; without a stage it is the only one.

    `forwards`: batches that it has had a share of. They decide what is drawn at random, so a checkpoint has them.
    """

    stage: Stage | None = None
    seed: int = 0
    forwards: int = 0
    shares: shared_batch.Shares = field(init=False)
    _within: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Its share of every batch."""
        index, count = (self.stage.index, self.stage.count) if self.stage else (0, 1)
        self.shares = shared_batch.Shares(index, count)

    @property
    def first(self) -> bool:
        """Whether it is the step's own process."""
        return self.stage is None or self.stage.first

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Have the mean of all processes' gradients in every `.grad`; None where none has one."""
        import torch
        from torch import distributed

        if self.stage is None:
            return
        by_type: dict[torch.dtype, list[nn.Parameter]] = {}
        for parameter in parameters:
            if parameter.requires_grad:
                by_type.setdefault(parameter.dtype, []).append(parameter)
        for every in by_type.values():
            own = [torch.zeros_like(each) if each.grad is None else each.grad for each in every]
            there = torch.tensor([each.grad is not None for each in every]).to(own[0])
            sums = torch.cat([*(each.flatten() for each in own), there])
            distributed.all_reduce(sums)
            means = torch.split(sums / self.stage.count, [*(each.numel() for each in every), len(every)])
            for parameter, mean, some in zip(every, means, means[-1].tolist(), strict=False):
                parameter.grad = torch.empty_like(parameter).copy_(mean.view_as(parameter)) if some else None

    def mean(self, value: float) -> float:
        """The mean of what the processes have, the same in all: what is decided by it is decided alike."""
        import torch
        from torch import distributed

        if self.stage is None:
            return value
        total = torch.tensor(value, dtype=torch.float64)
        distributed.all_reduce(total)
        return float(total) / self.stage.count

    def agree(self, number: int) -> bool:
        """Whether all processes say the same."""
        return self.stage is None or group.least(number) == -group.least(-number)

    def begin_alike(self, module: nn.Module) -> None:
        """Have what the first process has in every parameter and buffer."""
        from torch import distributed

        if self.stage is not None:
            for tensor in (*module.parameters(), *module.buffers()):
                first = tensor.detach().contiguous()
                distributed.broadcast(first, src=0)
                tensor.data.copy_(first)

    def compare(self, module: nn.Module) -> None:
        """UsageError where a buffer is not the same in all processes: it follows what each of them saw."""
        import torch
        from torch import distributed

        buffers = {name: each for name, each in module.named_buffers() if each.numel()}
        if self.stage is None or not buffers:
            return
        sums = torch.stack([each.double().nan_to_num().sum() for each in buffers.values()])
        ends = torch.stack([sums, -sums])
        distributed.all_reduce(ends, op=distributed.ReduceOp.MAX)
        apart = [name for name, most, least in zip(buffers, *ends.tolist(), strict=True) if most != -least]
        if apart:
            reason = (
                f"buffer {apart[0]!r} follows the examples that each of {self.stage.count} processes has of a batch"
            )
            raise UsageError(reason, option="replicas", hint="replicas = 1 trains in one process")

    @contextmanager
    def answering(self, modules: Iterable[nn.Module]) -> Iterator[None]:
        """Called with a whole batch, each of the modules is run on this process's share, and answers what all have."""
        if self.stage is None:
            yield
            return
        with ExitStack() as stack:
            stack.enter_context(shared_batch.shared(self.shares))
            for module in {id(each): each for each in modules}.values():
                stack.enter_context(_replaced(module, self._divided(module.forward)))
            yield

    def _divided(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        """The forward pass of a batch that is shared; one called within another has a share already."""

        def divided(*inputs: Tensor) -> Any:
            part = None if self._within else self.shares.divide(len(inputs[0]))
            if part is None:
                return forward(*inputs)
            self._within = True
            try:
                own = self._by_chance(forward, [each[part] for each in inputs])
            finally:
                self._within = False
            every = [shared_batch.gathered(each, self.shares) for each in _plain(own)]
            return every[0] if len(every) == 1 else tuple(every)

        return divided

    def _by_chance(self, forward: Callable[..., Any], inputs: Sequence[Tensor]) -> Any:
        """The answers, with random numbers that are this process's and this pass's own; all else draws as before."""
        import torch

        self.forwards += 1
        devices = [inputs[0].device] if inputs[0].is_cuda else []
        with torch.random.fork_rng(devices):
            torch.manual_seed((self.seed << 32) + self.forwards * self.shares.count + self.shares.index)
            return forward(*inputs)


@contextmanager
def joined(stage: Stage, seed: int) -> Iterator[Replicas]:
    """The processes, once all are there; they part at the end."""
    from torch import distributed

    group.meet(stage)
    try:
        yield Replicas(stage, seed)
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


@contextmanager
def _replaced(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    before = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if before is None:
            del module.forward
        else:
            module.forward = before


def inseparable(module: nn.Module, inputs: Sequence[Tensor]) -> str | None:
    """Why a batch cannot be shared: what the module answers to each example alone [1, …] is not what it answers to all
    of them [N, …]. None where it is.
    """
    import torch

    training = module.training
    try:
        with torch.no_grad():
            whole = _plain(module.eval()(*inputs))
            parts = [_plain(module(*(each[row : row + 1] for each in inputs))) for row in range(len(inputs[0]))]
        together = [torch.cat(each) for each in zip(*parts, strict=True)]
        alike = all(_close(*pair) for pair in zip(whole, together, strict=True))
    except Exception as error:  # the user's forward pass may refuse one example
        if exhausted(error):
            raise
        return f"examples cannot be answered one by one ({type(error).__name__}: {error})"
    finally:
        module.train(training)
    return None if alike else "what it answers to an example depends on the others of the batch, or on chance"


def _plain(answer: Any) -> tuple[Tensor, ...]:
    plain = answers.in_order(None, None, answer)  # type: ignore[arg-type]
    return answers.listed(answer if plain is None else plain)


def _close(one: Tensor, other: Tensor) -> bool:
    import torch

    if one.shape != other.shape or not one.is_floating_point():
        return torch.equal(one, other)
    most = float(one.abs().nan_to_num(posinf=0).max()) if one.numel() else 0.0
    return torch.allclose(one, other, rtol=0, atol=_CLOSE * most, equal_nan=True)
