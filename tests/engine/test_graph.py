"""Two nodes that do the same are one, and what is said of a node does not depend on its neighbours."""

from __future__ import annotations

import pytest

from edgebuild.engine.graph import Graph, Node
from edgebuild.spec.artifact import Artifact, Step
from tests.engine import toys


def node(step: Step, **inputs: str) -> Node:
    return Node(step, inputs, "toy")


def test_two_nodes_that_do_the_same_are_one_with_two_labels() -> None:
    graph = Graph()
    one, two = graph.add("rpi4/a", node(toys.Write("x"))), graph.add("host/a", node(toys.Write("x")))
    assert one == two
    assert len(graph.nodes) == 1
    assert graph.labels[one] == ["rpi4/a", "host/a"]


@pytest.mark.parametrize(
    "other",
    [
        node(toys.Write("y")),
        node(toys.Alone("x")),
        Node(toys.Write("x"), {}, "other"),
        Node(toys.Write("x"), {}, "toy", code=("m",)),
        Node(toys.Write("x"), {}, "toy", tools=("t",)),
        Node(toys.Write("x"), {}, "toy", facts={"cpu": "a72"}),
        Node(toys.Write("x"), {}, "toy", records=True),
    ],
)
def test_nodes_that_differ_in_anything_are_two(other: Node) -> None:
    graph = Graph()
    assert graph.add("one", node(toys.Write("x"))) != graph.add("other", other)


def test_a_node_comes_after_all_that_it_needs() -> None:
    graph = Graph()
    a = graph.add("a", node(toys.Write("a")))
    b = graph.add("b", node(toys.Join(), one=a))
    c = graph.add("c", node(toys.Join(), one=a, two=b))
    assert graph.order() == [a, b, c]
    assert list(graph.upstream(c)) == [a, b]


def test_an_input_that_is_needed_must_be_connected() -> None:
    class Needs(toys.Join):
        needs = ("model",)

    with pytest.raises(ValueError, match=r"here: inputs \['model'\] are not connected"):
        Graph().add("here", Node(Needs(), {}, "toy"))  # type: ignore[arg-type]


def test_an_input_from_nowhere_is_refused_rather_than_waited_for() -> None:
    with pytest.raises(ValueError, match=r"here: inputs \['model'\] come from nowhere"):
        Graph().add("here", node(toys.Join(), model="0" * 64))


def test_a_source_has_the_kind_of_its_artifact() -> None:
    graph = Graph()
    source = graph.add_source("digits/source", Artifact("source", "f" * 64))
    assert (graph.kind(source), graph.label(source)) == ("source", "digits/source")
    assert graph.kind(graph.add("a", node(toys.Join(), one=source))) == "toy"


def test_the_order_upstream_does_not_depend_on_what_else_is_in_the_graph() -> None:
    def upstream(*before: str) -> list[str]:
        graph = Graph()
        for text in before:
            graph.add(f"other/{text}", node(toys.Write(text)))
        ids = {text: graph.add(f"this/{text}", node(toys.Write(text))) for text in "abc"}
        last = graph.add("this/last", node(toys.Join(), **ids))
        return [graph.label_near(name, last) for name in graph.upstream(last)]

    assert upstream() == upstream("c", "b") == ["this/a", "this/b", "this/c"]
