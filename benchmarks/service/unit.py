"""A systemd unit without systemd: dpkg installs it into a root of its own, and its ExecStart is kept running."""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

from edgebuild.bundle import manifest
from edgebuild.spec.errors import UsageError
from edgebuild.verbs.package import Request, package

_SECONDS = 120.0  # for a start
_FORCED = "--force-script-chrootless,depends"  # the interpreter of the benchmarks is the system's python3


def free_port() -> int:
    """On 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Unit:
    """What a package installs into `system`, and the process of its unit, started again after a `pause`."""

    system: Path
    pause: float
    port: int = field(default_factory=free_port)
    starts: int = 0
    kills: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _wanted: bool = False
    _serving: threading.Event = field(default_factory=threading.Event)

    def install(self, bundle: Path, release: str) -> None:
        """Package a bundle and have dpkg install it; where there is none, or no root, its parts are put there."""
        out = self.system.with_name(f"deb-{release}")
        package(Request(bundle, "deb", out, release))
        (file,) = out.glob("*.deb")
        if shutil.which("dpkg") and os.geteuid() == 0:
            _dpkg(self.system, file)
        else:
            _unpack(self.system, file, upgrade=release != "1.0")

    @property
    def home(self) -> Path:
        """Where the package has put the bundle."""
        (bundle,) = (self.system / "usr" / "lib").glob("model-*/bundle")
        return bundle

    def command(self) -> list[str]:
        """The unit's ExecStart, with this root before its paths, this interpreter, and a port of its own."""
        (unit,) = (self.system / "usr/lib/systemd/system").glob("*.service")
        (line,) = (line for line in unit.read_text().splitlines() if line.startswith("ExecStart="))
        words = shlex.split(line.partition("=")[2])
        rooted = [f"{self.system}{word}" if word.startswith(("/usr/lib/", "/var/lib/")) else word for word in words]
        return [sys.executable, *rooted[1:-1], str(self.port)]

    @contextmanager
    def kept_up(self) -> Iterator[None]:
        """Runs it, and starts it again a moment after it ended, until this is left."""
        self._wanted = True
        keeper = threading.Thread(target=self._keep)
        keeper.start()
        try:
            self._serving.wait(_SECONDS)
            yield
        finally:
            self._wanted = False
            self._end(signal.SIGTERM)
            keeper.join()

    def _keep(self) -> None:
        while self._wanted:
            self._serving.clear()
            self.starts += 1
            log = self.system.with_name("service.log").open("ab")
            self._process = process = subprocess.Popen(
                self.command(), stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
            assert process.stdout is not None
            if process.stdout.readline():
                self._serving.set()
            process.wait()
            self._end(signal.SIGKILL)  # whatever it has started, as systemd ends the whole control group
            process.stdout.close()
            log.close()
            time.sleep(self.pause)

    def _end(self, number: int) -> None:
        if self._process is not None:
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                return

    def upgrade(self, bundle: Path, release: str) -> None:
        """Install another bundle and restart, as the package's own script has systemd do; waits until it serves."""
        self.install(bundle, release)
        before = self.starts
        self._end(signal.SIGTERM)
        while self.starts == before:
            time.sleep(0.05)
        self._serving.wait(_SECONDS)

    def killed(self, times: int) -> None:
        """Kill it at so many moments, drawn by a seed."""
        drawn, begun = random.Random(0), time.monotonic()  # noqa: S311 (moments)
        self._end(signal.SIGKILL)
        time.sleep(self.pause + 0.1)
        self._serving.wait(_SECONDS)
        start = time.monotonic() - begun
        for _ in range(times):
            time.sleep(drawn.uniform(0, 2 * start))
            self.kills += 1
            self._end(signal.SIGKILL)
        time.sleep(self.pause + 0.1)
        self._serving.wait(_SECONDS)

    def state(self) -> str:
        """In words, what /health says, and whether a file of the bundles is there that was not installed."""
        rolled_back = _health(self.port)
        manifest.verify(self.home)
        before = self.system / "var/lib" / self.home.parent.name / "before"
        kept = [path.name for path in before.parent.iterdir()] if before.parent.is_dir() else []
        if kept:
            manifest.verify(before)
        whole = "both bundles whole" if kept == ["before"] else "the bundle whole" if not kept else f"left: {kept}"
        return f"{'the version before' if rolled_back else 'the version installed'} serves, {whole}"


def _health(port: int) -> bool:
    """Whether it serves the version before."""
    connection = HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    connection.request("GET", "/health")
    told = json.loads(connection.getresponse().read())
    connection.close()
    return bool(told["rolled_back"])


def _dpkg(system: Path, file: Path) -> None:
    """UsageError with its last line where dpkg installs nothing: it needs root."""
    (system / "var/lib/dpkg/info").mkdir(parents=True, exist_ok=True)
    (system / "var/lib/dpkg/updates").mkdir(exist_ok=True)
    (system / "var/lib/dpkg/status").touch()
    command = ["dpkg", f"--root={system}", "--log=/dev/null", _FORCED, "--install", str(file)]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"PATH": path})
    if done.returncode:
        raise UsageError(f"dpkg installs nothing: {done.stderr.strip().splitlines()[-1]}")


def _unpack(system: Path, file: Path, *, upgrade: bool) -> None:
    """What dpkg would do, for who is not root."""
    scripts, environment = system.with_name("scripts"), os.environ | {"DPKG_ROOT": str(system)}
    shutil.rmtree(scripts, ignore_errors=True)
    subprocess.run(["dpkg-deb", "--control", str(file), str(scripts)], check=True)
    subprocess.run(["sh", str(scripts / "preinst"), "upgrade" if upgrade else "install"], check=True, env=environment)
    if upgrade:
        shutil.rmtree(system / "usr")
    system.mkdir(exist_ok=True)
    subprocess.run(["dpkg-deb", "--extract", str(file), str(system)], check=True)
