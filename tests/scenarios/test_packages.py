"""What a target wants packaged is packaged by the build: once, of the very bundle, and taken away with it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.scenarios.conftest import Workspace

PACKAGED = 'packages = ["wheel", "mlbom"]\n\n[hardware]'


def made_of(folder: Path) -> str:
    made: str = json.loads((folder / "edgebuild.json").read_text())["bundle"]
    return made


def digest(bundle: Path) -> str:
    return "sha256:" + (bundle / "manifest.sha256").read_text().split()[0]


def test_a_build_makes_the_packages_of_its_target_and_keeps_them_current(workspace: Workspace) -> None:
    workspace.edit("targets/board.toml", "[hardware]", PACKAGED)
    ran = workspace.run("--target", "board", "--json")
    assert ran.code == 0, ran.err
    folders = {kind: Path(folder) for kind, folder in ran.document["bundles"][0]["packages"].items()}
    assert folders == {kind: workspace.bundle.with_name(f"tiny.{kind}") for kind in ("wheel", "mlbom")}
    assert {made_of(folder) for folder in folders.values()} == {digest(workspace.bundle)}
    by_hand = workspace.root / "by hand"
    assert workspace.run("package", "dist/board/tiny", "--as", "wheel", "--out", str(by_hand)).code == 0
    (wheel,) = folders["wheel"].glob("*.whl")
    assert (by_hand / wheel.name).read_bytes() == wheel.read_bytes()

    before = {kind: folder.stat().st_ino for kind, folder in folders.items()}
    wheel.write_bytes(wheel.read_bytes()[:-1])
    again = workspace.run("--target", "board", "--json")
    assert (again.code, again.document["ran"]) == (0, [])
    assert (by_hand / wheel.name).read_bytes() == wheel.read_bytes()  # one that was damaged is made again,
    assert folders["wheel"].stat().st_ino != before["wheel"]
    assert folders["mlbom"].stat().st_ino == before["mlbom"]  # one that is whole is left as it is
    assert "wheel: " in workspace.run("--target", "board").out

    workspace.edit("targets/board.toml", 'limit = "-60 %"', 'limit = "2 KiB"')
    failed = workspace.run("--target", "board", "--json")
    assert (failed.code, failed.document["bundles"][0]["packages"]) == (1, {})
    assert not any(folder.exists() for folder in folders.values())


def test_a_kind_that_is_not_there_is_refused_before_anything_runs(workspace: Workspace) -> None:
    workspace.edit("targets/board.toml", "[hardware]", 'packages = ["wheel", "whale"]\n\n[hardware]')
    ran = workspace.run("plan", "--target", "board")
    assert ran.code == 2
    assert "targets/board.toml: packages[1]: unknown kind of package 'whale' (did you mean 'wheel'?" in ran.err


def test_one_that_cannot_be_made_of_the_bundle_names_the_target_and_leaves_the_bundle(workspace: Workspace) -> None:
    workspace.edit("targets/board.toml", '[[runtimes]]\nformat = "onnx"\n\n', "")
    workspace.edit("targets/board.toml", "[hardware]", 'packages = ["triton"]\n\n[hardware]')
    ran = workspace.run("--target", "board")
    assert ran.code == 2
    assert "targets/board.toml: packages: no package of kind 'triton' can be made: " in ran.err
    assert workspace.run("verify", "dist/board/tiny", "--released").code == 0
