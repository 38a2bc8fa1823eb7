"""The local device: results appear, failures are one clear line, nothing of the user's shell leaks in."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebuild.devices import local
from edgebuild.devices.jobs import outcome
from edgebuild.devices.local import Local
from edgebuild.spec.device import Device
from edgebuild.spec.errors import DeviceError
from edgebuild.travels import runner

X = np.ones((2, 4), np.float32)


@pytest.fixture
def job(tmp_path: Path, zoo: Path) -> Path:
    folder = tmp_path / "job"
    folder.mkdir()
    np.savez(folder / "inputs.npz", **{"0": X})  # type: ignore[arg-type]
    write(folder, {"mode": "outputs", "models": [{"name": "m", "file": str(zoo / "mlp.onnx")}]})
    return folder


def write(folder: Path, content: dict[str, Any]) -> None:
    (folder / "job.json").write_text(json.dumps({"inputs": "inputs.npz"} | content))


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Put another program in the runner's place."""

    def replace(source: str) -> None:
        path = tmp_path / "other.py"
        path.write_text("import os, signal, sys, time\n" + source)
        monkeypatch.setattr(runner, "__file__", str(path))

    return replace


def test_results_appear_in_the_folder(job: Path) -> None:
    device: Device = Local()
    assert device.why_unusable() is None
    device.execute(job, timeout=60)
    assert outcome.read_result(job)["models"]["m"]["examples"] == 2
    assert (job / "m.outputs.npz").is_file()
    assert (job / "runner.stdout").is_file()


def test_fingerprint_is_stable_text() -> None:
    found = Local().fingerprint()
    assert found == Local().fingerprint()
    assert set(found) == set(local.STABLE)
    assert all(isinstance(value, str) and value for value in found.values())


def test_the_runners_error_is_the_message(job: Path) -> None:
    write(job, {"mode": "outputs", "models": [{"name": "m", "file": "absent.onnx"}]})
    with pytest.raises(DeviceError, match=r"^bad-model: m: .*absent.onnx") as caught:
        Local().execute(job, timeout=60)
    assert "bad-model" in caught.value.line


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL", "SIGILL", "SIGABRT"])
def test_a_crash_names_the_signal_and_leaves_no_old_result(job: Path, program: Any, name: str) -> None:
    (job / "result.json").write_text(json.dumps({"runner": runner.VERSION}))
    program(f"os.kill(os.getpid(), signal.{name})")
    with pytest.raises(DeviceError, match=name) as caught:
        Local().execute(job, timeout=60)
    assert "\n" not in str(caught.value)
    assert not (job / "result.json").exists()


def test_a_silent_end_is_an_error(job: Path, program: Any) -> None:
    program("print('the last words', file=sys.stderr)")
    with pytest.raises(DeviceError, match="code 0 and no result: the last words"):
        Local().execute(job, timeout=60)


def test_time_out_kills_the_whole_group(job: Path, program: Any) -> None:
    program(
        "child = os.fork()\n"
        "if child: open('pid', 'w').write(str(child))\n"
        "time.sleep(60)"
    )  # fmt: skip
    started = time.monotonic()
    with pytest.raises(DeviceError, match="no result within 1 s"):
        Local().execute(job, timeout=1)
    assert time.monotonic() - started < 10
    assert gone(int((job / "pid").read_text()))


def gone(pid: int) -> bool:
    """Whether a process ends (or is at most a zombie) within five seconds."""
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_the_users_shell_does_not_leak_in(job: Path, program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """PYTHONPATH, the working directory and the runner's folder are not on the path; site-packages are."""
    trap = job.parent / "trap"
    trap.mkdir()
    for folder in (trap, job, job.parent):
        (folder / "numpy.py").write_text("raise SystemExit('the wrong numpy')")
    monkeypatch.setenv("PYTHONPATH", str(trap))
    monkeypatch.setenv("SECRET", "x")
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.chdir(trap)
    program(
        "import json, numpy\n"
        "json.dump({'env': dict(os.environ), 'numpy': numpy.__file__, 'cwd': os.getcwd(),"
        " 'group': os.getpgrp() == os.getpid()}, open(sys.argv[1] + '/result.json', 'w'))"
    )
    Local().execute(job, timeout=60)
    found = json.loads((job / "result.json").read_text())
    assert found["numpy"] == np.__file__
    assert found["env"]["OMP_NUM_THREADS"] == "1"
    assert not {"SECRET", "PYTHONPATH"} & set(found["env"])
    assert found["cwd"] == str(job)
    assert found["group"]


def test_remote_exit_codes() -> None:
    assert [outcome.exit_code(status) for status in (0, 3, 139)] == [0, 3, -signal.SIGSEGV]


def test_a_result_of_another_runner_is_refused(job: Path) -> None:
    (job / "result.json").write_text(json.dumps({"runner": "0"}))
    with pytest.raises(DeviceError, match="not a result of runner"):
        outcome.read_result(job)


def test_ctrl_c_leaves_nothing_behind(job: Path, program: Any) -> None:
    program("open('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)")
    code = (
        "import sys\nfrom pathlib import Path\nfrom edgebuild.travels import runner\n"
        "from edgebuild.devices.local import Local\n"
        f"runner.__file__ = {str(runner.__file__)!r}\n"
        f"Local().execute(Path({str(job)!r}), timeout=60)"
    )
    import subprocess

    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    while not (job / "pid").exists() or not (job / "pid").read_text():
        time.sleep(0.02)
    os.kill(parent.pid, signal.SIGINT)
    parent.wait(20)
    assert gone(int((job / "pid").read_text()))
