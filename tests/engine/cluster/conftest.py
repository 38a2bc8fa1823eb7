"""What the tests of clusters share: a real scheduler and real workers as processes of this machine, and a cache."""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgebuild.engine.scheduler import Scheduler
from edgebuild.engine.sharing import Sharing
from edgebuild.engine.store import Action, Store
from edgebuild.engine.task import Limits
from edgebuild.spec.cache import place
from tests import ROOT
from tests.engine.caches.server import Served, serving
from tests.engine.conftest import fork_server, store
from tests.engine.processes import eventually
from tests.engine.toybox import Listener, Toybox
from tests.memory import tmp_path

__all__ = ["fork_server", "store", "tmp_path"]


@dataclass
class Process:
    """A scheduler or worker that was started: it ends with the test."""

    process: subprocess.Popen[str]
    log: Path

    def said(self, pattern: str) -> str:
        """What the pattern's group is in its log, once it is there."""
        assert eventually(lambda: re.search(pattern, self.log.read_text())), self.log.read_text()
        match = re.search(pattern, self.log.read_text())
        assert match is not None
        return match[1]

    def kill(self, number: int = signal.SIGKILL) -> int:
        """End it; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)


def start(log: Path, *command: str, **variables: str) -> Process:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(log.parent), "OMP_NUM_THREADS": "1"} | variables
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, *command], stdout=file, stderr=file, env=environment, text=True, cwd=log.parent
        )
    return Process(process, log)


def scheduler(log: Path, port: int = 0) -> Process:
    """A Dask scheduler on a port of this machine."""
    where = ("--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--no-jupyter")
    return start(log, "-m", "distributed.cli.dask_scheduler", *where)


def address_of(process: Process) -> str:
    return process.said(r"Scheduler at: *(tcp://\S+)")


@dataclass
class Farm:
    """A scheduler, the cache, and workers that join as a test asks for them."""

    folder: Path
    served: Served
    scheduler: Process
    address: str
    workers: list[Process] = field(default_factory=list)

    def worker(self, slots: int = 1, **variables: str) -> Process:
        """One more, which has joined."""
        name = f"worker{len(self.workers)}"
        words = (self.address, self.served.url, str(self.folder / name), str(slots))
        log = self.folder / f"{name}.log"
        self.workers.append(start(log, "-m", "tests.engine.cluster.machine", *words, **variables))
        self.workers[-1].said(r"worker (tcp://\S+) of ")
        return self.workers[-1]

    @property
    def ran(self) -> list[str]:
        """What the toys that have the tally noted, run by run."""
        return [line.split()[0] for line in lines(self.folder / "tally")]

    @property
    def tally(self) -> str:
        return str(self.folder / "tally")


@dataclass
class Client:
    """A machine whose builds use the cluster: what its last one ran here, and was told."""

    store: Store
    farm: Farm
    told: list[str] = field(default_factory=list)
    heard: Listener = field(default_factory=Listener)
    again: int = 0
    ran: int = 0

    def build(
        self, make: Callable[[Toybox], object], seconds: float = 60.0, patience: float = math.inf
    ) -> dict[str, Action]:
        """Build what `make` puts into a toybox, as far as it gets in `patience` seconds; the actions by label."""
        from edgebuild.engine.cluster.client import Cluster

        box, self.heard, self.told = Toybox(self.store), Listener(), []
        make(box)
        sharing = Sharing(place(self.farm.served.url, read_only=False), self.told.append)
        cluster = Cluster(self.farm.address, sharing.place.shown, self.told.append)
        limits = Limits(seconds=seconds)
        build = Scheduler(
            box.graph, self.store, jobs=2, events=self.heard, limits=limits, sharing=sharing, cluster=cluster
        )
        try:
            done = build.build() if patience == math.inf else build.attempt(time.monotonic() + patience).done
        finally:
            cluster.close()
            sharing.close(waiting=lambda left: None)
            self.again, self.ran = cluster.counts.again, cluster.counts.ran
        return {label: action for name, action in done.items() for label in box.graph.labels[name]}

    def text(self, action: Action) -> str:
        """What a toy wrote, as it is in this machine's store."""
        return (self.store.path(action.output) / "text.txt").read_text()


@contextmanager
def farming(folder: Path) -> Iterator[Farm]:
    """A scheduler without workers, and an empty cache."""
    pytest.importorskip("distributed")
    with serving() as served:
        process = scheduler(folder / "scheduler.log")
        farm = Farm(folder, served, process, address_of(process))
        try:
            yield farm
        finally:
            for each in (*farm.workers, farm.scheduler):
                if each.process.poll() is None:
                    each.kill()


@pytest.fixture(scope="module")
def shared_farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """With one worker, for tests that leave both as they are."""
    with farming(tmp_path_factory.mktemp("farm")) as farm:
        farm.worker()
        yield farm


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    """One of the test's own."""
    with farming(tmp_path) as farm:
        yield farm


@pytest.fixture
def client(farm: Farm, store: Store) -> Client:
    """A machine with a store of its own, of the test's own farm."""
    return Client(store, farm)


def lines(path: Path) -> list[str]:
    """Of a tally."""
    return path.read_text().splitlines() if path.exists() else []
