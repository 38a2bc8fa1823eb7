"""Of the steps that may run, the one with the longest way to the end begins first."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebuild.engine import precedence
from edgebuild.engine.graph import Graph, Node
from edgebuild.engine.store import Action, Store
from edgebuild.spec.artifact import Artifact, Step
from tests.engine import toys
from tests.engine.toybox import Toybox, tally

pytestmark = pytest.mark.usefixtures("mark")


def node(step: Step, **inputs: str) -> Node:
    return Node(step, inputs, "toy")


def action(kind: str, label: str, seconds: float) -> Action:
    return Action("0" * 64, label, {"step": f"tests.engine.toys.{kind}"}, Artifact("toy", "0" * 64), seconds)


def ran(runs: Path) -> list[str]:
    return [name for name, _, _ in tally(runs)]


def test_time_decides_and_not_the_number_of_steps() -> None:
    graph = Graph()
    first = graph.add("first", node(toys.Write("first")))
    second = graph.add("second", node(toys.Join(), one=first))
    third = graph.add("third", node(toys.Join(), one=second))
    alone = graph.add("alone", node(toys.Write("alone")))
    seconds = {first: 1.0, second: 1.0, third: 1.0, alone: 2.5}
    assert precedence.by_longest_way(graph, seconds.__getitem__) == [first, alone, second, third]
    assert precedence.by_longest_way(graph, {**seconds, alone: 4.0}.__getitem__) == [alone, first, second, third]


def test_what_takes_no_time_comes_after_all_that_it_needs() -> None:
    graph = Graph()
    last = graph.add("a", node(toys.Write("a")))
    names = [last := graph.add(f"{number}", node(toys.Join(f"{number}"), one=last)) for number in range(5)]
    assert precedence.by_longest_way(graph, lambda name: 0.0)[1:] == names


def test_in_a_store_that_knows_nothing_more_steps_take_longer(box: Toybox, runs: Path) -> None:
    box.add("alone", toys.Write("alone", tally=str(runs)))
    first = box.add("first", toys.Write("first", tally=str(runs)))
    box.add("second", toys.Join(tally=str(runs)), one=first)
    box.build(jobs=1)
    assert ran(runs) == ["first", "alone", "join+"]


def test_what_took_longer_the_last_time_goes_first(box: Toybox, store: Store, runs: Path) -> None:
    for name, seconds in (("quick", 0.1), ("slow", 9.0)):
        box.add(name, toys.Write(name, tally=str(runs)))
        store.remember(name, action("Write", name, seconds))
    box.build(jobs=1)
    assert ran(runs) == ["slow", "quick"]


def test_the_time_of_a_kind_of_step_outlives_a_build(store: Store) -> None:
    for seconds in (4.0, 2.0):
        store.record(action("Write", "before", seconds))
    store.close()
    later = Store(store.root)
    assert later.durations.of("tests.engine.toys.Write") == 3.0
    later.remember("other", action("Join", "other", 7.0))  # the label was another step's
    graph = Graph()
    steps = {"one": toys.Join(), "other": toys.Write("x"), "learns": toys.Learns()}
    names = {label: graph.add(label, node(step)) for label, step in steps.items()}
    assert precedence.order(graph, later) == [names["learns"], names["other"], names["one"]]
    later.close()


def test_where_nothing_has_to_run_nothing_is_put_in_order(box: Toybox, monkeypatch: pytest.MonkeyPatch) -> None:
    first = box.add("first", toys.Write("first"))
    box.add("second", toys.Join(), one=first)
    box.build()
    monkeypatch.setattr(precedence, "order", lambda graph, store: pytest.fail("what there is has an order already"))
    box.build()
