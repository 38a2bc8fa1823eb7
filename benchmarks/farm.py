"""A farm of a thousand workers and a hundred boards, simulated: builds an hour, and what holds them up.

Discrete events with the step times of a real build (`recorded_farm.json`, made anew by `python -m benchmarks.farm
PROJECT TARGET` from a project where that was built). What is ready, in which order, what may run on a worker and what
must be alone on a board is decided by the product's own graph, resolver and steps; workers, boards, the cache's line
and clients are modelled here: each serves who came first. A worker keeps what it has fetched or made.
"""

from __future__ import annotations

import heapq
import json
import math
import statistics
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

from benchmarks._tables import Table
from edgebuild.engine.graph import Graph, Node
from edgebuild.engine.resolve import Resolver
from edgebuild.engine.store import Action
from edgebuild.spec.artifact import Artifact, Determinism, Step, StepIO, needs_machine
from edgebuild.spec.project import open_project
from edgebuild.verbs.request import Request, planned

RECORDED = Path(__file__).with_name("recorded_farm.json")
CLIENT_S = 0.0065  # of a client's CPU for a step: `engine_overhead`
CALL_S = 0.02  # until a message has an answer: to a worker, to the cache
CHANGED = "rpi4/digits/prune_channels"  # what somebody who tries another recipe changes first
WORKERS, BOARDS, GBIT = (10, 30, 100, 300, 1000, 2000), 100, 10.0


@dataclass(frozen=True, slots=True)
class Recorded(Step):
    """A step of the build that was recorded: how long it took (s), how much it made, who may take that."""

    label: str
    seconds: float
    size: int
    shares: Determinism

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "recorded"
    needs: ClassVar[tuple[str, ...]] = ()

    @property
    def shared(self) -> Determinism:
        """As it was."""
        return self.shares

    def run(self, io: StepIO) -> None:
        """It was run before."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class OnBoard(Recorded):
    """One that measured this machine, and in a farm measures a board."""

    exclusive: ClassVar[bool] = True
    deterministic: ClassVar[Determinism] = "no"


def record(project: Path, target: str) -> list[dict[str, Any]]:
    """The steps of a target as they were built last, in build order."""
    steps = []
    with planned(Request(open_project(project), (target,))) as (store, plan):
        graph = plan.graph
        for name in graph.order():
            node, action = graph.nodes[name], store.last(graph.label(name))
            assert action is not None  # else it was not built
            files = [path for path in store.path(action.output).rglob("*") if path.is_file()]
            steps.append({
                "label": graph.label(name),
                "after": sorted(graph.label(item) for item in node.inputs.values() if item in graph.nodes),
                "seconds": action.seconds,
                "bytes": sum(path.stat().st_size for path in files),
                "shared": node.step.shared,
                "alone": needs_machine(node.step),
                "records": node.records,
            })  # fmt: skip
    return steps


def recorded() -> Graph:
    """The graph of the recorded build."""
    graph, ids = Graph(), dict[str, str]()
    for each in json.loads(RECORDED.read_text(encoding="utf-8")):
        kind = OnBoard if each["alone"] else Recorded
        step = kind(each["label"], each["seconds"], each["bytes"], each["shared"])
        inputs = {label: ids[label] for label in each["after"]}
        ids[each["label"]] = graph.add(each["label"], Node(step, inputs, "recorded", records=each["records"]))
    return graph


def after(graph: Graph, label: str) -> frozenset[str]:
    """The node with this label and all that is made of it."""
    names = set[str]()
    for name in graph.order():
        if graph.label(name) == label or not names.isdisjoint(graph.before(name)):
            names.add(name)
    return frozenset(names)


@dataclass(frozen=True, slots=True)
class Size:
    """A farm: how many workers of one core, boards, bits a second through the cache, builds under way at once, and
    after how many seconds each of them follows the one before at first.
    """

    workers: int
    boards: int
    gbit: float
    clients: int
    every: float


@dataclass(slots=True)
class Pool:
    """Things of one kind that serve who came first; `busy` is the time that they have worked, together (s)."""

    free: list[Any]
    waiting: deque[Callable[[Any], None]] = field(default_factory=deque)
    busy: float = 0.0

    def take(self, use: Callable[[Any], None]) -> None:
        """Have one used when it is there."""
        if self.free:
            use(self.free.pop())
        else:
            self.waiting.append(use)

    def give_back(self, one: Any, worked: float) -> None:
        """It is free again, and has worked so many seconds; others it may have waited."""
        self.busy += worked
        if self.waiting:
            self.waiting.popleft()(one)
        else:
            self.free.append(one)


@dataclass(slots=True, eq=False)
class Client:
    """One build: what is known of it, and when its program has time for the next thing."""

    resolver: Resolver
    waiting: list[str]
    began: float
    number: int
    idle: float = 0.0


class Farm:
    """Runs so many builds, each begun when another ends; `runs` are the nodes that no cache has."""

    def __init__(self, graph: Graph, size: Size, builds: int, runs: frozenset[str]) -> None:
        """Nothing has begun."""
        self._graph, self._order, self._runs, self._left = graph, graph.order(), runs, builds
        self._steps: dict[str, Recorded] = {name: node.step for name, node in graph.nodes.items()}  # type: ignore[misc]
        self._size, self._now, self._count = size, 0.0, 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self.workers, self.boards = Pool([set() for _ in range(size.workers)]), Pool([*range(size.boards)])
        self._line = 0.0  # when all that was sent through the cache's line will be through
        self.carried, self.directing = 0.0, 0.0
        self.took: list[float] = []  # by each build (s)

    def run(self) -> float:
        """All builds; the time when the last has ended (s)."""
        for number in range(min(self._size.clients, self._left)):
            self._at(number * self._size.every, self._begin)
        while self._events:
            self._now, _, happen = heapq.heappop(self._events)
            happen()
        return self._now

    def _at(self, when: float, happen: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (when, self._count, happen))

    def _begin(self) -> None:
        if self._left:
            self._left -= 1
            client = Client(Resolver(self._graph, None), [*self._order], self._now, self._left)  # type: ignore[arg-type]
            self._at(self._now, lambda: self._go_on(client))

    def _go_on(self, client: Client) -> None:
        """As the scheduler does: begin with all that is ready, in the graph's order."""
        started = {name for name in client.waiting if client.resolver.ready(name)}
        client.waiting = [name for name in client.waiting if name not in started]
        for name in (name for name in self._order if name in started):
            self._directed(client, lambda name=name: self._start(client, name))  # type: ignore[misc]

    def _directed(self, client: Client, happen: Callable[[], None]) -> None:
        """After the half of its time that the client's program has for a step."""
        client.idle = max(client.idle, self._now) + CLIENT_S / 2
        self.directing += CLIENT_S / 2
        self._at(client.idle, happen)

    def _start(self, client: Client, name: str) -> None:
        node = self._graph.nodes[name]
        if name not in self._runs:
            self._carry(self._steps[name].size, lambda: self._end(client, name))
        elif needs_machine(node.step):
            self.boards.take(lambda board: self._on_board(client, name, board))
        elif node.records or node.step.stays or not self._graph.may_be_known_elsewhere(name):
            self._at(self._now + self._steps[name].seconds, lambda: self._end(client, name))
        else:
            self.workers.take(lambda held: self._on_worker(client, name, held))

    def _on_board(self, client: Client, name: str, board: int) -> None:
        seconds = self._steps[name].seconds

        def done() -> None:
            self.boards.give_back(board, seconds)
            self._end(client, name)

        self._at(self._now + seconds, done)

    def _on_worker(self, client: Client, name: str, held: set[tuple[int, str]]) -> None:
        """Fetch what is not held, run, send; then the client fetches it as well."""
        step, made = self._steps[name], self._artifact(client, name)
        inputs = {self._artifact(client, item): self._steps[item].size for item in self._graph.before(name)}
        lacking = sum(size for artifact, size in inputs.items() if artifact not in held)

        def sent() -> None:
            held.update(inputs, [made])
            self.workers.give_back(held, step.seconds)
            self._carry(step.size, lambda: self._directed(client, lambda: self._end(client, name)))

        self._carry(lacking, lambda: self._at(self._now + step.seconds, lambda: self._carry(step.size, sent)))

    def _artifact(self, client: Client, name: str) -> tuple[int, str]:
        return (client.number if name in self._runs else -1), name

    def _carry(self, size: int, happen: Callable[[], None]) -> None:
        """Through the cache's line, after all that was sent before."""
        seconds = 8 * size / (self._size.gbit * 1e9)
        self.carried += seconds
        self._line = max(self._line, self._now) + seconds
        self._at(self._line + CALL_S, happen)

    def _end(self, client: Client, name: str) -> None:
        client.resolver.done[name] = _DONE
        if len(client.resolver.done) == len(self._order):
            self.took.append(self._now - client.began)
            self._begin()
        else:
            self._go_on(client)


_DONE = Action("", "", {}, Artifact("recorded", ""), 0.0)


def simulate(graph: Graph, size: Size, builds: int, runs: frozenset[str]) -> dict[str, Any]:
    """A row: builds an hour, how long one takes, and for which share of the time each resource is busy."""
    farm = Farm(graph, size, builds, runs)
    total = farm.run()
    used = {
        "workers": farm.workers.busy / (size.workers * total),
        "boards": farm.boards.busy / (size.boards * total),
        "cache": farm.carried / total,
        "clients": farm.directing / (size.clients * total),
    }
    return {
        "workers": size.workers,
        "boards": size.boards,
        "gbit": size.gbit,
        "hourly": 3600 * builds / total,
        "minutes": statistics.median(farm.took) / 60,
        **{f"of_{name}": share for name, share in used.items()},
        "limit": max(used, key=lambda name: used[name]),
    }


def sized(graph: Graph, runs: frozenset[str], workers: int, boards: int, gbit: float) -> Size:
    """A farm with as many builds under way as keep all workers busy, and as many again that wait for a board."""
    work = sum(graph.nodes[name].step.seconds for name in runs)  # type: ignore[attr-defined]
    longest = dict[str, float]()
    for name in graph.order():
        own = graph.nodes[name].step.seconds if name in runs else 0.0  # type: ignore[attr-defined]
        longest[name] = own + max((longest[item] for item in graph.before(name)), default=0.0)
    clients = math.ceil(1.5 * workers * max(longest.values()) / work) + 2 * boards
    return Size(workers, boards, gbit, clients, max(longest.values()) / clients)


_COLUMNS = {
    "workers": ("workers", "d"),
    "boards": ("boards", "d"),
    "gbit": ("cache, Gbit/s", "g"),
    "hourly": ("builds an hour", ".0f"),
    "minutes": ("minutes a build", ".1f"),
    "of_workers": ("workers busy", ".0%"),
    "of_boards": ("boards busy", ".0%"),
    "of_cache": ("cache busy", ".0%"),
    "of_clients": ("clients busy", ".1%"),
    "limit": ("busiest", ""),
}


def _bend(rows: list[dict[str, Any]]) -> str:
    """From which number of workers on more of them no longer give as many builds more."""
    for one, more in pairwise(rows):
        gained = (more["hourly"] / one["hourly"]) / (more["workers"] / one["workers"])
        if gained < 0.8:
            return f"It bends after {one['workers']} workers: what holds builds up then is {more['limit']}."
    return "It does not bend."


def run(*, small: bool) -> list[Table]:
    """More and more workers, then another number of boards or line, for builds from nothing and for another recipe."""
    graph = recorded()
    tables = []
    for title, runs in (
        ("Builds of a new model: every step runs", frozenset(graph.nodes)),
        ("Builds of another recipe: what follows its first step runs, the rest is in the cache", after(graph, CHANGED)),
    ):
        sweep = [(workers, BOARDS, GBIT) for workers in WORKERS]
        other = [(1000, 10, GBIT), (1000, 300, GBIT), (1000, BOARDS, 1.0), (1000, BOARDS, 100.0)]
        if small:
            sweep, other = [(1, 1, GBIT), (2, 1, GBIT)], []
        rows = [_simulated(graph, runs, *each) for each in (*sweep, *other)]
        figures = {f"hourly_{row['workers']}": f"{row['hourly']:.0f}" for row in rows[: len(sweep)]}
        tables.append(Table(title, _COLUMNS, rows, (_bend(rows[: len(sweep)]),), figures))
    return tables


def _simulated(graph: Graph, runs: frozenset[str], workers: int, boards: int, gbit: float) -> dict[str, Any]:
    size = sized(graph, runs, workers, boards, gbit)
    return simulate(graph, size, max(16, math.ceil(1.5 * size.clients)), runs)


if __name__ == "__main__":
    steps = record(Path(sys.argv[1]), sys.argv[2])
    lines = ",\n".join(json.dumps(each) for each in steps)
    RECORDED.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
