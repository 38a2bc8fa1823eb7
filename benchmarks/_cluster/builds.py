"""Builds of steps that wait and write what is known: only the handing out of steps takes this machine's time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks._cluster.farm import Farm
from edgebuild.devices.jobs.turns import Machine
from edgebuild.engine.cluster.client import Cluster
from edgebuild.engine.scheduler import Scheduler
from edgebuild.engine.sharing import Sharing
from edgebuild.engine.store import Store
from edgebuild.engine.task import Limits
from edgebuild.spec.cache import place
from tests.engine import toys
from tests.engine.toybox import Listener, Toybox


@dataclass(frozen=True, slots=True)
class Build:
    """One: how long it took (s), steps that ran on workers, were begun again, ran here, and have the right bytes."""

    seconds: float
    ran: int
    again: int
    here: int
    right: int


def build(farm: Farm, waits: Sequence[float]) -> Build:
    """A build from nothing of steps that wait so long (s), and of one that joins what they write."""
    store, told = Store(farm.folder / "client"), list[str]()
    box = Toybox(store)
    texts = {f"step{number:02}": f"text {number}" for number in range(len(waits))}
    ids = {name: box.add(name, toys.Write(text, wait)) for (name, text), wait in zip(texts.items(), waits, strict=True)}
    box.add("all", toys.Join(), **ids)  # type: ignore[arg-type]
    texts["all"] = "+".join(texts.values())
    where = place(farm.cache, read_only=False)
    assert where is not None
    sharing = Sharing(where, told.append)
    cluster = Cluster(farm.address, where.shown, told.append)
    limits, begun = Limits(), time.monotonic()
    use = Scheduler(
        box.graph,
        store,
        jobs=1,
        events=Listener(),
        limits=limits,
        turns=Machine(),
        sharing=sharing,
        cluster=cluster,
    )
    done = use.build()
    seconds = time.monotonic() - begun
    cluster.close()
    sharing.close(waiting=lambda left: None)
    made = {box.graph.label(name): action for name, action in done.items()}
    here = sum(not action.source for action in made.values())
    right = sum(box.text(made[name]) == text for name, text in texts.items())
    store.close()
    return Build(seconds, cluster.counts.ran, cluster.counts.again, here, right)
