"""What one machine has made another takes, as far as it holds there; what does not is never asked for nor sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from edgebuild.engine import processor, resolve, sharing
from edgebuild.engine.graph import Graph, Node
from edgebuild.spec import unshared
from edgebuild.spec.artifact import Determinism, StepIO
from tests.engine import toys
from tests.engine.caches.conftest import HELLO, Machine
from tests.engine.caches.server import Handler, Served

pytestmark = pytest.mark.usefixtures("mark")
New = Callable[..., Machine]


@dataclass(frozen=True, slots=True)
class SameCpu(toys.Write):
    deterministic: ClassVar[Determinism] = "same-cpu"
    tools: ClassVar[tuple[str, ...]] = ("numpy",)


@dataclass(frozen=True, slots=True)
class Times(toys.Write):
    deterministic: ClassVar[Determinism] = "no"


@dataclass(frozen=True, slots=True)
class Unnamed(toys.Write):
    def run(self, io: StepIO) -> None:
        (io.output / "text.txt").write_text(self.text)
        unshared.mark(io.output)


def test_another_machine_takes_what_one_has_made_and_runs_nothing(served: Served, machine: New) -> None:
    one, other = machine(), machine()
    made = one.build(toys.Write("a"), toys.Write("b"), then=toys.Join())
    assert (one.took, one.counts.sent, one.told) == ([], 3, [])
    taken = other.build(toys.Write("a"), toys.Write("b"), then=toys.Join())
    assert (other.heard.ran, other.took, other.counts.hits) == ([], ["part0", "part1", "then"], 3)
    assert {label: action.output for label, action in taken.items()} == {k: a.output for k, a in made.items()}
    assert other.text(taken["then"]) == "a+b"
    assert {action.source for action in taken.values()} == {served.url}
    assert taken["then"].seconds == made["then"].seconds


def test_what_a_cache_has_is_not_foreseen_to_run(machine: New) -> None:
    one, other = machine(), machine()
    one.build(toys.Write("a"), Times("b"), then=toys.Join())
    assert one.heard.foreseen in (
        [["part0", "part1", "then"]],
        [["part1", "then"]],
    )  # as the answer comes before or not
    other.build(toys.Write("a"), Times("b"), then=toys.Join())
    assert other.heard.foreseen == [["part1", "then"]]


def test_what_is_here_is_neither_asked_for_nor_sent(served: Served, machine: New) -> None:
    one = machine(url="http://127.0.0.1:1")
    one.build(HELLO)
    one.url = served.url
    one.build(HELLO)
    assert (served.asked, one.heard.reused) == ([], ["part0"])


def test_explain_says_from_where_a_result_came(served: Served, machine: New) -> None:
    one, other = machine(), machine()
    one.build(HELLO)
    other.build(HELLO)
    graph = Graph()
    graph.add("part0", Node(HELLO, {}, "toy"))
    assert [item.reason for item in resolve.outlook(graph, one.store)] == ["nothing changed"]
    assert [item.reason for item in resolve.outlook(graph, other.store)] == [
        f"nothing changed, from cache {served.url}"
    ]


def test_what_depends_on_the_processor_is_shared_between_equal_ones(
    machine: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other, third = machine(), machine(), machine()
    one.build(SameCpu("a"))
    other.build(SameCpu("a"))
    assert other.took == ["part0"]
    facts = processor.machine()
    monkeypatch.setattr(processor, "machine", lambda: facts | {"flags": "fpu"})
    third.build(SameCpu("a"))
    assert (third.took, third.heard.ran) == ([], ["part0"])


def test_what_was_built_otherwise_is_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As conda's build of a version is another than PyPI's; where nothing says how it was built, nothing is shared."""
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "kernels-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Name: kernels\nVersion: 1.0\n")

    def here(*records: str) -> str | None:
        processor.build.cache_clear()
        for text in records:
            (folder / "RECORD").write_text(text)
        return processor.fingerprint(("kernels",))

    assert here() is None
    one = here("kernels/a.so,sha256=abc,3\nkernels/a.py,sha256=abc,3\n")
    assert one == here("kernels/a.so,sha256=abc,3\nkernels/a.py,sha256=def,4\n") is not None
    assert one != here("kernels/a.so,sha256=def,3\nkernels/a.py,sha256=abc,3\n")
    processor.build.cache_clear()


def test_a_variable_that_chooses_kernels_is_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = processor.machine.__wrapped__()
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    assert processor.machine.__wrapped__() == facts | {"$ATEN_CPU_CAPABILITY": "default"}
    assert {"libc", "caches", "machine"} <= facts.keys()
    assert {"flags", "Features"} & facts.keys()


def test_measured_time_and_what_no_key_knows_stay_here(served: Served, machine: New) -> None:
    one, other = machine(), machine()
    one.build(Times("a"), Unnamed("b"))
    assert (served.did("PUT"), served.did("HEAD"), len(served.did("GET"))) == ([], [], 1)
    other.build(Times("a"), Unnamed("b"))
    assert sorted(other.heard.ran) == ["part0", "part1"]


def test_what_follows_from_measured_time_is_nobody_elses_either(served: Served, machine: New) -> None:
    """Its key has the measurement; what follows from that is known by bytes again."""
    one = machine()
    one.build(Times("a"), toys.Write("b"), then=toys.Join())
    assert (len(served.under("ac")), one.counts.misses) == (1, 1)


def test_read_only_takes_and_sends_nothing(served: Served, machine: New) -> None:
    one, other = machine(), machine(read_only=True)
    one.build(HELLO)
    before = dict(served.files)
    other.build(HELLO, toys.Write("more"))
    assert (other.took, other.heard.ran, other.told) == (["part0"], ["part1"], [])
    assert served.files == before
    assert len(served.did("PUT")) == len(before)


def test_a_file_that_the_cache_has_is_not_sent_again(served: Served, machine: New) -> None:
    one, other = machine(), machine()
    one.build(toys.Write("same"))
    puts = len(served.did("PUT"))
    other.build(toys.Join("same", length=0), toys.Write("same", seconds=0.01))
    one.build(toys.Join(glue="x"), then=toys.Write("same"))
    contents = [path for path in served.did("PUT") if path.startswith("/cas/")]
    assert len(contents) == len({*contents})
    assert puts == 2


def test_nothing_moves_while_a_step_measures_this_machine(served: Served, machine: New, runs: Path) -> None:
    """Uploads of what ran before are under way when it could start."""
    moving: list[tuple[float, float]] = []

    def takes_long(handler: Handler) -> bool:
        began = time.monotonic()
        time.sleep(0.3 * (handler.command == "PUT"))
        moving.append((began, time.monotonic()))
        return False

    served.before = takes_long
    one = machine()
    one.build(*(toys.Write(name) for name in "abc"), toys.Alone("alone", seconds=0.2, tally=str(runs)))
    _, began, ended = runs.read_text().split()
    assert not [span for span in moving if span[0] < float(ended) and float(began) < span[1]]
    assert (one.counts.sent, one.told) == (4, [])


def test_what_is_still_being_sent_at_the_end_is_waited_for_but_not_for_ever(
    served: Served, machine: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = machine()
    served.before = lambda handler: time.sleep(0.3 * (handler.command == "PUT")) is not None
    one.build(HELLO)
    assert one.counts.sent == 1
    monkeypatch.setattr(sharing, "_LAST_SECONDS", 0.1)
    one.build(toys.Write("other"))
    assert one.told == [f"cache {served.url} was too slow: 1 results were not sent"]
