"""Gives a finished bundle another status: a gate's verdicts, evidence and device take the place of the build's."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from edgebuild.bundle import card, manifest
from edgebuild.bundle.facts import Gate, Judged
from edgebuild.spec import sha256


def restate(bundle: Path, judged: Judged, gate: Gate, evidence: Path) -> None:
    """Rewrite manifest and card of the bundle in this folder, and keep the gate's evidence in `evidence/gate`.

    What the build said stays under `built`. The manifest names the bundle that it was before (`gate.origin`), so that
    a later build knows it again.
    """
    facts = manifest.read_bundle(bundle)
    restated = replace(
        facts,
        status=judged.status,
        verdicts=judged.verdicts,
        evidence=judged.evidence,
        fingerprints=judged.fingerprints,
        gate=replace(gate, origin=built_as(bundle)),
        built=facts.built or Judged(facts.status, facts.verdicts, facts.evidence, facts.fingerprints),
    )
    shutil.rmtree(bundle / "evidence" / "gate", ignore_errors=True)
    shutil.copytree(evidence, bundle / "evidence" / "gate", copy_function=shutil.copyfile)
    sample = next(path.name for path in sorted(bundle.glob("sample.*")))
    (bundle / "README.md").write_text(card.render(restated, sample), encoding="utf-8")
    manifest.seal(bundle, restated)


def built_as(bundle: Path) -> str:
    """The digest of the manifest that the build gave this bundle, whatever a gate has said of it since."""
    gate = manifest.read_bundle(bundle).gate
    origin = gate.origin if gate else None
    return origin or sha256.of_file(bundle / manifest.MANIFEST)
