"""Makes a model file compute in 8-bit integers but for the layers that are measured to lose its answers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge
from pydantic import Field

from edgebuild.nn.quantize import ranges
from edgebuild.spec import dataset, notes, spread
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.quantization import Activations, Calibrator, Layer, Operators, Quantization
from edgebuild.steps.techniques import _files

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Samples = list[tuple[Array, ...]]

REPORT = "blame.json"

# What is computed between the layers (sums, means, activations) is ranked as if it were one layer more.
_BETWEEN = Layer("between layers", "", "", "")


@dataclass(frozen=True, slots=True)
class MixedPrecision:
    """Static int8 where each layer was first quantized alone, and those that lose most stay float32.

    Layers are ranked by the signal-to-noise ratio of the model's output. One more stays float in each round, and only
    if that raises the ratio of the whole, until the file agrees with the float one within `margin` on
    validation examples. `blame.json` beside the file tells every layer's loss.
    """

    margin: Annotated[
        float, Field(ge=0, lt=1, description="share of answers that may change; without classes, of error in spread")
    ] = 0.01
    rounds: Annotated[int, Ge(0), Field(description="layers that may be tried in float")] = 8
    examples: Annotated[int, Ge(1), Field(description="validation examples that agreement is measured on")] = 256
    ranking: Annotated[int, Ge(1), Field(description="how many of these rank the layers")] = 64
    calibration: Annotated[int, Ge(1), Field(description="training examples that set the ranges")] = 256
    calibrator: Calibrator = "minmax"
    activations: Annotated[Activations, Field(description="ONNX only: TFLite's kernels are int8")] = "uint8"
    operators: Annotated[Operators, Field(description="all, only the layers with weights, or what pays")] = "auto"
    seed: Seed = 0

    consumes: ClassVar[tuple[str, ...]] = ("onnx", "tflite")
    produces: ClassVar[str | None] = None
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ()
    deterministic: ClassVar[Determinism] = "same-cpu"
    exclusive: ClassVar[bool] = False
    gentler: ClassVar[str] = "a smaller `margin` or more `rounds`"
    numbers: ClassVar[str] = "int8"

    def quantization(self) -> Quantization:
        """What the format is asked for, before any layer is left out."""
        return Quantization(
            "static", activations=self.activations, calibrator=self.calibrator, operators=self.operators
        )

    def run(self, io: StepIO) -> None:
        """Write the model file and the report; UsageError when the margin is not reached in the rounds allowed."""
        target_format, model = _files.read(io)
        seen = _files.samples(io, self.calibration, self.seed)
        held_out = _files.unlearnt(io, self.examples, self.seed)
        learnt = self.quantization().with_ranges(ranges.load(io.path("model")))
        how = learnt.with_ranges(target_format.observe(model, learnt, seen))
        trial = _Trial(target_format, model, held_out, dataset.task(io.path("data")), io)
        ranked = self._rank(trial, how)
        done, kept = self._fall_back(trial, how, [layer for layer, ratio in ranked if ratio is not None])
        (io.output / target_format.file).write_bytes(done.file)
        notes.write(io.output, spread.remarks(how.ranges))
        layers = [asdict(layer) | {"snr_db": ratio, "float": layer.name in kept} for layer, ratio in ranked]
        report = {"margin": self.margin, "changed": done.changed, "examples": len(held_out), "layers": layers}
        (io.output / REPORT).write_text(json.dumps(report, indent=1) + "\n")

    def _rank(self, trial: _Trial, how: Quantization) -> list[tuple[Layer, float | None]]:
        """The layers from the worst to the best; None where quantizing the layer alone changes nothing."""
        layers = trial.format.layers(trial.model)
        few, found = replace(trial, samples=trial.samples[: self.ranking]), []
        for number, layer in enumerate((*layers, _BETWEEN)):
            others = tuple(other.name for other in layers if other != layer)
            operators = self.operators if layer == _BETWEEN else "layers"
            found.append((layer, few.of(replace(how, operators=operators, keep=others)).ratio))
            trial.io.progress((number + 1) / (len(layers) + 1), f"{layer.name} alone in int8")
        return sorted(found, key=lambda pair: (pair[1] is None, pair[1]))

    def _fall_back(self, trial: _Trial, how: Quantization, worst: list[Layer]) -> tuple[_Result, tuple[str, ...]]:
        kept: tuple[str, ...] = ()
        done = trial.of(how)
        for layer in worst[: self.rounds]:
            if done.changed <= self.margin:
                break
            wider = (
                replace(how, operators="layers") if layer == _BETWEEN else replace(how, keep=(*how.keep, layer.name))
            )
            tried = trial.of(wider)
            if _better(tried.ratio, done.ratio):
                kept, how, done = (*kept, layer.name), wider, tried
        if done.changed > self.margin:
            names = ", ".join(kept) or "none"
            told = f"int8 changes {done.changed:.2%} of the answers, {self.margin:.2%} may; layers in float: {names}"
            raise UsageError(told, key="mixed_precision", hint="raise rounds or margin, or train with qat first")
        return done, kept


@dataclass(frozen=True, slots=True)
class _Result:
    """A file, what it changes, and the signal-to-noise ratio of its output in dB (None where there is no noise)."""

    file: bytes
    changed: float
    ratio: float | None


@dataclass(frozen=True, slots=True)
class _Trial:
    """Quantizes a model in some way and compares its first output with the float one's."""

    format: Any
    model: bytes
    samples: Samples
    task: str
    io: StepIO

    def of(self, how: Quantization) -> _Result:
        file = self.format.quantize(self.model, how)
        wanted, given = self._outputs(self.model), self._outputs(file)
        noise = float(((given - wanted) ** 2).sum())
        if noise == 0:
            return _Result(file, 0.0, None)
        return _Result(file, self._changed(wanted, given), _decibels(float((wanted**2).sum()) / noise))

    def _outputs(self, file: bytes) -> Array:
        import numpy as np

        return np.concatenate([outputs[0].astype(np.float64) for outputs in self.format.run(file, self.samples)])

    def _changed(self, wanted: Array, given: Array) -> float:
        if self.task == "classification":
            return float((wanted.argmax(1) != given.argmax(1)).mean())
        return float((((given - wanted) ** 2).mean()) ** 0.5 / (wanted.std() or 1.0))


def _decibels(ratio: float) -> float:
    import math

    return round(10 * math.log10(ratio), 2) if ratio > 0 else -math.inf


def _better(ratio: float | None, than: float | None) -> bool:
    return than is not None and (ratio is None or ratio > than)
