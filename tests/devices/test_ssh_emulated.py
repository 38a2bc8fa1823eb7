"""Ssh to a remote that is really ARM: an sshd here whose Python is the emulated core's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edgebuild.devices.jobs import outcome
from edgebuild.spec.errors import DeviceError
from tests.devices.conftest import X, fill, write
from tests.devices.places import Place, emulated, make
from tests.devices.sshd import Sshd
from tests.zoo import dense


@pytest.fixture
def board(tmp_path: Path, sshd: Callable[[], Sshd]) -> Iterator[Place]:
    """An emulated Raspberry Pi 4 behind a real server."""
    plain = make("ssh", tmp_path, sshd)
    found = Place(plain.change(python=str(emulated(tmp_path / "emulated", plain.folder))), plain.folder)
    yield found
    assert found.leftovers() == []


def test_a_job_runs_on_the_boards_own_kernels_and_comes_back(board: Place, tmp_path: Path, zoo: Path) -> None:
    job = fill(tmp_path / "job", zoo, X)
    board.device.execute(job, timeout=300)
    found = outcome.read_result(job)
    assert found["fingerprint"]["machine"] == "aarch64"
    assert found["fingerprint"]["cpu"].startswith("part 0xd08")
    with np.load(job / "m.outputs.npz") as archive:
        np.testing.assert_allclose(archive["0"], dense(X, 16), rtol=1e-5)


def test_the_board_is_told_apart_from_this_machine_and_its_errors_are_the_message(
    board: Place, tmp_path: Path, zoo: Path
) -> None:
    assert board.device.why_unusable() is None
    found = board.device.fingerprint()
    assert (found["machine"], found["cores"]) == ("aarch64", "4")
    assert found["onnxruntime"] != "unknown"
    job = fill(tmp_path / "job", zoo, X)
    write(job, models=[{"name": "m", "file": "absent.onnx"}])
    with pytest.raises(DeviceError, match=r"^bad-model: m: .*absent.onnx"):
        board.device.execute(job, timeout=300)
