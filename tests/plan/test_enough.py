"""What is told before a build: gates that can never be decided with the examples that an earlier build counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgebuild.engine import keys
from edgebuild.engine.resolve import Resolver
from edgebuild.engine.store import Action, Store
from edgebuild.plan.planner import Plan
from edgebuild.spec import dataset
from edgebuild.spec.signature import Head
from edgebuild.steps.load_data import LoadData

GATES = '[{metric = "accuracy", limit = "1 pp"}, {metric = "f1", limit = "5 pp"}, {metric = "size", limit = "1 MB"}]'


def loaded(plan: Plan, store: Store, folder: Path, examples: int) -> None:
    """Let the store know the data, as a build would have left them."""
    name = next(name for name, node in plan.graph.nodes.items() if isinstance(node.step, LoadData))
    parts = Resolver(plan.graph, store).parts(name)
    folder.mkdir()
    dataset.describe(folder, [Head("output", "classification")], {"train": 9, "test": examples}, {})
    store.record(Action(keys.of(parts), "tiny/data", parts, store.put(folder, "data"), 1.0))


def test_too_few_examples_are_told_before_anything_runs(
    plan: Callable[..., Plan], store: Store, tmp_path: Path
) -> None:
    first = plan(gates=GATES)
    assert first.notices == ()  # nobody has counted yet
    loaded(first, store, tmp_path / "loaded", 50)
    accuracy, f1 = plan(gates=GATES).notices
    told = "needs 381 held-out examples or more, and tiny has 50: the verdict will be inconclusive"
    assert accuracy == f"board: accuracy '1 pp' {told}"
    assert f1.startswith("board: f1 '5 pp' needs 73 held-out")


def test_enough_examples_are_nothing_to_tell(plan: Callable[..., Plan], store: Store, tmp_path: Path) -> None:
    loaded(plan(gates=GATES), store, tmp_path / "loaded", 381)
    assert plan(gates=GATES).notices == ()
