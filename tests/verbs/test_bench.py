"""Measuring any model file: timed here, counted on the emulated core, and refused in one line when it is none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgebuild import cli
from edgebuild.devices.emulation import sysroot
from edgebuild.devices.local import Local
from edgebuild.devices.qemu import cache_folder
from edgebuild.devices.timing import feeds
from edgebuild.report.bench import show
from edgebuild.spec.errors import DeviceError, EdgebuildError, UsageError
from edgebuild.spec.project import open_project
from edgebuild.spec.target import Target, Timing
from edgebuild.verbs import bench
from tests import ROOT, runtimes, tiny
from tests.sources import nets
from tests.verbs import branching

FORMATS = runtimes.formats()


@pytest.fixture(scope="module")
def pi() -> Target:
    """The shipped Raspberry Pi 4, its emulator set up."""
    sysroot.prepare(cache_folder())
    return open_project(ROOT).target("rpi4")


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, code: int) -> str:
    """The one line that the command ends with."""
    assert cli.main(["bench", "-C", str(ROOT), "--target", "rpi4", *arguments]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_is_timed_on_this_machine(made: tiny.Made, pi: Target, name: str) -> None:
    found = bench.run(made.file(name), pi, device="local")
    assert (found.device, found.fidelity, found.counted, found.notices) == ("local", "host", None, ())
    assert 0 < found.low <= found.seconds <= found.high


@pytest.mark.parametrize(("name", "basis"), [("onnx", "not calibrated"), ("tflite", "90% by 4 published figures")])
def test_a_file_is_counted_on_the_targets_emulated_core(
    made: tiny.Made, pi: Target, name: str, basis: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = bench.run(made.file(f"{name}-int8"), pi)
    assert (found.device, found.fidelity, found.threads, found.target) == ("qemu", "emulated", 1, "rpi4")
    assert found.counted is not None
    assert found.counted.instructions > 100_000
    assert found.counted.operators > 3
    assert found.band is not None
    assert found.band.basis.startswith(basis)
    error = found.band.error
    assert (found.low, found.high) == pytest.approx(((1 - error) * found.seconds, (1 + error) * found.seconds))
    show(found)
    shown = capsys.readouterr().out
    assert f"(± {error:.0%}: {found.band.basis})" in shown
    assert found.seconds > found.counted.cycles / 1.5e9
    assert found.layers is not None
    assert found.outside is not None
    assert sum(layer.share for layer in found.layers) == pytest.approx(1 - found.outside / found.seconds)
    assert 0 < found.outside < found.seconds
    assert found.layers[0].output is not None
    assert "Conv" in found.layers[0].op
    assert [layer.position for layer in found.layers] != sorted(layer.position for layer in found.layers)
    assert shown.splitlines()[-1].startswith("outside of operators")


def test_a_profile_that_fails_costs_the_layers_and_not_the_time(
    made: tiny.Made, pi: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = Local.execute

    def execute(device: Local, job: Path, *, timeout: float) -> None:
        if json.loads((job / "job.json").read_text())["mode"] == "layers":
            raise DeviceError("the connection was lost")
        real(device, job, timeout=timeout)

    monkeypatch.setattr(Local, "execute", execute)
    found = bench.run(made.file("onnx"), pi, device="local")
    assert (found.layers, found.layers_reason) == (None, "the connection was lost")
    assert found.seconds > 0
    show(found)
    assert capsys.readouterr().out.splitlines()[-1] == "no time by layer: the connection was lost"


@pytest.mark.parametrize("model", ["pair", "tokens"])
@pytest.mark.parametrize("name", FORMATS)
def test_inputs_are_made_of_the_files_own_shapes_and_types(
    request: pytest.FixtureRequest, pi: Target, tmp_path: Path, model: str, name: str
) -> None:
    made: tiny.Made = request.getfixturevalue(model)
    host = bench.named("local", pi).device
    feeder = feeds.Feeder(made.file(name), bench.ports(host, made.file(name), tmp_path))
    inputs, fed = feeder.random({}, seed=0)
    assert [each.shape for each in fed] == [values.shape for values in inputs]
    picture = (1, 8, 8, 1) if tiny.kind(name) == "tflite" else (1, 1, 8, 8)
    assert [values.shape for values in inputs] == ([picture, (1, 5)] if model == "pair" else [(1, 7)])
    assert {values.dtype.kind for values in inputs} == ({"f"} if model == "pair" else {"i"})


def test_the_command_prints_a_time_with_its_range(made: tiny.Made, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", str(made.file("onnx")), "-C", str(ROOT), "-t", "host"]
    assert cli.main(arguments) == 0
    first, second, third, head, *rows = capsys.readouterr().out.splitlines()
    assert first == f"{made.file('onnx')} on host, 1 thread(s), by local (hardware):"
    assert " an inference, " in second
    assert third == "  fed image: float32 1×1×12×12, random"
    assert head.split("  ")[0] == "slowest layers"
    assert cli.main([*arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["fidelity"] == "hardware"
    assert document["low"] <= document["seconds"] <= document["high"]
    times = [layer["median_us"] for layer in document["layers"]]
    assert times == sorted(times, reverse=True)
    assert sorted(layer["position"] for layer in document["layers"]) == list(range(len(times)))
    assert len(rows) == min(len(times), 11)
    assert document["layers"][0]["op"] in {row.split()[0] for row in rows}
    assert sum(layer["share"] for layer in document["layers"]) == pytest.approx(1)
    assert document["layers_reason"] is None


def test_weights_beside_a_file_are_measured_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone in the job's folder, the file was refused by its runtime."""
    monkeypatch.setattr(bench, "_LOOK", Timing(looks=(1,), iterations=2, warmup=0.01))
    file = nets.with_weights_at("inner/w.bin", tmp_path)
    arguments = ["bench", str(file), "-C", str(ROOT), "-t", "host", "--shape", "x=1,4"]
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out.startswith(f"{file} on host")
    (tmp_path / "inner" / "w.bin").unlink()
    assert cli.main(arguments) == 2
    assert f"{file}: has weights in 'inner/w.bin'" in capsys.readouterr().err


def test_what_is_no_model_file_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("no model")
    (tmp_path / "model").write_bytes(b"TFL3")
    (tmp_path / "folder.onnx").mkdir()
    assert ".txt is no known format (.onnx, .pte, .tflite)" in refused(capsys, str(tmp_path / "notes.txt"), code=2)
    assert "a file without ending is no known format" in refused(capsys, str(tmp_path / "model"), code=2)
    assert "absent.onnx: no such file" in refused(capsys, str(tmp_path / "absent.onnx"), code=2)
    assert "folder.onnx: no such file" in refused(capsys, str(tmp_path / "folder.onnx"), code=2)


def damaged(data: bytes) -> dict[str, bytes]:
    """Files that are no longer models, each in its own way."""
    return {
        "empty": b"",
        "text": b"no model at all",
        "head": data[:64],
        "half": data[: len(data) // 2],
        "zeros": data[:32] + bytes(len(data) - 32),
        "noise": data[:32] + bytes(255 - byte for byte in data[32:]),
    }


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", list(damaged(bytes(64))))
def test_a_damaged_file_ends_in_one_line_and_not_with_this_process(
    made: tiny.Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, kind: str
) -> None:
    file = tmp_path / f"{kind}.{name}"
    file.write_bytes(damaged(made.file(name).read_bytes())[kind])
    told = refused(capsys, str(file), "--device", "local", code=4)
    assert any(word in told for word in ("bad-model", "crashed with", "out-of-memory"))


def test_a_file_that_does_not_take_what_it_is_fed_is_named_with_that(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first random number decides for a branch in which these 4 values do not become 6."""
    file = branching.written(tmp_path / "m.onnx")
    np.savez(tmp_path / "zero.npz", x=np.zeros((1, 4), np.float32), rate=np.array(0))
    given = ("--device", "local", "--inputs", str(tmp_path / "zero.npz"))
    told = refused(capsys, str(file), *given, code=4)
    assert told.startswith(f"edgebuild: {file}: inference-failed: ")
    assert f"(fed x [1, 4] {given[-1]}, rate [] {given[-1]}; --inputs FILE.npz gives other values)" in told


def test_an_unknown_device_is_a_usage_error(made: tiny.Made, pi: Target) -> None:
    with pytest.raises(UsageError, match=r"--device: unknown device transport 'lokal' \(did you mean 'local'\?"):
        bench.run(made.file("onnx"), pi, device="lokal")


def test_an_address_names_a_device(pi: Target) -> None:
    device = bench.named("ssh://pi@board.local:2222", pi).device
    assert (device.transport, device.host, device.user, device.port) == ("ssh", "board.local", "pi", 2222)  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="--device"):
        bench.named("local://board", pi)


def test_time_on_an_emulator_is_never_shown_as_latency(made: tiny.Made, pi: Target, tmp_path: Path) -> None:
    assert pi.hardware.core is not None
    untimed = replace(pi, hardware=replace(pi.hardware, core=replace(pi.hardware.core, time=None)))
    with pytest.raises(EdgebuildError):
        bench.run(made.file("tflite-int8"), untimed)


def test_nothing_is_left_behind(made: tiny.Made, pi: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "x.onnx").write_bytes(b"")
    bench.ports(bench.named("local", pi).device, made.file("onnx"), tmp_path)
    with pytest.raises(Exception, match="bad-model"):
        bench.run(tmp_path / "x.onnx", pi, device="local")
    assert {path.name for path in tmp_path.iterdir()} == {"x.onnx", "describe"}
