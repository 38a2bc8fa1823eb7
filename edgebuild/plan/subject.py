"""Finds what a gate on a finished bundle needs: files that the bundle names by digest, and what its build has told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from edgebuild.bundle import baselines, manifest
from edgebuild.bundle.baselines import Baseline
from edgebuild.bundle.facts import BundleManifest, ShippedPart
from edgebuild.engine.store import Store
from edgebuild.plan.gate import Against, Subject
from edgebuild.plan.joined import joining_of
from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import Artifact
from edgebuild.spec.errors import EdgebuildError, UsageError
from edgebuild.spec.evidence import known
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.target import Policy, Target

FLOAT = "the float model"
# What the build has told of weights and conversion, which no device changes.
_CARRIED = ("parity", "source-parity", "footprint", "proof", "joined")


@dataclass(frozen=True, slots=True)
class Finder:
    """Looks in the store, in the baseline that is compared with, then in all others of the folder `baselines`.

    `bundle` is how messages name it, `copy` a copy that does not change, `facts` its manifest.
    """

    store: Store
    bundle: Path
    copy: Path
    facts: BundleManifest
    baselines: Path
    release: Baseline | None

    def subject(self, target: Target, model: ModelSpec, policy: Policy) -> Subject:
        """All that a gate is planned from; UsageError, with how to get it, for what is nowhere."""
        kind, parts = self.facts.format, self.facts.parts
        several = len(parts) > 1
        if several:
            self._refuse_unknown(model)
        return Subject(
            target=target,
            model=model,
            policy=policy,
            format=kind,
            candidate=None if several else self._file(parts[0], kind, "candidate"),
            parts={part.name: self._file(part, kind, f"candidate/{part.name}") for part in parts if several},
            rule=self._rule() if several else None,
            float=Against(FLOAT, self._float_model(kind), self._carried(kind)),
            release=self._against(self.release) if self.release else None,
            data=self._find("data", "data", "data"),
        )

    def _refuse_unknown(self, model: ModelSpec) -> None:
        """UsageError for an assembly that is judged otherwise, or that the model is not any more."""
        ours, declared = ([part.name for part in parts] for parts in (self.facts.parts, model.parts))
        joining = joining_of(model) if model.declared.joining is not None else None
        if joining is not None and (joining.cuts or joining.files):
            raise UsageError("is one model cut in two: that is judged where it is built", file=str(self.bundle))
        if ours != declared:
            reason = f"is an assembly of {', '.join(ours)}, and the model now declares {', '.join(declared) or 'none'}"
            raise UsageError(reason, file=str(self.bundle), hint="build it again")
        if self.release is not None:
            reason = "is an assembly, which is held against the float model alone"
            raise UsageError(reason, file=str(self.bundle), hint="leave the baseline out")

    def _rule(self) -> Artifact:
        """What decides which parts answer: the numbers that the bundle goes by."""
        assert self.facts.router is not None
        rule = replace(known(self.facts.evidence.joined).joined, rule=self.facts.router.rule)
        folder = self.store.scratch("rule")
        documents.write(folder / evidence.RULE, rule)
        return self.store.put(folder, "rule")

    def _file(self, part: ShippedPart, kind: str, role: str) -> Artifact:
        """A file of the bundle with what its build put beside it, so that what was measured before is used again."""
        name, content = FORMATS.get(kind).file, manifest.model(self.copy, part)
        built = Artifact(kind, self.facts.sources.get(role, ""))
        if built.digest and self.store.holds(built):
            file = self.store.path(built) / name
            if file.is_file() and file.read_bytes() == content:
                return built
        folder = self.store.scratch("candidate")
        (folder / name).write_bytes(content)
        return self.store.put(folder, kind)

    def _float_model(self, kind: str) -> Artifact:
        found = self._find("baseline", kind, "reference")
        if found is None:
            told = "the float model that its gates refer to is neither in the store nor beside a baseline"
            hint = "edgebuild baseline set BUNDLE where it was built brings it along, or build it here"
            raise UsageError(told, file=str(self.bundle), hint=hint)
        return found

    def _find(self, role: str, kind: str, part: str) -> Artifact | None:
        """What the bundle names in this role; None where it is nowhere."""
        digest = self.facts.sources.get(role)
        if digest is None:
            told = "was built by an edgebuild that did not name its sources"
            raise UsageError(told, file=str(self.bundle), hint="build it again")
        artifact = Artifact(kind, digest)
        if self.store.holds(artifact):
            return artifact
        for baseline in self._baselines():
            folder = baseline.part(part)
            if baseline.facts.sources[role] == digest and folder is not None:
                return self._snapshot(folder, kind)
        return None

    def _baselines(self) -> Iterator[Baseline]:
        if self.release is not None:
            yield self.release
        yield from (item for item in baselines.survey(self.baselines) if not isinstance(item, EdgebuildError))

    def _carried(self, kind: str) -> dict[str, Artifact]:
        """The build's evidence that stays true on any device."""
        folders = {name: self.copy / "evidence" / f"{name}-{kind}" for name in _CARRIED}
        return {name: self._snapshot(folder, "evidence") for name, folder in folders.items() if folder.is_dir()}

    def _against(self, release: Baseline) -> Against:
        """The earlier release; what the two weigh is in the evidence of their builds."""
        ours, theirs = (known(of.evidence.footprint).candidate for of in (self.facts, release.facts))
        folder = self.store.scratch("footprint")
        documents.write(folder / evidence.FILE, evidence.Footprint(ours, theirs))
        name = release.facts.only(release.folder).file
        file = self.store.snapshot({name: release.folder / "artifact" / name}, release.format)
        return Against(release.name, file, {"footprint": self._snapshot(folder, "evidence")})

    def _snapshot(self, folder: Path, kind: str) -> Artifact:
        return self.store.snapshot({path.name: path for path in sorted(folder.iterdir())}, kind)
