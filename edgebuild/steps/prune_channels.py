"""Removes whole channels by dependency groups, so that what is left is a smaller dense model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge
from pydantic import Field

from edgebuild.nn import checkpoint
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class PruneChannels:
    """Each dependency group loses `ratio` of its channels, those of least norm (DepGraph, Fang et al., CVPR 2023).

    Channel counts stay multiples of `round_to`, which defaults to the target's `channel_multiple`. The layers that
    make the outputs, and those named in `keep`, keep their channels. Accuracy falls to chance: fine-tune afterwards.
    """

    ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5
    norm: Literal[1, 2] = 2
    round_to: Annotated[int, Ge(1)] = field(default=8, metadata={"from_hardware": "channel_multiple"})
    keep: tuple[str, ...] = ()

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    produces: ClassVar[str | None] = None
    needs: ClassVar[tuple[str, ...]] = ("model",)
    tools: ClassVar[tuple[str, ...]] = ("torch", "torch-pruning")
    deterministic: ClassVar[Determinism] = "same-cpu"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Prune a copy of the model and save it; UsageError when nothing could be removed."""
        model = checkpoint.load(io.path("model"))
        before = _parameters(model.module)
        self._prune(model.module.requires_grad_(True), model.example())
        if _parameters(model.module) == before:
            hint = "raise the ratio, or lower round_to"
            raise UsageError(f"no channel can be removed at ratio {self.ratio} with round_to {self.round_to}", key="prune_channels", hint=hint)
        checkpoint.save(model, io.output)

    def _prune(self, module: nn.Module, example: tuple[Tensor, ...]) -> None:
        import torch_pruning

        pruner = torch_pruning.pruner.BasePruner(
            module,
            example if len(example) > 1 else example[0],
            torch_pruning.importance.GroupMagnitudeImportance(p=self.norm),
            pruning_ratio=self.ratio,
            round_to=self.round_to,
            ignored_layers=[*_output_layers(module, example), *(self._layer(module, name) for name in self.keep)],
        )
        pruner.step()

    def _layer(self, module: nn.Module, name: str) -> nn.Module:
        try:
            return module.get_submodule(name)
        except AttributeError:
            raise UsageError(f"the model has no layer {name!r}", key="prune_channels.keep") from None


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _output_layers(module: nn.Module, example: tuple[Tensor, ...]) -> list[nn.Module]:
    """The leaf layers whose results are, unchanged, results of the whole module."""
    import torch

    made: dict[int, nn.Module] = {}
    alive: list[Tensor] = []  # an id is only unique while its tensor lives

    def note(layer: nn.Module, _: object, result: object) -> None:
        if isinstance(result, torch.Tensor):
            made[id(result)] = layer
            alive.append(result)

    leaves = [layer for layer in module.modules() if not any(layer.children())]
    hooks = [layer.register_forward_hook(note) for layer in leaves]
    with torch.no_grad():
        outputs = module(*example)
    for hook in hooks:
        hook.remove()
    results = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
    return [made[id(result)] for result in results if id(result) in made]
