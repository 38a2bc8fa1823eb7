"""Tests of Adb against a real adbd, beside the contract; `test_adb.py` runs them in a namespace of their own."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgebuild.spec.errors import DeviceError
from tests.devices.conftest import fill
from tests.devices.places import Place


def test_no_python_is_one_line_that_names_the_option(place: Place) -> None:
    line = place.change(python="/no/python3").why_unusable()
    assert "/no/python3" in line
    assert "Android has none, so name one there with `python`" in line


def test_no_folder_is_one_line(place: Place) -> None:
    assert "there is no folder /no/such" in place.change(folder="/no/such").why_unusable()


def test_the_phones_model_is_in_its_fingerprint(place: Place) -> None:
    found = place.device.fingerprint()
    assert found["ro.product.model"] == "Pixel of a test"
    assert found["ro.soc.model"] == "unknown"


def test_the_server_dies_in_mid_run(place: Place, job: Path, program: Callable[[str], str]) -> None:
    import adbutils

    from tests.devices.adbd import SERIAL

    program("os.fork()\nopen('pid', 'w').write('x')\ntime.sleep(600)")
    errors: list[str] = []

    def run() -> None:
        try:
            place.device.execute(job, timeout=120)
        except DeviceError as error:
            errors.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    place.wait_for("pid")
    adbutils.AdbClient().server_kill()
    thread.join(60)
    assert len(errors) == 1
    assert "was lost" in errors[0]
    assert place.leftovers() == []
    adbutils.AdbClient().connect(SERIAL)


def test_a_full_disk_is_named(place: Place, tmp_path: Path, zoo: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], check=True)
    small = place.change(folder=str(disk))
    job = fill(tmp_path / "many", zoo, np.zeros((40_000, 4), np.float32))
    with pytest.raises(DeviceError, match=r"only .* free on the device"):
        small.execute(job, timeout=60)
    (job / "big").write_bytes(os.urandom(3 << 20))
    with pytest.raises(DeviceError, match="the job needs"):
        small.execute(job, timeout=60)
    assert list(disk.iterdir()) == []


def test_a_file_that_the_phone_refuses_is_told_in_its_words_and_the_next_one_goes(place: Place, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(os.urandom(200_000))
    taken, free = place.folder / "taken", place.folder / "free"
    taken.mkdir()
    link = place.device._link()
    try:
        with pytest.raises(DeviceError, match=r"cannot copy file: .*directory"):
            link.push(tmp_path / "file", str(taken))
        link.push(tmp_path / "file", str(free))
    finally:
        link.close()
    assert free.read_bytes() == (tmp_path / "file").read_bytes()
    taken.rmdir()
    free.unlink()
