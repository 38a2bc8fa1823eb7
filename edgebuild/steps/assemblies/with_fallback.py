"""The verdicts on a split model with those on its fall-back, which answers alone while the server cannot be reached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.evidence import Verdict, Verdicts, combine


@dataclass(frozen=True, slots=True)
class WithFallback(Step):
    """Inputs: the verdicts on the `whole` and on the `fallback`, both by the same gates; `name` is the latter's."""

    name: str

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "verdicts"
    needs: ClassVar[tuple[str, ...]] = ("whole", "fallback")
    deterministic: ClassVar[Determinism] = "everywhere"

    def run(self, io: StepIO) -> None:
        """Write `verdicts.json`: what stops the fall-back stops the bundle."""
        whole, fallback = (documents.read(Verdicts, io.path(role) / evidence.VERDICTS) for role in self.needs)
        judged = whole.shipped
        verdicts = (*judged.verdicts, *self._named(fallback.shipped.verdicts))
        status = combine([verdict.status for verdict in verdicts])
        formats = dict(whole.formats) | {whole.format: replace(judged, status=status, verdicts=verdicts)}
        documents.write(io.output / evidence.VERDICTS, replace(whole, status=status, formats=formats))

    def _named(self, verdicts: tuple[Verdict, ...]) -> Iterator[Verdict]:
        for verdict in verdicts:
            yield replace(verdict, output=f"{self.name}, {verdict.output}" if verdict.output else self.name)
