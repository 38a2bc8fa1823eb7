"""A network that a class or function of an installed package makes, such as torchcrepe:Crepe."""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.nn import compiled_torchvision
from edgebuild.sources._named import Named
from edgebuild.spec.errors import UsageError, exhausted
from edgebuild.spec.look import Usual
from edgebuild.spec.names import suggest

if TYPE_CHECKING:
    from torch import nn


NONE = "None"  # as an option's value: TOML has no word of its own for it


@dataclass(frozen=True, slots=True)
class Package(Named):
    """`name` is where it is imported from, module:class or module:function; `options` are its keyword arguments."""

    requires: ClassVar[tuple[str, ...]] = ("torch", "safetensors")
    extra: ClassVar[str | None] = "torch"

    @staticmethod
    def network(name: str, options: Mapping[str, Any]) -> nn.Module:
        """What it returns, with the weights that it draws."""
        from torch import nn

        module = _made(_callable(name), {key: None if value == NONE else value for key, value in options.items()})
        if not isinstance(module, nn.Module):
            raise UsageError(f"{name} makes a {type(module).__name__}, not a torch.nn.Module", key="name")
        return module

    @staticmethod
    def usual(name: str, options: Mapping[str, Any]) -> Usual:
        """Nothing is known of what it is fed."""
        _callable(name)
        return Usual(())

    @staticmethod
    def brought_by(name: str) -> tuple[str, ...]:
        """The distributions that have its module; UsageError where no version of one tells when its code changes."""
        top = _places(name)[0].partition(".")[0]
        distributions = tuple(sorted(_by_package().get(top, ())))
        hint = "write a function of models/NAME/model.py that builds it"
        if not distributions:
            raise UsageError(
                f"no distribution with {top!r} is installed", key="name", hint=f"pip install it, or {hint}"
            )
        for each in distributions:
            source = json.loads(metadata.distribution(each).read_text("direct_url.json") or "{}")
            if source.get("dir_info", {}).get("editable"):
                reason = f"{each} is installed as editable: its code may change without its version"
                raise UsageError(reason, key="name", hint=f"install it as it is, or {hint}")
        return distributions


def _made(build: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """What it returns, told lists as TOML has them, or tuples where it does not take lists."""
    try:
        return build(**options)
    except Exception as error:  # a package may raise whatever it likes
        fixed = {key: _tuple(value) for key, value in options.items()}
        if exhausted(error) or fixed == options:
            raise
        with contextlib.suppress(Exception):  # the first reason is that of what was written
            return build(**fixed)
        raise


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value


@functools.cache
def _by_package() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


def _places(name: str) -> tuple[str, str]:
    module, colon, attribute = name.partition(":")
    if not module or not colon or not attribute:
        raise UsageError(f"{name!r} is not MODULE:CLASS, such as torchcrepe:Crepe", key="name")
    return module, attribute


def _callable(name: str) -> Any:
    """The class or function of this name; what importing its module raises goes on."""
    place, attribute = _places(name)
    compiled_torchvision.stand_in_when_imported()
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        hint = f"pip install what has {error.name}, in the environment of edgebuild"
        raise UsageError(f"cannot be imported: there is no module {error.name!r}", key="name", hint=hint) from None
    builder: Any = vars(module).get(attribute)
    if not callable(builder):
        from torch import nn

        known = [one for one, kind in vars(module).items() if isinstance(kind, type) and issubclass(kind, nn.Module)]
        raise UsageError(f"{place} has no class or function {attribute!r}", key="name", hint=suggest(attribute, known))
    return builder
