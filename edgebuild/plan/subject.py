"""Finds what a gate on a finished bundle needs: files that the bundle names by digest, and what its build has told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgebuild.bundle import baselines, manifest
from edgebuild.bundle.baselines import Baseline
from edgebuild.bundle.facts import BundleManifest, Manifest, ShippedPart
from edgebuild.engine.store import Store
from edgebuild.plan.gate import Against, Shipped, Subject
from edgebuild.plan.joining import joining_of, names_of
from edgebuild.plan.splitting import EDGE, FALLBACK, SERVER
from edgebuild.spec import documents, evidence
from edgebuild.spec.artifact import Artifact
from edgebuild.spec.errors import EdgebuildError, UsageError
from edgebuild.spec.evidence import known
from edgebuild.spec.joining import ASSEMBLIES
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.target import Policy, Target

FLOAT = "the float model"
# What the build has told of weights and conversion, which no device changes.
_CARRIED = ("parity", "source-parity", "footprint", "proof", "joined", "cuts")


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
        kind, candidate = self.facts.format, self._shipped(self.facts, lambda part: manifest.model(self.copy, part))
        if candidate.use:
            self._refuse_unknown(model)
        return Subject(
            target=target,
            model=model,
            policy=policy,
            format=kind,
            candidate=candidate,
            float=Against(FLOAT, Shipped({"": self._float_model(kind)}), self._carried(kind), self._of_fallback(kind)),
            release=self._against(self.release) if self.release else None,
            data=self._find("data", "data", "data"),
        )

    def _refuse_unknown(self, model: ModelSpec) -> None:
        """UsageError for an assembly that the model is not any more."""
        ours, declared = [part.name for part in self.facts.parts], _parts(model)
        if ours != declared:
            reason = f"is an assembly of {', '.join(ours)}, and the model now declares {', '.join(declared) or 'none'}"
            raise UsageError(reason, file=str(self.bundle), hint="build it again")

    def _shipped(self, facts: Manifest, read: Callable[[ShippedPart], bytes]) -> Shipped:
        """All files of a bundle or a baseline, and the numbers that decide which of them run."""
        if facts.router is None:
            (part,) = facts.parts
            return Shipped({"": self._file(facts, part, "candidate", read(part))})
        files = {part.name: self._file(facts, part, f"candidate/{part.name}", read(part)) for part in facts.parts}
        if ASSEMBLIES.get(facts.router.use).cuts:
            whole = Artifact(facts.format, facts.sources.get("candidate", ""))
            return Shipped(files, facts.router.use, whole=whole if self._holds(whole) else None)
        rule = replace(known(facts.evidence.joined).joined, rule=facts.router.rule)
        folder = self.store.scratch("rule")
        documents.write(folder / evidence.RULE, rule)
        return Shipped(files, facts.router.use, self.store.put(folder, "rule"))

    def _holds(self, artifact: Artifact) -> bool:
        return bool(artifact.digest) and self.store.holds(artifact)

    def _file(self, facts: Manifest, part: ShippedPart, role: str, content: bytes) -> Artifact:
        """A file of the bundle with what its build put beside it, so that what was measured before is used again."""
        kind = part.runtime.format
        name, built = FORMATS.get(kind).file, Artifact(kind, facts.sources.get(role, ""))
        if self._holds(built):
            file = self.store.path(built) / name
            if file.is_file() and file.read_bytes() == content:
                return built
        folder = self.store.scratch("file")
        (folder / name).write_bytes(content)
        return self.store.put(folder, kind)

    def _float_model(self, kind: str) -> Artifact:
        artifact = self._find("baseline", kind, "reference")
        if artifact is None:
            message = "the float model that its gates refer to is neither in the store nor beside a baseline"
            hint = "edgebuild baseline set BUNDLE where it was built brings it along, or build it here"
            raise UsageError(message, file=str(self.bundle), hint=hint)
        return artifact

    def _find(self, role: str, kind: str, part: str) -> Artifact | None:
        """What the bundle names in this role; None where it is nowhere."""
        digest = self.facts.sources.get(role)
        if digest is None:
            message = "was built by an edgebuild that did not name its sources"
            raise UsageError(message, file=str(self.bundle), hint="build it again")
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
        return self._evidence({name: f"{name}-{kind}" for name in _CARRIED})

    def _of_fallback(self, kind: str) -> dict[str, Artifact]:
        """The same of the fall-back, if there is one."""
        if all(part.name != FALLBACK for part in self.facts.parts):
            return {}
        carried = self._evidence({name: f"{FALLBACK}-{name}-{kind}" for name in _CARRIED})
        if not carried:
            reason = "was built by an edgebuild that kept no evidence on the fall-back"
            raise UsageError(reason, file=str(self.bundle), hint="build it again")
        return carried

    def _evidence(self, folders: Mapping[str, str]) -> dict[str, Artifact]:
        places = {name: self.copy / "evidence" / folder for name, folder in folders.items()}
        return {name: self._snapshot(place, "evidence") for name, place in places.items() if place.is_dir()}

    def _against(self, release: Baseline) -> Against:
        """The earlier release; what the two weigh is in the evidence of their builds."""
        ours, theirs = (known(of.evidence.footprint).candidate for of in (self.facts, release.facts))
        folder = self.store.scratch("footprint")
        documents.write(folder / evidence.FILE, evidence.Footprint(ours, theirs))
        shipped = self._shipped(release.facts, release.file)
        return Against(
            release.name,
            shipped,
            {"footprint": self._snapshot(folder, "evidence")}
            | self._evidence({"joined": f"joined-{self.facts.format}"}),
        )

    def _snapshot(self, folder: Path, kind: str) -> Artifact:
        return self.store.snapshot({path.name: path for path in sorted(folder.iterdir())}, kind)


def _parts(model: ModelSpec) -> list[str]:
    """The names of the parts that a bundle of the model has today; empty for one that is one file."""
    if model.declared.joining is None:
        return []
    if joining_of(model).cuts:
        return [EDGE, SERVER, *([FALLBACK] if len(model.parts) > 1 else [])]
    return [*names_of(model, joining_of(model))]
