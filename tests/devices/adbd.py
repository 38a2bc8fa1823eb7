"""A real adbd: it trusts whoever reaches it, so it runs only where nobody else can, in a network namespace."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
import subprocess
import time
from pathlib import Path

SERIAL = "127.0.0.1:5555"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgebuild/adbd/root"


class Adbd:
    """The daemon and the computer's adb server, until `stop`."""

    def __init__(self, folder: Path) -> None:
        lib = CACHE / "usr/lib/x86_64-linux-gnu"
        paths = [lib / "android", lib, CACHE / "lib/x86_64-linux-gnu"]
        assert lib.is_dir(), "adbd is missing: run scripts/test-packages adbd"
        _raise_loopback()
        self._vsock = _deny_vsock()
        self._log = folder / "adbd.log"
        environment = os.environ | {
            "LD_LIBRARY_PATH": ":".join(map(str, paths)),
            "PATH": f"{folder}:{os.environ['PATH']}",
        }
        with self._log.open("wb") as log:
            command = [str(CACHE / "usr/lib/android-sdk/platform-tools/adbd")]
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def connect(self) -> Adbd:
        """Make it known to the adb server."""
        import adbutils

        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", 5555)) == 0:
                    break
            assert self.process.poll() is None, self._log.read_text()
            time.sleep(0.05)
        assert "connected" in adbutils.AdbClient().connect(SERIAL)
        return self

    def stop(self) -> None:
        import adbutils

        adbutils.AdbClient().server_kill()
        self.process.kill()
        self.process.wait(20)
        if self._vsock is not None:
            self._vsock.close()


def _raise_loopback() -> None:
    """As `ip link set lo up`, which a small machine may lack; see netdevice(7)."""
    set_flags, up, name_and_flags = 0x8914, 0x1, "16sh14x"
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, set_flags, struct.pack(name_and_flags, b"lo", up))


def _deny_vsock() -> socket.socket | None:
    """Network namespaces do not hold back vsock, where adbd listens too: take its port, and do not answer.

    One at a time: another run of these tests has it for a minute.
    """
    try:
        taken = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    except OSError:
        return None  # this kernel has no vsock
    for _ in range(600):
        try:
            taken.bind((socket.VMADDR_CID_ANY, 5555))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return None
            time.sleep(0.5)
        else:
            return taken
    raise AssertionError("vsock port 5555 is taken: is an adbd running outside of these tests?")
