"""Artifacts of the tests' own models, each made by the real step when it is first asked for.

`python -m tests.tiny FOLDER [ARTIFACT …]` makes some of them in a process of its own, to show that bytes do not depend
on one; what is in the folder already is not made again.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from edgebuild.data.function import Function
from edgebuild.engine import keys
from edgebuild.spec import artifact
from edgebuild.spec.artifact import Input, Step, StepIO
from edgebuild.spec.files import read_model
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.registry import FORMATS
from edgebuild.steps.convert import Convert
from edgebuild.steps.load_data import LoadData
from edgebuild.steps.techniques.distill import Distill
from edgebuild.steps.techniques.encode import Encode
from edgebuild.steps.techniques.float16 import Float16
from edgebuild.steps.techniques.int8 import Int8
from edgebuild.steps.techniques.log2 import Log2
from edgebuild.steps.techniques.prune_channels import PruneChannels
from edgebuild.steps.train import Train

MODELS = Path(__file__).parent / "models"
FILES = {name: FORMATS.get(name).file for name in FORMATS.names()}


def spec(name: str) -> ModelSpec:
    """The declaration of one of the tests' models."""
    return read_model(MODELS / name, f"models/{name}/model.toml")


def kind(name: str) -> str:
    """What an artifact of this name holds."""
    format_name = name.partition("-")[0]
    return format_name if format_name in FILES else name if name in ("code", "data") else "torch"


def perform(step: Step, output: Path, inputs: Mapping[str, tuple[str, Path]]) -> Path:
    """Run a step as a worker would, but here; `inputs` are (kind, folder) by role."""
    scratch = output.with_name(f"{output.name}.scratch")
    for folder in (output, scratch):
        folder.mkdir(parents=True, exist_ok=True)
    io = StepIO({role: Input(what, "0" * 64, path) for role, (what, path) in inputs.items()}, output, scratch)
    artifact.perform(step, io)
    return output


@dataclass(frozen=True, slots=True)
class Made:
    """The artifacts of one model below a folder, by name: `made["onnx-int8"]` is the folder of the int8 ONNX file.

    Several processes may ask at once: one makes it, and it appears whole.
    """

    name: str
    root: Path

    def __getitem__(self, artifact: str) -> Path:
        folder = self.root / artifact
        if not folder.is_dir():
            step, inputs = self.recipe(artifact)
            sources = {role: (kind(item), self[item]) for role, item in inputs.items()}
            self._place(artifact, lambda making: perform(step, making, sources))
        return folder

    def code(self) -> None:
        """Copy the model's folder, as a plan would."""
        ignored = shutil.ignore_patterns("__pycache__")
        self._place("code", lambda making: shutil.copytree(MODELS / self.name, making, ignore=ignored))

    def _place(self, artifact: str, make: Callable[[Path], object]) -> None:
        """Have a folder made beside the root, and moved into it, unless another process has done so meanwhile."""
        making = self.root.with_name(f"{self.root.name}.making")
        for folder in (self.root, making):
            folder.mkdir(parents=True, exist_ok=True)
        with FileLock(making / f"{artifact}.lock"):
            if not (self.root / artifact).is_dir():
                make(making / artifact)
                (making / artifact).rename(self.root / artifact)

    def recipe(self, artifact: str) -> tuple[Step, dict[str, str]]:
        """The step that makes an artifact, and its inputs by role."""
        declared = spec(self.name).declared
        built = (declared.builder, declared.signature.bare)
        pruning = declared.steps.get("prune_channels", {})
        format_name, _, technique = artifact.partition("-")
        steps: dict[str, tuple[Step, dict[str, str]]] = {
            "data": (
                LoadData(Function(str(declared.data)), declared.signature.bare, declared.heads),
                {"code": "code"},
            ),
            "float": (Train(*built, declared.training), {"code": "code", "data": "data"}),
            "pruned": (PruneChannels(ratio=0.5, round_to=8, **pruning), {"model": "float"}),
            "distilled": (
                Distill(epochs=4, batch_size=32, learning_rate=0.02),
                {"model": "pruned", "teacher": "float", "data": "data"},
            ),
            "int8": (Int8(calibration=32), {"model": format_name, "data": "data"}),
            "float16": (Float16(), {"model": format_name}),
            "log2": (Log2(), {"model": "float"}),
            "encoded": (Encode(), {"model": format_name}),
            "convert": (Convert(format_name), {"model": "float"}),
            "small": (Convert(format_name), {"model": "distilled"}),
            "small_int8": (Int8(calibration=64), {"model": f"{format_name}-small", "data": "data"}),
        }
        return steps[technique or ("convert" if format_name in FILES else artifact)]

    def file(self, artifact: str) -> Path:
        """The model file of an artifact in a format."""
        return self[artifact] / FILES[kind(artifact)]


def start(name: str, root: Path) -> Made:
    """A model whose artifacts will be made below `root`."""
    import torch

    torch.set_num_threads(1)  # as workers do
    made = Made(name, root)
    if not (root / "code").is_dir():
        made.code()
    return made


def lacking(format_name: str) -> list[str]:
    """Packages of a format that are not installed: those of an extra which the usual set-up leaves out."""
    return [name for name in FORMATS.get(format_name).requires if keys.version(name) == "absent"]


REPEATABLE = ("distilled", "onnx-int8", "onnx-float16", "tflite-int8", "tflite-float16")

if __name__ == "__main__":
    all_of_it = start("tiny", Path(sys.argv[1]))
    for wanted in sys.argv[2:] or (*REPEATABLE, *(name for name in FILES if not lacking(name))):
        all_of_it[wanted]
