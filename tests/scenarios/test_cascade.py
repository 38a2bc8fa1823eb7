"""A cascade of two recipes, from its declaration to a bundle whose runner opens the large file only where it must."""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgebuild.travels import edge_link, route_cascade
from tests.scenarios.conftest import Workspace

HANDSHAKE = len(edge_link.MAGIC) + 16
WHOLE = """\
description = "Bars: a pruned file answers where it is sure, else one that is not pruned"
base = "tiny"
by_name = true

[assembly]
use = "cascade"
loss = 0.06
parts = [{name = "small"}, {name = "large", recipe = "int8"}]
"""


@pytest.fixture(scope="module")
def both(fresh, built: Workspace) -> Workspace:  # type: ignore[no-untyped-def]
    """The project after the build of its cascade; tests must not change it. What `built` made is used again."""
    workspace: Workspace = fresh()
    workspace.edit("targets/board.toml", '[[runtimes]]\nformat = "tflite"\n\n', "")
    folder = workspace.root / "models" / "both"
    folder.mkdir()
    (folder / "model.toml").write_text(WHOLE)
    ran = workspace.run("--target", "board", "--model", "both", "--json")
    assert ran.code == 0, ran.err
    assert not {"Train", "distill"} & {line["step"].rpartition("/")[2] for line in ran.document["ran"]}
    return workspace


@pytest.fixture
def bundle(both: Workspace, tmp_path: Path) -> Path:
    """A copy of the bundle alone."""
    return shutil.copytree(both.root / "dist" / "board" / "both", tmp_path / "bundle")


@pytest.fixture(scope="module")
def apart(both: Workspace, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What the bundle of the same cascade, whose second part is a server's, is on the server and at the edge."""
    folder = both.root / "models" / "apart"
    folder.mkdir()
    (folder / "model.toml").write_text(WHOLE.replace('use = "cascade"', 'use = "cascade"\nserver = true'))
    ran = both.run("--target", "board", "--model", "apart", "--json")
    assert ran.code == 0, ran.err
    sides = tmp_path_factory.mktemp("sides") / "out"
    packed = both.run("package", "dist/board/apart", "--as", "sides", "--out", str(sides))
    assert packed.code == 0, packed.err
    return sides / "server", sides / "edge"


class Wire(threading.Thread):
    """A port that hands on to another, and counts the bytes of each direction."""

    def __init__(self, where: str) -> None:
        super().__init__(daemon=True)
        host, _, port = where.rpartition(":")
        self.to, self.sent = (host, int(port)), {"up": 0, "down": 0}
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.where = f"127.0.0.1:{self.listener.getsockname()[1]}"

    def run(self) -> None:
        while True:
            edge, server = self.listener.accept()[0], socket.create_connection(self.to)
            for pair in ((edge, server, "up"), (server, edge, "down")):
                threading.Thread(target=self.pump, args=pair, daemon=True).start()

    def pump(self, source: socket.socket, sink: socket.socket, way: str) -> None:
        while content := source.recv(1 << 16):
            self.sent[way] += len(content)
            sink.sendall(content)


ALL = """\
import runpy, sys
import numpy as np
run = runpy.run_path(sys.argv[1])
np.save(sys.argv[3], [run["answer"]([row[None]])[0] for row in np.load(sys.argv[2])])
"""


def over_the_wire(bundles: tuple[Path, Path], x: np.ndarray, folder: Path) -> tuple[np.ndarray, dict[str, int]]:
    """What the edge answers, a process of its own beside the server's, and the bytes that went between the two."""
    server, edge = bundles
    np.save(folder / "x.npy", x)
    environment = os.environ | {edge_link.KEY: "a key of the tests, long enough"}
    command = [sys.executable, "-P", str(server / "serve_part.py"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as serving:
        assert serving.stdout is not None
        wire = Wire(serving.stdout.readline().split()[-1])
        wire.start()
        command = [sys.executable, "-P", "-c", ALL, *map(str, (edge / "run.py", folder / "x.npy", folder / "y.npy"))]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=100, env=environment | {edge_link.SERVER: wire.where}
        )
        serving.kill()
    assert done.returncode == 0, done.stderr
    return np.load(folder / "y.npy"), wire.sent


def test_each_device_has_its_own_model_and_runner_and_not_the_others(apart: tuple[Path, Path]) -> None:
    server, edge = apart
    names = [{path.stem for path in side.glob("*.*")} for side in apart]
    assert ("large" in names[0], "small" in names[0]) == (True, False)
    assert ("large" in names[1], "small" in names[1]) == (False, True)
    assert (edge / "run.py").is_file()
    assert (server / "serve_part.py").is_file()
    assert not (edge / "serve_part.py").exists()
    assert not (server / "evidence").exists()


def test_only_what_the_edge_is_not_sure_of_goes_over_the_wire(apart: tuple[Path, Path], tmp_path: Path) -> None:
    path = apart[1] / "manifest.json"
    manifest = json.loads(path.read_text())
    rule = manifest["router"]["rule"]
    assert {*rule} == {"temperature", "threshold", "seconds", "bytes", "offline"}
    x = np.random.default_rng(0).normal(0, 1, (40, *manifest["inputs"][0]["shape"][1:])).astype(np.float32)

    def routed(threshold: float) -> tuple[np.ndarray, dict[str, int]]:
        router = manifest["router"] | {"rule": rule | {"threshold": threshold}}
        path.write_text(json.dumps(manifest | {"router": router}))
        return over_the_wire(apart, x, tmp_path)

    (small, none), (large, every) = routed(0.0), routed(2.0)
    assert none == {"up": 0, "down": 0}
    each = {way: (every[way] - HANDSHAKE) / len(x) for way in every}
    assert each["up"] == edge_link.frame([x[:1]])
    sure = route_cascade.confidence(small, rule["temperature"])
    levels = np.unique(sure.round(9))
    threshold = float(levels[len(levels) // 2 :][:2].mean())  # not at a level: one example is rounded as many are not
    crossed = int((sure < threshold).sum())
    assert 0 < crossed < len(x)
    both, some = routed(threshold)
    assert some == {way: HANDSHAKE + crossed * each[way] for way in every}
    assert np.array_equal(both, np.where((sure < threshold)[:, None], large, small))


def answers(bundle: Path, image: np.ndarray) -> str:
    np.save(bundle.parent / "image.npy", image)
    command = [sys.executable, "-P", str(bundle / "run.py"), str(bundle.parent / "image.npy"), "--top", "4"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_large_file_is_opened_only_where_the_small_one_is_not_sure(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    image = np.random.default_rng(0).random((1, 1, 8, 8)).astype(np.float32)

    def routed(threshold: float) -> str:
        rule = manifest["router"]["rule"] | {"threshold": threshold}
        (bundle / "manifest.json").write_text(json.dumps(manifest | {"router": manifest["router"] | {"rule": rule}}))
        return answers(bundle, image)

    large = routed(2.0)
    file = next(bundle.glob("large.*"))
    content = file.read_bytes()
    file.unlink()
    small = routed(0.0)
    assert small != large
    with pytest.raises(AssertionError, match=rf"{file.name}, .* is not in this folder\n"):
        routed(2.0)
    file.write_bytes(content)
    assert routed(2.0) == large


def test_the_manifest_and_the_report_say_how_often_each_runs_and_what_that_costs(both: Workspace) -> None:
    folder = both.root / "dist" / "board" / "both"
    manifest = json.loads((folder / "manifest.json").read_text())
    joined, latency = manifest["evidence"]["joined"], manifest["evidence"]["latency"]
    assert [part["name"] for part in joined["parts"]] == ["small", "large"]
    assert joined["times"]["worst"] == pytest.approx(sum(part["seconds"] for part in joined["parts"]))
    samples = json.loads((folder / "evidence" / "latency" / "samples.json").read_text())
    share = joined["parts"][1]["runs"]["share"]["high"]
    for process, seconds in zip(samples, latency["candidate_seconds"], strict=True):
        parts = [process["values"][f"candidate-{name}-{manifest['format']}"] for name in ("small", "large")]
        rounds = [round(small + share * large) for small, large in zip(*parts, strict=True)]
        assert statistics.median(rounds) * 1e-9 == pytest.approx(seconds)
    report = both.run("report", str(folder)).out
    assert "cascade: mean" in report
    assert "worst case" in report


def test_the_judge_counts_the_answers_of_the_rule_that_ships(both: Workspace) -> None:
    folder = both.root / "dist" / "board" / "both"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["evidence"]["accuracy"]["heads"]["output"]["n"] == 600
    assert {*manifest["router"]["rule"]} == {"temperature", "threshold"}
    assert manifest["router"]["program"] == Path(route_cascade.__file__).name
    assert both.run("verify", str(folder), "--released").code == 0


def test_a_gate_measures_both_files_again_and_what_the_rule_makes_of_them(both: Workspace) -> None:
    ran = both.run("gate", "dist/board/both", "--target", "board", "--json")
    assert ran.code == 0, ran.err
    (compared,) = ran.document["comparisons"]
    joined, built = (
        compared["evidence"]["joined"],
        json.loads((both.root / "dist" / "board" / "both" / "manifest.json").read_text())["evidence"],
    )
    assert [part["bytes"] for part in joined["parts"]] == [part["bytes"] for part in built["joined"]["parts"]]
    assert compared["evidence"]["accuracy"] == built["accuracy"]
    assert joined["times"]["worst"] == pytest.approx(sum(part["seconds"] for part in joined["parts"]))
    assert {verdict["metric"] for verdict in compared["verdicts"]} == {"accuracy", "parity", "size"}


def test_a_bundle_whose_model_is_another_assembly_now_is_refused_in_one_line(both: Workspace, tmp_path: Path) -> None:
    other = shutil.copytree(both.root, tmp_path / "other")
    path = other / "models" / "both" / "model.toml"
    path.write_text(WHOLE.replace('name = "small"', 'name = "little"'))
    ran = replace(both, root=other).run("gate", "dist/board/both", "--target", "board")
    assert ran.code == 2
    assert "is an assembly of small, large, and the model now declares little, large (build it again)" in ran.err


def test_a_build_of_an_assembly_with_nothing_to_do_does_nothing(both: Workspace) -> None:
    again = both.run("--target", "board", "--model", "both", "--json")
    assert (again.code, again.document["ran"]) == (0, [])
