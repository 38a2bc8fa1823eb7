"""Debian's packages, unpacked without dpkg."""

import stat

import pytest

from edgebuild.devices.emulation import hosttools
from edgebuild.devices.emulation.debs import unpack
from edgebuild.devices.emulation.host import HOSTS
from edgebuild.spec.errors import DeviceError
from tests.devices.emulation.pool import deb


def _package(tmp_path, content: bytes):
    (tmp_path / "a.deb").write_bytes(content)
    return tmp_path / "a.deb"


@pytest.mark.parametrize("compression", ["xz", "gz"])
def test_files_keep_their_place_and_whether_they_run(tmp_path, compression):
    members = [("usr/bin/x", b"run", 0o4755), ("usr/lib/y", b"odd", 0o600), ("usr/lib/z", "y", 0)]
    unpack(_package(tmp_path, deb(*members, compression=compression)), tmp_path / "tree")
    tree = tmp_path / "tree/usr"
    assert [stat.S_IMODE((tree / name).stat().st_mode) for name in ("bin/x", "lib/y")] == [0o755, 0o644]
    assert ((tree / "lib/z").readlink().name, (tree / "lib/z").read_bytes()) == ("y", b"odd")


@pytest.mark.parametrize(
    "members",
    [
        [("../evil", b"", 0o644)],
        [("usr/../../evil", b"", 0o644)],
        [("out", "..", 0), ("out/evil", b"", 0o644)],
        [("out", "/tmp", 0), ("out/evil", b"", 0o644)],
    ],
)
def test_nothing_is_written_outside(tmp_path, members):
    with pytest.raises(DeviceError, match=r"unpacking a\.deb: .*evil lies"):
        unpack(_package(tmp_path, deb(*members)), tmp_path / "deep/tree")
    assert not list(tmp_path.rglob("evil"))


WHOLE = deb(("x", bytes(range(256)) * 40, 0o644))


@pytest.mark.parametrize(
    "content", [b"", b"!<arch>\ndebian-binary   ", WHOLE[:100], WHOLE[:-9], WHOLE.replace(b"data.tar", b"meta.tar")]
)
def test_a_damaged_package_is_refused(tmp_path, content):
    with pytest.raises(DeviceError, match=r"unpacking a\.deb: .") as caught:
        unpack(_package(tmp_path, content), tmp_path / "tree")
    assert "\n" not in str(caught.value)


def test_a_package_without_a_program_is_refused(tmp_path):
    host = HOSTS["aarch64"]
    library = (f"lib/{host.triplet}/{host.loader}", b"", 0o755)
    with pytest.raises(DeviceError, match="no package holds bin/qemu-aarch64"):
        hosttools.gather([_package(tmp_path, deb(library))], tmp_path / "tree", host)
    assert (tmp_path / "tree/lib" / host.loader).is_file()
