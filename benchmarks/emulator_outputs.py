"""Whether emulated ARM kernels and this machine's kernels give the same outputs from the same file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._project import target
from benchmarks._tables import Table
from benchmarks.mobilenets import FORMATS, MOBILENETS, File, build, noise
from edgebuild.devices.jobs import outputs
from edgebuild.devices.jobs.job import JobModel
from edgebuild.devices.local import Local
from edgebuild.plan.instruments import Instruments
from edgebuild.spec import documents, model_file
from edgebuild.spec.registry import TASKS
from edgebuild.steps.evidence.agreement import compare

if TYPE_CHECKING:
    from edgebuild.spec.device import Device
    from edgebuild.spec.rows import Array

EXAMPLES = 16
SEEDS = range(6)  # of the weights, for the runtime whose agreement depends on them
_TIMEOUT = 1800.0
_COLUMNS = {
    "model": ("model", ""),
    "format": ("format", ""),
    "numbers": ("numbers", ""),
    "seed": ("weights' seed", "d"),
    "identical": ("bit-identical", ""),
    "values_differing": ("values differing", ",d"),
    "values": ("of", ",d"),
    "max_share": ("largest difference / range", ".1e"),
    "distinct": ("distinct values", ",d"),
    "alike": ("inputs with equal outputs", "d"),
    "answers_differing": ("top-1 differing", "d"),
    "n": ("of", "d"),
}


def run(*, small: bool) -> list[Table]:
    """Host against emulated Cortex-A72, LiteRT and ONNX Runtime; `small`: a tiny network, two inputs."""
    device, count = Instruments(target("rpi4")).best("outputs").device, 2 if small else EXAMPLES
    with tempfile.TemporaryDirectory() as folder:
        rows = [_row(device, file, seed, count, Path(folder)) for file, seed in _files(Path(folder), small)]
    notes = [
        f"Host: {Local().fingerprint()['cpu']}. Device: {device.fingerprint()['cpu']}. {count} inputs of noise.",
        "Distinct values: outputs that are all alike would agree with anything.",
        _summary(rows),
    ]
    other = sum(row["answers_differing"] for row in rows)
    top1 = f"The top-1 answer differed for {other} of {sum(row['n'] for row in rows)} inputs."
    return [Table("Host against device", _COLUMNS, rows, notes, {"top1": top1})]


def _files(folder: Path, small: bool) -> Iterator[tuple[File, int]]:
    if small:
        yield from ((build(folder, "tiny", kind)[-1], 0) for kind in FORMATS)
        return
    for net in MOBILENETS:
        yield from ((file, 0) for file in build(folder, net, "tflite"))
    for net, seeds in (("v1", SEEDS[:1]), ("v2", SEEDS)):
        for seed in seeds:
            for file in build(folder, net, "onnx", seed):
                if file.numbers == "int8" or seed == SEEDS[0]:
                    yield file, seed


def _row(device: Device, file: File, seed: int, count: int, folder: Path) -> dict[str, Any]:
    inputs = noise(file.net, count, 1000 + seed)
    there, here = (_outputs(each, file, inputs, folder) for each in (device, Local()))
    differences = compare([there], [here], TASKS.get("classification")())
    alike = sum(compare([a[None]], [b[None]]).identical for a, b in zip(there, here, strict=True))
    found = documents.to_json(differences) | {"n": len(there), "alike": alike}
    found["max_share"] = differences.max_abs / float(there.max() - there.min())
    named = {"model": file.title, "format": file.format, "numbers": file.numbers, "seed": seed}
    row: dict[str, Any] = named | found | {"values": there.size}
    return row


def _outputs(device: Device, file: File, inputs: Array, folder: Path) -> Array:
    """The first output of every example."""
    import numpy as np

    job = Path(tempfile.mkdtemp(prefix="job-", dir=folder))
    outputs.run(device, JobModel("model", file.path, layouts=model_file.layouts(file.path)), (inputs,), job, _TIMEOUT)
    with np.load(job / "model.outputs.npz") as archive:
        first: Array = archive["0"]
    return first


def _summary(rows: list[dict[str, Any]]) -> str:
    chosen = [row for row in rows if (row["format"], row["numbers"], row["model"]) == ("onnx", "int8", "MobileNetV2")]
    other = sum(not row["identical"] for row in chosen)
    return f"ONNX Runtime int8, MobileNetV2: {other} of {len(chosen)} sets of random weights differ."
