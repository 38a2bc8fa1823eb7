"""Steps run on real workers, and what they made is here; whoever dies loses what it was doing, and nothing else."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import pytest

from edgebuild.devices.local import Local
from edgebuild.engine import scheduler as engine
from edgebuild.engine.graph import Node
from edgebuild.engine.store import Store
from edgebuild.spec.artifact import Determinism
from edgebuild.spec.errors import DeviceError, StepError, UsageError
from tests import ROOT
from tests.engine import toys
from tests.engine.cluster.conftest import Client, Farm, scheduler
from tests.engine.processes import alive, below, eventually
from tests.engine.toybox import Toybox, unsound


@dataclass(frozen=True, slots=True)
class Stays(toys.Write):
    @property
    def stays(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Timed(toys.Write):
    deterministic: ClassVar[Determinism] = "no"


@dataclass(frozen=True, slots=True)
class Tooled(toys.Write):
    tools: ClassVar[tuple[str, ...]] = ("numpy",)


@dataclass(frozen=True, slots=True)
class Answers(toys.Write):
    """On this machine, of which facts are in its key."""

    device: Local = field(default_factory=Local)


def several(box: Toybox, tally: str, name: str = "t") -> None:
    """Six that do not need each other, and one that joins them."""
    parts = {f"p{n}": box.add(f"p{n}", toys.Write(f"{name}{n}", 0.3, tally)) for n in range(6)}
    box.add("all", toys.Join(), **parts)


def joined(name: str = "t") -> str:
    return "+".join(f"{name}{n}" for n in range(6))


def test_steps_run_on_workers_and_what_speaks_of_this_machine_here(shared_farm: Farm, store: Store) -> None:
    client = Client(store, shared_farm)

    def make(box: Toybox) -> None:
        a, b = box.add("a", toys.Write("a")), box.add("b", Stays("b"))
        c = box.add("c", toys.Join(), a=a, b=b)
        box.add("d", Timed("d"), c=c)
        box.add("e", toys.Records(), records=True, c=c)
        box.add("news", toys.Reports())

    done = client.build(make)
    assert client.text(done["c"]) == "a+b"
    assert {label for label, action in done.items() if action.source} == {"a", "c", "news"}
    assert (client.told, client.ran, client.again) == ([], 3, 0)
    heard = [note for label, _, note in client.heard.news if label == "news"]
    assert any("part" in note and "on tcp://127.0.0.1:" in note for note in heard)

    client.farm = replace(shared_farm, address="tcp://127.0.0.1:1")  # nobody calls it: there is nothing to do
    client.build(make)
    assert (client.heard.ran, client.ran) == ([], 0)


def test_an_answer_is_heard_as_soon_as_it_is_there(
    shared_farm: Farm, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_POLL_SECONDS", 20.0)
    client, began = Client(store, shared_farm), time.monotonic()
    client.build(lambda box: box.add("after", toys.Join(), before=box.add("before", toys.Write("heard"))))
    assert (client.ran, time.monotonic() - began < 20) == (2, True)


def test_facts_of_a_device_are_those_of_the_worker(shared_farm: Farm, store: Store) -> None:
    """It asks its own device: where that is another, the step runs here."""
    client, cpu = Client(store, shared_farm), Local().fingerprint()["cpu"]

    def make(box: Toybox) -> None:
        box.graph.add("same", Node(Answers("same"), {}, "toy", facts={"cpu": cpu}))
        box.graph.add("other", Node(Answers("other"), {}, "toy", facts={"cpu": "another"}))

    done = client.build(make)
    assert {label for label, action in done.items() if action.source} == {"same"}
    assert len(client.told) == 1
    assert f"there fact.cpu is {cpu}, here another" in client.told[0]


def test_a_step_that_fails_there_ends_the_build_as_it_would_here(shared_farm: Farm, store: Store) -> None:
    client = Client(store, shared_farm)
    with pytest.raises(UsageError, match="the ratio is too high .lower it; log: .*; it ran on tcp://"):
        client.build(lambda box: box.add("bad", toys.Misbehaves("usage_error")))
    with pytest.raises(StepError, match="bad was stopped: still running after 1 s"):
        client.build(lambda box: box.add("bad", toys.Misbehaves("sleep")), seconds=1.0)


def test_a_result_that_is_not_in_the_cache_as_it_was_said_is_made_here(shared_farm: Farm, store: Store) -> None:
    client = Client(store, shared_farm)

    def lie(handler: object) -> bool:
        files = shared_farm.served.files
        files |= {path: b"other" for path, data in files.items() if data == b"truth"}
        return False

    shared_farm.served.before = lie
    done = client.build(lambda box: box.add("a", toys.Write("truth")))
    assert client.text(done["a"]) == "truth"
    assert done["a"].source == ""
    assert "not believed" in client.told[0]


def test_what_a_build_that_has_gone_had_sent_is_finished_and_found_by_the_next(shared_farm: Farm, store: Store) -> None:
    client, folder = Client(store, shared_farm), shared_farm.folder
    late, before = toys.Meets("late", "go", str(folder)), {*shared_farm.served.under("ac")}

    def has_begun() -> bool:
        client.build(lambda box: box.add("late", late), patience=2.0)
        return (folder / "late.here").exists()

    assert eventually(has_begun, 60)
    assert {*shared_farm.served.under("ac")} == before
    (folder / "go.here").touch()
    assert eventually(lambda: {*shared_farm.served.under("ac")} - before)
    client.build(lambda box: box.add("late", late))
    assert [label for label, _ in client.heard.fetches] == ["late"]


def test_who_dies_loses_what_it_was_doing_and_nothing_else(farm: Farm, client: Client) -> None:
    """A worker, the scheduler, and a worker that is told to end, each in the middle of a build."""
    first, second = farm.worker(), farm.worker()
    with amid(farm, first.kill):
        done = client.build(lambda box: several(box, farm.tally))
    assert client.text(done["all"]) == joined()
    assert len(farm.ran) <= 6 + 1
    assert client.again <= 1
    assert [line.partition(" is gone: ")[2] for line in client.told] == ["what it ran runs elsewhere"]

    Path(farm.tally).unlink()
    with amid(farm, farm.scheduler.kill):
        done = client.build(lambda box: several(box, farm.tally, "u"))
    assert client.text(done["all"]) == joined("u")
    assert client.told == [f"the scheduler {farm.address} is gone: the build goes on here"]
    farm.scheduler = scheduler(farm.folder / "another.log", int(farm.address.rpartition(":")[2]))
    assert eventually(lambda: second.log.read_text().count(" side by side") == 2)

    building = threading.Thread(target=client.build, args=[lambda box: box.add("slow", toys.Write("slow", 2.0))])
    building.start()
    assert eventually(lambda: list((farm.folder / "worker1" / "tmp").glob("*/slow-*")))
    children = below(second.process.pid)
    assert second.kill(signal.SIGTERM) == 0
    assert eventually(lambda: not any(map(alive, children)))
    building.join(60)
    assert client.text(client.build(lambda box: box.add("slow", toys.Write("slow", 2.0)))["slow"]) == "slow"
    Store(farm.folder / "worker0").close()  # takes away what a worker that is killed leaves
    assert unsound(farm.folder / "worker1") == unsound(farm.folder / "worker0") == []


@contextmanager
def amid(farm: Farm, kill: Callable[[], object]) -> Iterator[None]:
    """Have it killed as soon as two steps have run."""
    killing = threading.Thread(target=lambda: (eventually(lambda: len(farm.ran) >= 2), kill()))
    killing.start()
    yield
    killing.join()


def test_a_worker_with_other_code_or_tools_gets_no_work_and_alone_it_ends_the_build(
    farm: Farm, client: Client, tmp_path: Path
) -> None:
    own = tmp_path / "other"
    for name in ("edgebuild", "tests"):
        shutil.copytree(ROOT / name, own / name, ignore=shutil.ignore_patterns("__pycache__", "scenarios"))
    with (own / "edgebuild" / "__main__.py").open("a") as file:
        file.write("# another\n")
    farm.worker(PYTHONPATH=str(own))
    both = r"worker tcp://\S+ runs edgebuild \S+ \(code \w{12}, Python .*\), here it is edgebuild \S+ \(code \w{12}, "
    with pytest.raises(DeviceError, match=both) as raised:
        client.build(lambda box: box.add("a", toys.Write("a")))
    assert raised.value.exit_code == 4
    assert "\n" not in raised.value.line

    tools = tmp_path / "tools" / "numpy-0.1.dist-info"
    tools.mkdir(parents=True)
    (tools / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 0.1\n")
    farm.worker(PYTHONPATH=f"{tools.parent}:{ROOT}")

    def make(box: Toybox) -> None:
        for n in range(2):
            box.add(f"plain{n}", toys.Write(f"plain{n}"))
            box.add(f"tooled{n}", Tooled(f"tooled{n}"))

    done = client.build(make)
    assert {label for label, action in done.items() if action.source} == {"plain0", "plain1"}
    assert len(client.told) == 2
    assert " runs edgebuild " in client.told[0]
    assert "there tool.numpy is 0.1, here " in client.told[1]
