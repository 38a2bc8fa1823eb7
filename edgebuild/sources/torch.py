"""A model that code of the project builds in PyTorch: its weights are trained, or read from a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from edgebuild.nn import state_dict
from edgebuild.sources import _modules
from edgebuild.spec.dataset import Held
from edgebuild.spec.fields import Inside
from edgebuild.spec.look import Look
from edgebuild.spec.model import ModelSpec, PluginSpec, Teacher
from edgebuild.spec.source import Making, Source
from edgebuild.steps.evidence.torch_outputs import TorchOutputs
from edgebuild.steps.untrained import Untrained


@dataclass(frozen=True, slots=True)
class Torch(Source):
    """What `builder` and `weights` at the top of model.toml stand for."""

    builder: Annotated[str, Field(description="function in model.py that returns the torch.nn.Module")]
    weights: Annotated[
        Inside | None, Field(description="safetensors or .pth file with the state dict; else the model is trained")
    ] = None

    kind: ClassVar[str] = "torch"
    trainable: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("torch", "safetensors")
    extra: ClassVar[str | None] = "torch"
    coded: ClassVar[bool] = True
    endings: ClassVar[tuple[str, ...]] = (
        ".pth",
        ".pt",
        ".safetensors",
        ".ckpt",
        ".bin",
        ".jit",
        ".torchscript",
        ".ptl",
    )

    @staticmethod
    def look(path: Path) -> Look:
        """What the tensors of a state dict are; nothing in the file is run."""
        return state_dict.look(path)

    def float(self, model: ModelSpec) -> Making:
        """Read the weights where a file is named, else train."""
        declared = model.declared
        key = declared.origin.key_of("weights")
        return _modules.making(model, self.builder, self.weights, key, declared.training)

    def teacher(self, model: ModelSpec, teacher: Teacher, origin: PluginSpec) -> Making:
        """The same, with its own training."""
        return _modules.making(model, self.builder, self.weights, origin.key_of("weights"), teacher.training)

    def untrained(self, model: ModelSpec) -> Making:
        """The module with the weights that its builder draws."""
        declared = model.declared
        return Making(Untrained(self.builder, declared.signature.bare, model.origin))

    def reference(self, split: Held) -> Making:
        """PyTorch's own answers."""
        return Making(TorchOutputs(split))
