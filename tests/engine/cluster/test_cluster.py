"""Steps run on real workers, and what they made is here; whoever dies loses what it was doing, and nothing else."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from edgebuild.spec.artifact import Determinism, StepIO
from tests.engine import toys
from tests.engine.cluster.conftest import Client, Farm
from tests.engine.toybox import Toybox


@dataclass(frozen=True, slots=True)
class Here(toys.Write):
    """Says in which process it ran, and reads what only this machine has."""

    @property
    def stays(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Timed(toys.Write):
    deterministic: ClassVar[Determinism] = "no"


def test_steps_run_on_workers_and_what_speaks_of_this_machine_here(farm: Farm, client: Client) -> None:
    farm.worker()

    def make(box: Toybox) -> None:
        a, b = box.add("a", toys.Write("a")), box.add("b", Here("b"))
        c = box.add("c", toys.Join(), a=a, b=b)
        box.add("d", Timed("d"), c=c)

    done = client.build(make)
    assert client.text(done["c"]) == "a+b"
    assert client.told == []
    assert client.ran == 2
