"""What benchmarks of small networks share: learning from a larger one's answers, and counting on the board."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._project import target
from edgebuild.devices.jobs import job
from edgebuild.devices.qemu import Qemu
from edgebuild.devices.timing import predicted
from edgebuild.spec.model import Training
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.rows import Split
from edgebuild.spec.signature import Head

if TYPE_CHECKING:
    from torch import Tensor, nn

    Example = tuple[Tensor, ...]

ALPHA, TEMPERATURE = 0.1, 4.0
HEADS = (Head("output", "classification"),)


def answers(teacher: nn.Module, train: Split) -> Any:
    """What the whole network answers, in the order of the examples."""
    import torch

    from edgebuild.nn.train import batches

    with torch.no_grad():
        return torch.cat([teacher(inputs[0]) for inputs, _ in batches.in_order(train, 256)]).numpy()


def distil(net: nn.Module, taught: Any, train: Split, how: Training) -> None:
    """Teach a network in place; what the whole one answers goes in beside the examples."""
    from edgebuild.nn.train import losses, training

    def loss(student: nn.Module, inputs: tuple[Tensor, ...], labels: tuple[Tensor, ...]) -> Tensor:
        given = (student(inputs[0]),)
        soft = losses.of_teachers(HEADS, "soft", given, [(inputs[1],)], TEMPERATURE)
        return ALPHA * losses.of_labels(HEADS, given, labels) + (1 - ALPHA) * soft

    for parameter in net.parameters():
        parameter.requires_grad_(True)
    split = Split((train.inputs[0], taught), train.labels)
    training.fit(net, split, loss, how, sparse=(), progress=_silent)


def counted(nets: Sequence[nn.Module], example: Example, folder: Path, format_name: str) -> list[float]:
    """Seconds of each network's file on the emulated rpi4."""
    board, made = target("rpi4"), FORMATS.get(format_name)()
    core = board.hardware.core
    assert core is not None
    assert core.time is not None
    folder.mkdir()
    files = [folder / f"net-{number}.{format_name}" for number in range(len(nets))]
    for file, net in zip(files, nets, strict=True):
        file.write_bytes(made.convert(net, example, "nchw"))
    job.write_inputs(folder / job.INPUTS, tuple(one.numpy() for one in example))
    job.write(folder, "count", [job.JobModel(file.stem, file) for file in files], folder / job.INPUTS)
    counts = Qemu().attach(board.hardware).count_each(folder, core.time.mcpu, timeout=3600.0)
    return [predicted.seconds(each, core.time, board.hardware.core_clock, 1) for each in counts]


def _silent(done: float, note: str, *, step: int = 0, **scalars: float) -> None:
    """Training says nothing."""
