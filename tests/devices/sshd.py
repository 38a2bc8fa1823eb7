"""A real OpenSSH server on 127.0.0.1 with keys of its own, for one test or many."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.devices.packages import packages

CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/user.pub
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
MaxStartups 100
{more}
"""


@dataclass
class Sshd:
    """A server; `known_hosts` knows its key, `key` is the user's."""

    folder: Path
    port: int = 0
    more: str = "Subsystem sftp internal-sftp"
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> Sshd:
        packages("sshd")
        sshd = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
        assert sshd, "scripts/test-packages found a server, or installed one, that is nowhere"
        for name in ("host", "user"):
            keygen(self.folder / name)
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd, as root, confines its children
        self.port = self.port or free_port()
        config = self.folder / "config"
        config.write_text(CONFIG.format(port=self.port, folder=self.folder, more=self.more))
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen([sshd, "-D", "-e", "-f", str(config)], stdin=subprocess.DEVNULL, stderr=log)
        self.know()
        self._wait()
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)

    def know(self) -> None:
        kind, key, *_ = (self.folder / "host.pub").read_text().split()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def options(self) -> dict[str, object]:
        """What a target's `[[devices]]` would say."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "user": getpass.getuser(),
            "key": str(self.folder / "user"),
            "known_hosts": str(self.known_hosts),
        }

    def _wait(self) -> None:
        assert self.process is not None
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.05)
        raise AssertionError("sshd does not listen")


def keygen(path: Path) -> None:
    if not path.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
