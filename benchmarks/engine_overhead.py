"""What the engine itself costs: of a step that runs, of one that is up to date, and of planning ten thousand.

Trivial steps go through the real scheduler and real workers, in a chain (each waits for the one before) and in a fan
(none waits), so that all their time is overhead. The plan is of many models on several targets. CPU time is that of the
build and of all processes that it starts, and says what wall time is on a machine that does nothing else.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from benchmarks import _project
from benchmarks._tables import Table
from benchmarks._trivial import Trivial
from edgebuild.engine import worker
from edgebuild.engine.graph import Graph, Node
from edgebuild.engine.scheduler import Scheduler
from edgebuild.engine.store import Store
from edgebuild.engine.task import Limits
from edgebuild.spec.project import open_project
from edgebuild.verbs.request import Request, planned

STEPS, REPEATS = 100, 3
MODELS, TARGETS = 52, ("rpi3", "zero2w", "rpi4", "rpi5", "mobile-cpu", "mobile-cpu-2022")
LIMITS = {"step_ms": 20.0, "plan_s": 2.0}
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds that something took: by the clock, and of all processors."""

    wall: float
    cpu: float


class Silent:
    """Who hears of a build and says nothing."""

    def cached(self, label: str) -> None:
        """Nothing."""

    def fetched(self, label: str, source: str) -> None:
        """Nothing."""

    def started(self, label: str, reason: str) -> None:
        """Nothing."""

    def progress(self, label: str, done: float, note: str) -> None:
        """Nothing."""

    def finished(self, label: str, seconds: float, unchanged: bool) -> None:
        """Nothing."""

    def waiting(self, label: str, why: str) -> None:
        """Nothing."""


def chain(count: int) -> Graph:
    """Each takes what the one before has made."""
    graph, before = Graph(), dict[str, str]()
    for number in range(count):
        before = {"before": graph.add(f"chain/{number}", Node(Trivial(number), before, "trivial"))}
    return graph


def fan(count: int) -> Graph:
    """None takes anything."""
    graph = Graph()
    for number in range(count):
        graph.add(f"fan/{number}", Node(Trivial(number), {}, "trivial"))
    return graph


def built(graph: Graph, store: Store, jobs: int) -> Cost:
    """What it costs to bring the graph up to date in the store."""
    with _measured() as cost:
        Scheduler(graph, store, jobs=jobs, events=Silent(), limits=Limits()).build()
    return cost()


def ran(shape: Callable[[int], Graph], count: int, jobs: int) -> tuple[Cost, Cost]:
    """What it costs to run so many steps in a new store, and then to find that all are up to date, each by step."""
    with tempfile.TemporaryDirectory() as folder:
        first, again = (_of_store(Path(folder), shape(count), jobs) for _ in range(2))
    return tuple(Cost(cost.wall / count, cost.cpu / count) for cost in (first, again))  # type: ignore[return-value]


def _of_store(folder: Path, graph: Graph, jobs: int) -> Cost:
    store = Store(folder / "store")
    try:
        return built(graph, store, jobs)
    finally:
        store.close()


def plan(models: int, targets: tuple[str, ...]) -> tuple[int, Cost]:
    """How many nodes the plan of so many models on these targets has, and what it costs to make it anew."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _project.digits(folder, small=True)
        for number in range(models):
            shutil.copytree(folder / "models" / "digits", folder / "models" / f"model-{number}")
        shutil.rmtree(folder / "models" / "digits")
        request = Request(open_project(folder), targets)
        for _ in range(2):  # the first copies the models' files, and imports what planning needs
            with _measured() as cost, planned(request) as (_, made):
                found = len(made.graph.nodes), cost()
    return found


@contextmanager
def _measured() -> Iterator[Callable[[], Cost]]:
    """Gives what tells the cost so far."""
    began, spent = time.perf_counter(), _spent()
    yield lambda: Cost(time.perf_counter() - began, _spent() - spent)


def _spent() -> float:
    """CPU seconds of this process, of the server that steps are forked from and of all that have ended in it."""
    forkserver.ensure_running()
    own = resource.getrusage(resource.RUSAGE_SELF)
    server: Any = forkserver._forkserver  # of all that it has, types know only what is public
    words = Path(f"/proc/{server._forkserver_pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return own.ru_utime + own.ru_stime + sum(map(int, words[11:15])) / _TICK


def _row(name: str, jobs: int, costs: list[Cost]) -> dict[str, Any]:
    wall, cpu = (statistics.median(1e3 * value for value in values) for values in zip(*map(_pair, costs), strict=True))
    return {"what": name, "jobs": jobs, "wall_ms": wall, "cpu_ms": cpu}


def _pair(cost: Cost) -> tuple[float, float]:
    return cost.wall, cost.cpu


def run(*, small: bool) -> list[Table]:
    """Costs by step, and of a plan."""
    worker.preload(("benchmarks._trivial",))
    ran(fan, 2, 1)  # starts the server that steps are forked from
    count, repeats = (4, 1) if small else (STEPS, REPEATS)
    rows = []
    for name, shape, jobs in (("chain", chain, 1), ("fan", fan, 1), ("fan", fan, 2)):
        pairs = [ran(shape, count, jobs) for _ in range(repeats)]
        rows.append(_row(f"a step that runs, in a {name}", jobs, [first for first, _ in pairs]))
        rows.append(_row(f"a step that is up to date, in a {name}", jobs, [again for _, again in pairs]))
    nodes, cost = plan(1, TARGETS[:1]) if small else plan(MODELS, TARGETS)
    planning = {"nodes": nodes, "products": (1 if small else MODELS * len(TARGETS)), "wall_s": cost.wall}
    ran_ms = [row["cpu_ms"] for row in rows if "runs" in row["what"]]
    return [
        Table(
            f"Overhead by step: the median of {repeats} builds of {count} trivial steps",
            {
                "what": ("step", ""),
                "jobs": ("side by side", "d"),
                "wall_ms": ("ms, wall", ".1f"),
                "cpu_ms": ("ms, CPU", ".1f"),
            },
            rows,
            (f"Limit: {LIMITS['step_ms']:g} ms of overhead for a step that runs.",),
            {"step_cpu_ms": f"{max(ran_ms):.1f}"},
        ),
        Table(
            "A plan of many models on many targets",
            {
                "nodes": ("nodes", "d"),
                "products": ("products", "d"),
                "wall_s": ("s, wall", ".2f"),
                "cpu_s": ("s, CPU", ".2f"),
            },
            [planning | {"cpu_s": cost.cpu}],
            (f"Limit: {LIMITS['plan_s']:g} s for 10,000 nodes.",),
            {"plan_cpu_s": f"{cost.cpu:.2f}"},
        ),
    ]
