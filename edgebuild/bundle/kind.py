"""What a kind of package is: it writes a folder out of a bundle that has been checked, the same bytes every time."""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from edgebuild.bundle import manifest
from edgebuild.bundle.facts import BundleManifest, Golden, ShippedPart
from edgebuild.spec import sha256
from edgebuild.spec.errors import UsageError
from edgebuild.spec.plugins import Registry


@dataclass(frozen=True)
class Contents:
    """A bundle to package: every byte of `folder` is as `facts` say, and nobody changes it meanwhile.

    `release` is what its maker calls this version; None: it goes by its digest.
    """

    folder: Path
    facts: BundleManifest
    release: str | None = None

    @property
    def name(self) -> str:
        """What packages of it are called: model and target, in lower-case letters, digits and dashes."""
        text = f"{self.facts.subject.model}-{self.facts.subject.target}".lower()
        return re.sub(r"[^a-z0-9]+", "-", text).strip("-") or "model"

    @property
    def identifier(self) -> str:
        """The same where only an identifier will do."""
        name = self.name.replace("-", "_")
        return f"model_{name}" if name[0].isdigit() else name

    @property
    def summary(self) -> str:
        """One line on what it is; it says so where it is no release."""
        subject = self.facts.subject
        first = (subject.model_description or subject.model).splitlines()[0]
        return f"{first} (for {subject.target}; {self.standing})"

    @property
    def standing(self) -> str:
        """Whether all gates have passed, in words."""
        return "released" if self.released else f"NOT RELEASED: {self.facts.status}"

    @property
    def released(self) -> bool:
        """Whether all gates have passed."""
        return self.facts.status == "released"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the manifest, which has the digests of all else."""
        return sha256.of_file(self.folder / manifest.MANIFEST)

    @property
    def version(self) -> str:
        """A version by PEP 440, which Debian takes too; what is not released is a development version."""
        mark = "" if self.released else ".dev0"
        return f"{self.release}{mark}" if self.release else f"0{mark}+{self.digest[:12]}"

    def files(self) -> dict[str, bytes]:
        """Every file of the bundle by relative path, sorted."""
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in paths}

    def only(self, kind: str, format_name: str) -> ShippedPart:
        """The one file of what must be one file of a format; UsageError, which names the kind, for all else."""
        part, *more = self.facts.parts
        if more or part.runtime.format != format_name:
            formats = " and ".join(each.runtime.format for each in self.facts.parts)
            reason = f"is of {formats}, and {kind!r} packages one {format_name} file"
            hint = f"build it for a target that has a runtime of the format {format_name} alone"
            raise UsageError(reason, file=str(self.folder), key="--as", hint=hint)
        return part

    def model(self, part: ShippedPart) -> bytes:
        """A part's model file, decoded where it ships coded."""
        return manifest.model(self.folder, part)

    def stateless(self, kind: str) -> None:
        """UsageError for a model with states, which what serves single examples would lose."""
        if any(port.state for port in self.facts.inputs):
            reason = f"has states that go from example to example, which a package of kind {kind!r} would lose"
            raise UsageError(reason, file=str(self.folder), key="--as")

    def golden(self, kind: str) -> Golden:
        """The golden vectors; UsageError for a bundle of an edgebuild that made none."""
        if self.facts.golden is None:
            reason = f"has no golden inputs, by which a package of kind {kind!r} tests itself"
            raise UsageError(reason, file=str(self.folder), hint="build it again with this edgebuild")
        return self.facts.golden


class Kind(Protocol):
    """A kind of package; one file in `bundle/kinds/`. Its docstring's first line says what it is for people."""

    __slots__ = ()

    @abstractmethod
    def write(self, bundle: Contents, folder: Path) -> None:
        """Write the package into an empty folder: bytes that the bundle alone decides.

        UsageError for a bundle that cannot be of this kind, with the reason.
        """


# mypy takes a base for a class to make objects of, which nobody does.
KINDS: Registry[Kind] = Registry(
    Kind,  # type: ignore[type-abstract]
    "edgebuild.bundle.kinds",
    "kind of package",
    "edgebuild.kinds",
)
