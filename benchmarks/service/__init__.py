"""The service of a Debian package: loaded, upgraded with a broken model while it is asked, and killed again and again.

The package is installed by dpkg into a root of its own. Its unit's ExecStart is started as systemd would start it:
again a moment after it ended, and with all its processes ended before.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks._project import digits
from benchmarks._tables import Table
from benchmarks.service.clients import Clients
from benchmarks.service.unit import Unit
from edgebuild.bundle import golden, manifest
from edgebuild.engine.task import Limits
from edgebuild.report import progress
from edgebuild.spec.errors import UsageError
from edgebuild.verbs.build import build
from edgebuild.verbs.request import Request

REQUESTS, KILLS, CLIENTS = 10_000, 50, 4
_RESTART_SECONDS = 1.0  # RestartSec of the unit
_TARGET = """\
description = "Any Debian, which this machine stands for"
runtimes = [{format = "tflite"}]
recipe = [{use = "float16"}]
devices = [{transport = "local"}]
policy = false
gates = [{metric = "size", limit = "-10 %"}, {metric = "latency", limit = "none"}]
hardware = {arch = "host", cpu = "host"}
timing = {looks = [1], iterations = 5, warmup_iterations = 1, warmup = "10 ms"}
"""
_COLUMNS = {
    "phase": ("while", ""),
    "requests": ("requests", ",d"),
    "right": ("answered right", ",d"),
    "lost": ("accepted and lost", "d"),
    "cut": ("cut off by a kill", "d"),
    "starts": ("starts", "d"),
    "median": ("median", ".2f"),
    "late": ("99 %", ".2f"),
    "after": ("afterwards", ""),
}


def run(*, small: bool) -> list[Table]:
    """10,000 requests, an upgrade, 50 kills; `small`: a few of each."""
    requests, kills = (20, 2) if small else (REQUESTS, KILLS)
    with tempfile.TemporaryDirectory(prefix="edgebuild-service-") as name:
        folder = Path(name)
        good = _bundle(folder)
        bad = _broken(good, folder / "bad")
        unit = Unit(folder / "system", 0.1 if small else _RESTART_SECONDS)
        unit.install(good, "1.0")
        with unit.kept_up():
            rows = [_row(unit, good, "nothing else happens", requests, lambda: None)]
            rows += [_row(unit, good, "a broken model is installed", requests // 5, lambda: unit.upgrade(bad, "2.0"))]
            rows += [_row(unit, good, f"it is killed {kills} times", 0, lambda: unit.killed(kills))]
    notes = [
        f"{CLIENTS} clients on loopback, each with one request at a time, which ask again where nobody accepts; "
        "milliseconds, on this machine beside other work.",
        "Lost: the connection was accepted and no whole answer came, without a kill. Right: within the tolerance of "
        "the golden outputs. Afterwards: what /health says, and the digests of what is installed and kept.",
        "A kill is a SIGKILL at a moment drawn from twice the time that a start takes.",
    ]
    figures = {
        "requests": f"{rows[0]['right']:,}",
        "median": f"{rows[0]['median']:.1f}",
        "kills": str(kills),
    }
    figures |= {"lost": str(sum(row["lost"] for row in rows)), "late": f"{rows[0]['late']:.1f}"}
    return [Table("A model served", _COLUMNS, rows, notes, figures)]


def _bundle(folder: Path) -> Path:
    """A released bundle of few digits: what serves them does not care how well they were learnt."""
    project = digits(folder / "project", small=True)
    (folder / "project" / "targets").mkdir()
    (folder / "project" / "targets" / "debian.toml").write_text(_TARGET, encoding="utf-8")
    with progress.display(sys.stderr) as events:
        (outcome,), _ = build(Request(project, ("debian",), ("digits",)), events, Limits())
    if outcome.status != "pass":
        raise UsageError(f"the digits for a Debian board do not pass: {outcome.status}")
    return outcome.folder


def _broken(bundle: Path, folder: Path) -> Path:
    """A bundle that is whole by its digests, and answers otherwise than when it was judged."""
    shutil.copytree(bundle, folder)
    facts = manifest.read_bundle(folder)
    import numpy as np

    with np.load(folder / golden.FILE) as vectors:
        arrays = dict(vectors)
    np.savez(folder / golden.FILE, **{**arrays, "output/0": arrays["output/0"] + 100})
    manifest.seal(folder, facts)
    return folder


def _row(unit: Unit, good: Path, phase: str, requests: int, event: Callable[[], None]) -> dict[str, Any]:
    """What clients were answered, at least so many requests, until what happens meanwhile has happened."""
    clients, starts, kills = Clients(unit.port, good, requests), unit.starts, unit.kills
    with ThreadPoolExecutor(CLIENTS) as pool:
        asking = [pool.submit(clients.ask, number) for number in range(CLIENTS)]
        event()
        clients.done.set()
        for each in asking:
            each.result()
    cut, times = len(clients.broken) if unit.kills > kills else 0, sorted(clients.times)
    return {
        "phase": phase,
        "requests": clients.sent,
        "right": len(times),
        "lost": clients.sent - len(times) - cut,
        "cut": cut,
        "starts": unit.starts - starts,
        "median": 1e3 * statistics.median(times),
        "late": 1e3 * times[int(0.99 * (len(times) - 1))],
        "after": unit.state(),
    }
