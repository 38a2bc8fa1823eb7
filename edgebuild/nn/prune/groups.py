"""Traces which layers must lose the same channels (DepGraph, Fang et al., CVPR 2023), within limits of time and memory.

torch-pruning follows a model's operators and not all of them well: on some it raises, on channel shuffles it may run
for minutes and take gigabytes. So every layer is followed by itself, and one that cannot be harms no other.
"""

from __future__ import annotations

import gc
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds of CPU for one layer and for all of them, and bytes that tracing may add to the process."""

    layer: float = 20.0
    model: float = 120.0
    memory: int = 2 * 2**30


@dataclass(frozen=True, slots=True)
class Traced:
    """torch-pruning's graph, its groups by the layer each begins at, and why other layers could not be followed."""

    graph: Any
    groups: dict[nn.Module, Any]
    lost: dict[nn.Module, str]


def trace(module: nn.Module, example: tuple[Tensor, ...], limits: Limits | None = None) -> Traced:
    """Follow every convolution and linear layer; parameters must require gradients.

    UsageError for a model that cannot be traced at all.
    """
    import torch_pruning

    limits = limits or Limits()
    given = example if len(example) > 1 else example[0]
    graph = torch_pruning.DependencyGraph()
    try:
        with limited(limits.model, limits.memory):
            graph.build_dependency(
                module, example_inputs=given, verbose=False, unwrapped_parameters=_bare(module, example)
            )
    except Exception as error:  # models that cannot be traced fail in many ways
        told = f"the model's channels cannot be traced: {reason(error)}"
        raise UsageError(told, hint="leave the step out, or take prune_weights") from None
    return _followed(graph, limits)


def _followed(graph: Any, limits: Limits) -> Traced:
    """As `get_all_groups` of torch-pruning, but layer by layer."""
    traced, seen, end = Traced(graph, {}, {}), set(), time.process_time() + limits.model
    roots = [layer for layer in graph.module2node if isinstance(layer, (graph.ops.TORCH_CONV, graph.ops.TORCH_LINEAR))]
    for layer in roots:
        if layer in seen:
            continue
        pruner = graph.get_pruner_of_module(layer)
        try:
            with limited(min(limits.layer, end - time.process_time()), limits.memory):
                count = pruner.get_out_channels(layer)
                group = graph.get_pruning_group(layer, pruner.prune_out_channels, [*range(count)])
        except Exception as error:  # see above
            traced.lost[layer] = f"what depends on it cannot be followed: {reason(error)}"
            continue
        traced.groups[layer] = group
        seen |= {dep.target.module for dep, _ in group if graph.is_out_channel_pruning_fn(dep.handler)}
    return traced


def orbits(traced: Traced, layer: nn.Module, limits: Limits | None = None) -> list[list[int]]:
    """Which channels of a layer must go together, because one drags the other along (the two halves of a GLU)."""
    limits, group = limits or Limits(), traced.groups[layer]
    count, handler = len(group[0].idxs), group[0].dep.handler
    owner = list(range(count))
    with limited(limits.layer, limits.memory):
        for channel in range(count):
            followed = traced.graph.get_pruning_group(layer, handler, [channel])
            every = [i for dep, idxs in followed if dep.target.module is layer and dep.handler == handler for i in idxs]
            old = {owner[other] for other in every if other < count}
            owner = [min(old) if number in old else number for number in owner]
    return [[k for k, number in enumerate(owner) if number == first] for first in sorted({*owner})]


def _bare(module: nn.Module, example: tuple[Tensor, ...]) -> list[tuple[nn.Parameter, int]] | None:
    """The axis of channels of parameters that belong to no layer: 1 of [1, C, H, W], 0 of [C, 1, 1].

    torch-pruning's own guess is the last axis longer than one, which is right for [1, places, C] alone.
    """
    found: list[tuple[nn.Parameter, int]] = []
    for part in module.modules():
        for parameter in part.parameters(recurse=False):
            shape = tuple(parameter.shape)
            plain = type(part).__module__.partition(".")[0] != "torch"
            if plain and len(shape) == 4 and shape[0] == 1 and shape[1] > 1:
                found.append((parameter, 1))
            elif plain and len(shape) == 3 and shape[0] > 1 and shape[1:] == (1, 1):
                found.append((parameter, 0))
    return found or None


def reason(error: BaseException) -> str:
    """Kind and first line of what went wrong."""
    if isinstance(error, MemoryError):
        return "it takes too much memory"
    first = str(error).strip().partition("\n")[0][:160]
    return first if isinstance(error, TimeoutError) else f"{type(error).__name__}: {first}"


@contextmanager
def limited(seconds: float, memory: int) -> Iterator[None]:
    """TimeoutError after so many seconds of CPU in Python code, MemoryError beyond so many more bytes.

    Threads besides the main one have no limit of time: signals reach that one alone.
    """

    def stop(_: int, __: object) -> None:
        raise TimeoutError(f"it takes more than {seconds:.3g} s")

    if seconds <= 0:
        raise TimeoutError("the time for following the model's layers is used up")
    timed = threading.current_thread() is threading.main_thread()
    before = resource.getrlimit(resource.RLIMIT_DATA)
    most = _data_bytes() + memory
    least = most if before[0] == resource.RLIM_INFINITY else min(most, before[0])
    previous = signal.signal(signal.SIGVTALRM, stop) if timed else None
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (least, before[1]))
        if timed:
            signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        yield
    except MemoryError:
        gc.collect()
        raise
    finally:
        if timed:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, previous)
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _data_bytes() -> int:
    """What RLIMIT_DATA counts of this process now (proc(5), VmData)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0
