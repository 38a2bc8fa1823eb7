"""The bill of materials names every file by its digest, and each gate with its figure and interval."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgebuild.bundle import manifest
from tests.bundle.kinds.conftest import Package


@pytest.fixture(scope="module")
def file(lite: Path, package: Package) -> Path:
    """The document."""
    return package(lite, "mlbom", "--release", "1.2") / "tiny-board.cdx.json"


def test_it_is_by_the_schema(file: Path) -> None:
    pytest.importorskip("cyclonedx.validation.json", reason="no cyclonedx-python-lib: pip install '.[mlbom]'")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(file.read_text()) is None


def test_it_names_every_file_and_runtime(lite: Path, file: Path) -> None:
    content: Any = json.loads(file.read_text())
    facts = manifest.verify_bundle(lite)
    hashes = {each["name"]: each["hashes"][0]["content"] for each in content["components"] if each["type"] == "file"}
    assert hashes == {name: own.sha256 for name, own in facts.files.items()}
    libraries = [each["purl"] for each in content["components"] if each["type"] == "library"]
    assert libraries[0] == "pkg:pypi/numpy"
    assert libraries[1].startswith("pkg:pypi/ai-edge-litert@")
    (whole, *parts) = content["dependencies"]
    assert whole["dependsOn"] == [each["ref"] for each in parts] == [each["bom-ref"] for each in content["components"]]


def test_its_model_card_has_each_gate_with_its_interval(lite: Path, file: Path) -> None:
    content: Any = json.loads(file.read_text())
    facts = manifest.verify_bundle(lite)
    card = content["metadata"]["component"]["modelCard"]
    metrics = card["quantitativeAnalysis"]["performanceMetrics"]
    assert len(metrics) == len(facts.verdicts) == 2
    for metric, verdict in zip(metrics, facts.verdicts, strict=True):
        assert metric["type"].startswith(f"{verdict.metric} (")
        assert float(metric["value"]) == verdict.estimate
        interval = metric["confidenceInterval"]
        assert (float(interval["lowerBound"]), float(interval["upperBound"])) == (verdict.low, verdict.high)
    assert card["properties"][0]["value"].startswith("pass; limit -50 %")
    assert card["modelParameters"]["inputs"] == [{"format": "image: float32 [1, 12, 12]"}]
