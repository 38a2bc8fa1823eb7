"""A bundle's bill of materials: CycloneDX 1.6 with a model card that has each gate's figure and its interval.

https://cyclonedx.org/docs/1.6/json/ (metadata.component.modelCard); written as it is, because the format's own library
has no model cards. What it must look like is held to the schema that comes with that library.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebuild import __version__
from edgebuild.bundle.facts import BundleManifest, Port
from edgebuild.bundle.kind import Contents, Kind
from edgebuild.spec.evidence import Verdict

_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/")  # of serial numbers, which a bundle's digest decides


@dataclass(frozen=True, slots=True)
class Mlbom(Kind):
    """An ML-BOM (CycloneDX 1.6): files by digest, runtimes, and a model card with what the gates measured."""

    def write(self, bundle: Contents, folder: Path) -> None:
        """Write `<name>.cdx.json`."""
        model = _model(bundle)
        parts = [*_files(bundle.facts), *_runtimes(bundle)]
        document = {
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{uuid.uuid5(_SPACE, bundle.digest + bundle.version)}",
            "version": 1,
            "metadata": {
                "tools": {"components": [{"type": "application", "name": "edgebuild", "version": __version__}]},
                "component": model,
            },
            "components": parts,
            "dependencies": [
                {"ref": model["bom-ref"], "dependsOn": [each["bom-ref"] for each in parts]},
                *({"ref": each["bom-ref"]} for each in parts),
            ],
        }
        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        (folder / f"{bundle.name}.cdx.json").write_text(text, encoding="utf-8")


def _model(bundle: Contents) -> dict[str, Any]:
    facts = bundle.facts
    stated = {"status": facts.status, "target": facts.subject.target, "manifest": f"sha256:{bundle.digest}"}
    stated |= {f"source:{name}": f"sha256:{digest}" for name, digest in facts.sources.items()}
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{bundle.name}@{bundle.version}",
        "name": bundle.name,
        "version": bundle.version,
        "description": bundle.summary,
        "hashes": [{"alg": "SHA-256", "content": bundle.digest}],
        "modelCard": {
            "modelParameters": {
                "task": ", ".join(dict.fromkeys(head.task for head in facts.heads)) or "none",
                "inputs": [{"format": _format(port)} for port in facts.inputs],
                "outputs": [{"format": _format(port)} for port in facts.outputs],
            },
            "quantitativeAnalysis": {"performanceMetrics": [_metric(verdict) for verdict in facts.verdicts]},
            "properties": [_property(f"gate:{verdict.name}", _judgement(verdict)) for verdict in facts.verdicts],
        },
        "properties": [_property(name, value) for name, value in sorted(stated.items())],
    }


def _format(port: Port) -> str:
    shape = ", ".join(map(str, port.shape[1:]))
    return f"{port.name}: {port.dtype} [{shape}]"


def _metric(verdict: Verdict) -> dict[str, Any]:
    """A gate's figure, with the interval that it was judged by; the schema wants all of them as text."""
    metric: dict[str, Any] = {"type": f"{verdict.metric} ({verdict.unit}; limit {verdict.limit})"}
    if verdict.estimate is not None:
        metric["value"] = repr(verdict.estimate)
    if verdict.output:
        metric["slice"] = verdict.output
    ends = {"lowerBound": verdict.low, "upperBound": verdict.high}
    interval = {name: repr(value) for name, value in ends.items() if value is not None}
    return metric | ({"confidenceInterval": interval} if interval else {})


def _judgement(verdict: Verdict) -> str:
    sure = "" if verdict.confidence is None else f", {100 * verdict.confidence:g} % each end"
    return f"{verdict.status}; limit {verdict.limit}; n {verdict.n}{sure}; {verdict.fidelity}; {verdict.reason}"


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"edgebuild:{name}", "value": value}


def _files(facts: BundleManifest) -> Iterator[dict[str, Any]]:
    """Every file of the bundle; its programs are edgebuild's own, and under its licence."""
    for name, file in sorted(facts.files.items()):
        component: dict[str, Any] = {"type": "file", "bom-ref": f"file:{name}", "name": name}
        component["hashes"] = [{"alg": "SHA-256", "content": file.sha256}]
        if name.endswith(".py"):
            component["licenses"] = [{"license": {"id": "Apache-2.0"}}]
        yield component


def _runtimes(bundle: Contents) -> Iterator[dict[str, Any]]:
    """What the bundle needs beside itself, as its requirements.txt names it."""
    for line in bundle.files()["requirements.txt"].decode().splitlines():
        name, pinned, version = line.partition("==")
        name = name if pinned else line.partition(">=")[0]
        locator = f"pkg:pypi/{name}@{version}" if pinned else f"pkg:pypi/{name}"
        yield {"type": "library", "bom-ref": locator, "name": name, "purl": locator} | (
            {"version": version} if pinned else {"description": f"any that meets {line}"}
        )
