"""A second machine with an empty store and a cache: it measures time and judges by that, and makes nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgebuild.engine.resolve import outlook
from edgebuild.engine.sharing import Sharing
from edgebuild.spec.cache import place
from edgebuild.spec.project import open_project
from edgebuild.verbs.request import Request, planned
from tests.engine.caches.server import Served, serving
from tests.scenarios.conftest import Workspace

TIMED = ("stage-times", "proof")  # a proof takes the times that it is told of
SECRET = "hunter2-of-the-cache"
MEASURED = {"board/tiny/latency", *(f"board/tiny/{kind}/{what}" for kind in ("onnx", "tflite") for what in TIMED)}
NETWORK = ("http.client", "ssl", "obstore", "edgebuild.engine.transfers", "edgebuild.engine.remote")


@pytest.fixture(scope="module")
def served(built: Workspace) -> Iterator[Served]:
    """A server that has been sent all that the first machine's build has made."""
    with serving() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEBUILD_STORE", str(built.store))
        sharing = Sharing(place(server.url, read_only=False), pytest.fail)  # type: ignore[arg-type]
        with planned(Request(open_project(built.root), ("board",))) as (store, plan):
            actions = {item.label: item.action for item in outlook(plan.graph, store)}
            for name in plan.graph.order():
                action = actions[plan.graph.label(name)]
                assert action is not None
                sharing.offer(store, plan.graph.nodes[name], action)
            sharing.close(waiting=lambda left: None)
        assert sharing.counts.sent > 20
        yield server


def test_a_second_machine_runs_what_measures_time_and_what_depends_on_it(
    served: Served, built: Workspace, workspace: Workspace, tmp_path: Path
) -> None:
    """Nor does anything that is written or said hold the password of the cache."""
    url, store = served.url.replace("http://", f"http://builder:{SECRET}@"), tmp_path / "second"
    first = built.run("--target", "board", "--json").document
    ran = workspace.run("--target", "board", "--json", EDGEBUILD_STORE=str(store), EDGEBUILD_CACHE=url)
    assert ran.code == 0, ran.err
    steps = {each["step"] for each in ran.document["ran"]}
    assert steps == {*MEASURED, "board/tiny/judge", "board/tiny/bundle"}
    assert ran.document["counts"] == {"local": 0, "remote": first["counts"]["local"] - len(steps), "ran": len(steps)}
    assert len(ran.document["fetched"]) == ran.document["counts"]["remote"] == ran.document["cache"]["hits"]
    assert ran.document["notices"] == first["notices"]
    assert f"fetch tiny/float  (from cache {served.url})" in ran.err
    mine, theirs = (folder.bundle / "model.onnx" for folder in (workspace, built))
    assert mine.exists() == theirs.exists()
    explained = workspace.run("explain", "--target", "board", "--json", EDGEBUILD_STORE=str(store)).document["steps"]
    reasons = {each["step"]: each["reason"] for each in explained}
    assert reasons["tiny/float"] == f"nothing changed, from cache {served.url}"
    assert reasons["board/tiny/judge"] == "nothing changed"
    written = [path for top in (store, workspace.root) for path in top.rglob("*") if path.is_file()]
    assert SECRET not in ran.out + ran.err
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]
    assert served.authorizations >= {"Basic YnVpbGRlcjpodW50ZXIyLW9mLXRoZS1jYWNoZQ=="}


def test_a_gate_and_a_check_of_a_model_share_as_a_build_does(
    served: Served, workspace: Workspace, tmp_path: Path
) -> None:
    """A gate asks for more than the build did: one machine makes it, another, with the same build, takes it."""
    assert workspace.run("--target", "board").code == 0
    shutil.copytree(workspace.store, tmp_path / "other")
    target = workspace.root / "targets" / "board.toml"
    target.write_text(target.read_text() + '\n[[gates]]\nmetric = "f1"\nlimit = "90 pp"\n')
    gate = ("gate", "dist/board/tiny", "--target", "board", "--json", "--cache", served.url)
    one, other = workspace.run(*gate), workspace.run(*gate, EDGEBUILD_STORE=str(tmp_path / "other"))
    assert (one.code, other.code) == (0, 0), one.err + other.err
    first, second = ({each["step"] for each in ran.document["ran"]} for ran in (one, other))
    assert "board/tiny/gate/judge" in second
    assert {*other.document["fetched"]} == first - second
    assert one.document["cache"]["sent"] == other.document["cache"]["hits"] == len(first - second) > 0
    third = {"EDGEBUILD_STORE": str(tmp_path / "third"), "EDGEBUILD_CACHE": served.url}
    check = workspace.run("models", "check", "tiny", **third)
    assert check.code == 0, check.err
    assert f"fetch tiny/data  (from cache {served.url})" in check.err


def test_a_build_with_nothing_to_do_asks_no_cache_and_loads_nothing_for_it(built: Workspace) -> None:
    code = (
        "import sys\nfrom edgebuild.cli import main\ncode = main(['--target', 'board'])\n"
        f"sys.exit(', '.join(sorted({{*{NETWORK}}} & set(sys.modules))) or code)\n"
    )
    variables = {"EDGEBUILD_STORE": str(built.store), "EDGEBUILD_CACHE": "http://cache.invalid:8080"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=built.root, env=variables, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "url", ["cache.example.com", "ftp://u:hunter2@h/x", "http://", "s3:bucket", "://h", "http://u:hunter2@:80/"]
)
@pytest.mark.parametrize("verb", ["build", "search"])
def test_what_is_no_cache_is_refused_and_not_repeated(
    workspace: Workspace, tmp_path: Path, url: str, verb: str
) -> None:
    ran = workspace.run(verb, "--target", "board", "--cache", url, EDGEBUILD_STORE=str(tmp_path / "new"))
    assert ran.code == 2
    assert ran.err.startswith("edgebuild: --cache: is no URL of a cache (")
    assert ran.err.count("\n") == 1
    assert "hunter2" not in ran.err
