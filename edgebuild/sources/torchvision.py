"""A network that torchvision builds by name, such as mobilenet_v2."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn import compiled_torchvision
from edgebuild.sources import _named
from edgebuild.sources._named import Named
from edgebuild.spec.look import Port, Usual

if TYPE_CHECKING:
    from torch import nn

_FETCHING = ("weights", "weights_backbone", "pretrained", "pretrained_backbone", "progress")


@dataclass(frozen=True, slots=True)
class Torchvision(Named):
    """`options` are those of the network's own function: num_classes, dropout, aux_logits and others."""

    requires: ClassVar[tuple[str, ...]] = ("torch", "safetensors", "torchvision")
    extra: ClassVar[str | None] = "torchvision"

    @staticmethod
    def network(name: str, options: Mapping[str, Any]) -> nn.Module:
        """The network with weights drawn at random."""
        _named.refuse(options, _FETCHING)
        models = _package(name)
        taken = inspect.signature(models.get_model_builder(name)).parameters
        # Some have a backbone whose weights are fetched unless it is said that they are not.
        none = {key: None for key in ("weights", "weights_backbone") if key in taken}
        module: nn.Module = models.get_model(name, **none, **options)
        return module

    @staticmethod
    def usual(name: str, options: Mapping[str, Any]) -> Usual:
        """As its weights of torchvision's own were trained, where it has some for single pictures."""
        (own, *_) = [*_package(name).get_model_weights(name)] or [None]
        how: Any = own.transforms() if own else None
        (size,) = {*how.crop_size} if _classifies(how) else {224}
        key = "image_size" if "image_size" in options else "input_size"  # of its vision transformers, and of MaxVit
        port = Port("image", ("batch", 3, *_named.sized(options, key, (size, size))), "float32")
        if not _classifies(how):
            return Usual((port,))
        return Usual((port,), tuple(how.mean), tuple(how.std), round(size / how.resize_size[0], 4))


def _package(name: str) -> Any:
    """Its networks, where there is one of this name."""
    compiled_torchvision.stand_in()
    from torchvision import models

    if name not in models.list_models():
        raise _named.unknown(name, models.list_models(), "torchvision")
    return models


def _classifies(how: Any) -> bool:
    from torchvision.transforms._presets import ImageClassification

    return isinstance(how, ImageClassification)
