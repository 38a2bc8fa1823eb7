"""A plug-in of somebody else is one file and an entry point: it drives a build, and what it lacks is one line."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import invalidate_caches
from pathlib import Path
from typing import Any

import pytest

from edgebuild import cli
from edgebuild.spec import plugins
from edgebuild.spec.errors import UsageError
from edgebuild.spec.plugins import Registry
from edgebuild.spec.registry import DEVICES, FORMATS, GATES, STEPS, TASKS
from edgebuild.spec.source import SOURCES
from tests import tiny
from tests.scenarios.conftest import PROJECT, Ran

OUTSIDE = Path(__file__).parent / "outside"
# What the file holds: by class its registry and the name that its entry point gives it.
NOUNS: dict[str, tuple[Registry[Any], str]] = {
    "RoundWeights": (STEPS, "round_weights"),
    "Box": (FORMATS, "box"),
    "Twin": (DEVICES, "twin"),
    "Heft": (GATES, "heft"),
    "Ballot": (TASKS, "ballot"),
    "Crate": (SOURCES, "crate"),
}
TARGET = """\
description = "A board that somebody else's device stands for"
hardware = {arch = "aarch64", cpu = "cortex-a72"}
runtimes = [{format = "box"}]
recipe = [{use = "round_weights", decimals = 4}]
devices = [{transport = "twin"}]
timing = {looks = [1], iterations = 2, warmup_iterations = 1, warmup = "0.01 s"}
gates = [{metric = "heft", limit = "1 MiB"}, {metric = "accuracy", limit = "5 pp"}]
"""
MEMBERS = [(name, member) for name, (registry, _) in NOUNS.items() for member in registry.required()]


def distribution(folder: Path, change: Callable[[str], str] = str) -> Path:
    """A folder with the file as if it was installed there, after a change of its text."""
    info = folder / "marks-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: marks\nVersion: 1.0\n")
    lines = [f"[{registry.group}]\n{name} = marks:{kind}\n" for kind, (registry, name) in NOUNS.items()]
    (info / "entry_points.txt").write_text("\n".join(lines))
    (folder / "marks.py").write_text(change((OUTSIDE / "marks.py").read_text()))
    shutil.copyfile(OUTSIDE / "load_box.py", folder / "load_box.py")
    return folder


def without(kind: str, member: str) -> Callable[[str], str]:
    """Leaves one member of one class out."""

    def cut(text: str) -> str:
        tree = ast.parse(text)
        (of,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind]
        kept = [node for node in of.body if member not in (getattr(node, "name", None), _assigned(node))]
        assert len(kept) == len(of.body) - 1
        of.body = kept
        return ast.unparse(tree)

    return cut


def _assigned(node: ast.stmt) -> str | None:
    return node.target.id if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) else None


def run(project: Path, installed: Path, *arguments: str) -> Ran:
    """The real command, where the distribution is installed."""
    variables = {"PYTHONPATH": str(installed), "COLUMNS": "200", "EDGEBUILD_STORE": str(project / "store")}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "edgebuild", *arguments],
        cwd=project, env=os.environ | variables, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a target and a model that name every one of them."""
    root = tmp_path / "project"
    shutil.copytree(PROJECT, root, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "targets" / "board.toml").write_text(TARGET)
    model = root / "models" / "tiny" / "model.toml"
    text = model.read_text().replace("epochs = 12", "epochs = 4").replace("[[inputs]]", 'task = "ballot"\n[[inputs]]')
    model.write_text(text)
    return root


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Installs the distribution for this process, after a change of its text."""

    def clear() -> None:
        plugins.forget()
        sys.modules.pop("marks", None)
        invalidate_caches()

    def install(change: Callable[[str], str] = str) -> Path:
        folder = distribution(tmp_path / "installed", change)
        monkeypatch.syspath_prepend(str(folder))
        clear()
        return folder

    yield install
    clear()


def test_one_of_each_from_a_single_file_drives_a_build_from_the_plan_to_the_bundle(
    project: Path, tmp_path: Path
) -> None:
    folder = distribution(tmp_path / "installed")
    ran = run(project, folder, "--target", "board", "--json")
    assert ran.code == 0, ran.err
    steps = [entry["step"] for entry in ran.document["ran"]]
    assert {"board/tiny/round_weights", "board/tiny/box/convert", "board/tiny/box/accuracy"} <= {*steps}
    bundle = project / "dist" / "board" / "tiny"
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert {verdict["metric"]: verdict["status"] for verdict in manifest["verdicts"]} == {
        "heft": "pass", "accuracy": "pass",
    }  # fmt: skip
    assert manifest["fingerprints"]["accuracy"] == {"cpu": "a twin of this machine"}
    assert (bundle / "model.box").read_bytes()[:4] == b"BOX1"
    answered = subprocess.run([sys.executable, "run.py", "sample.png"], cwd=bundle, capture_output=True, text=True)
    assert answered.returncode == 0, answered.stderr
    assert answered.stdout.startswith("sample.png: ")
    (folder / "marks.py").write_text((OUTSIDE / "marks.py").read_text().replace("np.round(value", "np.around(value"))
    explained = run(project, folder, "explain", "--target", "board").out
    assert "tiny/data: would run: code.marks" in explained  # its task looks at labels


def test_a_source_from_elsewhere_drives_a_build_from_its_file_to_the_bundle(
    project: Path, tmp_path: Path, made: tiny.Made
) -> None:
    folder = project / "models" / "tiny"
    shutil.copytree(tiny.MODELS / "tiny", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "model.crate").write_bytes(b"BOX1" + made.file("onnx").read_bytes())
    declared = (tiny.MODELS / "tiny" / "model.toml").read_text().partition("[training]")[0]
    source = '[source]\nuse = "crate"\nfile = "model.crate"\n'
    (folder / "model.toml").write_text(declared.replace('builder = "build"\n', "") + source)
    target = TARGET.replace('"box"', '"onnx"').replace('[{use = "round_weights", decimals = 4}]', "[]")
    (project / "targets" / "board.toml").write_text(target)
    ran = run(project, distribution(tmp_path / "installed"), "--target", "board", "--json")
    assert ran.code == 0, ran.err
    assert {"tiny/float", "board/tiny/reference", "board/tiny/bundle"} <= {
        entry["step"] for entry in ran.document["ran"]
    }
    assert (project / "dist" / "board" / "tiny" / "model.onnx").read_bytes() == made.file("onnx").read_bytes()


@pytest.mark.parametrize(("kind", "member"), MEMBERS, ids=[f"{kind}.{member}" for kind, member in MEMBERS])
def test_each_without_one_member_is_refused_in_one_line(installed: Callable[..., Path], kind: str, member: str) -> None:
    installed(without(kind, member))
    registry, name = NOUNS[kind]
    with pytest.raises(UsageError) as caught:
        registry.get(name, file="targets/board.toml", key="x")
    line = caught.value.line
    assert line.startswith(f"targets/board.toml: x: {registry.noun} {name!r} lacks {member!r}: expected {member}")
    assert line.endswith(f"; it comes from marks 1.0 (entry point {registry.group}: marks:{kind})")
    assert caught.value.exit_code == 2
    for other, (others, named) in NOUNS.items():
        assert other == kind or others.get(named).__name__ == other


LINES = {
    "RoundWeights": ("needs", "targets/board.toml: recipe[0].use: step 'round_weights' lacks 'needs'"),
    "Box": ("loader", "targets/board.toml: runtimes[0].format: format 'box' lacks 'loader'"),
    "Twin": ("execute", "targets/board.toml: devices[0].transport: device transport 'twin' lacks 'execute'"),
    "Heft": ("judge", "targets/board.toml: gates[0].metric: metric 'heft' lacks 'judge'"),
    "Ballot": ("loss", "models/tiny/model.toml: task: task 'ballot' lacks 'loss'"),
    "Crate": ("reference", "models/tiny/model.toml: source.use: source 'crate' lacks 'reference'"),
}


@pytest.mark.parametrize("kind", NOUNS)
def test_a_plan_that_names_a_broken_one_ends_with_2_and_says_where_it_is_named(
    project: Path,
    installed: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    kind: str,
) -> None:
    member, line = LINES[kind]
    if kind == "Crate":
        declared = project / "models" / "tiny" / "model.toml"
        text = declared.read_text().replace('builder = "build"\n', "")
        declared.write_text(text.partition("[training]")[0] + '[source]\nuse = "crate"\nfile = "model.crate"\n')
    installed(without(kind, member))
    monkeypatch.chdir(project)
    monkeypatch.setenv("EDGEBUILD_STORE", str(project / "store"))
    code, (out, err) = cli.main(["plan", "--target", "board"]), capfd.readouterr()
    assert (code, out) == (2, "")
    assert err.startswith(f"edgebuild: {line}: expected {member}"), err
    assert err.count("\n") == 1


def test_one_that_cannot_even_be_imported_harms_nobody_who_does_not_name_it(project: Path, tmp_path: Path) -> None:
    folder = distribution(tmp_path / "installed", lambda text: "import no_such_module\n")
    shutil.copyfile(PROJECT / "targets" / "board.toml", project / "targets" / "board.toml")
    shutil.copyfile(PROJECT / "models" / "tiny" / "model.toml", project / "models" / "tiny" / "model.toml")
    planned = run(project, folder, "plan", "--target", "board", "--json")
    assert (planned.code, planned.err) == (0, "")
    listed = run(project, folder, "steps")
    assert listed.code == 0
    assert "prune_channels" in listed.out
    why = "ModuleNotFoundError: No module named 'no_such_module'"
    assert listed.err.splitlines() == [
        f"edgebuild: {registry.noun} {name!r} cannot be loaded from marks 1.0"
        f" (entry point {registry.group}: marks:{kind}): {why}"
        for kind, (registry, name) in NOUNS.items()
        if registry in (STEPS, FORMATS)
    ]
