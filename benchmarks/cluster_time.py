"""The time of a build by one worker and by two.

Machines are network namespaces of this one, each with a core, a store and locks of its own; what they share is a
bridge, a cache behind nginx as `docs/cache.md` has it, and a Dask scheduler.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._cluster.builds import Build, build
from benchmarks._cluster.farm import Farm, farming
from benchmarks._project import ROOT, digits
from benchmarks._tables import Table
from edgebuild.spec.errors import DeviceError

# Those that train; the targets share what they train, and measure no time.
RECIPES, TARGETS = ("balanced", "fastest", "smallest", "qat"), ("server-gpu", "jetson-orin-nano-gpu")
_FLOAT = "float16"  # the targets' own, whose build has all that every other one begins with
STEPS, WAITS = 40, 1.0
_COLUMNS = {
    "what": ("build", ""),
    "steps": ("steps on workers", "d"),
    "here": ("steps here", "d"),
    "one": ("one worker (s)", ".0f"),
    "two": ("two (s)", ".0f"),
    "ratio": ("two of one", ".2f"),
    "chain": ("longest chain of steps (s)", ".0f"),
    "busy": ("of the two workers' time in steps", ".0%"),
    "same": ("results with the same bytes", ""),
}


@dataclass(frozen=True, slots=True)
class Built:
    """A build: how long it took (s), what it said of itself, and the digest of every result by key; how long its steps
    took together, and the longest chain of those that need each other (s).
    """

    seconds: float
    said: dict[str, Any]
    results: dict[str, str]
    work: float
    chain: float


def run(*, small: bool) -> list[Table]:
    """Steps that wait, and recipes of a small model; `small`: a few that wait."""
    with tempfile.TemporaryDirectory(prefix="edgebuild-cluster-") as name:
        rows = [_waiting(Path(name), small=small)]
        rows += [] if small else [_real(Path(name))]
    notes = [
        f"Steps that wait: {STEPS} of {WAITS:g} s, and one that joins them: what is lost is the handing out.",
        f"{len(RECIPES)} recipes ({', '.join(RECIPES)}) of the digits model for {len(TARGETS)} targets "
        f"({', '.join(TARGETS)}), from an empty cache and a store that has what all begin with. Each worker is a "
        "network namespace with one core of this machine, which others use as well.",
    ]
    figures = {"waiting": f"{rows[0]['ratio']:.2f}"} | ({} if small else {"real": f"{rows[-1]['ratio']:.2f}"})
    return [Table("Two workers", _COLUMNS, rows, notes, figures)]


def _waiting(folder: Path, *, small: bool) -> dict[str, Any]:
    built: list[Build] = []
    for workers in (1,) if small else (1, 2):
        with farming(folder / f"waiting{workers}", workers=workers, namespaces=not small, toys=True) as farm:
            built.append(build(farm, [0.1 if small else WAITS] * (4 if small else STEPS)))
    one, two = built[0], built[-1]
    row = {"what": "steps that wait", "steps": two.ran, "here": two.here, "one": one.seconds, "two": two.seconds}
    more = {"chain": None, "busy": None, "same": f"{two.right} of {two.ran + two.here}"}
    return row | {"ratio": two.seconds / one.seconds} | more


def _real(folder: Path) -> dict[str, Any]:
    names, begun = _project(folder / "project"), folder / "begun"
    alone = {"EDGEBUILD_STORE": str(begun), "EDGEBUILD_LOCKS": str(folder)}
    _edgebuild([], folder, [f"{TARGETS[0]}-{_FLOAT}"], Farm.inherited() | alone)
    built = []
    for workers in (1, 2):
        with farming(folder / f"workers{workers}", workers=workers) as farm:
            shutil.copytree(begun, farm.folder / "client")
            built.append(_built(farm, folder, names, {*_actions(begun)}))
            told = f"  {workers}: {built[-1].seconds:.0f} s, {built[-1].said['cluster']}, {built[-1].said['counts']}"
            print(told, file=sys.stderr, flush=True)
    one, two = built
    ran, shared = int(two.said["cluster"]["ran"]), one.results.keys() & two.results.keys()
    same = sum(one.results[key] == two.results[key] for key in shared)
    row = {"what": "4 recipes × 2 targets", "steps": ran, "here": int(two.said["counts"]["ran"]) - ran}
    times = {"one": one.seconds, "two": two.seconds, "ratio": two.seconds / one.seconds}
    more = {"chain": two.chain, "busy": two.work / (2 * two.seconds), "same": f"{same} of {len(shared)}"}
    return row | times | more


def _project(folder: Path) -> list[str]:
    """A project with the digits model; the names of its targets, one for each recipe and target."""
    folder.mkdir()
    digits(folder, small=False)
    (folder / "targets").mkdir()
    for target in TARGETS:
        text = (ROOT / "targets" / f"{target}.toml").read_text(encoding="utf-8")
        for recipe in (_FLOAT, *RECIPES):
            own = text.replace(f'recipe = "{_FLOAT}"', f'recipe = "{recipe}"')
            (folder / "targets" / f"{target}-{recipe}.toml").write_text(own, encoding="utf-8")
    return [f"{target}-{recipe}" for recipe in RECIPES for target in TARGETS]


def _built(farm: Farm, folder: Path, targets: list[str], before: set[str]) -> Built:
    own = farm.folder / "client"
    begun = time.monotonic()
    said = _edgebuild(farm.client, folder, targets, farm.variables("client", own))
    seconds, actions = time.monotonic() - begun, _actions(own)
    ran = [action for key, action in actions.items() if key not in before]
    results = {key: action["output"]["digest"] for key, action in actions.items()}
    return Built(seconds, said, results, sum(action["seconds"] for action in ran), _longest(ran))


def _edgebuild(words: list[str], folder: Path, targets: list[str], variables: dict[str, str]) -> dict[str, Any]:
    """What a build says of itself; DeviceError where it does not end as one."""
    asked = [word for name in targets for word in ("--target", name)]
    command = [*words, sys.executable, "-m", "edgebuild", "build", *asked, "--json", "--project", "project"]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    if not done.stdout.startswith("{") or done.returncode not in (0, 1, 3):
        raise DeviceError(f"a build ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def _actions(store: Path) -> dict[str, dict[str, Any]]:
    """All that a store says of steps, by key."""
    actions = (json.loads(path.read_text(encoding="utf-8"))["body"] for path in (store / "actions").glob("*.json"))
    return {action["key"]: action for action in actions}


def _longest(actions: list[dict[str, Any]]) -> float:
    """Of those that need each other, by the digests of what they give and take, the chain that takes longest (s)."""
    makers = {action["output"]["digest"]: action for action in actions}
    known: dict[str, float] = {}

    def until(digest: str) -> float:
        if digest not in known and (maker := makers.get(digest)) is not None:
            known[digest] = 0.0  # what gives what it takes is no reason to go round
            takes = (text.partition(":")[2] for name, text in maker["parts"].items() if name.startswith("input."))
            known[digest] = maker["seconds"] + max((until(each) for each in takes if each != digest), default=0.0)
        return known.get(digest, 0.0)

    return max((until(digest) for digest in makers), default=0.0)
