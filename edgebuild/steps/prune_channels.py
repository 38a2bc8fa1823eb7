"""Removes whole channels by dependency groups, so that what is left is a smaller dense model."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge
from pydantic import Field

from edgebuild.nn import checkpoint
from edgebuild.nn.layers import output_layers
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.errors import EdgebuildError, UsageError
from edgebuild.spec.names import suggest

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class PruneChannels:
    """Each dependency group loses `ratio` of its channels, those of least norm (DepGraph, Fang et al., CVPR 2023).

    What is left is rounded down to a multiple of `round_to`, which defaults to the target's `channel_multiple`; layers
    with no more channels than that stay whole, as do the layers that make the outputs and those named in `keep`.
    Accuracy falls to chance: fine-tune afterwards.
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
        """Prune a copy of the model and save it; UsageError when nothing, or a whole layer, would be removed."""
        model = checkpoint.load(io.path("model"))
        before = _parameters(model.module)
        try:
            self._prune(model.module.requires_grad_(True), model.example())
        except EdgebuildError:
            raise
        except Exception as error:  # models whose dependencies cannot be traced fail in many ways
            traceback.print_exc()
            reason = f"the model's channels cannot be pruned: {type(error).__name__}: {error}"
            raise UsageError(reason, key="prune_channels", hint="leave the step out, or name layers in keep") from None
        if _parameters(model.module) == before:
            told = f"no channel can be removed at ratio {self.ratio} with round_to {self.round_to}"
            raise UsageError(told, key="prune_channels", hint="raise the ratio, or lower round_to")
        checkpoint.save(model, io.output)

    def _prune(self, module: nn.Module, example: tuple[Tensor, ...]) -> None:
        import torch_pruning

        pruner = torch_pruning.pruner.BasePruner(
            module,
            example if len(example) > 1 else example[0],
            torch_pruning.importance.GroupMagnitudeImportance(p=self.norm),
            pruning_ratio=self.ratio,
            round_to=self.round_to,
            ignored_layers=[*output_layers(module, example), *(self._layer(module, name) for name in self.keep)],
        )
        self._refuse_whole_layers(module, pruner)
        pruner.step()
        module(*example)

    def _layer(self, module: nn.Module, name: str) -> nn.Module:
        layers: dict[str, nn.Module] = dict(module.named_modules())
        if not name or name not in layers:
            hint = suggest(name, filter(None, layers))
            raise UsageError(f"the model has no layer {name!r}", key="prune_channels.keep", hint=hint)
        return layers[name]

    def _refuse_whole_layers(self, module: nn.Module, pruner: Any) -> None:
        """The pruner would pass over a group of which nothing is left, and say nothing."""
        names = {layer: name for name, layer in module.named_modules()}
        for group in pruner.DG.get_all_groups(pruner.ignored_layers, pruner.root_module_types):
            layer = group[0].dep.target.module
            channels = pruner.DG.get_out_channels(layer)
            if self.round_to < channels and int(channels * (1 - self.ratio)) < self.round_to:
                told = f"ratio {self.ratio} with round_to {self.round_to} would remove all {channels} channels"
                hint = "lower the ratio or round_to, or name the layer in keep"
                raise UsageError(f"{told} of {names.get(layer, 'a layer')!r}", key="prune_channels", hint=hint)


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
