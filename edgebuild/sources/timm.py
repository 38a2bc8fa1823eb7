"""A network that timm builds by name, such as efficientnet_lite0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn import compiled_torchvision
from edgebuild.sources import _named
from edgebuild.sources._named import Named

if TYPE_CHECKING:
    from torch import nn

_FETCHING = ("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir")


@dataclass(frozen=True, slots=True)
class Timm(Named):
    """`options` are those of `timm.create_model`: num_classes, in_chans, drop_rate and others."""

    requires: ClassVar[tuple[str, ...]] = ("torch", "safetensors", "timm", "torchvision")
    extra: ClassVar[str | None] = "timm"

    @staticmethod
    def network(name: str, options: Mapping[str, Any]) -> nn.Module:
        """The network with weights drawn at random."""
        _named.refuse(options, _FETCHING)
        compiled_torchvision.stand_in()
        import timm

        if not timm.is_model(name):  # neither is what lies elsewhere, such as hf-hub:…
            raise _named.unknown(name, timm.list_models(), "timm")
        module: nn.Module = timm.create_model(name, pretrained=False, **options)
        return module
