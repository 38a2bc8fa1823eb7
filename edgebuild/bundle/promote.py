"""Gives a finished bundle another status: a gate's verdicts, evidence and device take the place of the build's."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from edgebuild.bundle import card, manifest
from edgebuild.spec import sha256

_JUDGED = ("status", "verdicts", "evidence", "fingerprints")


def restate(
    bundle: Path,
    status: Literal["released", "withdrawn"],
    judged: Mapping[str, Any],
    gate: Mapping[str, Any],
    evidence: Path,
) -> None:
    """Rewrite manifest and card of the bundle in this folder, and keep the gate's evidence in `evidence/gate`.

    `judged` has the gate's verdicts, evidence and fingerprints; what the build said stays under `built`. The
    manifest names the bundle that it was before (`gate.from`), so that a later build knows it again.
    """
    facts = manifest.read(bundle)
    origin = built_as(bundle)
    del facts["files"]
    facts.setdefault("built", {name: facts[name] for name in _JUDGED})
    facts |= dict(judged) | {"status": status, "gate": dict(gate) | {"from": origin}}
    shutil.rmtree(bundle / "evidence" / "gate", ignore_errors=True)
    shutil.copytree(evidence, bundle / "evidence" / "gate", copy_function=shutil.copyfile)
    sample = next(path.name for path in sorted(bundle.glob("sample.*")))
    (bundle / "README.md").write_text(card.render(facts, sample), encoding="utf-8")
    manifest.seal(bundle, facts)


def built_as(bundle: Path) -> str:
    """The digest of the manifest that the build gave this bundle, whatever a gate has said of it since."""
    facts = manifest.read(bundle)
    origin: str | None = facts.get("gate", {}).get("from")
    return origin or sha256.of_bytes((bundle / manifest.MANIFEST).read_bytes())
