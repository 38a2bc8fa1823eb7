"""Every verb with wrong inputs of every kind: one line, no traceback, and never the exit code of a failed gate."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgebuild import cli
from edgebuild.cli import root
from tests.scenarios.conftest import Workspace

VERBS = root.list_commands(None)  # type: ignore[attr-defined]


def seal(folder: Path, manifest: bytes) -> None:
    """A manifest with its right digest, whatever it says."""
    folder.mkdir()
    (folder / "manifest.json").write_bytes(manifest)
    digest = hashlib.sha256(manifest).hexdigest()
    (folder / "manifest.sha256").write_text(f"{digest}  manifest.json\n")


def unreadable(path: Path) -> None:
    """A file that exists and fails when it is read, for root as well."""
    path.symlink_to("/proc/self/mem")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def nested(path: Path) -> None:
    path.write_text("x = " + "[" * 100_000)


FILES: dict[str, Callable[[Path], object]] = {
    "folder": Path.mkdir,
    "empty": Path.touch,
    "truncated": lambda path: path.write_text('description = "half\n[hardw'),
    "json": lambda path: path.write_text('{"description": '),
    "not UTF-8": lambda path: path.write_bytes(b'description = "\xff\xfe"\n'),
    "zeros": lambda path: path.write_bytes(bytes(4096)),
    "unreadable": unreadable,
    "loop": loop,
    "nested": nested,
}

# A folder that should be a bundle.
FOLDERS: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "file": Path.touch,
    "empty": Path.mkdir,
    "loop": loop,
    "a folder's manifest": lambda path: (path / "manifest.json").mkdir(parents=True),
    "no seal": lambda path: (path.mkdir(), (path / "manifest.json").write_text("{}")),
    "sealed, empty": lambda path: seal(path, b""),
    "sealed, truncated": lambda path: seal(path, b'{"files": {'),
    "sealed, no table": lambda path: seal(path, b"[1, 2]"),
    "sealed, lacks all": lambda path: seal(path, b"{}"),
    "sealed, not UTF-8": lambda path: seal(path, b'{"files": "\xff"}'),
    "sealed, wrong types": lambda path: seal(path, json.dumps(dict.fromkeys(WRONG, 7)).encode()),
    "sealed, nested": lambda path: seal(path, b"[" * 100_000),
    "unreadable": lambda path: (path.mkdir(), unreadable(path / "manifest.json")),
}
WRONG = ("status", "subject", "format", "parts", "routing", "evidence", "verdicts", "files", "sources", "fingerprints")
TAKE_A_BUNDLE = {
    "report": ["report", "{}"],
    "verify": ["verify", "{}"],
    "diff first": ["diff", "{}", "{good}"],
    "diff second": ["diff", "{good}", "{}"],
    "gate": ["gate", "{}", "-t", "board"],
    "gate against": ["gate", "{good}", "-t", "board", "--against", "{}"],
    "baseline set": ["baseline", "set", "{}"],
    "baseline show": ["baseline", "show", "{}"],
}
# Where something else than the verb's own kind of folder is given: it is whole, so it must be told apart.
OTHER_KIND = ("report", "diff first", "diff second", "gate", "baseline set")
READ_A_TARGET = {
    "build": ["build", "-t", "{}"],
    "plan": ["plan", "-t", "{}"],
    "explain": ["explain", "-t", "{}"],
    "explain gate": ["explain", "-t", "{}", "--gate", "size"],
    "targets": ["targets"],
    "targets show": ["targets", "show", "{}"],
    "devices": ["devices"],
    "doctor": ["doctor", "-t", "{}"],
    "gate": ["gate", "{good}", "-t", "{}"],
    "bench": ["bench", "{good}/model.onnx", "-t", "{}"],
}
READ_A_MODEL = {
    "build": ["build", "-t", "board", "-m", "{}"],
    "plan": ["plan", "-t", "board"],
    "explain": ["explain", "-t", "board"],
    "models": ["models"],
    "doctor": ["doctor"],
}
READ_A_RECIPE = {
    "build": ["build", "-t", "board", "-r", "{}"],
    "plan": ["plan", "-t", "board", "-r", "{}"],
    "explain": ["explain", "-t", "board", "-r", "{}"],
    "recipes": ["recipes"],
}


@pytest.fixture
def here(built: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project without its bundle, and the store of all scenarios."""
    project = tmp_path / "project"
    shutil.copytree(built.root, project, ignore=shutil.ignore_patterns("dist", "__pycache__"))
    monkeypatch.setenv("EDGEBUILD_STORE", str(built.store))
    monkeypatch.chdir(project)
    return project


def refuse(capsys: pytest.CaptureFixture[str], *arguments: str, codes: tuple[int, ...] = (2, 5)) -> str:
    """Run the command, which must refuse in one line of people's words; that line."""
    capsys.readouterr()
    code = cli.main([*arguments])
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert "unforeseen" not in said, said
    assert code in codes, (code, said)
    assert said.count("\n") == 1, said
    return said


def words(arguments: list[str], wrong: object, good: Path) -> list[str]:
    return [word.replace("{good}", str(good)).replace("{}", str(wrong)) for word in arguments]


@pytest.mark.parametrize("verb", TAKE_A_BUNDLE)
@pytest.mark.parametrize("kind", FOLDERS)
def test_what_is_no_bundle(
    here: Path, built: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str, kind: str
) -> None:
    wrong = tmp_path / "wrong"
    FOLDERS[kind](wrong)
    refuse(capsys, *words(TAKE_A_BUNDLE[verb], wrong, built.bundle))


@pytest.mark.parametrize("name", ["x" * 300, "a/" * 3000 + "b", "\udcff\udcfe", "", "/dev/null", "/proc/self", "a\nb"])
@pytest.mark.parametrize("verb", TAKE_A_BUNDLE)
def test_a_name_that_no_bundle_has(
    here: Path, built: Workspace, capsys: pytest.CaptureFixture[str], verb: str, name: str
) -> None:
    refuse(capsys, *words(TAKE_A_BUNDLE[verb], name, built.bundle))


@pytest.mark.parametrize("verb", OTHER_KIND)
def test_a_baseline_is_no_bundle(
    here: Path, built: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    kept = tmp_path / "kept"
    assert cli.main(["baseline", "set", str(built.bundle), "--name", "v1", "--baselines", str(kept)]) == 0
    told = refuse(capsys, *words(TAKE_A_BUNDLE[verb], kept / "v1", built.bundle), codes=(2,))
    assert "is a baseline, not a bundle" in told


def test_a_bundle_is_no_baseline(here: Path, built: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    told = refuse(capsys, *words(TAKE_A_BUNDLE["baseline show"], built.bundle, built.bundle), codes=(2,))
    assert "is a bundle, not a baseline" in told


def test_what_else_lies_in_a_bundle(
    here: Path, built: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is harmless to whoever reads it: a pipe would otherwise be waited for, for ever."""
    others = {"a pipe": os.mkfifo, "a loop": loop, "unreadable": unreadable, "a folder": lambda path: seal(path, b"{}")}
    for name, make in others.items():
        bundle = tmp_path / name
        shutil.copytree(built.bundle, bundle)
        make(bundle / "more")
        for verb in ("report", "verify", "diff second", "gate", "baseline set"):
            refuse(capsys, *words(TAKE_A_BUNDLE[verb], bundle, built.bundle), codes=(5,))


@pytest.mark.parametrize("verb", READ_A_TARGET)
@pytest.mark.parametrize("kind", FILES)
def test_a_target_that_cannot_be_read(
    here: Path, built: Workspace, capsys: pytest.CaptureFixture[str], verb: str, kind: str
) -> None:
    FILES[kind](here / "targets" / "wrong.toml")
    assert "targets/wrong.toml" in refuse(capsys, *words(READ_A_TARGET[verb], "wrong", built.bundle), codes=(2,))


@pytest.mark.parametrize("verb", READ_A_MODEL)
@pytest.mark.parametrize("kind", [kind for kind in FILES if kind != "loop"])
def test_a_model_that_cannot_be_read(
    here: Path, built: Workspace, capsys: pytest.CaptureFixture[str], verb: str, kind: str
) -> None:
    (here / "models" / "wrong").mkdir()
    FILES[kind](here / "models" / "wrong" / "model.toml")
    assert "models/wrong/model.toml" in refuse(capsys, *words(READ_A_MODEL[verb], "wrong", built.bundle), codes=(2,))


@pytest.mark.parametrize("verb", READ_A_RECIPE)
@pytest.mark.parametrize("kind", FILES)
def test_a_recipe_that_cannot_be_read(
    here: Path, built: Workspace, capsys: pytest.CaptureFixture[str], verb: str, kind: str
) -> None:
    (here / "recipes").mkdir(exist_ok=True)
    FILES[kind](here / "recipes" / "wrong.toml")
    assert "recipes/wrong.toml" in refuse(capsys, *words(READ_A_RECIPE[verb], "wrong", built.bundle), codes=(2,))


@pytest.mark.parametrize("kind", FILES)
def test_a_history_that_cannot_be_read(here: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    (here / "history.jsonl").unlink(missing_ok=True)
    FILES[kind](here / "history.jsonl")
    capsys.readouterr()
    assert cli.main(["history"]) in (2, 5)
    assert capsys.readouterr().err.count("\n") <= 1


@pytest.mark.parametrize("kind", [kind for kind in FILES if kind not in ("empty", "not UTF-8")])
@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_a_model_file_that_cannot_be_read(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, suffix: str
) -> None:
    FILES[kind](tmp_path / f"wrong{suffix}")
    refuse(capsys, "bench", str(tmp_path / f"wrong{suffix}"), "-t", "board", codes=(2, 4))


@pytest.mark.parametrize(
    "verb", [verb for verb in VERBS if verb not in ("report", "verify", "diff", "schema", "steps")]
)
@pytest.mark.parametrize("kind", ["missing", "file", "loop"])
def test_a_project_that_is_none(
    here: Path, built: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str, kind: str
) -> None:
    FOLDERS[kind](tmp_path / "wrong")
    needed = {"build": ["-t", "x"], "plan": ["-t", "x"], "explain": ["-t", "x"], "search": ["-t", "x"]}
    needed["bench"] = ["b.onnx", "-t", "x"]
    refuse(capsys, verb, *needed.get(verb, []), "-C", str(tmp_path / "wrong"), codes=(2,))


@pytest.mark.parametrize("verb", ["build", "gate"])
@pytest.mark.parametrize("option", ["--junit", "--sarif", "--markdown"])
def test_a_report_that_cannot_be_written_is_told_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str, option: str
) -> None:
    report = str(tmp_path / "absent" / "report")
    told = refuse(capsys, verb, *(["b"] if verb == "gate" else []), "-t", "none", option, report, codes=(2,))
    assert f"Invalid value for '{option}': {tmp_path / 'absent'} is no folder" in told


@pytest.mark.parametrize("verb", ["build", "plan", "explain", "gate", "baseline", "cache"])
@pytest.mark.parametrize("kind", ["file", "loop", "under a file"])
def test_a_store_that_is_none(
    here: Path,
    built: Workspace,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    kind: str,
) -> None:
    FOLDERS.get(kind, Path.touch)(tmp_path / "wrong")
    monkeypatch.setenv("EDGEBUILD_STORE", str(tmp_path / "wrong" / ("x" if kind == "under a file" else "")))
    if (verb, kind) == ("cache", "under a file"):
        return  # an absent store is empty
    needed = {"gate": [str(built.bundle), "-t", "board"], "baseline": ["set", str(built.bundle)], "cache": ["clear"]}
    refuse(capsys, verb, *needed.get(verb, ["-t", "board"]), codes=(2,))


def test_a_folder_of_the_users_is_never_replaced(
    here: Path, built: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever a verb publishes: where a bundle goes, its evidence, a gate's evidence, a baseline."""
    mine = tmp_path / "own"
    for place in (mine / "board" / "tiny", mine / "board" / "tiny.evidence", tmp_path / "kept" / "v1"):
        place.mkdir(parents=True)
        (place / "thesis.tex").write_text("mine")
        told = (
            refuse(capsys, "baseline", "set", str(built.bundle), "--name", "v1", "--baselines", str(tmp_path / "kept"))
            if place.name == "v1"
            else refuse(capsys, "build", "-t", "board", "-o", str(mine))
        )
        assert "is in the way" in told
        assert (place / "thesis.tex").read_text() == "mine"
        shutil.rmtree(place)
    shutil.copytree(built.bundle, tmp_path / "b")
    (tmp_path / "b.gate").mkdir()
    (tmp_path / "b.gate" / "thesis.tex").write_text("mine")
    assert "is in the way" in refuse(capsys, "gate", str(tmp_path / "b"), "-t", "board")
    assert (tmp_path / "b.gate" / "thesis.tex").read_text() == "mine"


def test_cache_clear_leaves_a_folder_of_the_users(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("mine")
    monkeypatch.setenv("EDGEBUILD_STORE", str(tmp_path / "mine"))
    for arguments in (["cache", "clear"], ["cache"], ["plan", "-t", "board"]):
        assert "is no store of edgebuild" in refuse(capsys, *arguments, codes=(2,))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "pull"])  # which begins with the network
def test_what_nobody_foresaw_has_a_log_and_is_no_failed_gate(
    here: Path,
    built: Workspace,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
) -> None:
    def burst(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of all things")

    places = ("spec.project.open_project", "bundle.manifest.read", "bundle.manifest.verify_any")
    for place in (
        *places,
        "plan.schemas.target",
        "plan.policy.metrics_of",
        "spec.checked.schema",
        "verbs.inspect.run",
        "verbs.worker.serve",
    ):
        monkeypatch.setattr(f"edgebuild.{place}", burst)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    needed = {"build": ["-t", "x"], "plan": ["-t", "x"], "explain": ["-t", "x"], "search": ["-t", "x"]}
    needed |= {
        "gate": ["b", "-t", "x"],
        "bench": ["b.onnx", "-t", "x"],
        "report": ["b"],
        "verify": ["b"],
        "diff": ["a", "b"],
        "schema": ["target"],
        "inspect": ["b.onnx"],
        "package": ["b", "--as", "c"],
        "sign": ["b", "--key", "k"],
        "push": ["b", "x.invalid/tiny:1"],
        "init": ["b.onnx"],
        "worker": ["tcp://127.0.0.1:1", "--cache", "http://127.0.0.1:1"],
    }
    assert cli.main([verb, *needed.get(verb, [])]) == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    (log,) = tmp_path.glob("edgebuild-*.log")
    assert said.err == f"edgebuild: unforeseen ZeroDivisionError: of all things (log: {log})\n"
    assert "in burst" in log.read_text()
    assert cli.main([verb, *needed.get(verb, []), "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["exit_code"] == 4


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (MemoryError(), 4, "ran out of memory (log: "),
        (OSError(28, "No space left on device"), 2, "no space left on device"),
        (PermissionError(13, "Permission denied", "/a/file"), 2, "/a/file: permission denied"),
        (RecursionError("too deep"), 4, "unforeseen RecursionError: too deep (log: "),
    ],
)
def test_what_an_exception_of_a_verb_means(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, told: str
) -> None:
    def burst(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("edgebuild.spec.project.open_project", burst)
    assert cli.main(["models"]) == code
    assert f"edgebuild: {told}" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["schema", "target"], ["--help"], ["targets", "--json"]])
def test_a_reader_that_leaves_is_no_failed_gate(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "edgebuild", *arguments]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_terminal_of_a_narrow_encoding_gets_escapes(built: Workspace) -> None:
    ran = built.run("report", "dist/board/tiny", PYTHONIOENCODING="ascii")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.isascii()
