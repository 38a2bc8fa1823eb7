"""Examples a second of `distill` against a plain PyTorch loop that does the same, with the same threads.

Both teach the digits student by its teacher, one thread each, on as many examples with noise for pictures: what they
hold does not change the time. Rounds of both take turns, each begun by the other one in turn, and each gives one ratio.
Wall time shows what else the machine does as well; CPU time is what the loops themselves take.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks._tables import Table
from edgebuild.nn.train import training
from edgebuild.nn.train.taught import lesson
from edgebuild.spec.model import Training
from edgebuild.spec.rows import Split
from edgebuild.spec.signature import Head

ROOT = Path(__file__).resolve().parent.parent
ROUNDS, EXAMPLES, EPOCHS = 7, 1024, 2
ALPHA, TEMPERATURE = 0.5, 2.0
HOW = Training(EPOCHS, 64, 0.1, 1e-4)
LEAST = 0.9  # of the plain loop's examples a second

_COLUMNS = {
    "loop": ("loop", ""),
    "wall": ("examples a second, wall", ".0f"),
    "cpu": ("by CPU second", ".0f"),
    "ratio": ("ratio by CPU time", ".3f"),
    "low": ("least", ".3f"),
    "high": ("largest", ".3f"),
}


def plain(student: nn.Module, teacher: nn.Module, data: Split) -> None:
    """What somebody writes who has PyTorch alone: the same loss, optimizer, schedule and batches."""
    images, labels = torch.from_numpy(data.inputs[0]), torch.from_numpy(data.labels[0])
    steps = EPOCHS * (len(images) // HOW.batch_size)
    descent = torch.optim.SGD(
        student.parameters(), HOW.learning_rate, momentum=0.9, nesterov=True, weight_decay=HOW.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(descent, HOW.learning_rate, total_steps=steps + 1)
    student.train()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images)).split(HOW.batch_size):  # type: ignore[no-untyped-call]
            with torch.no_grad():
                goal = teacher(images[rows])
            answers = student(images[rows])
            soft = functional.kl_div(
                functional.log_softmax(answers / TEMPERATURE, 1),
                functional.log_softmax(goal / TEMPERATURE, 1),
                reduction="batchmean",
                log_target=True,
            )
            hard = functional.cross_entropy(answers, labels[rows])
            descent.zero_grad()
            (ALPHA * hard + (1 - ALPHA) * TEMPERATURE**2 * soft).backward()  # type: ignore[no-untyped-call]
            descent.step()
            schedule.step()
    student.eval()


def ours(student: nn.Module, teacher: nn.Module, data: Split) -> None:
    """What the step `distill` does with them."""
    heads = (Head("classes", "classification"),)
    loss = lesson(heads, "soft", ALPHA, TEMPERATURE, [teacher])
    training.fit(student, data, loss, HOW, sparse=(), progress=_silent)


def _silent(done: float, note: str, *, step: int = 0, **scalars: float) -> None:
    """Nobody listens."""


def _digits() -> Any:
    """The module that holds the digits networks."""
    spec = importlib.util.spec_from_file_location("digits_networks", ROOT / "models" / "digits" / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _data(count: int) -> Split:
    rng = np.random.default_rng(0)
    return Split((rng.random((count, 1, 28, 28), np.float32),), (rng.integers(0, 10, count),))


def timed(loop: Callable[[nn.Module, nn.Module, Split], None], networks: Any, data: Split) -> tuple[float, float]:
    """Examples by second and by CPU second of one round with new networks."""
    torch.manual_seed(0)
    student, teacher = networks.build(), networks.build_teacher().eval()
    wall, cpu = time.perf_counter(), time.process_time()
    loop(student, teacher, data)
    seen = EPOCHS * len(data.inputs[0])
    return seen / (time.perf_counter() - wall), seen / (time.process_time() - cpu)


def run(*, small: bool) -> list[Table]:
    """Both loops in turn, after a short round of each that counts for nothing."""
    rounds, data, networks = (1, _data(64), _digits()) if small else (ROUNDS, _data(EXAMPLES), _digits())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    deterministic = torch.are_deterministic_algorithms_enabled()
    speeds: dict[str, list[tuple[float, float]]] = {"plain": [], "distill": []}
    loops = {"plain": plain, "distill": ours}
    try:
        for loop in loops.values():
            timed(loop, networks, _data(64))
        for number in range(rounds):
            for name in sorted(loops, reverse=bool(number % 2)):
                speeds[name].append(timed(loops[name], networks, data))
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
    return [_table(speeds, rounds)]


def _table(speeds: dict[str, list[tuple[float, float]]], rounds: int) -> Table:
    ratios = [mine / theirs for (_, mine), (_, theirs) in zip(speeds["distill"], speeds["plain"], strict=True)]
    middle = {
        name: tuple(statistics.median(values) for values in zip(*rows, strict=True)) for name, rows in speeds.items()
    }
    spans = {"plain": (1.0, None, None), "distill": (statistics.median(ratios), min(ratios), max(ratios))}
    names = {"plain": "plain PyTorch", "distill": "distill"}
    rows = [
        {"loop": names[name], **dict(zip(list(_COLUMNS)[1:], (*middle[name], *spans[name]), strict=True))}
        for name in names
    ]
    notes = (
        f"Limit: at least {LEAST:g}; `distill` has its tensors in channels-last order.",
        f"{rounds} rounds of {EPOCHS} epochs, batches of {HOW.batch_size}.",
    )
    return Table("Teaching the digits student", _COLUMNS, rows, notes, {"ratio": f"{statistics.median(ratios):.2f}"})
