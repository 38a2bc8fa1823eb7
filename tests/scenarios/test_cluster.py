"""The real command with a real scheduler and worker, and what is wrong with either told in one line."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from edgebuild import cli
from edgebuild.engine.store import Store
from tests.engine.cluster.conftest import farming, start
from tests.scenarios.conftest import Workspace

NOBODY = "tcp://127.0.0.1:1"
CACHE = ["--cache", "http://127.0.0.1:1"]


def test_a_step_with_the_projects_code_runs_on_a_worker_that_has_neither(
    workspace: Workspace, built: Workspace, tmp_path: Path
) -> None:
    assert workspace.run("--target", "board").code == 0  # others may have built something else by these names since
    store = tmp_path / "store"
    shutil.copytree(built.store, store)
    opened = Store(store)
    action = opened.last("tiny/untrained")
    opened.close()
    assert action is not None
    (store / "actions" / f"{action.key}.json").unlink()
    shutil.rmtree(store / "cas" / action.output.digest)
    with farming(tmp_path) as farm:
        words = ("worker", farm.address, "--cache", farm.served.url, "--store", str(tmp_path / "other"), "-j", "1")
        worker = start(tmp_path / "worker.log", "-P", "-m", "edgebuild", *words)
        worker.said(r"worker (tcp://\S+) of ")
        shared = {"EDGEBUILD_CACHE": farm.served.url, "EDGEBUILD_CLUSTER": farm.address}
        ran = workspace.run("--target", "board", "--json", EDGEBUILD_STORE=str(store), **shared)
        assert ran.code == 0, ran.err
        assert [each["step"] for each in ran.document["ran"]] == ["tiny/untrained"]
        assert ran.document["cluster"] == {"address": farm.address, "ran": 1, "again": 0, "lost": 0}
        workspace.edit(
            "targets/board.toml", '[[runtimes]]\nformat = "tflite"\n\n', ""
        )  # one format takes half the time
        (workspace.root / "one.toml").write_text('description = "one"\nsteps = [{use = "int8"}]\n')
        words = ("search", "--target", "board", "--space", "one.toml", "--json")
        searched = workspace.run(*words, EDGEBUILD_STORE=str(store), **shared)
        assert searched.code == 0, searched.err
        assert [trial["status"] for trial in searched.document["trials"]] == ["passes"]
        assert any(f"steps ran on workers of {farm.address}" in line for line in searched.document["notices"])
        again = Store(tmp_path / "other" if worker.kill(signal.SIGTERM) == 0 else store)
        made = again.find(action.key)
        again.close()
        assert made is not None
        assert made.output == action.output


@pytest.mark.parametrize(
    ("code", "told", "arguments"),
    [
        (2, "--cache: a cluster needs a cache", ["build", "-t", "board", "--cluster", NOBODY]),
        (2, "--cache: a cluster needs a cache", ["worker", NOBODY]),
        (2, "--cache-read-only: a cluster needs a cache that", ["worker", NOBODY, *CACHE, "--cache-read-only"]),
        (2, "--cluster: is no address of a scheduler", ["build", "-t", "board", "--cluster", "host:8786", *CACHE]),
        (2, "SCHEDULER: is no address of a scheduler", ["worker", "tcp://host:99999", *CACHE]),
        (4, f"--cluster: the scheduler {NOBODY} does not answer: ", ["worker", NOBODY, *CACHE]),
        (4, f"--cluster: the scheduler {NOBODY} does not answer: ", ["-t", "board", "--cluster", NOBODY, *CACHE]),
    ],
)
def test_what_is_wrong_is_one_line(
    workspace: Workspace,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    told: str,
    arguments: list[str],
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setenv("EDGEBUILD_STORE", str(tmp_path / "new"))
    monkeypatch.chdir(workspace.root)
    assert cli.main(arguments) == code
    said = capfd.readouterr().err
    assert said.startswith(f"edgebuild: {told}")
    assert said.count("\n") == 1
