"""Finds plug-ins by file name: `techniques/prune_channels.py` holds the class PruneChannels, `prune_channels`.

Third parties add theirs by the entry points `edgebuild.steps`, `edgebuild.formats`, `edgebuild.devices`,
`edgebuild.gates`; a file of ours wins over an entry point of the same name.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from edgebuild.spec.errors import UsageError
from edgebuild.spec.names import suggest


@dataclass(frozen=True, slots=True)
class Registry:
    """The plug-ins of one folder of the package; `noun` is what messages call one of them, `group` the entry points
    of those that other packages bring.
    """

    package: str
    noun: str
    group: str

    def names(self) -> list[str]:
        """Every known name, sorted."""
        return sorted({*_own(self.package), *_foreign(self.group)})

    def get(self, name: str, *, file: str | None = None, key: str | None = None) -> Any:
        """The class of this name; UsageError with the nearest names when there is none."""
        if name in _own(self.package):
            return getattr(importlib.import_module(f"{self.package}.{name}"), class_name(name))
        if name in _foreign(self.group):
            return _foreign(self.group)[name].load()
        raise UsageError(f"unknown {self.noun} {name!r}", file=file, key=key, hint=suggest(name, self.names()))

    def module(self, name: str) -> str:
        """The module that holds the class of this name: its code is part of the keys of what uses it."""
        module: str = self.get(name).__module__
        return module


def class_name(name: str) -> str:
    """The class that a file holds: `prune_channels` → `PruneChannels`."""
    return "".join(word.capitalize() for word in name.split("_"))


def file_name(kind: type) -> str:
    """The name of a plug-in whose class this is: `PruneChannels` → `prune_channels`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


@cache
def _own(package: str) -> tuple[str, ...]:
    # Not by pkgutil, to which a folder that cannot be listed, as when memory has run out, is an empty one.
    (folder,) = importlib.import_module(package).__path__
    return tuple(sorted(path.stem for path in Path(folder).glob("*.py") if not path.name.startswith("_")))


@cache
def _foreign(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}


STEPS = Registry("edgebuild.steps.techniques", "step", "edgebuild.steps")
FORMATS = Registry("edgebuild.formats", "format", "edgebuild.formats")
DEVICES = Registry("edgebuild.devices", "device transport", "edgebuild.devices")
GATES = Registry("edgebuild.gates", "metric", "edgebuild.gates")
