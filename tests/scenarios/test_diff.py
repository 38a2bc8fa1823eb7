"""Two bundles compared and a verdict explained, by the real command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from edgebuild.bundle import manifest
from edgebuild.bundle.facts import BundleManifest
from edgebuild.spec import documents
from tests.scenarios.conftest import Workspace


def seal(bundle: Path, facts: dict[str, Any]) -> Path:
    """Seal a bundle again with what its manifest says now."""
    del facts["schema"]
    manifest.seal(bundle, documents.from_json(BundleManifest, facts, file=str(bundle)))
    return bundle


def altered(bundle: Path, place: Path) -> Path:
    """A copy as another build might have left it: smaller, other answers, another machine, another tool."""
    made = shutil.copytree(bundle, place)
    facts = json.loads((made / "manifest.json").read_text())
    hits = made / "evidence" / f"accuracy-{facts['format']}" / "hits.npz"
    with np.load(hits) as stored:
        both = {name: stored[name].copy() for name in stored.files}
    both["candidate"][:3] = ~both["candidate"][:3]
    np.savez(hits, **both)
    facts["evidence"]["footprint"]["candidate"]["bytes"] //= 2
    facts["fingerprints"]["latency"]["kernel"] = "another"
    for record in facts["provenance"]:
        if record["step"].endswith("/prune_channels"):
            record["parts"]["option.ratio"] = "0.75"
        if "tool.torch" in record["parts"]:
            record["parts"]["tool.torch"] = "0.0.1"
    return seal(made, facts)


def test_a_bundle_is_the_same_as_itself(built: Workspace) -> None:
    ran = built.run("diff", "dist/board/tiny", "dist/board/tiny", "--json")
    assert ran.code == 0, ran.err
    found = ran.document
    answers = found["accuracy"]["heads"]["output"]
    assert (answers["lost"], answers["won"]) == ([], [])
    assert (found["recipe"], found["tools"]) == ([], [])
    assert all(both["a"] == both["b"] for both in found["weights"].values())
    assert sum(both["a"] for both in found["operators"]["counts"].values()) > 3
    assert "reason" not in found["latency"]


def test_what_differs_is_told(built: Workspace, tmp_path: Path) -> None:
    other = altered(built.bundle, tmp_path / "other")
    ran = built.run("diff", "dist/board/tiny", str(other), "--json")
    assert ran.code == 0, ran.err
    found = ran.document
    answers = found["accuracy"]["heads"]["output"]
    assert sorted([*answers["lost"], *answers["won"]]) == [0, 1, 2]
    assert found["weights"]["bytes"]["b"] == found["weights"]["bytes"]["a"] // 2
    assert found["latency"]["reason"] == "measured on different machines: kernel differ"
    assert found["recipe"] == ["tiny/prune_channels ratio 0.5 → 0.75"]
    assert [line for line in found["tools"] if line.endswith("→ 0.0.1")]
    shown = built.run("diff", "dist/board/tiny", str(other)).out
    assert "ratio 0.5 → 0.75" in shown
    assert "kernel differ" in shown
    assert "-50.0%" in shown


def test_answers_to_other_examples_are_not_compared(built: Workspace, tmp_path: Path) -> None:
    other = shutil.copytree(built.bundle, tmp_path / "other")
    facts = json.loads((other / "manifest.json").read_text())
    facts["sources"]["data"] = "0" * 64
    seal(other, facts)
    found = built.run("diff", "dist/board/tiny", str(other), "--json").document
    assert found["accuracy"]["heads"]["output"]["reason"] == "they were judged on different examples"
    assert "lost" not in found["accuracy"]["heads"]["output"]


def test_a_damaged_bundle_and_none_are_one_line(built: Workspace, tmp_path: Path) -> None:
    other = shutil.copytree(built.bundle, tmp_path / "other")
    (other / "labels.json").write_text("[]")
    for arguments, code in ((["dist/board/tiny", str(other)], 5), (["nowhere", "dist/board/tiny"], 2)):
        ran = built.run("diff", *arguments)
        assert (ran.code, ran.err.count("\n")) == (code, 1)


def test_a_verdict_is_explained_whole(built: Workspace) -> None:
    ran = built.run("explain", "--target", "board", "--gate", "accuracy")
    assert ran.code == 0, ran.err
    for word in ("verdict", "pass", "3 pp", "Tango 1998", "interval", "measured on", "cpu", "up to date"):
        assert word in ran.out
    verdicts = built.run("explain", "--target", "board", "--gate", "accuracy", "--json").document["verdicts"]
    assert {verdict["format"] for verdict in verdicts} == {"onnx", "tflite"}
    assert all(verdict["low"] <= verdict["estimate"] <= verdict["high"] for verdict in verdicts)
    assert all("cpu" in verdict["fingerprint"] for verdict in verdicts)


def test_what_cannot_be_explained(built: Workspace, tmp_path: Path) -> None:
    cases = {
        ("--gate", "latency"): "judged were: accuracy",
        ("--gate", "size", "board/tiny/judge"): "name one of the two",
    }
    for arguments, told in cases.items():
        ran = built.run("explain", "--target", "board", *arguments)
        assert ran.code == 2
        assert told in ran.err
    never = built.run("explain", "--target", "board", "--gate", "size", EDGEBUILD_STORE=str(tmp_path / "empty"))
    assert never.code == 2
    assert "never judged here" in never.err
