"""Processes of this machine that train together: how they meet, where each computes, and what all must know."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from edgebuild.nn.train import machine
from edgebuild.spec.stage import Stage

if TYPE_CHECKING:
    import torch

_WAIT = timedelta(hours=1)  # for one step of another process


def meet(stage: Stage) -> None:
    """Find the other processes, which must all be there; over the machine's loopback, or from GPU to GPU."""
    import os

    from torch import distributed

    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    backend = "cpu:gloo,cuda:nccl" if device(stage).type == "cuda" else "gloo"
    place = f"file://{stage.meeting}"
    distributed.init_process_group(backend, init_method=place, rank=stage.index, world_size=stage.count, timeout=_WAIT)


def device(stage: Stage) -> torch.device:
    """A CUDA device of its own for each process, where there are as many, which is its current one from here on; else
    all are on the processor.
    """
    import torch

    if machine.device().type == "cuda" and torch.cuda.device_count() >= stage.count:
        torch.cuda.set_device(stage.index)
        return torch.device("cuda", stage.index)
    return torch.device("cpu")


def least(number: int) -> int:
    """The least that any process has."""
    import torch
    from torch import distributed

    every = torch.tensor(number)
    distributed.all_reduce(every, op=distributed.ReduceOp.MIN)
    return int(every)


def abandon() -> None:
    """Let this process go on where it waits for GPUs of others that have ended: NCCL would for an hour. What it does
    with them from here on is an error. Gloo notices by itself.
    """
    from torch import distributed

    if distributed.is_initialized() and "nccl" in distributed.get_backend_config():
        distributed.distributed_c10d._abort_process_group()


def broken(error: BaseException) -> bool:
    """Whether it says no more than that another process is gone."""
    distributed, text = sys.modules.get("torch.distributed"), str(error)  # what failed before did not import it
    if distributed is not None and isinstance(error, distributed.DistBackendError | distributed.DistNetworkError):
        return True
    return isinstance(error, RuntimeError) and ("gloo/" in text or "by peer" in text)
