"""Where a bundle comes from, for who checks supply chains: an in-toto statement with SLSA provenance.

https://github.com/in-toto/attestation (spec/v1/statement.md), https://slsa.dev/spec/v1.0/provenance. All of it follows
from the bundle's manifest: no clock, no name of a machine, no path.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebuild import __version__
from edgebuild.bundle.facts import BundleManifest
from edgebuild.bundle.kind import Contents, Kind
from edgebuild.spec import sha256
from edgebuild.spec.artifact import Record

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
_BUILD = "https://github.com/edgebuild/edgebuild/blob/main/docs/packages.md#slsa"
_PARTS = {"option.": "options", "tool.": "tools", "fact.": "machine", "machine.": "machine", "input.": "inputs"}


@dataclass(frozen=True, slots=True)
class Slsa(Kind):
    """Provenance (in-toto, SLSA v1): every file by digest, what it was made of, step by step, with keys and tools."""

    def write(self, bundle: Contents, folder: Path) -> None:
        """Write `<name>.intoto.json`."""
        statement = {
            "_type": STATEMENT,
            "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in _subjects(bundle)],
            "predicateType": PREDICATE,
            "predicate": {
                "buildDefinition": {
                    "buildType": _BUILD,
                    "externalParameters": _asked(bundle.facts),
                    "internalParameters": {"steps": [_step(record) for record in bundle.facts.provenance]},
                    "resolvedDependencies": list(_inputs(bundle.facts)),
                },
                "runDetails": {
                    "builder": {"id": "https://pypi.org/project/edgebuild/", "version": {"edgebuild": __version__}},
                    "metadata": {"invocationId": f"sha256:{bundle.digest}"},
                    "byproducts": [_artifact(record.step, record.output) for record in bundle.facts.provenance],
                },
            },
        }
        text = json.dumps(statement, indent=1, ensure_ascii=False) + "\n"
        (folder / f"{bundle.name}.intoto.json").write_text(text, encoding="utf-8")


def _subjects(bundle: Contents) -> Iterator[tuple[str, str]]:
    """Every file of the bundle with its digest, and a model file that ships coded as it comes out."""
    yield from ((name, sha256.of_bytes(content)) for name, content in bundle.files().items())
    coded = {part.file: part.coded.sha256 for part in bundle.facts.parts if part.coded}
    yield from ((name, digest) for name, digest in coded.items() if not (bundle.folder / name).is_file())


def _asked(facts: BundleManifest) -> dict[str, Any]:
    """What a user decides: which model for which target, and what must be proved."""
    gates = [{"metric": verdict.metric, "limit": verdict.limit, "output": verdict.output} for verdict in facts.verdicts]
    return {"model": facts.subject.model, "target": facts.subject.target, "format": facts.format, "gates": gates}


def _step(record: Record) -> dict[str, Any]:
    """A step with its key, what it promises of its bytes, and the parts of its key by what they are."""
    parts: dict[str, dict[str, str]] = {name: {} for name in dict.fromkeys(_PARTS.values())}
    for name, value in record.parts.items():
        for prefix, group in _PARTS.items():
            if name.startswith(prefix):
                parts[group][name.removeprefix(prefix)] = value
    known = {"name": record.step, "key": record.key, "output": record.output, "deterministic": record.deterministic}
    return known | {"does": record.parts.get("step", "")} | {name: values for name, values in parts.items() if values}


def _inputs(facts: BundleManifest) -> Iterator[dict[str, Any]]:
    """What no step has made: the model's own files, by the digest that their copies have in a store."""
    outputs = {record.output for record in facts.provenance}
    seen: dict[str, str] = {}
    for record in facts.provenance:
        for name, value in record.parts.items():
            kind, _, digest = value.partition(":")
            if name.startswith("input.") and digest not in outputs:
                seen.setdefault(digest, f"{facts.subject.model}/{kind}")
    return (_artifact(name, digest) for digest, name in sorted(seen.items(), key=lambda each: each[1]))


def _artifact(name: str, digest: str) -> dict[str, Any]:
    """A folder in a store; its digest is that of its files' digests by name, which is no algorithm that others know."""
    return {"name": name, "digest": {"edgebuildTree": digest}}
