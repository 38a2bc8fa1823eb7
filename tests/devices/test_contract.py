"""What every device promises: the same results and errors, and nothing left on it, whatever happens."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebuild.devices.jobs import outcome, remote
from edgebuild.devices.local import STABLE
from edgebuild.spec.errors import DeviceError
from edgebuild.spec.target import Hardware
from edgebuild.travels import runner
from tests.devices.conftest import X, fill, write
from tests.devices.hostile import CANARY, NAMES, shouted
from tests.devices.places import Place, client, wrapper
from tests.zoo import dense


def outputs(job: Path) -> Any:
    with np.load(job / "m.outputs.npz") as archive:
        return archive["0"]


def test_outputs_are_right(place: Place, job: Path) -> None:
    assert place.device.why_unusable() is None
    place.device.execute(job, timeout=120)
    assert outcome.read_result(job)["models"]["m"]["examples"] == len(X)
    np.testing.assert_allclose(outputs(job), dense(X, 16), rtol=1e-5)
    assert (job / outcome.STDERR).is_file()


def test_it_stands_for_any_target_and_counts_nothing(place: Place) -> None:
    hardware = Hardware("host", "native")
    assert place.device.attach(hardware) is place.device
    assert place.device.fidelity(hardware) == "hardware"
    assert not place.device.counts
    assert place.device.examples is None


def test_time_comes_in_nanoseconds(place: Place, job: Path) -> None:
    write(job, mode="latency", warmup_iterations=3, warmup_seconds=0.01, iterations=20)
    place.device.execute(job, timeout=120)
    result = outcome.read_result(job)
    assert len(result["models"]["m"]["values_ns"]) == 20
    assert min(result["models"]["m"]["values_ns"]) > 0
    assert result["fingerprint_after"]["cores"]


def test_fingerprint_is_stable_text(place: Place) -> None:
    found = place.device.fingerprint()
    assert found == place.device.fingerprint()
    assert set(STABLE) <= set(found)
    assert all(isinstance(value, str) and value for value in found.values())
    if place.remote:
        assert found["numpy"] == np.__version__
        assert found["host"] == os.uname().nodename


def test_the_runners_error_is_the_message(place: Place, job: Path) -> None:
    write(job, models=[{"name": "m", "file": "absent.onnx"}])
    with pytest.raises(DeviceError, match=r"^bad-model: m: .*absent.onnx"):
        place.device.execute(job, timeout=120)


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL", "SIGILL"])
def test_a_crash_names_the_signal_and_leaves_no_old_result(
    place: Place, job: Path, program: Callable[[str], str], name: str
) -> None:
    (job / "result.json").write_text(json.dumps({"runner": runner.VERSION}))
    program(f"os.kill(os.getpid(), signal.{name})")
    with pytest.raises(DeviceError, match=name) as caught:
        place.device.execute(job, timeout=120)
    assert "\n" not in str(caught.value)
    assert not (job / "result.json").exists()


def test_a_silent_end_is_an_error_with_its_last_words(place: Place, job: Path, program: Callable[[str], str]) -> None:
    program("print('the last words', file=sys.stderr)")
    with pytest.raises(DeviceError, match="code 0 and no result: the last words"):
        place.device.execute(job, timeout=120)


def test_time_out_kills_the_whole_group(place: Place, job: Path, program: Callable[[str], str]) -> None:
    program("os.fork()\ntime.sleep(600)")
    with pytest.raises(DeviceError, match="no result within 1 s"):
        place.device.execute(job, timeout=1)


def test_what_a_job_leaves_running_ends_with_it(place: Place, job: Path, program: Callable[[str], str]) -> None:
    program("if os.fork() == 0: time.sleep(600)")
    with pytest.raises(DeviceError, match="no result"):
        place.device.execute(job, timeout=120)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_client_that_is_stopped_leaves_nothing_there(
    place: Place, job: Path, program: Callable[[str], str], how: signal.Signals
) -> None:
    if how == signal.SIGKILL and not place.remote:
        pytest.skip("nothing watches over a local job")
    path = program("if os.fork(): open('pid', 'w').write('x')\ntime.sleep(600)")
    process = client(place, job, path)
    place.wait_for("pid")
    process.send_signal(how)
    process.wait(60)


def test_jobs_at_once_do_not_mix(place: Place, tmp_path: Path, zoo: Path) -> None:
    inputs = [X * k for k in range(4)]
    jobs = [fill(tmp_path / f"job{k}", zoo, x) for k, x in enumerate(inputs)]
    threads = [threading.Thread(target=place.device.execute, args=[job], kwargs={"timeout": 120}) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for job, x in zip(jobs, inputs, strict=True):
        np.testing.assert_allclose(outputs(job), dense(x, 16), rtol=1e-5, atol=1e-6)


def test_hostile_names_are_only_names(place: Place, tmp_path: Path, zoo: Path, job: Path) -> None:
    """200 of them as files of a job, some as the model, the job's folder, the device's folder and its Python."""
    model = (zoo / "mlp.onnx").read_bytes()
    for name in NAMES:
        (job / f"{name}.onnx").write_bytes(model)
    write(job, models=[{"name": f"m{k}", "file": f"{name}.onnx"} for k, name in enumerate(NAMES)])
    place.device.execute(job, timeout=300)
    assert len(outcome.read_result(job)["models"]) == len(NAMES) == 200
    for name in NAMES[::40]:
        inner = place.folder / name
        inner.mkdir()
        options = {"folder": str(inner), "python": str(wrapper(tmp_path / name / name, place.folder))}
        device = place.change(**options) if place.remote else place.device
        device.execute(fill(tmp_path / f"x{name}" / name, zoo, X), timeout=120)
        inner.rmdir()
    for name in NAMES[::20] if place.remote else []:
        with pytest.raises(DeviceError):
            place.change(python=f"x{name}").execute(job, timeout=120)
    assert shouted(tmp_path) == []


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_one_command_line_is_safe_in_every_shell(tmp_path: Path, shell: str) -> None:
    for name in NAMES:
        subprocess.run([shell, "-c", remote.command(name)], cwd=tmp_path, input=b"", capture_output=True, timeout=20)
    assert shouted(tmp_path) == []


def test_the_hostile_names_do_bite(tmp_path: Path) -> None:
    """Positive control: put into a shell's words, bare or badly quoted, they do what they threaten."""
    bitten = set()
    for name, quote in itertools.product(NAMES, ("", '"', "'")):
        subprocess.run(["sh", "-c", f"echo {quote}{name}{quote}"], cwd=tmp_path, capture_output=True, timeout=20)
        bitten |= {name} if (tmp_path / CANARY).exists() else set()
        (tmp_path / CANARY).unlink(missing_ok=True)
    assert len(bitten) > 100


def test_unicode_travels(place: Place, tmp_path: Path, zoo: Path) -> None:
    job = fill(tmp_path / "jöb 模型", zoo, X)
    shutil.copy(job / "m.onnx", job / "модель é́.onnx")
    write(job, models=[{"name": "m", "file": "модель é́.onnx"}])
    device = place.change(folder=str(place.folder)) if place.remote else place.device
    device.execute(job, timeout=120)
    np.testing.assert_allclose(outputs(job), dense(X, 16), rtol=1e-5)


def test_files_in_folders_travel(place: Place, job: Path) -> None:
    (job / "deep" / "er").mkdir(parents=True)
    (job / "m.onnx").rename(job / "deep" / "er" / "m.onnx")
    write(job, models=[{"name": "m", "file": "deep/er/m.onnx"}])
    place.device.execute(job, timeout=120)
    np.testing.assert_allclose(outputs(job), dense(X, 16), rtol=1e-5)
