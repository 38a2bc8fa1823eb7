"""A batch whose examples several processes share: what is computed over all of it is asked of all.

Each process computes the loss of the whole batch, from what all have answered. So gradients here are those of the sum
of the processes' losses, and the mean of what all have in a parameter's `.grad` is the gradient of the batch's loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(slots=True)
class Shares:
    """This process is number `index` of `count`; `rows` are how many examples of the running batch each has."""

    index: int
    count: int
    rows: tuple[int, ...] = ()

    def divide(self, total: int) -> slice | None:
        """Which of a batch's examples are this process's, no more than one apart; None where there are too few: then
        each process takes all.
        """
        if total < self.count:
            self.rows = ()
            return None
        least, more = divmod(total, self.count)
        self.rows = tuple(least + (number < more) for number in range(self.count))
        start = sum(self.rows[: self.index])
        return slice(start, start + self.rows[self.index])


_shares: ContextVar[Shares | None] = ContextVar("shares", default=None)


@contextmanager
def shared(shares: Shares) -> Iterator[None]:
    """Batches are shared so as long as this lasts; batch norms then take the statistics of whole ones."""
    from torch.nn import functional

    before, plain = _shares.set(shares), functional.batch_norm
    functional.batch_norm = _batch_norm(plain)
    try:
        yield
    finally:
        functional.batch_norm = plain
        _shares.reset(before)


def share() -> float:
    """This process's examples over a process's mean number of them: the weight of a mean over its own in the mean of
    the processes' losses. 1 where no batch is shared.
    """
    shares = _shares.get()
    if shares is None or not shares.rows:
        return 1.0
    return shares.rows[shares.index] * shares.count / sum(shares.rows)


def of_all(values: int) -> float:
    """How many values the whole batch has, where this process's examples have so many."""
    shares = _shares.get()
    if shares is None or not shares.rows:
        return values
    return values * sum(shares.rows) / shares.rows[shares.index]


def extremes(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """The least and the most of all processes."""
    import torch
    from torch import distributed

    if _shares.get() is None:
        return low, high
    ends = torch.stack([-low, high])
    distributed.all_reduce(ends, op=distributed.ReduceOp.MAX)
    return -ends[0], ends[1]


def gathered(own: Tensor, shares: Shares) -> Tensor:
    """What all processes have [N, …], in their order, of this one's own [n, …]."""
    import torch
    from torch import distributed

    sent = own.detach().contiguous()
    if (missing := max(shares.rows) - len(own)) > 0:
        sent = torch.cat([sent, sent.new_zeros(missing, *own.shape[1:])])
    parts = [torch.empty_like(sent) for _ in shares.rows]
    distributed.all_gather(parts, sent)
    parts = [part[:count] for part, count in zip(parts, shares.rows, strict=True)]
    if own.requires_grad:
        parts[shares.index] = own.view_as(own)
        parts[shares.index].register_hook(lambda gradient: gradient * shares.count)  # type: ignore[no-untyped-call]
    return torch.cat(parts)


def _batch_norm(plain: Any) -> Any:
    """`torch.nn.functional.batch_norm`, which in training takes the whole batch's statistics. All batch norms of torch
    and of networks come to it; torch's own SyncBatchNorm is for CUDA devices alone.
    """

    def normalized(
        values: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if not training:
            answer: Tensor = plain(values, running_mean, running_var, weight, bias, training, momentum, eps)
            return answer
        total, mean, variance = _moments(values.detach())
        for running, seen in ((running_mean, mean), (running_var, variance * total / (total - 1).clamp_min(1))):
            if running is not None:
                running.mul_(1 - momentum).add_(momentum * seen)
        normalized: Tensor = _normalize().apply(values, total, mean, variance, weight, bias, eps, plain)
        return normalized

    return normalized


def _moments(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """How many values of a channel all processes have, and their mean and variance [C] (Chan et al. 1979)."""
    import torch
    from torch import distributed

    variance, mean = torch.var_mean(values, _places(values), correction=0)
    own = torch.stack([torch.full_like(mean, values.numel() / values.shape[1]), mean, variance])
    every = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(every, own)
    counts, means, variances = torch.stack(every, 1)
    total = counts.sum(0)
    mean = (counts * means).sum(0) / total
    return total, mean, (counts * (variances + (means - mean).square())).sum(0) / total


def _places(values: Tensor) -> list[int]:
    return [axis for axis in range(values.ndim) if axis != 1]


@cache
def _normalize() -> Any:
    """(x − μ)/√(σ² + ε)·γ + β over a batch that is shared (Ioffe & Szegedy 2015, algorithm 1 and section 3)."""
    import torch
    from torch import distributed

    class Normalize(torch.autograd.Function):
        @staticmethod
        def forward(
            ctx: Any,
            values: Tensor,
            total: Tensor,
            mean: Tensor,
            variance: Tensor,
            weight: Tensor | None,
            bias: Tensor | None,
            eps: float,
            plain: Any,
        ) -> Any:
            scale = (variance + eps).rsqrt()
            ctx.save_for_backward(values, total, mean, scale, weight)
            ctx.biased = bias is not None
            return plain(values, mean, variance, weight, bias, False, 0.0, eps)

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Any:
            values, total, mean, scale, weight = ctx.saved_tensors
            places, shape = _places(values), [1, -1, *[1] * (values.ndim - 2)]
            normal = (values - mean.view(shape)) * scale.view(shape)
            own = torch.stack([gradient.sum(places), (gradient * normal).sum(places)])
            every = own.clone()
            distributed.all_reduce(every)
            shift, tilt = (every / total).view(2, *shape)
            factor = scale if weight is None else scale * weight
            back = factor.view(shape) * (gradient - shift - normal * tilt)
            return (
                back,
                None,
                None,
                None,
                None if weight is None else own[1],
                own[0] if ctx.biased else None,
                None,
                None,
            )

    return Normalize
