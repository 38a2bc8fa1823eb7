"""What the emulator's own programs depend on of this machine: its processor's architecture, and nothing else.

They are Debian 12's and are started by Debian 12's own dynamic loader with its libraries, so it does not matter which
C library this machine has, or which release of what it runs.
"""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgebuild.spec.errors import DeviceError


@dataclass(frozen=True, slots=True)
class Host:
    """An architecture that the programs are there for.

    `machine` is the kernel's name of it, `debian` Debian's, `triplet` that of its folders of libraries; `loader` is
    the file name of the dynamic loader, and `compile` how the C compiler is told.
    """

    machine: str
    debian: str
    triplet: str
    loader: str
    compile: tuple[str, ...]

    def command(self, program: Path, libraries: Path) -> list[str]:
        """The beginning of a command line: start `program` by the loader that lies in the folder `libraries`."""
        loader = str(libraries / self.loader)
        return [loader, "--inhibit-cache", "--library-path", str(libraries), str(program)]


# Compiled for the C library of Debian 12.
HOSTS = {
    each.machine: each
    for each in (
        Host(
            *("x86_64", "amd64", "x86_64-linux-gnu", "ld-linux-x86-64.so.2"),
            ("-target", "x86_64-linux-gnu.2.36", "-mcpu=x86_64_v2"),
        ),
        Host(
            *("aarch64", "arm64", "aarch64-linux-gnu", "ld-linux-aarch64.so.1"),
            ("-target", "aarch64-linux-gnu.2.36"),
        ),
    )
}


def this_host() -> Host:
    """The architecture of this machine.

    Raises:
        DeviceError: it is not Linux, or on another processor.
    """
    if platform.system() != "Linux" or platform.machine() not in HOSTS:
        machine = f"this is {platform.system()} on {platform.machine()}"
        raise DeviceError(f"emulator set-up: needs Linux on {' or '.join(HOSTS)}, {machine}")
    return HOSTS[platform.machine()]


def command(program: Path, libraries: Path | None = None) -> Sequence[str]:
    """The beginning of a command line that starts one of the tools; its libraries lie in `../lib` unless named."""
    return this_host().command(program, libraries or program.parent.parent / "lib")
