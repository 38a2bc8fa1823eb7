"""Where a bundle comes from can be made again, and nothing that is secret is told on the way."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edgebuild.bundle import manifest
from edgebuild.spec.checked import check
from edgebuild.spec.errors import UsageError
from edgebuild.spec.registry import DEVICES
from tests.scenarios.conftest import Workspace

SECRET = "hunter2-not-to-be-told"


def test_what_is_the_same_everywhere_is_made_again(built: Workspace, tmp_path: Path) -> None:
    ran = built.run("verify", "dist/board/tiny", "--rebuild", "--json")
    assert ran.code == 0, ran.err
    facts = manifest.read_bundle(built.bundle)
    declared = {record.step for record in facts.provenance if record.deterministic == "everywhere"}
    assert {*ran.document["rebuilt"]} == {*declared, "board/tiny/bundle"}
    assert len(declared) > 3

    lied = shutil.copytree(built.bundle, tmp_path / "lied")
    step = next(record for record in facts.provenance if record.deterministic == "everywhere")
    others = tuple(replace(each, output="0" * 64) if each is step else each for each in facts.provenance)
    manifest.seal(lied, replace(facts, provenance=others))
    ran = built.run("verify", str(lied), "--rebuild")
    assert ran.code == 5
    assert f"says that step {step.step} made 000000000000, and here it makes {step.output[:12]}" in ran.err

    better = shutil.copytree(built.bundle, tmp_path / "better")
    manifest.seal(better, replace(facts, notes=(*facts.notes, "a note that no step made")))
    ran = built.run("verify", str(better), "--rebuild")
    assert ran.code == 5
    assert "says that step board/tiny/bundle made" in ran.err


def test_other_sources_are_told_and_nothing_is_made(workspace: Workspace) -> None:
    assert workspace.run("--target", "board").code == 0
    workspace.edit("models/tiny/model.py", "def build()", "# a remark\ndef build()")
    ran = workspace.run("verify", "dist/board/tiny", "--rebuild")
    assert ran.code == 2
    assert "was built of other sources, options or tools than are here: step tiny/data has another key" in ran.err


def hidden(*folders: Path) -> list[str]:
    """Files below the folders whose name or content tells the secret."""
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in paths if SECRET in path.name or SECRET.encode() in path.read_bytes()]


def test_secrets_are_found_in_no_key_log_manifest_or_bundle(workspace: Workspace) -> None:
    workspace.edit("targets/board.toml", 'limit = "-60 %"', 'limit = "-62 %"')
    workspace.edit("targets/board.toml", "[hardware]", 'packages = ["slsa", "mlbom", "wheel"]\n\n[hardware]')
    told = {"HF_TOKEN": SECRET, "EDGEBUILD_KEY_PASSWORD": SECRET, "SSHPASS": SECRET}
    told |= {"https_proxy": f"http://me:{SECRET}@proxy.invalid:3128", "PIP_INDEX_URL": f"https://me:{SECRET}@x.invalid"}
    ran = workspace.run("--target", "board", "--json", **told)
    assert ran.code == 0, ran.err
    assert ran.document["ran"]
    assert SECRET not in ran.out + ran.err
    for device in (f"ssh://pi:{SECRET}@board.invalid", f"ssh://pi:{SECRET}@board.invalid:x"):
        ran = workspace.run("gate", "dist/board/tiny", "--target", "board", "--device", device, **told)
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        assert "takes no password" in ran.err
        assert SECRET not in ran.out + ran.err
    assert hidden(workspace.root, workspace.store) == []


def test_a_host_takes_no_user_and_no_password() -> None:
    ssh = DEVICES.get("ssh")
    with pytest.raises(UsageError, match="takes no password"):
        ssh.from_address(f"pi:{SECRET}@board")
    assert ssh.from_address("pi@board:2222") == {"host": "board", "user": "pi", "port": 2222}


@pytest.mark.parametrize(
    ("transport", "options"),
    [
        ("ssh", {"host": f"pi:{SECRET}@board"}),
        ("ssh", {"host": f"ssh://pi:{SECRET}@board:22"}),
        ("ssh", {"host": "board", "user": f"pi:{SECRET}"}),
        ("ssh", {"host": "board", "user": f"pi:{SECRET}@board"}),
        ("ssh", {"host": "board", "password": SECRET}),
        ("ssh", {"host": "board", "port": f"22:{SECRET}@"}),
        ("adb", {"serial": f"me:{SECRET}@phone:5555"}),
    ],
)
def test_a_target_takes_no_password_and_does_not_repeat_one(transport: str, options: dict[str, str]) -> None:
    with pytest.raises(UsageError) as raised:
        check(DEVICES.get(transport), options, file="targets/board.toml", prefix="devices[0]")
    assert raised.value.line.startswith("targets/board.toml: devices[0]")
    assert SECRET not in raised.value.line
    assert raised.value.line.count("\n") == 0


def test_the_statement_names_every_file_and_input(built: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "slsa"
    assert built.run("package", "dist/board/tiny", "--as", "slsa", "--out", str(out)).code == 0
    (file,) = out.glob("*.intoto.json")
    statement = json.loads(file.read_text())
    assert (statement["_type"], statement["predicateType"]) == (
        "https://in-toto.io/Statement/v1",
        "https://slsa.dev/provenance/v1",
    )
    facts = manifest.read_bundle(built.bundle)
    subjects = {each["name"]: each["digest"]["sha256"] for each in statement["subject"]}
    assert {name: each.sha256 for name, each in facts.files.items()}.items() <= subjects.items()
    assert subjects["manifest.json"] == (built.bundle / "manifest.sha256").read_text().split()[0]
    definition = statement["predicate"]["buildDefinition"]
    steps = {each["name"]: each for each in definition["internalParameters"]["steps"]}
    assert {name: each["key"] for name, each in steps.items()} == {each.step: each.key for each in facts.provenance}
    assert steps["tiny/float"]["tools"]["torch"]
    (inputs,) = {*facts.provenance[0].parts} & {"input.code"}
    code = facts.provenance[0].parts[inputs].partition(":")[2]
    assert {"name": "tiny/code", "digest": {"edgebuildTree": code}} in definition["resolvedDependencies"]
    assert str(built.root) not in file.read_text()
