"""What a training computes on: a CUDA device where there is one, else as many threads as its work is worth."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgebuild.spec.cores import Cores
from edgebuild.spec.errors import exhausted

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

# Floating-point operations of a batch's forward pass below which one thread is as fast as several: a tenth of a second.
PAYS = 4e9
# The same for CUDA devices: some hundredths of a second of one, beside which starting kernels and telling others takes
# little. Reckoned, not measured.
PAYS_DEVICES = 1e11


def device() -> torch.device:
    """The first CUDA device, or the processor."""
    import torch

    if not torch.cuda.is_available():
        return torch.device("cpu")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS does not repeat itself
    return torch.device("cuda")


def devices() -> int:
    """How many CUDA devices there are."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def replicas(module: nn.Module, example: tuple[Tensor, ...], batch: int) -> int:
    """How many processes share a batch where nobody says it: one for each CUDA device where it is work enough."""
    count = min(devices(), batch)
    return count if count > 1 and _work(module, example) * batch >= PAYS_DEVICES else 1


@contextmanager
def threads(
    module: nn.Module, example: tuple[Tensor, ...], batch: int, cores: Cores, processes: int = 1
) -> Iterator[int]:
    """Compute meanwhile with the process's threads where a batch is work enough, else with one; how many there are.

    The choice is the model's and the number the machine's, whoever else works there: both decide bytes. Cores that
    nobody holds are held for it. `processes` that share a batch share the threads too.
    """
    import torch

    before = torch.get_num_threads()
    most = max(1, before // processes)
    count = most if most > 1 and _work(module, example) * batch / processes >= PAYS else 1
    torch.set_num_threads(count)
    try:
        with cores.more(count * processes - 1):
            yield count
    finally:
        torch.set_num_threads(before)


def _work(module: nn.Module, example: Sequence[Tensor]) -> int:
    """Floating-point operations of one example's forward pass; 0 where they cannot be counted."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counted:
            copy.deepcopy(module).eval()(*example)
    except Exception as error:  # the user's forward pass may do what the counter cannot follow
        if exhausted(error):
            raise
        return 0
    return int(counted.get_total_flops())
