"""The image layout is whole, and each file of the bundle comes out of it as it was, by what its manifest says."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from edgebuild.bundle import manifest
from tests.bundle.kinds.conftest import Package, contents


@pytest.fixture(scope="module")
def layout(lite: Path, package: Package) -> Path:
    """The package."""
    return package(lite, "oci", "--release", "1.2")


def blob(layout: Path, described: Any) -> bytes:
    """What a descriptor names, checked as a client would."""
    content = (layout / "blobs" / Path(*described["digest"].split(":"))).read_bytes()
    assert len(content) == described["size"]
    assert described["digest"] == "sha256:" + hashlib.sha256(content).hexdigest()
    return content


def test_the_bundle_comes_out_of_it_as_it_was(lite: Path, layout: Path, tmp_path: Path) -> None:
    (described,) = json.loads((layout / "index.json").read_text())["manifests"]
    content = json.loads(blob(layout, described))
    for layer in content["layers"]:
        place = tmp_path / "pulled" / layer["annotations"]["org.cncf.model.filepath"]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(blob(layout, layer))
    assert manifest.verify_bundle(tmp_path / "pulled") == manifest.verify_bundle(lite)
    named = {described["digest"], content["config"]["digest"], *(layer["digest"] for layer in content["layers"])}
    assert {f"sha256:{path.name}" for path in (layout / "blobs" / "sha256").iterdir()} == named
    assert {*contents(layout)} >= {"oci-layout", "index.json", "edgebuild.json"}
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}


def test_media_types_are_those_of_model_pack(layout: Path) -> None:
    (described,) = json.loads((layout / "index.json").read_text())["manifests"]
    content = json.loads(blob(layout, described))
    assert content["mediaType"] == described["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert content["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    assert content["config"]["mediaType"] == "application/vnd.cncf.model.config.v1+json"
    kinds = {layer["annotations"]["org.cncf.model.filepath"]: layer["mediaType"] for layer in content["layers"]}
    for name, kind in (
        ("model.tflite", "weight"),
        ("run.py", "code"),
        ("README.md", "doc"),
        ("preprocess.json", "weight.config"),
        ("golden.npz", "weight.config"),
    ):
        assert kinds[name] == f"application/vnd.cncf.model.{kind}.v1.raw"


def test_the_configuration_says_what_the_model_is(layout: Path) -> None:
    (described,) = json.loads((layout / "index.json").read_text())["manifests"]
    content = json.loads(blob(layout, described))
    config = json.loads(blob(layout, content["config"]))
    assert config["descriptor"]["name"] == "tiny-board"
    assert config["descriptor"]["version"] == "1.2"
    assert config["config"]["format"] == "tflite"
    assert config["config"]["capabilities"]["inputTypes"] == ["image"]
    assert re.fullmatch(r"\d+(\.\d)?[KMBT]", config["config"]["paramSize"])
    assert config["modelfs"] == {"type": "layers", "diffIds": [layer["digest"] for layer in content["layers"]]}
