"""Parts of the cache: built once, whole or absent, and checked."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from edgebuild.devices.emulation.parts import Download, Part, manifest, obtain
from edgebuild.spec.errors import DeviceError


def _part(builds: list[int], text: str = "content") -> Part:
    def build(tree: Path, _scratch: Path) -> list[Download]:
        builds.append(1)
        (tree / "folder").mkdir()
        (tree / "folder/file").write_text(text)
        (tree / "link").symlink_to("folder/file")
        return [Download("package.deb", "0" * 64, 7)]

    return Part("thing", {"text": text}, build)


def test_a_part_is_built_once_and_described(tmp_path):
    builds: list[int] = []
    for _ in range(2):
        tree = obtain(tmp_path, [_part(builds)])["thing"]
    assert (tree / "link").read_text() == "content"
    assert manifest(tree)["downloads"] == [{"name": "package.deb", "sha256": "0" * 64, "size": 7}]
    assert len(builds) == 1


def test_another_recipe_lies_beside_the_first(tmp_path):
    first, second = (obtain(tmp_path, [_part([], text)])["thing"] for text in ("one", "two"))
    assert (first / "folder/file").read_text() == "one"
    assert (second / "folder/file").read_text() == "two"


@pytest.mark.parametrize("damage", ["flip", "truncate", "drop", "add", "relink"])
def test_verify_finds_and_repairs_damage(tmp_path, damage):
    builds: list[int] = []
    tree = obtain(tmp_path, [_part(builds)], verify=True)["thing"]
    file = tree / "folder/file"
    match damage:
        case "flip":
            file.write_text("CONTENT")
        case "truncate":
            file.write_text("")
        case "drop":
            file.unlink()
        case "add":
            (tree / "more").touch()
        case "relink":
            (tree / "link").unlink()
            (tree / "link").symlink_to("elsewhere")
    obtain(tmp_path, [_part(builds)])
    assert len(builds) == 1
    obtain(tmp_path, [_part(builds)], verify=True)
    assert len(builds) == 2
    assert file.read_text() == "content"


def test_a_failed_build_leaves_nothing(tmp_path):
    def build(tree: Path, _scratch: Path) -> list[Download]:
        (tree / "half").touch()
        raise DeviceError("no network")

    with pytest.raises(DeviceError, match="no network"):
        obtain(tmp_path, [Part("thing", {}, build)])
    assert [each.name for each in tmp_path.iterdir()] == [".lock"]


def test_a_full_disk_is_one_clear_line(tmp_path):
    def build(tree: Path, _scratch: Path) -> list[Download]:
        raise OSError(28, "No space left on device", str(tree / "file"))

    with pytest.raises(DeviceError, match="No space left on device") as caught:
        obtain(tmp_path, [Part("thing", {}, build)])
    assert "\n" not in str(caught.value)


def _killed(cache: Path) -> None:
    def build(tree: Path, _scratch: Path) -> list[Download]:
        (tree / "half").touch()
        os.kill(os.getpid(), signal.SIGKILL)
        return []

    obtain(cache, [Part("thing", {"text": "content"}, build)])


def test_after_a_kill_the_next_build_is_whole_and_clean(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=_killed, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert any(each.name.startswith(".staging-") for each in tmp_path.iterdir())
    tree = obtain(tmp_path, [_part([])])["thing"]
    assert (tree / "folder/file").read_text() == "content"
    assert not any(each.name.startswith(".staging-") for each in tmp_path.iterdir())


def _slow(cache: Path, log: Path) -> None:
    def build(tree: Path, _scratch: Path) -> list[Download]:
        time.sleep(0.1)
        (tree / "file").write_text("whole")
        with log.open("a") as out:
            out.write("built\n")
        return []

    tree = obtain(cache, [Part("thing", {}, build)])["thing"]
    assert (tree / "file").read_text() == "whole"


def test_eight_processes_build_it_once(tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_slow, args=(tmp_path / "cache", tmp_path / "log")) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    assert (tmp_path / "log").read_text() == "built\n"


def test_an_unreadable_manifest_is_a_missing_part(tmp_path):
    builds: list[int] = []
    tree = obtain(tmp_path, [_part(builds)])["thing"]
    for text in ("", "{", json.dumps({"recipe": {"text": "other"}})):
        (tree.parent / "manifest.json").write_text(text)
        obtain(tmp_path, [_part(builds)])
    assert len(builds) == 4
