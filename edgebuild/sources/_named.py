"""What sources that build networks by name have in common: options, weights, and that nothing is ever downloaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar

from pydantic import Field

from edgebuild.nn.network import Network
from edgebuild.sources import _modules
from edgebuild.spec import tasks
from edgebuild.spec.dataset import Held
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Inside
from edgebuild.spec.model import ModelSpec, PluginSpec, Teacher, Training
from edgebuild.spec.names import file_name
from edgebuild.spec.source import Making, Source
from edgebuild.steps.evidence.torch_outputs import TorchOutputs
from edgebuild.steps.untrained import Untrained

RANDOM = "random"  # in the place of a file: weights that nobody trained


@dataclass(frozen=True, slots=True)
class Named(Source):
    """A network of a package, with weights of the project's own."""

    name: Annotated[str, Field(description="of the network, as the package calls it")]
    weights: Annotated[
        Inside,
        Field(description='.safetensors or .pth file with the state dict; "random" draws weights, and trains them'),
    ]
    options: Annotated[
        Mapping[str, Any], Field(description="what the package is told beside the name, such as num_classes")
    ] = field(default_factory=dict)

    kind: ClassVar[str] = "torch"
    trainable: ClassVar[bool] = True
    named: ClassVar[bool] = True

    def float(self, model: ModelSpec) -> Making:
        """Read the weights, or draw and train them where that is asked for in so many words.

        Where no answer is right but the network's own there is nothing to learn, and the weights that are drawn stay.
        """
        if self.weights == RANDOM and all(tasks.of(head).original for head in model.declared.heads):
            return self.untrained(model)
        return self._made(model, model.declared.origin.key_of("weights"), model.declared.training)

    def teacher(self, model: ModelSpec, teacher: Teacher, origin: PluginSpec) -> Making:
        """The same, with its own training."""
        return self._made(model, origin.key_of("weights"), teacher.training)

    def _made(self, model: ModelSpec, key: str, training: Training) -> Making:
        weights = None if self.weights == RANDOM else self.weights
        return self._counted(_modules.making(model, self._network(model), weights, key, training))

    def untrained(self, model: ModelSpec) -> Making:
        """The network with the weights that are drawn."""
        return self._counted(Making(Untrained(self._network(model), model.declared.signature.bare, model.origin)))

    def reference(self, split: Held) -> Making:
        """PyTorch's own answers."""
        return Making(TorchOutputs(split))

    def told(self, model: ModelSpec) -> Mapping[str, Any]:
        """All that the package is told beside the name."""
        return self.options

    def _network(self, model: ModelSpec) -> Network:
        return Network(file_name(type(self)), self.name, self.told(model))

    def _counted(self, making: Making) -> Making:
        """The package and the code that asks it are part of the key."""
        code = (*making.code, __name__, type(self).__module__)
        return replace(making, code=code, tools=(*making.tools, *self.requires, *self.brought_by(self.name)))


def refuse(options: Mapping[str, Any], downloading: Iterable[str]) -> None:
    """UsageError for an option by which the package would fetch weights of its own."""
    for key in downloading:
        if key in options:
            hint = "name the file of the weights in source.weights"
            raise UsageError(
                "is about weights that the package would read or download", key=f"options.{key}", hint=hint
            )


def sized(options: Mapping[str, Any], key: str, usual: tuple[int, int]) -> tuple[int, int]:
    """Height and width of pictures: of the option that a network is told them by, one number or two, else the usual."""
    match options.get(key):
        case int(side):
            return side, side
        case [int(height), int(width)]:
            return height, width
    return usual


def unknown(name: str, known: Iterable[str], package: str) -> UsageError:
    """The error for a name that the package does not have; there are too many to list them."""
    near = get_close_matches(name, [*known], n=3)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else None
    return UsageError(f"{package} has no network {name!r}", key="name", hint=hint)
