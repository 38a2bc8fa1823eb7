"""Releases of several files: kept as baselines, judged again, and held against each other and against single files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.conftest import Workspace
from tests.scenarios.test_cascade import WHOLE

SPLIT = """\
description = "Bars: one half here, one there, and a pruned file where nobody answers"
base = "tiny"
by_name = true

[assembly]
use = "split"
parts = [{name = "whole", recipe = "int8"}, {name = "small"}]
"""
MODELS = {"both": WHOLE, "halves": SPLIT}
FLOAT = "the float model"


@pytest.fixture(scope="module")
def all_built(fresh, built: Workspace) -> Workspace:  # type: ignore[no-untyped-def]
    """The project with a bundle of one file, of a cascade and of a split; tests must not change them."""
    workspace: Workspace = fresh()
    workspace.edit("targets/board.toml", '[[runtimes]]\nformat = "tflite"\n\n', "")
    for name, text in MODELS.items():
        (workspace.root / "models" / name).mkdir()
        (workspace.root / "models" / name / "model.toml").write_text(text)
    names = [word for name in ("tiny", "both", "halves") for word in ("--model", name)]
    ran = workspace.run("--target", "board", *names, "--json")
    assert ran.code == 0, ran.err
    return workspace


def bundle(workspace: Workspace, name: str) -> Path:
    return workspace.root / "dist" / "board" / name


def manifest(folder: Path) -> Any:
    return json.loads((folder / "manifest.json").read_text())


def gated(workspace: Workspace, name: str, *arguments: str, code: int = 0, **variables: str) -> Any:
    ran = workspace.run("gate", f"dist/board/{name}", "--target", "board", "--json", *arguments, **variables)
    assert ran.code == code, ran.err
    return ran.document


def said(comparison: Any) -> dict[tuple[str, str], tuple[str, str]]:
    """Verdicts by metric and whose it is."""
    return {(each["metric"], each["output"]): (each["limit"], each["status"]) for each in comparison["verdicts"]}


@pytest.fixture(scope="module")
def kept(all_built: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a baseline of the cascade and of the split, held-out examples included."""
    folder = tmp_path_factory.mktemp("kept")
    for name in ("both", "halves"):
        arguments = ["--name", name, "--with-data", "--baselines", str(folder)]
        ran = all_built.run("baseline", "set", f"dist/board/{name}", *arguments)
        assert ran.code == 0, ran.err
    return folder


def test_a_baseline_has_all_files_of_an_assembly_and_what_decides_which_of_them_run(
    all_built: Workspace, kept: Path
) -> None:
    for name in ("both", "halves"):
        facts, shipped = manifest(kept / name), manifest(bundle(all_built, name))
        assert (facts["router"], facts["parts"]) == (shipped["router"], shipped["parts"])
        for part in shipped["parts"]:
            content = (bundle(all_built, name) / part["file"]).read_bytes()
            assert (kept / name / "artifact" / part["file"]).read_bytes() == content
    shown = all_built.run("baseline", "show", "both", "--baselines", str(kept)).out
    assert "small.onnx, large.onnx" in shown


@pytest.mark.parametrize("name", ["both", "halves"])
def test_a_gate_says_of_an_assembly_what_its_build_said(all_built: Workspace, name: str) -> None:
    document, built = gated(all_built, name), manifest(bundle(all_built, name))
    (compared,) = document["comparisons"]
    assert said(compared) == said(built)
    assert compared["evidence"]["accuracy"] == built["evidence"]["accuracy"]
    assert compared["evidence"]["footprint"] == built["evidence"]["footprint"]
    if name == "halves":
        assert {whose for _, whose in said(compared)} == {"", "fallback"}
        steps = {line["step"].rpartition("/")[2] for line in document["ran"]}
        assert "outputs-candidate" not in steps  # the halves are those of the file that the build measured


def test_a_split_is_judged_by_its_halves_where_the_file_that_was_cut_is_not(
    all_built: Workspace, kept: Path, tmp_path: Path
) -> None:
    elsewhere = {"EDGEBUILD_STORE": str(tmp_path / "other store")}
    document = gated(all_built, "halves", "--baselines", str(kept), **elsewhere)
    built = manifest(bundle(all_built, "halves"))
    (compared,) = document["comparisons"]
    assert said(compared) == said(built)
    assert compared["evidence"]["accuracy"] == built["evidence"]["accuracy"]
    assert "outputs-candidate" in {line["step"].rpartition("/")[2] for line in document["ran"]}


def test_an_assembly_is_held_against_itself_byte_for_byte(all_built: Workspace, kept: Path) -> None:
    document = gated(all_built, "both", "--against", "both", "--baselines", str(kept))
    against, release = document["comparisons"]
    assert (against["against"], release["against"]) == (FLOAT, "both")
    assert release["status"] == "pass"
    reasons = {each["metric"]: each["reason"] for each in release["verdicts"]}
    assert "byte for byte" in reasons["accuracy"]
    footprint = release["evidence"]["footprint"]
    assert footprint["candidate"] == footprint["baseline"] == against["evidence"]["footprint"]["candidate"]
    assert release["evidence"]["accuracy"]["heads"]["output"]["lost"] == 0


def test_a_single_file_and_an_assembly_are_held_against_each_other(all_built: Workspace) -> None:
    tiny, both = manifest(bundle(all_built, "tiny")), manifest(bundle(all_built, "both"))
    weights = [each["evidence"]["footprint"]["candidate"]["bytes"] for each in (tiny, both)]
    rates = [each["evidence"]["accuracy"]["heads"]["output"]["candidate"] for each in (tiny, both)]
    for ours, theirs, order in (("tiny", "both", (0, 1)), ("both", "tiny", (1, 0))):
        document = gated(all_built, ours, "--against", f"dist/board/{theirs}", code=0 if ours == "tiny" else 1)
        release = document["comparisons"][1]["evidence"]
        own = [release["footprint"][side]["bytes"] for side in ("candidate", "baseline")]
        assert own == [weights[place] for place in order]
        answered = [release["accuracy"]["heads"]["output"][side] for side in ("candidate", "baseline")]
        assert answered == [rates[place] for place in order]
        assert len(release["latency"]["log_ratios"]) == 1
        assert ("joined" in release and release["joined"] is not None) == (ours == "both")
    sizes = {each["metric"]: each["status"] for each in document["comparisons"][1]["verdicts"]}
    assert sizes["size"] == "fail"  # a cascade is more than one of its parts


def test_bundles_of_one_file_and_of_several_are_told_apart(all_built: Workspace) -> None:
    ran = all_built.run("diff", "dist/board/tiny", "dist/board/both", "--json")
    assert ran.code == 0, ran.err
    counts = ran.document["operators"]["counts"]
    assert all(each["b"] > each["a"] for each in counts.values())  # the cascade has one part more
    assert ran.document["weights"]["bytes"]["b"] > ran.document["weights"]["bytes"]["a"]


def test_a_release_that_answers_something_else_is_refused(all_built: Workspace, tmp_path: Path) -> None:
    other = shutil.copytree(all_built.root, tmp_path / "project")
    path = other / "dist" / "board" / "tiny"
    told = {"EDGEBUILD_STORE": str(all_built.store)}
    facts = manifest(path)
    facts["subject"]["heads"][0]["labels"] = ["a", "b", "c", "d"]
    (path / "manifest.json").write_text(json.dumps(facts))
    _seal(path)
    ran = Workspace(other, all_built.store).run(
        "gate", "dist/board/both", "-t", "board", "--against", "dist/board/tiny", **told
    )
    assert ran.code == 2
    assert "it is of model 'tiny', not 'both' (another model must take and answer the same" in ran.err


def _seal(folder: Path) -> None:
    from hashlib import sha256

    digest = sha256((folder / "manifest.json").read_bytes()).hexdigest()
    (folder / "manifest.sha256").write_text(f"{digest}  manifest.json\n")
