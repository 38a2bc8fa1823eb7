"""A network that a package builds by its name: what stands in the place of a function of the project's model.py.

An artifact names it, and is loaded by building it anew: no code but the package's is run for that.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edgebuild.nn.offline import offline
from edgebuild.nn.usable import usable
from edgebuild.spec import sha256
from edgebuild.spec.errors import UsageError, exhausted
from edgebuild.spec.source import SOURCES, Source

if TYPE_CHECKING:
    from torch import nn

    from edgebuild.spec.look import Usual

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Network:
    """Which source knows it, what it is called there, and what the package is told beside its name."""

    use: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def shown(self) -> str:
        """As messages name it."""
        return f"{self.use} {self.name!r}"

    def module(self) -> nn.Module:
        """With weights drawn at random; UsageError for what the package does not know, refuses, or would download."""
        return usable(self._asked(lambda: self._source.network(self.name, self.options)))

    def usual(self) -> Usual:
        """What it is usually fed; UsageError as `module`."""
        return self._asked(lambda: self._source.usual(self.name, self.options))

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            with offline(f"something of {self.shown}"):
                return ask()
        except UsageError:
            raise
        except (Exception, SystemExit) as error:  # a package may raise whatever it likes
            if exhausted(error):
                raise
            reason = " ".join(str(error).split()) or "no reason"
            raise UsageError(f"{self.shown} cannot be built: {type(error).__name__}: {reason}") from None

    def versions(self) -> dict[str, str]:
        """Of the packages, and as a digest of the code here, that decide what the module is.

        They are kept in each artifact: steps behind it must not take a module of today for one of tomorrow.
        """
        kind = self._source
        code = sha256.of_file(Path(inspect.getfile(kind)))
        packages = (*kind.requires, *kind.brought_by(self.name))
        return {name: metadata.version(name) for name in packages} | {kind.__module__: code}

    @property
    def _source(self) -> type[Source]:
        return SOURCES.get(self.use)
