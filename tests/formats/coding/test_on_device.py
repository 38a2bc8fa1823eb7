"""The decoder on the emulated Raspberry Pi 4, under its own Python and numpy: the same bytes as here."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebuild.devices.qemu import Qemu
from edgebuild.formats.coding import encoder
from edgebuild.spec.errors import DeviceError
from edgebuild.spec.project import open_project
from edgebuild.travels import decoder
from tests import ROOT, tiny
from tests.formats.coding.contents import file_of, pruned


@pytest.fixture(scope="module")
def pi() -> Qemu:
    """The emulated core, where it has been set up."""
    found = Qemu().attach(open_project(ROOT).target("rpi4").hardware)
    reason = found.why_unusable()
    if reason is not None:
        pytest.skip(reason)
    return found


def test_real_and_pruned_weights_are_decoded_to_the_same_bytes(made: tiny.Made, pi: Qemu, tmp_path: Path) -> None:
    content, constants = file_of([pruned(0.06, 31, (60, 300))])
    files = {
        "pruned": (content, encoder.encode(content, constants)),
        "real": (made.file("onnx").read_bytes(), (made["onnx-encoded"] / "model.onnx.edz").read_bytes()),
    }
    for name, (whole, coded) in files.items():
        (tmp_path / f"{name}.edz").write_bytes(coded)
        pi.run(Path(decoder.__file__), [f"{name}.edz", name], tmp_path, timeout=300)
        assert (tmp_path / name).read_bytes() == whole


def test_a_damaged_download_fails_there_with_the_decoders_own_line(pi: Qemu, tmp_path: Path) -> None:
    (tmp_path / "m.edz").write_bytes(encoder.encode(b"whole", [])[:-1])
    with pytest.raises(DeviceError, match="cannot be decoded: it was cut off or changed"):
        pi.run(Path(decoder.__file__), ["m.edz", "m"], tmp_path, timeout=300)
    assert not (tmp_path / "m").exists()
