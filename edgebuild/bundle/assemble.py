"""Assembles what is shipped: the chosen model file, its runner, labels, pre-processing, card, evidence, manifest."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild import __version__, travels
from edgebuild.bundle import card, manifest, png
from edgebuild.bundle.facts import BundleManifest, Coded, InputPort, OutputPort, Standing, Subject
from edgebuild.spec import dataset, documents, evidence, layout, notes
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.evidence import Status, Verdicts
from edgebuild.spec.model import ImageInput
from edgebuild.spec.target import Runtime

if TYPE_CHECKING:
    from edgebuild.spec.dataset import Array

_STATUS: dict[Status, Standing] = {"pass": "released", "inconclusive": "candidate"}


@dataclass(frozen=True, slots=True)
class Assemble:
    """Inputs: `candidate/<format>`, `baseline/<format>`, `evidence/<name>`, `verdicts`, and the data for the sample.

    The output has `evidence/`, and `bundle/` unless a gate failed: then there is nothing to ship.
    `files` and `packages` name each runtime's model file and distribution, in the order of `runtimes`;
    `fingerprints` say by role what each piece of evidence was measured on; `dropped` are the steps of the recipe that
    were left out because they bought nothing.
    """

    subject: Subject
    runtimes: tuple[Runtime, ...]
    files: tuple[str, ...]
    packages: tuple[str, ...]
    fingerprints: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "bundle"
    needs: ClassVar[tuple[str, ...]] = ("verdicts", "data")
    tools: ClassVar[tuple[str, ...]] = ("jinja2",)
    deterministic: ClassVar[Determinism] = "everywhere"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Write the folders."""
        verdicts = documents.read(Verdicts, io.path("verdicts") / evidence.VERDICTS)
        _gather(io, io.output / "evidence")
        notes.write(io.output / "evidence", _notes(io))
        if verdicts.status in _STATUS:
            shutil.copytree(io.output / "evidence", io.output / "bundle" / "evidence")
            self._fill(io, io.output / "bundle", verdicts)

    def _fill(self, io: StepIO, folder: Path, verdicts: Verdicts) -> None:
        index = [runtime.format for runtime in self.runtimes].index(verdicts.format)
        runtime, file, package = self.runtimes[index], self.files[index], self.packages[index]
        coded = manifest.ship(io.path(f"candidate/{runtime.format}") / file, folder)
        loader = travels.loader(runtime.format)
        for name in (travels.BUNDLE_RUNNER, travels.VALUES, loader):
            shutil.copyfile(travels.file(name), folder / name)
        (folder / "requirements.txt").write_text(f"numpy>=1.24\n{package}=={metadata.version(package)}\n")
        if self.subject.labels:
            _write_json(folder / "labels.json", list(self.subject.labels))
        sample = self._sample(io, folder)
        facts = self._facts(verdicts, runtime, file, io, loader, coded)
        (folder / "README.md").write_text(card.render(facts, sample), encoding="utf-8")
        manifest.seal(folder, facts)

    def _facts(
        self, verdicts: Verdicts, runtime: Runtime, file: str, io: StepIO, loader: str, coded: Coded | None
    ) -> BundleManifest:
        inputs, outputs = self._ports(io.path(f"candidate/{runtime.format}") / file)
        return BundleManifest(
            edgebuild=__version__,
            status=_STATUS[verdicts.status],
            subject=self.subject,
            runtime=runtime,
            file=file,
            inputs=inputs,
            outputs=outputs,
            loader=loader,
            coded=coded,
            evidence=verdicts.shipped.evidence,
            verdicts=verdicts.shipped.verdicts,
            sources=_sources(io, runtime.format),
            fingerprints=_of_format(self.fingerprints, runtime.format),
            formats={name: judged.status for name, judged in verdicts.formats.items()},
            dropped=self.dropped,
            notes=tuple(_notes(io)),
            provenance=io.provenance,
        )

    def _ports(self, model: Path) -> tuple[tuple[InputPort, ...], tuple[OutputPort, ...]]:
        """Inputs and outputs as a caller of the file must know them; where there is a layout a shape is in that."""
        layouts = layout.of_file(model)
        inputs = tuple(
            InputPort(spec.name, how, tuple(layout.shape_in_file((1, *spec.shape), how)))
            for spec, how in zip_longest(self.subject.inputs, layouts.get("inputs", ()))
        )
        return inputs, tuple(OutputPort(how) for how in layouts.get("outputs", ()))

    def _sample(self, io: StepIO, folder: Path) -> str:
        """Put one held-out example into the bundle; its file name."""
        test = dataset.read(io.path("data"), "test")
        if self.subject.sample >= len(test):
            raise UsageError(
                f"there are {len(test)} held-out examples", file=f"models/{self.subject.model}/model.toml", key="sample"
            )
        how, examples = self.subject.preprocess, [values[self.subject.sample] for values in test.inputs]
        if how is None or len(examples) > 1:
            return _write_arrays(folder, [example[None] for example in examples])
        _write_json(folder / "preprocess.json", asdict(how))
        (folder / "sample.png").write_bytes(png.encode(_pixels(examples[0], how)))
        return "sample.png"


def _sources(io: StepIO, name: str) -> dict[str, str]:
    """Digests of the artifacts that a gate needs again: they are found by them in a store or beside a baseline."""
    roles = {"candidate": f"candidate/{name}", "baseline": f"baseline/{name}", "data": "data"}
    return {role: io.inputs[source].digest for role, source in roles.items()}


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


def _pixels(example: Array, how: ImageInput) -> Array:
    """The picture that pre-processing turns into `example` [channels, height, width]: its inverse."""
    import numpy as np

    plane = example.transpose(1, 2, 0) * np.array(how.std) + np.array(how.mean)
    pixels = np.clip(np.rint(plane * 255), 0, 255)
    inverted: Array = (255 - pixels if how.invert else pixels).astype(np.uint8)
    return inverted


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
