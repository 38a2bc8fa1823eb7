"""Assembles what is shipped: the chosen model file, its runner, labels, pre-processing, card, evidence, manifest."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild import __version__, travels
from edgebuild.bundle import card, golden, manifest, png
from edgebuild.bundle.facts import (
    BundleManifest,
    Golden,
    Port,
    Routed,
    Router,
    ShippedPart,
    ShownHead,
    Standing,
    Subject,
)
from edgebuild.spec import calibration, dataset, documents, evidence, layout, model_file, notes, tasks
from edgebuild.spec.artifact import Determinism, Step, StepIO
from edgebuild.spec.assembly import Assembly, End, Part
from edgebuild.spec.calibration import Calibrations
from edgebuild.spec.errors import UsageError
from edgebuild.spec.evidence import RULE, Rule, Status, Verdicts
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.signature import Head, Signature, TensorSpec

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array

_STATUS: dict[Status, Standing] = {"pass": "released", "inconclusive": "candidate"}


@dataclass(frozen=True, slots=True)
class Assemble(Step):
    """Inputs: `candidate/<format>` for each assembly, `baseline/<format>`, `evidence/<name>`, `verdicts`, the data for
    the sample, and where they are known `answers/<format>` for the golden vectors. An assembly of several parts has
    `candidate/<format>/<part>` for each of them, and where a router decides which run, what that goes by,
    `rule/<format>`.

    The output has `evidence/`, and `bundle/` unless a gate failed: then there is nothing to ship.
    `assemblies` are what may be shipped, one for a format; `packages` name each format's distributions;
    `fingerprints` say by role what each piece of evidence was measured on; `dropped` are the steps of the recipe that
    were left out because they bought nothing.
    """

    subject: Subject
    assemblies: tuple[Assembly, ...]
    packages: Mapping[str, tuple[str, ...]]
    fingerprints: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "bundle"
    needs: ClassVar[tuple[str, ...]] = ("verdicts", "data")
    tools: ClassVar[tuple[str, ...]] = ("jinja2",)
    deterministic: ClassVar[Determinism] = "everywhere"

    def run(self, io: StepIO) -> None:
        """Write the folders."""
        verdicts = documents.read(Verdicts, io.path("verdicts") / evidence.VERDICTS)
        _gather(io, io.output / "evidence")
        notes.write(io.output / "evidence", _notes(io))
        if steps := {record.step: record.calibration for record in io.provenance if record.calibration is not None}:
            documents.write(io.output / "evidence" / calibration.FILE, Calibrations(steps))
        if verdicts.status in _STATUS:
            shutil.copytree(io.output / "evidence", io.output / "bundle" / "evidence")
            self._fill(io, io.output / "bundle", verdicts)

    def _fill(self, io: StepIO, folder: Path, verdicts: Verdicts) -> None:
        assembly = next(each for each in self.assemblies if each.format == verdicts.format)
        parts = [_ship(part, _file(io, assembly, part), folder) for part in assembly.ordered()]
        for name in travels.bundled(self.subject.preprocess.kind if self.subject.preprocess else None):
            shutil.copyfile(travels.file(name), folder / name)
        if any(head.decoder for head in self.subject.heads):
            shutil.copyfile(travels.file(travels.BOXES), folder / travels.BOXES)
        for name in assembly.travelling:
            shutil.copyfile(model_file.module(name), folder / model_file.module(name).name)
        packages = sorted({name for part in assembly.parts for name in self.packages[part.runtime.format]})
        (folder / "requirements.txt").write_text(f"numpy>=1.24\n{''.join(map(_pinned, packages))}")
        if labels := {head.name: list(head.labels) for head in self.subject.heads if head.labels}:
            only = len(self.subject.heads) == 1
            _write_json(folder / "labels.json", next(iter(labels.values())) if only else labels)
        sample = self._sample(io, folder)
        facts = self._facts(verdicts, assembly, tuple(parts), io, _golden(io, assembly, folder))
        (folder / "README.md").write_text(card.render(facts, sample), encoding="utf-8")
        manifest.seal(folder, facts)

    def _facts(
        self,
        verdicts: Verdicts,
        assembly: Assembly,
        parts: tuple[ShippedPart, ...],
        io: StepIO,
        vectors: Golden | None,
    ) -> BundleManifest:
        inputs, outputs = _ports(assembly.signature, {})
        return BundleManifest(
            edgebuild=__version__,
            status=_STATUS[verdicts.status],
            subject=self.subject,
            format=assembly.format,
            parts=parts,
            routing=tuple(Routed(_named(route.source), _named(route.target)) for route in assembly.routing),
            inputs=inputs,
            outputs=outputs,
            heads=tuple(map(_shown, self.subject.heads)),
            evidence=verdicts.shipped.evidence,
            verdicts=verdicts.shipped.verdicts,
            sources=_sources(io, assembly),
            fingerprints=_of_format(self.fingerprints, assembly.format),
            formats={name: judged.status for name, judged in verdicts.formats.items()},
            dropped=self.dropped,
            notes=tuple(_notes(io)),
            provenance=io.provenance,
            golden=vectors,
            router=_router(io, assembly),
        )

    def _sample(self, io: StepIO, folder: Path) -> str:
        """Put one held-out example into the bundle; its file name."""
        test = dataset.read(io.path("data"), "test")
        if self.subject.sample >= len(test):
            raise UsageError(
                f"there are {len(test)} held-out examples", file=f"models/{self.subject.model}/model.toml", key="sample"
            )
        row = slice(self.subject.sample, self.subject.sample + 1)
        how, examples = self.subject.preprocess, [example[0] for example in test.take(row).inputs]
        loops = {loop.input for loop in self.subject.signature.loops}
        examples = [example for place, example in enumerate(examples) if place not in loops]
        if how is not None:
            for file in dataset.files(io.path("data")):
                shutil.copyfile(file, folder / file.name)
                how = how.with_file(file.name)
            _write_json(folder / "preprocess.json", how.json())
        pixels = how.picture(examples[0]) if how is not None and len(examples) == 1 else None
        if pixels is None:
            return _write_arrays(folder, [example[None] for example in examples])
        (folder / "sample.png").write_bytes(png.encode(pixels))
        return "sample.png"


def _pinned(package: str) -> str:
    """The line for the version that is here, without what a builder of it has added (+cpu), which no index knows."""
    return f"{package}=={metadata.version(package).partition('+')[0]}\n"


def _file(io: StepIO, assembly: Assembly, part: Part) -> Path:
    role = f"candidate/{assembly.format}" + (f"/{part.name}" if len(assembly.parts) > 1 else "")
    return io.path(role) / FORMATS.get(part.runtime.format).file


def _router(io: StepIO, assembly: Assembly) -> Router | None:
    """What decides which parts run, and the numbers that were chosen for it."""
    if assembly.router is None:
        return None
    rule = documents.read(Rule, io.path(f"rule/{assembly.format}") / RULE)
    return Router(rule.use, model_file.module(assembly.router).name, rule.rule)


def _golden(io: StepIO, assembly: Assembly, folder: Path) -> Golden | None:
    """Put golden vectors into the bundle; None where nobody asked what the file answers."""
    role = f"answers/{assembly.format}"
    if role not in io.inputs:
        return None
    return golden.keep(io.path("data"), io.path(role), folder, FORMATS.get(assembly.format).tolerance)


def _named(end: End) -> tuple[str | None, str]:
    return end.part, end.tensor


def _ship(part: Part, file: Path, folder: Path) -> ShippedPart:
    """Put a part's file and its loader into the bundle; what the manifest says of it."""
    loader = model_file.loader(FORMATS.get(part.runtime.format))
    shutil.copyfile(loader, folder / loader.name)
    coded = manifest.ship(file, folder, part.file)
    ports = _ports(part.signature, model_file.layouts(file))
    return ShippedPart(part.name, part.file, loader.name, part.runtime, *ports, coded)


def _ports(signature: Signature, layouts: Mapping[str, list[str | None]]) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Inputs and outputs as a caller must know them, in their order; what crosses between halves is none."""
    inputs = zip_longest(signature.inputs, layouts.get("inputs", ()))
    outputs = zip_longest(signature.outputs, layouts.get("outputs", ()))
    return tuple(_port(*each) for each in inputs if each[0]), tuple(_port(*each) for each in outputs if each[0])


def _port(spec: TensorSpec, how: str | None) -> Port:
    return Port(
        spec.name, how, tuple(layout.shape_in_file((1, *spec.shape), how)), spec.dtype, spec.meaning, spec.state
    )


def _shown(head: Head) -> ShownHead:
    show = tasks.of(head).show
    return ShownHead(head.name, head.task, head.outputs, show, head.labels, head.decoder, head.scores)


def _sources(io: StepIO, assembly: Assembly) -> dict[str, str]:
    """Digests of the artifacts that a gate needs again: they are found by them in a store or beside a baseline."""
    name = assembly.format
    roles = {"candidate": f"candidate/{name}", "baseline": f"baseline/{name}", "data": "data"}
    roles |= {f"candidate/{part.name}": f"candidate/{name}/{part.name}" for part in assembly.parts}
    return {role: io.inputs[source].digest for role, source in roles.items() if source in io.inputs}


def _notes(io: StepIO) -> list[str]:
    """What the steps said of their own accord, each line behind the step's name."""
    return [f"{record.step}: {line}" for record in io.provenance for line in record.notes]


def _of_format(by_role: Mapping[str, Mapping[str, str]], name: str) -> dict[str, dict[str, str]]:
    """What is about one format or about all, by the kind of evidence alone."""
    split = {role: role.partition("/") for role in by_role}
    return {kind: dict(by_role[role]) for role, (kind, _, of) in split.items() if of in ("", name)}


def _gather(io: StepIO, folder: Path) -> None:
    """Copy every piece of evidence below `folder`, one sub-folder each."""
    for name, item in io.roles("evidence").items():
        shutil.copytree(item.path, folder / name, copy_function=shutil.copyfile)


def _write_arrays(folder: Path, arrays: list[Array]) -> str:
    import numpy as np

    if len(arrays) == 1:
        np.save(folder / "sample.npy", arrays[0])
        return "sample.npy"
    named: dict[str, Any] = {str(position): values for position, values in enumerate(arrays)}
    np.savez(folder / "sample.npz", **named)
    return "sample.npz"


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
