"""Steps on several machines, where workers and their scheduler are killed again and again while a build runs."""

from __future__ import annotations

import random
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks._cluster.builds import Build, build
from benchmarks._cluster.farm import Farm, farming
from benchmarks._tables import Table
from edgebuild.spec.errors import DeviceError

KILLS = {"a worker": 100, "the scheduler": 20}
STEPS, LONGEST = 48, 1.0
_BETWEEN = (0.2, 3.0)  # seconds from when all have joined to a kill, at random
_COLUMNS = {
    "who": ("killed (SIGKILL)", ""),
    "kills": ("times", "d"),
    "builds": ("builds", "d"),
    "steps": ("steps", "d"),
    "again": ("begun again", "d"),
    "most": ("most in one build, of its kills", ""),
    "here": ("ran here", "d"),
    "right": ("right results", "d"),
}


def run(*, small: bool) -> list[Table]:
    """Kills of both kinds; `small`: one of a worker."""
    wanted = {"a worker": 1} if small else KILLS
    with tempfile.TemporaryDirectory(prefix="edgebuild-cluster-") as name:
        rows = [disturbed(who, Path(name), kills, 6 if small else STEPS) for who, kills in wanted.items()]
    notes = [
        f"Builds of {STEPS} steps that wait up to {LONGEST:g} s each, and one that joins them, by two workers from "
        "nothing. Kills come one after another at random moments, each when all that were killed before have joined "
        "again. A step that was begun again was lost by a kill: never more in a build than kills.",
        "Right: the bytes in the store of the machine that builds are those that an undisturbed step makes.",
    ]
    figures = {row["who"].split()[-1]: str(row["kills"]) for row in rows}
    return [Table("Kills", _COLUMNS, rows, notes, figures)]


def disturbed(who: str, folder: Path, kills: int, steps: int) -> dict[str, Any]:
    """Builds from nothing until there were so many kills; DeviceError where one kill cost more than one step."""
    chance, builds, counts = random.Random(who), list[Build](), list[int]()  # noqa: S311
    while sum(counts) < kills:
        name = f"{who.replace(' ', '-')}-{len(builds)}"
        with farming(folder / name, workers=2, namespaces=False, toys=True) as farm:
            with _killing(farm, who, chance, kills - sum(counts)) as count:
                builds.append(build(farm, [chance.uniform(0.2, LONGEST) for _ in range(steps)]))
            counts.append(count[0])
        told = f"  {who}: {count[0]} kills, {builds[-1].again} begun again, {builds[-1].here} here"
        print(told, file=sys.stderr, flush=True)
        if builds[-1].again > count[0]:
            raise DeviceError(f"{builds[-1].again} steps were begun again after {count[0]} kills")
    most = max(range(len(builds)), key=lambda number: builds[number].again)
    return {
        "who": who,
        "kills": sum(counts),
        "builds": len(builds),
        "steps": len(builds) * (steps + 1),
        "again": sum(each.again for each in builds),
        "most": f"{builds[most].again} of {counts[most]}",
        "here": sum(each.here for each in builds),
        "right": sum(each.right for each in builds),
    }


@contextmanager
def _killing(farm: Farm, who: str, chance: random.Random, most: int) -> Iterator[list[int]]:
    """Kill at random moments as long as this lasts, and not more often; how often."""
    count, over = [0], threading.Event()

    def go_on() -> None:
        while count[0] < most and not over.is_set():
            farm.wait_for_workers()
            if over.wait(chance.uniform(*_BETWEEN)):
                return
            if who == "a worker":
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
