"""The machines of the benchmark: namespaces or plain processes, a cache, a scheduler, workers, each killed at will."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks._project import ROOT
from edgebuild.spec.errors import DeviceError

_BRIDGE, _NET = "edgebuild0", "10.79.53"
_OUTER = "edgebuild-o"  # what a namespace is joined to the bridge by, and its number
_NGINX = "daemon off; {user} pid {top}/pid; error_log {top}/error; events {{}} http {{ access_log off; {body} }}"


@dataclass
class Farm:
    """Where all is: `host` is the address by which the machines reach each other."""

    folder: Path
    host: str
    cache: str = ""
    port: int = 0
    machines: list[list[str]] = field(default_factory=list)  # by worker, the words that start a program there
    client: list[str] = field(default_factory=list)
    toys: bool = False  # workers that run nothing else start faster
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    scheduler: subprocess.Popen[bytes] | None = None
    _starts: int = 0

    @property
    def address(self) -> str:
        """Of the scheduler."""
        return f"tcp://{self.host}:{self.port}"

    def variables(self, name: str, store: Path) -> dict[str, str]:
        """The environment of a machine."""
        locks = self.folder / f"{name}-locks"
        locks.mkdir(exist_ok=True)
        own = {"EDGEBUILD_STORE": str(store), "EDGEBUILD_LOCKS": str(locks), "EDGEBUILD_CACHE": self.cache}
        return self.inherited() | own | {"EDGEBUILD_CLUSTER": self.address}

    @staticmethod
    def inherited() -> dict[str, str]:
        """The environment of all."""
        return os.environ | {"PYTHONPATH": str(ROOT)}

    def start_scheduler(self) -> None:
        """At the same port as before, or at a free one."""
        words = ["-m", "distributed.cli.dask_scheduler", "--host", self.host, "--port", str(self.port)]
        log = self._log("scheduler")
        with log.open("wb") as file:
            command = [sys.executable, *words, "--no-dashboard", "--no-jupyter"]
            self.scheduler = subprocess.Popen(command, stdout=file, stderr=file)
        self.port = int(_said(log, rb"Scheduler at: *tcp://\S+:(\d+)", self.scheduler))

    def start_worker(self, number: int) -> None:
        """It has joined when this returns, unless there is no scheduler at the moment."""
        name = f"worker{number}"
        command = [*self.machines[number], sys.executable, "-m"]
        if self.toys:
            command += ["tests.engine.cluster.machine", self.address, self.cache, str(self.folder / name)]
        else:
            command += ["edgebuild", "worker", self.address, "--jobs", "1"]
        log = self._log(name)
        with log.open("wb") as file:
            variables = self.variables(name, self.folder / name)
            worker = subprocess.Popen(command, stdout=file, stderr=file, env=variables)
        self.workers[number : number + 1] = [worker]

    def wait_for_workers(self) -> None:
        """Until all have joined."""
        for number, worker in enumerate(self.workers):
            log = sorted(self.folder.glob(f"worker{number}.*.log"))[-1]
            _said(log, rb"(?s)worker tcp://\S+ of \S+: ([^\n]*)\n?\Z", worker)

    def kill_worker(self, number: int) -> None:
        """And start it again, with the store that it had."""
        _kill(self.workers[number])
        self.start_worker(number)

    def kill_scheduler(self) -> None:
        """And start another at its address."""
        assert self.scheduler is not None
        _kill(self.scheduler)
        self.start_scheduler()

    def end(self) -> None:
        """Kill all that was started."""
        for each in (*self.workers, self.scheduler):
            if each is not None:
                _kill(each)

    def _log(self, name: str) -> Path:
        self._starts += 1
        return self.folder / f"{name}.{self._starts:04}.log"


@contextmanager
def farming(folder: Path, *, workers: int, namespaces: bool = True, toys: bool = False) -> Iterator[Farm]:
    """A scheduler and so many workers that have joined it; all ends with this."""
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        host = stack.enter_context(_network(workers)) if namespaces else "127.0.0.1"
        farm = Farm(folder, host, toys=toys)
        cores = [str(core) for core in sorted(os.sched_getaffinity(0))]
        for number in range(workers):
            pinned = ["ip", "netns", "exec", f"{_BRIDGE}-{number}", "taskset", "-c", cores[number % len(cores)]]
            farm.machines.append(pinned if namespaces else [])
        farm.client = ["taskset", "-c", cores[-1]]
        farm.cache = stack.enter_context(_cache(folder / "cache", host) if namespaces else _small_cache())
        stack.callback(farm.end)
        farm.start_scheduler()
        for number in range(workers):
            farm.start_worker(number)
        farm.wait_for_workers()
        yield farm
    if namespaces:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _network(machines: int) -> Iterator[str]:
    """A bridge of this machine, whose address this gives, and so many namespaces on it; DeviceError without rights."""
    _clear()
    try:
        _ip("link", "add", _BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{_NET}.1/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")
        for number in range(machines):
            name, inner, outer = f"{_BRIDGE}-{number}", f"edgebuild-i{number}", f"{_OUTER}{number}"
            _ip("netns", "add", name)
            _ip("link", "add", outer, "type", "veth", "peer", "name", inner)
            _ip("link", "set", inner, "netns", name)
            _ip("link", "set", outer, "master", _BRIDGE)
            _ip("link", "set", outer, "up")
            _ip("-n", name, "addr", "add", f"{_NET}.{10 + number}/24", "dev", inner)
            _ip("-n", name, "link", "set", inner, "up")
            _ip("-n", name, "link", "set", "lo", "up")
        yield f"{_NET}.1"
    finally:
        _clear()


def _clear() -> None:
    """Take away what this benchmark adds, also what an earlier run of it has left."""
    names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False).stdout.split()
    for name in names:
        if name.startswith(f"{_BRIDGE}-"):
            # By itself it goes some time after its namespace, and is in the way of the next.
            outer = name.replace(f"{_BRIDGE}-", _OUTER)
            subprocess.run(["ip", "link", "del", outer], capture_output=True, check=False)
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    subprocess.run(["ip", "link", "del", _BRIDGE], capture_output=True, check=False)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise DeviceError(f"no network namespaces here: ip {' '.join(words)}: {done.stderr.strip()}")


@contextmanager
def _cache(folder: Path, host: str) -> Iterator[str]:
    """A server as the documentation has it, open to the machines; its URL."""
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        raise DeviceError("nginx is not installed")
    (folder / "data").mkdir(parents=True)
    (body,) = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs" / "cache.md").read_text(encoding="utf-8"), re.DOTALL)
    body = re.sub(r"limit_except.*\n", "\n", body.replace("8080", f"{host}:8080"))
    body = body.replace("/var/cache/edgebuild", str(folder / "data"))
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "conf").write_text(_NGINX.format(top=folder, body=body, user=user), encoding="utf-8")
    with subprocess.Popen([program, "-c", str(folder / "conf")], stderr=subprocess.PIPE) as server:
        while not (folder / "pid").exists():
            if server.poll() is not None:
                raise DeviceError(f"nginx does not start: {server.communicate()[1]!r}")
            time.sleep(0.05)
        try:
            yield f"http://{host}:8080"
        finally:
            server.terminate()


@contextmanager
def _small_cache() -> Iterator[str]:
    """The server that the tests have."""
    from tests.engine.caches.server import serving

    with serving() as served:
        yield served.url


def _said(log: Path, pattern: bytes, process: subprocess.Popen[bytes]) -> str:
    """What a process says of itself in its log; DeviceError where it ends, or does not say it in two minutes."""
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        match = re.search(pattern, log.read_bytes())
        if match is not None:
            return match[1].decode()
        time.sleep(0.05)
    raise DeviceError(f"{log.name}: {log.read_text(encoding='utf-8', errors='replace')[-300:]}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait()
