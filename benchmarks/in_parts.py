"""What each of two processes needs that train a model together, and what converting one takes, in memory.

A wide multilayer perceptron, whose weights, gradients and momenta are all there is: memory of a process above what it
has with all libraries loaded and nothing built, and the losses, which must be the same.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._tables import Table

WIDTH, LAYERS, BATCH, STEPS = 3072, 8, 16, 4
_SMALL = 64
_COLUMNS = {
    "processes": ("processes", "d"),
    "process": ("process", "d"),
    "mebibytes": ("peak memory, MiB", ",.0f"),
    "share": ("of one process's", ".2f"),
    "loss": ("last loss", ".6f"),
}


_CONVERTED = {
    "step": ("step", ""),
    "mebibytes": ("peak memory, MiB", ",.0f"),
    "share": ("of the weights'", ".2f"),
}


def run(*, small: bool) -> list[Table]:
    """A table of trainings and one of conversions; `small`: a narrow network, which is trained alone."""
    return [_trainings(small=small), *([] if small else [_conversions()])]


def _trainings(*, small: bool) -> Table:
    width = _SMALL if small else WIDTH
    alone = _process(0, Path(), 1, width) if small else _trained(width, 1)[0]
    both = _trained(width, 2)
    rows = [
        {
            "processes": 1 if one is alone else 2,
            "process": number,
            "mebibytes": one["bytes"] / 2**20,
            "share": one["bytes"] / alone["bytes"],
            "loss": one["losses"][-1] if one["losses"] else None,
        }
        for number, one in ((1, alone), *enumerate(both, 1))
    ]
    far = max(abs(ours - theirs) for ours, theirs in zip(alone["losses"], both[0]["losses"], strict=True))
    notes = [
        f"{LAYERS} layers of {width:,d} × {width:,d} floats, SGD with momentum, {STEPS} steps of {BATCH} examples.",
        f"The losses differ by {far:.1e} at most.",
    ]
    figures = {"memory": f"{max(row['share'] for row in rows[1:]):.2f}", "losses": f"{far:.1e}"}
    return Table("A training by two processes", _COLUMNS, rows, notes, figures)


def _conversions() -> Table:
    """Each in a process of its own, as in a build."""
    rows = []
    for kind in ("onnx", "tflite"):
        done = subprocess.run([sys.executable, "-m", __name__, kind], stdout=subprocess.PIPE, text=True, check=True)
        rows += json.loads(done.stdout.splitlines()[-1])
    notes = [f"The same network, untrained: {rows[0]['weights'] / 2**20:,.0f} MiB of weights."]
    return Table("A conversion", _CONVERTED, rows, notes, _figures(rows))


def _figures(rows: list[dict[str, Any]]) -> dict[str, str]:
    names = ("onnx", "half", "tflite")
    return {name: f"{row['share']:.1f}" for name, row in zip(names, rows, strict=True)}


def _trained(width: int, count: int) -> list[dict[str, Any]]:
    """What each process tells of a training by so many."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [str(Path(folder, "meeting")), str(count), str(width)]
        command = [sys.executable, "-m", __name__]
        started = [
            subprocess.Popen([*command, str(index), *arguments], stdout=subprocess.PIPE, text=True)
            for index in range(count)
        ]
        told = [child.communicate()[0] for child in started]
    return [json.loads(text.splitlines()[-1]) for text in told]


def _process(index: int, meeting: Path, count: int, width: int) -> dict[str, Any]:
    """Train, alone or together with others; peak bytes, and losses."""
    import numpy as np
    import torch

    from edgebuild.nn.train import losses, pipeline, training
    from edgebuild.spec.model import Training
    from edgebuild.spec.rows import Split
    from edgebuild.spec.signature import Head
    from edgebuild.spec.stage import Stage

    torch.set_num_threads(1)
    torch.zeros(1, requires_grad=True).sum().backward()  # type: ignore[no-untyped-call]
    idle, seen = _memory("VmRSS"), list[float]()

    def progress(done: float, note: str, *, step: int = 0, **scalars: float) -> None:
        seen.append(scalars["loss"])

    rng = np.random.default_rng(0)
    examples = rng.normal(0, 1, (BATCH * STEPS, width)).astype(np.float32)
    data = Split((examples,), (rng.integers(0, 4, BATCH * STEPS),))
    torch.manual_seed(0)
    layers = [layer for _ in range(LAYERS) for layer in (torch.nn.Linear(width, width), torch.nn.ReLU())]
    module = torch.nn.Sequential(*layers, torch.nn.Linear(width, 4))
    loss = losses.supervised([Head("output", "classification")])
    how = Training(epochs=1, batch_size=BATCH, learning_rate=0.01)
    if count == 1:
        training.fit(module, data, loss, how, sparse=(), progress=progress)
    else:
        example = (torch.zeros(1, width),)
        pipeline.fit(
            module, data, loss, how, Stage(index, count, meeting),
            example=example, masks=[], augment=None, progress=progress, folder=None, restarts=0,
        )  # fmt: skip
    return {"bytes": _memory("VmHWM") - idle, "losses": seen}


_CODE = """\
from torch import nn

def build():
    layers = [layer for _ in range({layers}) for layer in (nn.Linear({width}, {width}), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear({width}, 4))
"""


def _converted(kind: str) -> list[dict[str, Any]]:
    """Peak bytes of the step that converts to this format, and, of a format that is cut, of the one that cuts."""
    with tempfile.TemporaryDirectory() as folder:
        _convert(kind, _SMALL, Path(folder, "small"))  # loads the exporter
        return _convert(kind, WIDTH, Path(folder, "large"))


def _convert(kind: str, width: int, folder: Path) -> list[dict[str, Any]]:
    from edgebuild.formats import _onnx_cuts
    from edgebuild.nn import checkpoint
    from edgebuild.nn.checkpoint import Checkpoint
    from edgebuild.nn.model_code import ModelCode
    from edgebuild.spec.artifact import Input, StepIO
    from edgebuild.spec.signature import TensorSpec
    from edgebuild.steps.convert import Convert

    for name in ("source", "model", "file", "scratch"):
        (folder / name).mkdir(parents=True)
    (folder / "source" / "model.py").write_text(_CODE.format(width=width, layers=LAYERS))
    code, inputs = ModelCode(folder / "source", "models/wide"), (TensorSpec("x", (width,)),)
    outputs = (TensorSpec("y", (4,)),)
    checkpoint.save(Checkpoint(code.build("build", inputs), code, "build", inputs, outputs=outputs), folder / "model")
    weights = (folder / "model" / checkpoint.WEIGHTS).stat().st_size

    def peak(step: Callable[[], object]) -> int:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here on
        before = _memory("VmRSS")
        step()
        return _memory("VmHWM") - before

    io = StepIO({"model": Input("torch", "", folder / "model")}, folder / "file", folder / "scratch")
    taken = {f"convert to {kind}": peak(lambda: Convert(kind).run(io))}
    if kind == "onnx":
        file = folder / "file" / "model.onnx"
        middle = _onnx_cuts.points(file.read_bytes())[LAYERS].tensor
        taken["cut half of it"] = peak(lambda: _onnx_cuts.half(file.read_bytes(), middle, "edge"))
    return [
        {"step": step, "mebibytes": number / 2**20, "share": number / weights, "weights": weights}
        for step, number in taken.items()
    ]


def _memory(name: str) -> int:
    """Bytes, as the kernel tells them of this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print(json.dumps(_converted(sys.argv[1])))
    else:
        number, place, processes, size = sys.argv[1:]
        print(json.dumps(_process(int(number), Path(place), int(processes), int(size))))
