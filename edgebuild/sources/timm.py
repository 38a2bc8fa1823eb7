"""A network that timm builds by name, such as efficientnet_lite0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn import compiled_torchvision
from edgebuild.sources import _named
from edgebuild.sources._named import Named
from edgebuild.spec.look import Port, Usual

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
        timm = _package(name)
        module: nn.Module = timm.create_model(name, pretrained=False, **options)
        return module

    @staticmethod
    def usual(name: str, options: Mapping[str, Any]) -> Usual:
        """As its weights of timm's own were trained."""
        known = _package(name).get_pretrained_cfg(name)
        channels, *sides = known.input_size if known else (3, 224, 224)
        height, width = _named.sized(options, "img_size", (sides[0], sides[1]))
        port = Port("image", ("batch", options.get("in_chans", channels), height, width), "float32")
        return Usual((port,), tuple(known.mean), tuple(known.std), known.crop_pct) if known else Usual((port,))


def _package(name: str) -> Any:
    """timm, where it has a network of this name; what lies elsewhere, such as hf-hub:…, is none."""
    compiled_torchvision.stand_in()
    import timm

    if not timm.is_model(name):
        raise _named.unknown(name, timm.list_models(), "timm")
    return timm
