"""Baselines and history by the real command: kept, shown, moved, damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgebuild.engine import digests
from tests.scenarios.conftest import Ran, Workspace


@pytest.fixture
def kept(built: Workspace, tmp_path: Path) -> Path:
    """A folder with the baseline `v1` of the board's bundle, held-out examples included."""
    folder = tmp_path / "base lines"
    ran = built.run(
        "baseline", "set", str(built.bundle), "--name", "v1", "--with-data", "--baselines", str(folder), "--json"
    )
    assert ran.code == 0, ran.err
    assert ran.document["parts"] == {"artifact": True, "reference": True, "data": True}
    return folder


def refused(ran: Ran, code: int, *words: str) -> None:
    assert ran.code == code, ran.err
    assert ran.err.count("\n") == 1
    assert [word for word in words if word not in ran.err] == [], ran.err


def test_a_baseline_has_the_file_the_float_model_the_samples_and_the_fingerprint(built: Workspace, kept: Path) -> None:
    manifest = json.loads((built.bundle / "manifest.json").read_text())
    facts = json.loads((kept / "v1" / "manifest.json").read_text())
    name = manifest["parts"][0]["file"]
    assert (kept / "v1" / "artifact" / name).read_bytes() == (built.bundle / name).read_bytes()
    assert digests.of_tree(kept / "v1" / "reference") == manifest["sources"]["baseline"]
    examples = {path.name for path in (kept / "v1" / "data").iterdir()}
    assert examples == {"data.json", "test.0.npy", "test.labels.npy"}
    assert json.loads((kept / "v1" / "evidence" / "latency" / "samples.json").read_text())
    assert (kept / "v1" / "evidence" / f"accuracy-{manifest['format']}" / "hits.npz").is_file()
    assert facts["fingerprints"] == manifest["fingerprints"]
    assert {"cpu", "kernel", "governor"} <= facts["fingerprints"]["latency"].keys()


def test_it_is_listed_and_shown_by_name_and_by_path(built: Workspace, kept: Path) -> None:
    listed = built.run("baseline", "--baselines", str(kept))
    assert listed.code == 0
    assert "v1" in listed.out
    assert "board/tiny" in listed.out
    by_name = built.run("baseline", "show", "v1", "--baselines", str(kept), "--json").document
    moved = shutil.copytree(kept / "v1", kept.parent / "elsewhere")
    by_path = built.run("baseline", "show", str(moved), "--json").document
    assert by_name["sources"] == by_path["sources"]
    assert "latency was measured on: " in built.run("baseline", "show", "v1", "--baselines", str(kept)).out


def test_setting_it_again_replaces_it(built: Workspace, kept: Path) -> None:
    ran = built.run("baseline", "set", str(built.bundle), "--name", "v1", "--baselines", str(kept))
    assert ran.code == 0
    assert not (kept / "v1" / "data").exists()
    assert [path.name for path in kept.iterdir()] == ["v1"]


def test_a_damaged_baseline_is_an_integrity_error_and_hides_no_other(built: Workspace, kept: Path) -> None:
    shutil.copytree(kept / "v1", kept / "v2")
    (kept / "v2" / "data" / "test.labels.npy").write_bytes(b"")
    refused(built.run("baseline", "show", "v2", "--baselines", str(kept)), 5, "test.labels.npy", "digest differs")
    listed = built.run("baseline", "--baselines", str(kept), "--json").document["baselines"]
    assert [item.get("name", item.get("kind")) for item in listed] == ["v1", "IntegrityError"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "v2"], ["no baseline 'v2'", "known: v1"]),
        (["show"], ["NAME", "is missing"]),
        (["set"], ["BUNDLE", "is missing"]),
        (["set", "nowhere"], ["not a bundle"]),
        (["set", "dist/board/tiny", "--name", "../v1"], ["--name", "cannot be a name"]),
        (["list", "v1"], ["list takes no name"]),
        (["show", "v1", "--with-data"], ["--with-data", "set alone"]),
        (["show", "dist/board/tiny"], ["is a bundle, not a baseline"]),
    ],
)
def test_what_cannot_be_meant(built: Workspace, kept: Path, arguments: list[str], words: list[str]) -> None:
    refused(built.run("baseline", *arguments, "--baselines", str(kept)), 2, *words)


def test_where_the_float_model_is_gone_nothing_is_kept(built: Workspace, tmp_path: Path) -> None:
    ran = built.run("baseline", "set", str(built.bundle), EDGEBUILD_STORE=str(tmp_path / "empty"))
    refused(ran, 2, "the float model", "build it here again")
    assert not (built.root / "baselines").exists()


def test_no_baseline_is_said_so(workspace: Workspace) -> None:
    ran = workspace.run("baseline")
    assert ran.code == 0
    assert "no baseline yet" in ran.out
    refused(workspace.run("baseline", "show", "v1"), 2, "no baseline 'v1'", "edgebuild baseline set BUNDLE")


def test_a_build_that_makes_a_new_bundle_is_one_line_of_history(workspace: Workspace) -> None:
    refused(workspace.run("history"), 2, "no history yet")
    assert workspace.run("--target", "board").code == 0
    assert workspace.run("--target", "board").code == 0  # leaves the bundle as it is
    (entry,) = workspace.run("history", "--json").document["entries"]
    assert (entry["command"], entry["target"], entry["model"], entry["status"]) == ("build", "board", "tiny", "pass")
    manifest = json.loads((workspace.bundle / "manifest.json").read_text())
    assert entry["digests"] == {role: manifest["sources"][role] for role in ("candidate", "baseline")}
    assert entry["fingerprint"] == manifest["fingerprints"]["latency"]
    assert entry["seconds"]["candidate"] > 0
    shown = workspace.run("history", "--target", "board").out
    assert "accuracy pass, size pass" in shown
    refused(workspace.run("history", "--target", "nowhere"), 2, "no entry is about nowhere")


def test_a_failed_build_is_in_the_history_too(workspace: Workspace) -> None:
    workspace.edit("targets/board.toml", 'limit = "-60 %"', 'limit = "2 KiB"')
    assert workspace.run("--target", "board").code == 1
    (entry,) = workspace.run("history", "--json").document["entries"]
    statuses = {verdict["metric"]: verdict["status"] for verdict in entry["verdicts"]}
    assert statuses == {"accuracy": "pass", "size": "fail", "parity": "pass"}


def test_damaged_lines_are_told_and_the_rest_is_shown(workspace: Workspace) -> None:
    assert workspace.run("--target", "board").code == 0
    with (workspace.root / "history.jsonl").open("a") as file:
        file.write('{"time": \n')
    ran = workspace.run("history")
    assert ran.code == 5
    assert "board/tiny" in ran.out
    assert "left out: 2" in ran.out


def test_a_history_that_cannot_be_written_undoes_no_build(workspace: Workspace) -> None:
    (workspace.root / "history.jsonl").mkdir()
    ran = workspace.run("--target", "board")
    assert ran.code == 0
    assert "history.jsonl cannot be written" in ran.err
    refused(workspace.run("history"), 2, "cannot be read")
