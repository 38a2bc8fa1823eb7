"""Makes a model file compute in 8-bit integers but for the layers that are measured to lose its answers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge
from pydantic import Field

from edgebuild.nn.quantize import ranges
from edgebuild.spec import dataset, tasks
from edgebuild.spec.artifact import FILE, StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.quantization import Activations, Calibrator, Layer, Operators, Quantization
from edgebuild.spec.signature import Head
from edgebuild.spec.technique import Technique
from edgebuild.steps.techniques import _files

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Samples = list[tuple[Array, ...]]

REPORT = "blame.json"

# What is computed between the layers (sums, means, activations) is ranked as if it were one layer more.
_BETWEEN = Layer("between layers", "", "", "")


@dataclass(frozen=True, slots=True)
class MixedPrecision(Technique):
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

    consumes: ClassVar[tuple[str, ...]] = (FILE,)
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
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
        learnt = _files.apart(io, self.quantization()).with_ranges(ranges.load(io.path("model")))
        how = _files.calibrated(io, target_format, model, learnt, seen)
        trial = _Trial(target_format, model, held_out, dataset.heads(io.path("data")), io)
        ranked = self._rank(trial, how)
        done, kept = self._fall_back(trial, how, [layer for layer, ratio in ranked if ratio is not None])
        (io.output / target_format.file).write_bytes(done.file)
        layers = [asdict(layer) | {"snr_db": ratio, "float": layer.name in kept} for layer, ratio in ranked]
        report = {"margin": self.margin, "changed": done.changed, "examples": len(held_out), "layers": layers}
        (io.output / REPORT).write_text(json.dumps(report, indent=1) + "\n")

    def _rank(self, trial: _Trial, how: Quantization) -> list[tuple[Layer, float | None]]:
        """The layers from the worst to the best; None where quantizing the layer alone changes nothing."""
        layers = trial.format.layers(trial.model)
        few, ranked = replace(trial, samples=trial.samples[: self.ranking]), []
        for number, layer in enumerate((*layers, _BETWEEN)):
            others = tuple(other.name for other in layers if other != layer)
            operators = self.operators if layer == _BETWEEN else "layers"
            ranked.append((layer, few.of(replace(how, operators=operators, keep=others)).ratio))
            trial.io.progress((number + 1) / (len(layers) + 1), f"{layer.name} alone in int8")
        return sorted(ranked, key=lambda pair: (pair[1] is None, pair[1]))

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
            message = f"int8 changes {done.changed:.2%} of the answers, {self.margin:.2%} may; layers in float: {names}"
            raise UsageError(message, key="mixed_precision", hint="raise rounds or margin, or train with qat first")
        return done, kept


@dataclass(frozen=True, slots=True)
class _Result:
    """A file, what it changes, and the signal-to-noise ratio of its output in dB (None where there is no noise)."""

    file: bytes
    changed: float
    ratio: float | None


@dataclass(frozen=True, slots=True)
class _Trial:
    """Quantizes a model in some way and compares its outputs with the float one's: the worst of them counts."""

    format: Any
    model: bytes
    samples: Samples
    heads: tuple[Head, ...]
    io: StepIO

    def of(self, how: Quantization) -> _Result:
        file = self.format.quantize(self.model, how)
        expected, outputs = self._outputs(self.model), self._outputs(file)
        ratios = [_ratio(mine, theirs) for mine, theirs in zip(outputs, expected, strict=True)]
        noisy = [ratio for ratio in ratios if ratio is not None]
        if not noisy:
            return _Result(file, 0.0, None)
        changed = max(self._changed(head, expected, outputs) for head in self.heads)
        return _Result(file, changed, _decibels(min(noisy)))

    def _outputs(self, file: bytes) -> list[Array]:
        """Every output of all examples, in float64."""
        import numpy as np

        answers = zip(*self.format.run(file, self.samples), strict=True)
        return [np.concatenate(parts).astype(np.float64) for parts in answers]

    def _changed(self, head: Head, expected: list[Array], outputs: list[Array]) -> float:
        """Of choices the share that differs, of values the error relative to their spread."""
        task, before, after = tasks.of(head), *(_read(head, answers) for answers in (expected, outputs))
        if task.choice:
            return float((task.choices(before) != task.choices(after)).mean())
        pairs = zip(before, after, strict=True)
        return max(float((((mine - theirs) ** 2).mean()) ** 0.5 / (theirs.std() or 1.0)) for theirs, mine in pairs)


def _read(head: Head, answers: list[Array]) -> list[Array]:
    return [answers[position] for position in head.outputs]


def _ratio(output: Array, expected: Array) -> float | None:
    """Power of an output over that of what quantization added to it; None where it added nothing."""
    noise = float(((output - expected) ** 2).sum())
    return float((expected**2).sum()) / noise if noise else None


def _decibels(ratio: float) -> float:
    import math

    return round(10 * math.log10(ratio), 2) if ratio > 0 else -math.inf


def _better(ratio: float | None, than: float | None) -> bool:
    return than is not None and (ratio is None or ratio > than)
