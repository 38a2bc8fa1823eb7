"""A gate on a finished bundle by the real command: judged again, promoted, refused, and never withdrawn silently."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.devices.sshd import Sshd
from tests.scenarios.conftest import Ran, Workspace

TARGET = "targets/board.toml"
DEMAND = 'limit = "3 pp"\nfidelity = "hardware"'
REGRESSIONS = """
[[regressions]]
metric = "size"
limit = "+1 %"

[[regressions]]
metric = "accuracy"
limit = "3 pp"
"""


def refused(ran: Ran, code: int, *words: str) -> None:
    assert ran.code == code, ran.err
    lines = [line for line in ran.err.splitlines() if not line.startswith(("run ", "done ", "note "))]
    assert len(lines) == 1, ran.err
    assert [word for word in words if word not in lines[0]] == [], lines[0]


def status(bundle: Path) -> str:
    return str(json.loads((bundle / "manifest.json").read_text())["status"])


def candidate(workspace: Workspace) -> Workspace:
    """Build a bundle that lacks evidence from real hardware."""
    workspace.edit(TARGET, 'limit = "3 pp"', DEMAND)
    assert workspace.run("--target", "board").code == 3
    return workspace


@pytest.fixture
def board(tmp_path: Path) -> Iterator[str]:
    """`[[devices]]` of a real board, which an OpenSSH server on this machine stands for."""
    folder = tmp_path / "sshd"
    folder.mkdir()
    server = Sshd(folder).start()
    lines = [f"{name} = {json.dumps(value)}" for name, value in {**server.options, "python": sys.executable}.items()]
    yield "\n".join(['transport = "ssh"', *lines])
    server.stop()


def test_a_candidate_that_passes_on_the_board_is_released_and_stays_so(workspace: Workspace, board: str) -> None:
    candidate(workspace)
    file = json.loads((workspace.bundle / "manifest.json").read_text())["parts"][0]["file"]
    before = (workspace.bundle / file).read_bytes()
    workspace.edit(TARGET, 'transport = "local"', board)
    ran = workspace.run("gate", "dist/board/tiny", "--target", "board")
    assert ran.code == 0, ran.err
    assert "was candidate, is now released" in ran.out
    assert (workspace.bundle / file).read_bytes() == before
    manifest = json.loads((workspace.bundle / "manifest.json").read_text())
    assert (manifest["gate"]["device"], manifest["gate"]["fidelity"]) == ("ssh", "hardware")
    assert {"cpu", "kernel"} <= manifest["gate"]["fingerprint"].keys()
    assert [v["fidelity"] for v in manifest["verdicts"] if v["metric"] == "accuracy"] == ["hardware"]
    assert [v["status"] for v in manifest["built"]["verdicts"] if v["metric"] == "accuracy"] == ["inconclusive"]
    assert (workspace.bundle / "evidence" / "gate" / "float" / "latency" / "samples.json").is_file()
    assert "status: **released**. A gate on ssh (hardware) decided so" in (workspace.bundle / "README.md").read_text()
    assert workspace.run("verify", "dist/board/tiny", "--released").code == 0
    assert [e["command"] for e in workspace.run("history", "--json").document["entries"]] == ["build", "gate"]

    workspace.edit(TARGET, board, 'transport = "local"')  # the laptop again: nothing has changed
    again = workspace.run("--target", "board")
    assert again.code == 0, again.err
    assert "released by a gate on ssh" in again.out
    assert status(workspace.bundle) == "released"
    workspace.edit(TARGET, 'limit = "-60 %"', 'limit = "-59.5 %"')  # what is judged otherwise is another bundle
    assert workspace.run("--target", "board").code == 3
    assert status(workspace.bundle) == "candidate"


def test_evidence_of_the_same_device_is_used_again_and_lower_fidelity_promotes_nothing(workspace: Workspace) -> None:
    candidate(workspace)
    ran = workspace.run("gate", "dist/board/tiny", "--target", "board", "--device", "local", "--json")
    assert ran.code == 3, ran.err
    assert (ran.document["before"], ran.document["after"]) == ("candidate", "candidate")
    steps = {entry["step"].rpartition("/")[2] for entry in ran.document["ran"]}
    assert "judge" in steps
    assert not {"outputs-candidate", "outputs-baseline"} & steps  # the build has these outputs of this machine
    assert status(workspace.bundle) == "candidate"
    evidence = json.loads((workspace.bundle.with_name("tiny.gate") / "gate.json").read_text())
    assert evidence["status"] == "inconclusive"


def test_a_failing_gate_says_so_leaves_the_release_and_withdraws_on_demand_alone(workspace: Workspace) -> None:
    assert workspace.run("--target", "board").code == 0
    workspace.edit(TARGET, 'limit = "-60 %"', 'limit = "2 KiB"')
    ran = workspace.run("gate", "dist/board/tiny", "--target", "board")
    assert ran.code == 1
    assert "stays released; --withdraw takes that back" in ran.out
    assert workspace.run("verify", "dist/board/tiny", "--released").code == 0
    assert workspace.run("gate", "dist/board/tiny", "--target", "board", "--withdraw").code == 1
    refused_ = workspace.run("verify", "dist/board/tiny", "--released")
    assert refused_.code == 3
    assert "withdrawn" in refused_.out
    workspace.edit(TARGET, 'limit = "2 KiB"', 'limit = "-60 %"')
    again = workspace.run("--target", "board")  # the very bundle that was withdrawn
    assert again.code == 1
    assert "withdrawn by a gate on local" in again.out
    assert workspace.run("gate", "dist/board/tiny", "--target", "board").code == 0
    assert status(workspace.bundle) == "released"


@pytest.fixture
def kept(built: Workspace, tmp_path: Path) -> Path:
    """A folder with the baseline `v1` of the board's bundle, held-out examples included."""
    ran = built.run(
        "baseline", "set", "dist/board/tiny", "--name", "v1", "--with-data", "--baselines", str(tmp_path / "kept")
    )
    assert ran.code == 0, ran.err
    return tmp_path / "kept"


def test_against_a_release_both_are_measured_and_judged(workspace: Workspace, kept: Path) -> None:
    assert workspace.run("--target", "board").code == 0
    with (workspace.root / TARGET).open("a") as file:
        file.write(REGRESSIONS)
    ran = workspace.run(
        "gate", "dist/board/tiny", "--target", "board", "--against", "v1", "--baselines", str(kept), "--json"
    )
    assert ran.code == 0, ran.err
    float_model, release = ran.document["comparisons"]
    assert (float_model["against"], release["against"]) == ("the float model", "v1")
    assert [verdict["metric"] for verdict in release["verdicts"]] == ["size", "accuracy"]
    footprint = release["evidence"]["footprint"]
    assert footprint["candidate"] == footprint["baseline"]  # it is the same bundle
    assert release["evidence"]["accuracy"]["heads"]["output"]["lost"] == 0
    assert release["evidence"]["latency"]["log_ratios"]
    assert (workspace.bundle.with_name("tiny.gate") / "baseline" / "latency" / "samples.json").is_file()


def test_a_machine_without_the_builds_store_takes_what_it_needs_from_the_baseline(
    workspace: Workspace, kept: Path, tmp_path: Path
) -> None:
    assert workspace.run("--target", "board").code == 0
    elsewhere = {"EDGEBUILD_STORE": str(tmp_path / "other store")}
    refused(workspace.run("gate", "dist/board/tiny", "-t", "board", **elsewhere), 2, "the float model", "baseline set")
    ran = workspace.run("gate", "dist/board/tiny", "-t", "board", "--baselines", str(kept), "--json", **elsewhere)
    assert ran.code == 0, ran.err
    steps = {entry["step"].rpartition("/")[2] for entry in ran.document["ran"]}
    assert steps == {"outputs-candidate", "outputs-baseline", "accuracy", "latency", "judge"}


def test_an_interrupted_gate_goes_on_where_it_was(workspace: Workspace, kept: Path, tmp_path: Path) -> None:
    """Killed in the midst: the next one measures what the first did not finish, and nothing else."""
    assert workspace.run("--target", "board").code == 0
    arguments = ["gate", "dist/board/tiny", "-t", "board", "--baselines", str(kept), "--jobs", "1"]
    elsewhere = {"EDGEBUILD_STORE": str(tmp_path / "other store")}
    command = [sys.executable, "-P", "-m", "edgebuild", *arguments]
    environment = os.environ | elsewhere
    done: list[str] = []
    with subprocess.Popen(command, cwd=workspace.root, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        while len(done) < 2:
            line = process.stderr.readline()
            assert line, "it ended before it was killed"
            done += [line.split()[1]] if line.startswith("done ") else []
        process.kill()
    ran = workspace.run(*arguments, "--json", **elsewhere)
    assert ran.code == 0, ran.err
    again = [entry["step"] for entry in ran.document["ran"]]
    assert again
    assert set(done) & set(again) == set()
    assert ran.document["reused"] >= len(done)


def test_a_gate_takes_the_limits_of_a_build(workspace: Workspace, kept: Path, tmp_path: Path) -> None:
    assert workspace.run("--target", "board").code == 0
    arguments = ["gate", "dist/board/tiny", "-t", "board", "--baselines", str(kept)]
    elsewhere = {"EDGEBUILD_STORE": str(tmp_path / "other store")}
    refused(workspace.run(*arguments, "--step-memory", "8", **elsewhere), 2, "--step-memory", "no unit")
    refused(workspace.run(*arguments, "--step-time", "1 parsec", **elsewhere), 2, "--step-time")
    refused(workspace.run(*arguments, "--jobs", "0", **elsewhere), 2, "--jobs")
    refused(workspace.run(*arguments, "--step-time", "0.01 s", **elsewhere), 4, "was stopped: still running after 0")
    refused(workspace.run(*arguments, "--step-memory", "1 MiB", **elsewhere), 4, "memory")


def test_a_slower_machine_is_told_from_a_slower_model(workspace: Workspace, kept: Path) -> None:
    assert workspace.run("--target", "board").code == 0
    workspace.run("gate", "dist/board/tiny", "-t", "board", "--against", "v1", "--baselines", str(kept))
    path = workspace.root / "history.jsonl"
    entry = json.loads(path.read_text().splitlines()[0])
    entry["seconds"]["baseline"] /= 1000
    path.write_text("".join(json.dumps(entry) + "\n" for _ in range(8)))
    ran = workspace.run("gate", "dist/board/tiny", "-t", "board")
    assert ran.code == 0
    assert "the machine has changed, not the model: the float model takes" in ran.out


def damaged_bundle(workspace: Workspace, kept: Path) -> None:
    (workspace.bundle / "labels.json").write_text("[]")


def damaged_baseline(workspace: Workspace, kept: Path) -> None:
    (kept / "v1" / "artifact" / "README.md").write_text("")


def other_target(workspace: Workspace, kept: Path) -> None:
    shutil.copy(workspace.root / TARGET, workspace.root / "targets" / "boat.toml")


def nothing(workspace: Workspace, kept: Path) -> None:
    """Leave all as it is."""


@pytest.mark.parametrize(
    ("spoil", "arguments", "code", "words"),
    [
        (nothing, ["dist/board/none", "-t", "board"], 2, ["not a bundle"]),
        (nothing, ["dist/board/tiny", "-t", "bord"], 2, ["unknown target", "did you mean 'board'"]),
        (nothing, ["dist/board/tiny", "-t", "board", "--against", "v2"], 2, ["no baseline 'v2'", "known: v1"]),
        (nothing, ["dist/board/tiny", "-t", "board", "--device", "pigeon"], 2, ["--device", "unknown device"]),
        (nothing, ["dist/board/tiny", "-t", "board", "--device", "local://x"], 2, ["takes no address"]),
        (nothing, ["dist/board/tiny", "-t", "board", "--device", "ssh://a@127.0.0.1:1"], 4, ["no device can measure"]),
        (damaged_bundle, ["dist/board/tiny", "-t", "board"], 5, ["labels.json", "digest differs"]),
        (damaged_baseline, ["dist/board/tiny", "-t", "board", "--against", "v1"], 5, ["not in its manifest"]),
        (other_target, ["dist/board/tiny", "-t", "boat"], 2, ["a bundle for 'board', not for 'boat'"]),
    ],
)
def test_what_cannot_be_judged(
    workspace: Workspace, kept: Path, spoil: object, arguments: list[str], code: int, words: list[str]
) -> None:
    assert workspace.run("--target", "board").code == 0
    spoil(workspace, kept)  # type: ignore[operator]
    refused(workspace.run("gate", *arguments, "--baselines", str(kept)), code, *words)
    assert not workspace.bundle.with_name("tiny.gate").exists()


def test_a_baseline_of_another_format_is_refused(workspace: Workspace, kept: Path) -> None:
    shipped = json.loads((kept / "v1" / "manifest.json").read_text())["format"]
    lines = f'[[runtimes]]\nformat = "{shipped}"\n\n'
    workspace.edit(TARGET, lines, "")
    assert workspace.run("--target", "board").code == 0
    ran = workspace.run("gate", "dist/board/tiny", "-t", "board", "--against", "v1", "--baselines", str(kept))
    refused(ran, 2, f"format '{shipped}'")


def test_reports_for_other_programs_are_written_beside_the_answer(built: Workspace, tmp_path: Path) -> None:
    places = {name: tmp_path / f"out.{name}" for name in ("junit", "sarif", "markdown")}
    options = [word for name, place in places.items() for word in (f"--{name}", str(place))]
    ran = built.run("--target", "board", "--json", *options)
    assert ran.code == 0, ran.err
    judged = ran.document["bundles"][0]
    verdicts = judged["formats"][judged["format"]]["verdicts"]
    assert ElementTree.parse(places["junit"]).getroot().get("tests") == str(len(verdicts))
    assert json.loads(places["sarif"].read_text())["runs"][0]["results"] == []
    assert places["markdown"].read_text().count("✅") == len(verdicts)
    refused(built.run("--target", "board", "--junit", str(tmp_path / "no" / "x.xml")), 2, "--junit", "is no folder")


def test_a_wrong_regression_is_refused_by_the_build_already(workspace: Workspace) -> None:
    with (workspace.root / TARGET).open("a") as file:
        file.write('[[regressions]]\nmetric = "latency"\nlimit = "3"\n')
    refused(workspace.run("--target", "board"), 2, "regressions[0].limit", "no unit")
