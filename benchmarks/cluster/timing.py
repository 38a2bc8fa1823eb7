"""The time of a real build by one worker and by two."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._project import ROOT, digits
from benchmarks.cluster.farm import Farm, farming
from edgebuild.spec.errors import DeviceError

RECIPES, TARGETS = ("float16", "int8", "fastest", "qat"), ("server-gpu", "jetson-orin-nano-gpu")
_FLOAT = "float16"  # whose build has all that every other one begins with


@dataclass(frozen=True, slots=True)
class Built:
    """A build: how long it took (s), what it said of itself, and the digest of every result by key."""

    seconds: float
    said: dict[str, Any]
    results: dict[str, str]

    @property
    def ran(self) -> int:
        """Steps that ran on workers."""
        return int(self.said["cluster"]["ran"])

    @property
    def here(self) -> int:
        """Steps that ran on the machine that built."""
        return int(self.said["counts"]["ran"]) - self.ran


def one_and_two(folder: Path) -> list[Built]:
    """The builds by one worker and by two."""
    names = _project(folder / "project")
    begun = folder / "begun"
    _edgebuild([], folder, [names[0]], {"EDGEBUILD_STORE": str(begun)})
    built = []
    for workers in (1, 2):
        with farming(folder / f"workers{workers}", workers=workers) as farm:
            shutil.copytree(begun, farm.folder / "client")
            built.append(_built(farm, folder, names))
            told = f"  {workers}: {built[-1].seconds:.0f} s, {built[-1].ran} steps on workers, {built[-1].here} here"
            print(told, file=sys.stderr, flush=True)
    return built


def _project(folder: Path) -> list[str]:
    """A project with the small digits model; the names of its targets, one for each recipe and target."""
    folder.mkdir()
    digits(folder, small=True)
    (folder / "targets").mkdir()
    for target in TARGETS:
        text = (ROOT / "targets" / f"{target}.toml").read_text(encoding="utf-8")
        for recipe in RECIPES:
            own = text.replace(f'recipe = "{_FLOAT}"', f'recipe = "{recipe}"')
            (folder / "targets" / f"{target}-{recipe}.toml").write_text(own, encoding="utf-8")
    return [f"{target}-{recipe}" for recipe in RECIPES for target in TARGETS]


def _built(farm: Farm, folder: Path, targets: list[str]) -> Built:
    own = farm.folder / "client"
    begun = time.monotonic()
    said = _edgebuild(farm.client, folder, targets, farm.variables("client", own))
    return Built(time.monotonic() - begun, said, _results(own))


def _edgebuild(words: list[str], folder: Path, targets: list[str], variables: dict[str, str]) -> dict[str, Any]:
    """What a build says of itself; DeviceError where it does not end as one."""
    asked = [word for name in targets for word in ("--target", name)]
    command = [*words, sys.executable, "-m", "edgebuild", "build", *asked, "--json", "--project", "project"]
    done = subprocess.run(
        command, cwd=folder, env={**Farm.inherited(), **variables}, capture_output=True, text=True, check=False
    )
    if not done.stdout.startswith("{") or done.returncode not in (0, 1, 3):
        raise DeviceError(f"a build ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def _results(store: Path) -> dict[str, str]:
    actions = (json.loads(path.read_text(encoding="utf-8"))["body"] for path in (store / "actions").glob("*.json"))
    return {action["key"]: action["output"]["digest"] for action in actions}
