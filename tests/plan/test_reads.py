"""Files that data is read from outside the model's folder: their digests are part of the key, their places are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgebuild.engine.resolve import Resolver
from edgebuild.engine.store import Store
from edgebuild.plan.planner import Plan
from edgebuild.steps.load_data import LoadData

Planner = Callable[..., Plan]


def parts(plan: Plan, store: Store) -> dict[str, str]:
    (name,) = [name for name, node in plan.graph.nodes.items() if isinstance(node.step, LoadData)]
    return Resolver(plan.graph, store).parts(name)


def test_only_a_change_of_content_changes_the_key_of_the_data(plan: Planner, store: Store, tmp_path: Path) -> None:
    file = tmp_path / "outside.npz"
    file.write_text("one")
    declared = 'reads = ["../../outside.npz"]'
    first = parts(plan(model=declared), store)
    assert str(tmp_path) not in str(first)
    file.touch()
    assert parts(plan(model=declared), store) == first
    file.write_text("two")
    second = parts(plan(model=declared), store)
    assert [name for name in first if first[name] != second[name]] == ["option.reads[0].digest"]
