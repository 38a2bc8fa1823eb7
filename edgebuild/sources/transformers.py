"""A network that transformers builds by the name of its class, such as DistilBertForSequenceClassification."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from edgebuild.nn import compiled_torchvision
from edgebuild.sources import _named
from edgebuild.sources._named import Named
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Inside
from edgebuild.spec.look import Port, Usual
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.names import suggest

if TYPE_CHECKING:
    from torch import nn

_FETCHING = ("_name_or_path", "name_or_path", "use_pretrained_backbone", "quantization_config", "auto_map")
_CLASSES = "num_labels"
_FILE = "config"  # the option in which the content of a config.json goes to the package


@dataclass(frozen=True, slots=True)
class Transformers(Named):
    """`options` are fields of the network's configuration: num_labels, hidden_size, …, in the place of those of
    `config`. Inputs go in by position, in the order of the network's own; answers come out as a tuple.
    """

    config: Annotated[Inside | None, Field(description="config.json in the model's folder")] = None

    requires: ClassVar[tuple[str, ...]] = ("torch", "safetensors", "transformers")
    extra: ClassVar[str | None] = "transformers"

    def told(self, model: ModelSpec) -> Mapping[str, Any]:
        """The options, and the content of the file that they change."""
        if self.config is None:
            return self.options
        key = model.declared.origin.key_of("config")
        try:
            content = json.loads(model.place(self.config, key).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            reason = error.strerror if isinstance(error, OSError) else f"is no JSON: {error}"
            raise UsageError(f"{self.config!r}: {reason}", file=model.file, key=key) from None
        if not isinstance(content, dict):
            raise UsageError(f"{self.config!r} is no object of JSON", file=model.file, key=key)
        return {**self.options, _FILE: {name: value for name, value in content.items() if name not in _FETCHING}}

    @staticmethod
    def network(name: str, options: Mapping[str, Any]) -> nn.Module:
        """The network with weights drawn at random."""
        _named.refuse(options, _FETCHING)
        kind = _kind(name)
        config = _configured(kind, options)
        # Attention as matrices and a softmax: what exporters and quantizers know.
        module: nn.Module = kind._from_config(config, attn_implementation="eager", dtype="float32")
        return module

    @staticmethod
    def usual(name: str, options: Mapping[str, Any]) -> Usual:
        """Pictures of its configuration's size, or words and their mask, in a number that it leaves open."""
        kind = _kind(name)
        config = _configured(kind, options)
        if kind.main_input_name != "pixel_values":
            words = (Port(one, ("batch", "length"), "int64") for one in (kind.main_input_name, "attention_mask"))
            return Usual(tuple(words), classes=_CLASSES)
        channels, size = config.num_channels, config.image_size
        port = Port(kind.main_input_name, ("batch", channels, size, size), "float32")
        return Usual((port,), (0.5,), (0.5,), classes=_CLASSES)


def _kind(name: str) -> Any:
    """The class of this name."""
    compiled_torchvision.stand_in()
    import transformers
    from transformers import PreTrainedModel

    kind: Any = getattr(transformers, name) if name in dir(transformers) else None
    if not _builds(kind, PreTrainedModel):
        named = (one for one in dir(transformers) if one.endswith("Model") or "For" in one)
        raise _named.unknown(name, named, "transformers")
    return kind


def _configured(kind: Any, options: Mapping[str, Any]) -> Any:
    """Its configuration; UsageError for an option that it has no field for."""
    known = kind.config_class()
    own = {key: value for key, value in options.items() if key != _FILE}
    for key in own:
        if key not in dir(known):
            raise UsageError(f"unknown key {key!r}", key="options", hint=suggest(key, known.to_dict()))
    return kind.config_class(**{**options.get(_FILE, {}), **own, "return_dict": False})


def _builds(kind: Any, base: Any) -> bool:
    """Whether it is a network, and no base that many share."""
    return isinstance(kind, type) and issubclass(kind, base) and kind is not base
