"""The command line: light to start, documented, and machine-readable on request."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgebuild.cli import main, root
from tests import ROOT
from tests.scenarios.conftest import Workspace

VERBS = root.list_commands(None)  # type: ignore[attr-defined]
# These talk with a registry (bundle/test_registry.py), and with a scheduler (scenarios/test_cluster.py).
ALONE = [verb for verb in VERBS if verb not in ("push", "pull", "worker")]


def test_help_loads_no_heavy_package() -> None:
    code = (
        "import sys\nfrom edgebuild.cli import main\nmain(['--help'])\n"
        "heavy = {'torch', 'numpy', 'onnx', 'onnxruntime', 'scipy', 'pydantic', 'ai_edge_litert', 'tensorflow'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


FRAMEWORKS = ("torch", "numpy", "onnx", "onnxruntime", "scipy", "ai_edge_litert", "jinja2")
RUNNING = ("multiprocessing", "filelock", "edgebuild.engine.worker", "edgebuild.verbs.preloading")
WORKING = (
    *("edgebuild.nn.lift", "edgebuild.devices.jobs.job", "edgebuild.travels.runner"),
    *("edgebuild.devices.timing.latency", "edgebuild.devices.emulation.mirrors", "edgebuild.spec.space_tables"),
)
DRAWING = ("rich.console", "rich.markup", "rich.progress")
UNNEEDED = (*FRAMEWORKS, *RUNNING, *WORKING, *DRAWING, "ssl", "http.client", "tarfile", "concurrent.futures", "logging")


def test_a_build_with_nothing_to_do_loads_no_framework(built: Workspace) -> None:
    """Nor what only steps that run need: how they do it, who runs them, and what draws their progress."""
    code = (
        "import sys\nfrom edgebuild.cli import main\ncode = main(['--target', 'board'])\n"
        f"sys.exit(', '.join(sorted({{*{UNNEEDED}}} & set(sys.modules))) or code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=built.root,
        env={"EDGEBUILD_STORE": str(built.store)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str, built: Workspace) -> None:
    ran = built.run(verb, "--help")
    assert ran.code == 0
    assert "Example: edgebuild" in ran.out
    assert "--json" in ran.out


CALLS = {
    "build": ["--target", "board"],
    "plan": ["--target", "board"],
    "explain": ["--target", "board", "board/tiny/judge"],
    "report": ["dist/board/tiny"],
    "package": ["dist/board/tiny", "--as", "wheel", "--out", "ELSEWHERE/package"],
    "verify": ["dist/board/tiny"],
    "sign": ["dist/board/tiny", "--key", "ELSEWHERE/key.pem", "--out", "ELSEWHERE/tiny.sig"],
    "targets": ["show", "board"],
    "schema": ["target"],
    "diff": ["dist/board/tiny", "dist/board/tiny"],
    "gate": ["dist/board/tiny", "--target", "board"],
    "history": ["--last", "3"],
    "inspect": ["dist/board/tiny/model.tflite"],
    "init": ["dist/board/tiny/model.tflite", "--data", "ELSEWHERE/d.npz", "--project", "ELSEWHERE"],
    "search": ["--target", "board", "--space", "ELSEWHERE/one.toml"],
    "bench": ["dist/board/tiny/model.tflite", "--target", "board"],
}


def call(verb: str, elsewhere: Path) -> list[str]:
    """The arguments, with data in a folder of the test's own."""
    (elsewhere / "one.toml").write_text('description = "one recipe"\n[[steps]]\nuse = "int8"\n')
    np.savez(elsewhere / "d.npz", x=np.zeros((40, 8, 8, 1), np.float32), y=np.arange(40) % 4)
    if verb == "sign":
        pytest.importorskip(
            "model_signing", reason="no model-signing: pip install '.[signing]', in an environment without [tflite]"
        )
        from tests.bundle.test_signature import pair

        pair(elsewhere, "key")
    return [word.replace("ELSEWHERE", str(elsewhere)) for word in CALLS.get(verb, [])]


@pytest.mark.parametrize("verb", ALONE)
def test_json_is_one_document_and_nothing_else(verb: str, built: Workspace, tmp_path: Path) -> None:
    ran = built.run(verb, *call(verb, tmp_path), "--json")
    assert ran.code == 0, ran.err
    assert isinstance(ran.document, dict)
    assert [line for line in ran.err.splitlines() if not line.startswith(("run ", "done "))] == []


@pytest.mark.parametrize("verb", ALONE)
def test_every_verb_prints_something_for_people(verb: str, built: Workspace, tmp_path: Path) -> None:
    ran = built.run(verb, *call(verb, tmp_path))
    assert ran.code == 0, ran.err
    assert ran.out.strip()


def test_an_error_is_json_too(built: Workspace) -> None:
    ran = built.run("plan", "--target", "nowhere", "--json")
    assert ran.code == 2
    assert ran.document["exit_code"] == 2
    assert ran.document["error"]["kind"] == "UsageError"


@pytest.mark.parametrize(
    ("words", "reason"), [(["plan"], "Missing option '--target' / '-t'."), (["nope"], "No such command 'nope'.")]
)
def test_a_command_that_cannot_be_parsed_is_json_too(
    capsys: pytest.CaptureFixture[str], words: list[str], reason: str
) -> None:
    assert main([*words, "--json"]) == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out)["error"]["reason"] == reason
    assert printed.err == f"edgebuild: {reason}\n"


@pytest.mark.parametrize(
    ("redirection", "code", "told"),
    [
        (">&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
        (">/dev/full", 2, "edgebuild: standard output: cannot be written: No space left on device\n"),
    ],
)
def test_what_is_printed_may_lead_nowhere(redirection: str, code: int, told: str) -> None:
    words = ["sh", "-c", f'exec "$0" -m edgebuild targets {redirection}', sys.executable]
    ran = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (code, "", told)


def test_a_file_is_not_opened_in_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    code = "import os; from edgebuild.cli import main; main(['--version']); print(os.open('x', os.O_CREAT) > 2)"
    words = ["sh", "-c", 'exec "$0" -c "$1" <&-', sys.executable, code]
    ran = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=60, env={"PYTHONPATH": str(ROOT)})
    assert ran.stdout.splitlines()[-1] == "True", ran.stderr


def test_a_working_folder_that_is_gone_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["targets"]) == 2
    assert capsys.readouterr().err == "edgebuild: the working folder is gone (cd to one that is there)\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_what_is_told_to_end_ends_in_one_line(number: signal.Signals, code: int) -> None:
    """And gives back what it holds, as a build does its scratch space."""
    program = (
        "import sys, time\n"
        "from edgebuild import cli\n"
        "from edgebuild.spec import project\n"
        "def wait(root):\n"
        "    try:\n"
        "        print('here', flush=True)\n"
        "        time.sleep(60)\n"
        "    finally:\n"
        "        print('given back', flush=True)\n"
        "project.open_project = wait\n"
        "sys.exit(cli.main(['targets', '--json']))\n"
    )
    heard = (
        f"import signal; signal.signal({number:d}, signal.SIG_DFL if {number:d} != 2 else signal.default_int_handler)"
    )
    words = [sys.executable, "-c", f"{heard}\n{program}"]  # nohup has its programs deaf to one
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    given_back, _, document = out.partition("\n")
    assert (process.returncode, given_back) == (code, "given back")
    assert err.strip() == "edgebuild: stopped; what was finished is kept"
    told = json.loads(document)
    assert (told["exit_code"], told["error"]["reason"]) == (code, "stopped; what was finished is kept")


def test_a_shell_completes_names(monkeypatch: pytest.MonkeyPatch) -> None:
    from click.shell_completion import ShellComplete

    monkeypatch.chdir(ROOT)
    complete = ShellComplete(root, {}, "edgebuild", "_EDGEBUILD_COMPLETE")
    for option, beginning, names in (
        ("--target", "rpi", ["rpi3", "rpi4", "rpi5"]),
        ("--model", "dig", ["digits", "digits_cascade"]),
        ("--recipe", "in", ["int8"]),
    ):
        found = complete.get_completions(["plan", option], beginning)
        assert [item.value for item in found] == names


def test_options_in_the_verbs_place_mean_build(built: Workspace) -> None:
    assert json.loads(built.run("--target", "board", "--json").out) == json.loads(
        built.run("build", "--target", "board", "--json").out
    )


def test_an_unknown_verb_is_a_usage_error(built: Workspace) -> None:
    ran = built.run("biuld")
    assert ran.code == 2
    assert ran.err.count("\n") == 1


def test_explain_shows_every_part_of_a_key(built: Workspace) -> None:
    ran = built.run("explain", "--target", "board", "board/tiny/prune_channels")
    assert "option.ratio = 0.5" in ran.out
    assert "tool.torch = " in ran.out
    assert "code.edgebuild.steps.techniques.prune_channels = " in ran.out


def test_a_shown_target_can_be_copied_and_says_what_a_release_must_prove_there(fresh: Callable[[], Workspace]) -> None:
    project = fresh()
    shown = project.run("targets", "show", "rpi4").out
    assert tomllib.loads(shown) == tomllib.loads((ROOT / "targets" / "rpi4.toml").read_text())
    told = [line.split(" (")[0] for line in shown.splitlines() if line.startswith("#   ")]
    assert "#   accuracy '1 pp', evidence at least emulated" in told
    assert "#   ram '100 %', evidence at least host" in told
    own = project.run("targets", "show", "board").out.splitlines()
    assert "#   size '-60 %', evidence at least host (targets/board.toml)" in own
    assert "#   latency is not judged (targets/board.toml)" in own
    assert not any(line.startswith("#   ram") for line in own)  # the board does not say how much it has
