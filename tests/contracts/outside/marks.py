"""One of each noun, as somebody else's package brings them: a single file that edgebuild knows only by entry points."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge

from edgebuild.devices.local import Local
from edgebuild.formats.onnx import Onnx
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.constant import Constant
from edgebuild.spec.dataset import Held
from edgebuild.spec.device import Device
from edgebuild.spec.evidence import Evidence, Verdict, known
from edgebuild.spec.format import Format
from edgebuild.spec.lifetime import Lifetime
from edgebuild.spec.metric import Metric
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.signature import Head, TensorSpec
from edgebuild.spec.source import Making, ProjectFile, Source
from edgebuild.spec.target import Fidelity, Gate, Hardware
from edgebuild.spec.task import Goal, Task
from edgebuild.spec.technique import Technique
from edgebuild.spec.units import BYTES, parse
from edgebuild.spec.work import Work
from edgebuild.steps.evidence.original_outputs import OriginalOutputs
from edgebuild.steps.import_file import ImportFile
from edgebuild.tasks.classification import Classification

if TYPE_CHECKING:
    from torch import Tensor, nn

MARK = b"BOX1"


@dataclass(frozen=True, slots=True)
class RoundWeights(Technique):
    """Rounds every weight to so many decimals."""

    decimals: Annotated[int, Ge(1)] = 3

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    produces: ClassVar[str | None] = None
    needs: ClassVar[tuple[str, ...]] = ("model",)
    tools: ClassVar[tuple[str, ...]] = ("numpy", "safetensors")
    deterministic: ClassVar[Determinism] = "same-cpu"
    exclusive: ClassVar[bool] = False
    values_only: ClassVar[bool] = True

    def run(self, io: StepIO) -> None:
        """Write the same model with rounded weights."""
        import numpy as np
        from safetensors.numpy import load_file, save_file

        shutil.copytree(io.path("model"), io.output, dirs_exist_ok=True, copy_function=shutil.copyfile)
        path = io.output / "weights.safetensors"
        save_file({name: np.round(value, self.decimals) for name, value in load_file(path).items()}, path)


class Box(Format):
    """An ONNX file behind four bytes of its own."""

    file: ClassVar[str] = "model.box"
    loader: ClassVar[str] = "load_box"
    runtime: ClassVar[str] = "onnxruntime"
    requires: ClassVar[tuple[str, ...]] = Onnx.requires
    tools: ClassVar[tuple[str, ...]] = Onnx.tools

    def convert(self, module: nn.Module, example: tuple[Tensor, ...], layout: str | None = None) -> bytes:
        """The mark, then ONNX."""
        return MARK + Onnx().convert(module, example, layout)

    def run(self, model: bytes, samples: Sequence[Any]) -> Iterator[Any]:
        """By ONNX Runtime."""
        return Onnx().run(_unboxed(model), samples)

    def operators(self, model: bytes) -> tuple[str, ...]:
        """Those of the ONNX file."""
        return Onnx().operators(_unboxed(model))

    def work(self, model: bytes) -> tuple[Work, ...]:
        """That of the ONNX file."""
        return Onnx().work(_unboxed(model))

    def lifetimes(self, model: bytes) -> tuple[Lifetime, ...]:
        """Those of the ONNX file."""
        return Onnx().lifetimes(_unboxed(model))

    def constants(self, model: bytes) -> list[Constant]:
        """None that a coder may take for numbers."""
        return []


def _unboxed(model: bytes) -> bytes:
    assert model.startswith(MARK)
    return model.removeprefix(MARK)


@dataclass(frozen=True, slots=True)
class Twin(Device):
    """This machine, under a name of its own."""

    note: str = ""

    transport: ClassVar[str] = "twin"

    def why_unusable(self) -> str | None:
        """It is always there."""
        return None

    def fidelity(self, hardware: Hardware) -> Fidelity:
        """No more than this machine's."""
        return "host"

    def fingerprint(self) -> dict[str, str]:
        """What it is."""
        return {"cpu": f"a twin of this machine{self.note}"}

    def execute(self, job: Path, *, timeout: float) -> None:
        """As on this machine."""
        Local().execute(job, timeout=timeout)


class Heft(Metric[float]):
    """Bytes of the file, at most."""

    @classmethod
    def limit(cls, text: str) -> float:
        """Bytes, above zero."""
        amount = parse(text, BYTES)
        if amount <= 0:
            raise ValueError(f"a heft must be above zero, got {text!r}")
        return amount

    def judge(self, gate: Gate, evidence: Evidence) -> Verdict:
        """Exactly."""
        ours, most = known(evidence.footprint).candidate.bytes, self.limit(gate.limit)
        status: Literal["pass", "fail"] = "pass" if ours <= most else "fail"
        return Verdict(gate.metric, gate.limit, "B", status, f"{ours} of {most:.0f} B", "hardware", 1, ours, ours, ours)


class Ballot(Task):
    """A classification by another name."""

    labels: ClassVar[str] = "[N] numbers of who was voted for"
    element: ClassVar[Literal["int64", "float32"]] = "int64"
    missing: ClassVar[float] = -1
    choice: ClassVar[bool] = True
    metrics: ClassVar[tuple[str, ...]] = ("accuracy",)

    def check(self, head: Head, outputs: Sequence[TensorSpec]) -> None:
        """As for classes."""
        Classification().check(head, outputs)

    def label_mistake(self, labels: Any, outputs: Sequence[TensorSpec]) -> str | None:
        """As for classes."""
        return Classification().label_mistake(labels, outputs)

    def loss(self, answers: Sequence[Tensor], labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """As for classes."""
        return Classification().loss(answers, labels, smoothing)

    def distilled(
        self, goal: Goal, answers: Sequence[Tensor], teachers: Sequence[Sequence[Tensor]], temperature: float
    ) -> Tensor:
        """As for classes."""
        return Classification().distilled(goal, answers, teachers, temperature)

    def errors(self, answers: Sequence[Any], labels: Any) -> Any:
        """As for classes."""
        return Classification().errors(answers, labels)

    def choices(self, answers: Sequence[Any]) -> Any:
        """As for classes."""
        return Classification().choices(answers)

    def hits(self, answers: Sequence[Any], labels: Any) -> Any:
        """As for classes."""
        return Classification().hits(answers, labels)


@dataclass(frozen=True, slots=True)
class Crate(Source):
    """A trained model that comes as an ONNX file behind four bytes."""

    file: str

    kind: ClassVar[str] = "onnx"

    def float(self, model: ModelSpec) -> Making:
        """Take the file out of its box."""
        step = ImportFile(self, self.file, model.declared.signature.bare)
        return Making(step, {"file": (ProjectFile(self.file, "source.file"),)}, code=(__name__,), tools=Onnx.tools)

    def reference(self, split: Held) -> Making:
        """By ONNX Runtime."""
        return Making(OriginalOutputs(self, self.file, split), code=(__name__,), tools=Onnx.tools)

    def adopt(self, path: Path, inputs: Sequence[TensorSpec]) -> bytes:
        """What is in the box."""
        return _unboxed(path.read_bytes())

    def integer(self, model: bytes) -> str | None:
        """It is a float file."""
        return None

    def answers(self, path: Path, samples: Sequence[Any]) -> Iterator[Any]:
        """Those of what is in the box."""
        return Onnx().run(_unboxed(path.read_bytes()), samples)
