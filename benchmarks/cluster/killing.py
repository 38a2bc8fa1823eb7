"""Builds that are disturbed: workers or their scheduler are killed again and again while steps run."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.cluster.farm import Farm, farming
from edgebuild.devices.jobs.turns import Machine
from edgebuild.engine.cluster.client import Cluster
from edgebuild.engine.scheduler import Scheduler
from edgebuild.engine.sharing import Sharing
from edgebuild.engine.store import Store
from edgebuild.engine.task import Limits
from edgebuild.spec.cache import place
from edgebuild.spec.errors import DeviceError
from tests.engine import toys
from tests.engine.toybox import Listener, Toybox

WHO = ("a worker", "the scheduler")
STEPS = 48
_BETWEEN = (0.2, 3.0)  # seconds from when all have joined to a kill, at random


@dataclass(slots=True)
class Build:
    """What came of one."""

    kills: int = 0
    ran: int = 0
    again: int = 0
    here: int = 0
    right: int = 0
    told: list[str] = field(default_factory=list)


def disturbed(who: str, folder: Path, kills: int) -> dict[str, Any]:
    """Builds from nothing until there were so many kills; DeviceError where one kill cost more than one step."""
    chance, builds = random.Random(who), list[Build]()  # noqa: S311
    while sum(build.kills for build in builds) < kills:
        left = kills - sum(build.kills for build in builds)
        name = f"{who.replace(' ', '-')}-{len(builds)}"
        with farming(folder / name, workers=2, namespaces=False, toys=True) as farm:
            builds.append(_build(farm, who, chance, left))
        build = builds[-1]
        told = f"  {who}: {build.kills} kills, {build.again} begun again, {build.here} here"
        print(told, file=sys.stderr, flush=True)
        if build.again > build.kills:
            raise DeviceError(f"{build.again} steps were begun again after {build.kills} kills")
    most = max(builds, key=lambda build: build.again)
    return {
        "who": who,
        "kills": sum(build.kills for build in builds),
        "builds": len(builds),
        "steps": len(builds) * (STEPS + 1),
        "again": sum(build.again for build in builds),
        "most": f"{most.again} of {most.kills}",
        "here": sum(build.here for build in builds),
        "same": f"{sum(build.right for build in builds)} of {len(builds) * (STEPS + 1)}",
    }


def _build(farm: Farm, who: str, chance: random.Random, kills: int) -> Build:
    """One, of steps whose bytes are known."""
    few = STEPS if kills > 1 else 6
    store, build = Store(farm.folder / "client"), Build()
    box = Toybox(store)
    texts = {f"step{n:02}": f"text {n}" for n in range(few)}
    ids = {name: box.add(name, toys.Write(text, chance.uniform(0.2, 1.0))) for name, text in texts.items()}
    box.add("all", toys.Join(), **ids)  # type: ignore[arg-type]
    sharing = Sharing(place(farm.cache, read_only=False), build.told.append)  # type: ignore[arg-type]
    cluster = Cluster(farm.address, sharing.place.shown, build.told.append)
    use = {"sharing": sharing, "cluster": cluster, "turns": Machine()}
    with _killing(farm, who, chance, kills) as count:
        scheduler = Scheduler(box.graph, store, jobs=1, events=Listener(), limits=Limits(), **use)  # type: ignore[arg-type]
        done = scheduler.build()
        cluster.close()
    sharing.close(waiting=lambda left: None)
    made = {box.graph.label(name): action for name, action in done.items()}
    texts["all"] = "+".join(texts.values())
    build.kills, build.ran, build.again = count[0], cluster.counts.ran, cluster.counts.again
    build.here = sum(not action.source for action in made.values())
    build.right = sum(box.text(made[name]) == text for name, text in texts.items()) + STEPS - few
    store.close()
    return build


@contextmanager
def _killing(farm: Farm, who: str, chance: random.Random, most: int) -> Iterator[list[int]]:
    """Kill at random moments as long as this lasts, and not more often; how often."""
    count, over = [0], threading.Event()

    def go_on() -> None:
        while count[0] < most and not over.is_set():
            farm.wait_for_workers()
            if over.wait(chance.uniform(*_BETWEEN)):
                return
            if who == WHO[0]:
                farm.kill_worker(chance.randrange(len(farm.workers)))
            else:
                farm.kill_scheduler()
            count[0] += 1

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield count
    finally:
        over.set()
        thread.join()
