"""Time against width: each layer of a model in a file of its own, counted on the target's core at several widths."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from edgebuild.spec import documents, evidence, layout
from edgebuild.spec.artifact import EXCUSED, Determinism, Step, StepIO
from edgebuild.spec.core import TimeModel
from edgebuild.spec.device import Device
from edgebuild.spec.errors import EdgebuildError
from edgebuild.spec.evidence import LayerShape
from edgebuild.spec.kept import Kept
from edgebuild.spec.quantization import Quantization
from edgebuild.spec.registry import FORMATS

if TYPE_CHECKING:
    from torch import nn

    Probe = tuple[LayerShape, bool]  # a layer's file, or the same without the layer

_FILES = 32  # of one job: so many are opened at once on the device
_CALIBRATION = 4
# Cycles: two files with the same operators lie at other addresses, and have differed by up to 4,400 cycles.
_NOISE = 6000


@dataclass(frozen=True, slots=True)
class LayerTimes(Step):
    """A layer's time is that of its file less that of the same file without the layer.

    model, clock, threads: what makes seconds of counted work
    multiple: widths are multiples of it; None: every layer is counted as wide as it is, alone
    quantization: what becomes of the files, where the recipe goes on to small numbers
    """

    format: str
    device: Device
    model: TimeModel
    clock: float
    threads: int
    multiple: int | None
    quantization: Quantization | None = None
    timeout: float = field(default=3600.0, metadata=EXCUSED)

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "evidence"
    needs: ClassVar[tuple[str, ...]] = ("shapes",)
    tools: ClassVar[tuple[str, ...]] = ("torch", "numpy")
    deterministic: ClassVar[Determinism] = "no"
    exclusive: ClassVar[bool] = False

    @property
    def shared(self) -> Determinism:
        """What a device that counts says, it says on any machine: the key has all that emulates it."""
        return "everywhere" if self.device.counts else "no"

    def run(self, io: StepIO) -> None:
        """Write `evidence.json`."""
        shapes = documents.read(evidence.LayerShapes, io.path("shapes") / evidence.FILE).shapes
        lines = {shape: self._lines(shape) for shape in shapes}
        every = {probe for sides in lines.values() for side in sides for shape in side for probe in _probes(shape)}
        kept = Kept(io.kept)
        known = {probe: number for probe in every if (number := kept.read(_words(probe))) is not None}
        seconds = {**known, **self._counted(io, sorted(every - known.keys()), kept)}

        def width(channels: int, shape: LayerShape) -> evidence.Width:
            taken = max(0.0, seconds[shape, True] - seconds[_bare(shape), False])
            return evidence.Width(channels, taken)

        curves = tuple(
            evidence.WidthCurve(
                shape,
                tuple(width(one.outputs, one) for one in outputs),
                tuple(width(one.inputs, one) for one in inputs),
            )
            for shape, (outputs, inputs) in lines.items()
        )
        documents.write(
            io.output / evidence.FILE, evidence.WidthCurves(curves, self.model.ratio_band, _NOISE / self.clock)
        )

    def _lines(self, shape: LayerShape) -> tuple[list[LayerShape], list[LayerShape]]:
        """The layer with fewer outputs, and with fewer inputs; with groups, fewer of them whole."""
        from edgebuild.nn.prune.cost import widths

        if self.multiple is None:
            return [shape], []
        if shape.groups > 1:
            each = shape.outputs // shape.groups
            counts = sorted({max(1, width // each) for width in widths(shape.outputs, max(self.multiple, each))})
            return [_fewer_groups(shape, count) for count in counts], []
        outputs = [replace(shape, outputs=width) for width in widths(shape.outputs, self.multiple)]
        return outputs, [replace(shape, inputs=width) for width in widths(shape.inputs, self.multiple)]

    def _counted(self, io: StepIO, probes: Sequence[Probe], kept: Kept) -> Mapping[Probe, float]:
        """Seconds of each file; a model of which one layer has changed counts the files of that one."""
        jobs = [probes[k : k + _FILES] for k in range(0, len(probes), _FILES)]
        seconds: dict[Probe, float] = {}
        for number, part in enumerate(jobs):
            for probe, taken in zip(part, self._job(io.scratch / str(number), part), strict=True):
                seconds[probe] = taken
                kept.write(_words(probe), taken)
            io.progress((number + 1) / len(jobs), f"{len(seconds)} of {len(probes)} files of one layer counted")
        return seconds

    def _job(self, folder: Path, probes: Sequence[Probe]) -> Iterator[float]:
        """Seconds of each file."""
        from edgebuild.devices.jobs import job
        from edgebuild.devices.timing import predicted
        from edgebuild.devices.timing.operators import with_operators
        from edgebuild.nn.prune import single_layer

        folder.mkdir()
        suffix = Path(FORMATS.get(self.format).file).suffix
        files = [folder / f"layer-{number}{suffix}" for number in range(len(probes))]
        for file, (shape, whole) in zip(files, probes, strict=True):
            file.write_bytes(self._file(single_layer.alone(shape) if whole else single_layer.without(shape)))
        inputs = folder / job.INPUTS
        (example,) = single_layer.example()
        job.write_inputs(inputs, (example.numpy(),))
        models = [job.JobModel(file.stem, file) for file in files]
        job.write(folder, "count", models, inputs, count_warmups=1)
        counts = self.device.count_each(folder, self.model.mcpu, timeout=self.timeout)
        for file, counted in zip(files, counts, strict=True):
            work = with_operators(counted, FORMATS.get(self.format), file.read_bytes())
            yield predicted.seconds(work, self.model, self.clock, self.threads)
        job.strip(folder)

    def _file(self, module: nn.Module) -> bytes:
        """The float file, or the quantized one with ranges from noise, which no count depends on."""
        import numpy as np

        from edgebuild.nn.prune import single_layer

        target_format = FORMATS.get(self.format)()
        (example,) = single_layer.example()
        file: bytes = target_format.convert(module, (example,), layout.NCHW)
        if self.quantization is None:
            return file
        noise = np.random.default_rng(1).standard_normal((_CALIBRATION, *example.shape), dtype=np.float32)
        try:
            return target_format.quantize(file, self.quantization, [(each,) for each in noise])
        except EdgebuildError:  # nothing in so small a file pays
            return file


def _words(probe: Probe) -> str:
    """What a file is of, all that its time depends on beside the step's options."""
    shape, whole = probe
    return json.dumps([asdict(shape), whole])


def _probes(shape: LayerShape) -> tuple[Probe, Probe]:
    return (shape, True), (_bare(shape), False)


def _bare(shape: LayerShape) -> LayerShape:
    """What all layers have in common that read as many channels of as many places."""
    return LayerShape("product" if shape.flat else "convolution", shape.inputs, shape.inputs, shape.places)


def _fewer_groups(shape: LayerShape, groups: int) -> LayerShape:
    inputs, outputs = (side // shape.groups * groups for side in (shape.inputs, shape.outputs))
    return replace(shape, inputs=inputs, outputs=outputs, groups=groups)
