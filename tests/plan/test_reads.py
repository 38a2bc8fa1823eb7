"""Files that data is read from outside the model's folder: their digests are part of the key, their places are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgebuild.engine.resolve import Resolver
from edgebuild.engine.store import Store
from edgebuild.plan.planner import Plan
from edgebuild.spec.errors import UsageError
from edgebuild.steps.import_weights import ImportWeights
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


def test_what_a_package_or_a_variable_names_is_read_and_its_place_is_in_no_key(
    plan: Planner, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site" / "tiny_data-1.dist-info").mkdir(parents=True)
    (tmp_path / "site" / "tiny_data-1.dist-info" / "METADATA").write_text("Name: tiny-data\n")
    (tmp_path / "site" / "rows.npz").write_text("one")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("TINY_DATA", str(tmp_path / "site"))
    packaged = parts(plan(model='reads = ["package:tiny-data/rows.npz"]'), store)
    named = parts(plan(model='reads = ["$TINY_DATA/rows.npz"]'), store)
    assert packaged["option.reads[0].digest"] == named["option.reads[0].digest"]
    assert named["option.reads[0].name"] == '"$TINY_DATA/rows.npz"'
    assert str(tmp_path) not in str(packaged) + str(named)


def test_weights_may_lie_in_a_package(
    plan: Planner, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site" / "tiny_weights-1.dist-info").mkdir(parents=True)
    (tmp_path / "site" / "tiny_weights-1.dist-info" / "METADATA").write_text("Name: tiny-weights\n")
    (tmp_path / "site" / "w.safetensors").write_text("weights")
    monkeypatch.syspath_prepend(tmp_path / "site")
    planned = plan(model='weights = "package:tiny-weights/w.safetensors"')
    (node,) = [node for node in planned.graph.nodes.values() if isinstance(node.step, ImportWeights)]
    weights = store.path(planned.graph.sources[node.inputs["weights"]])
    assert (weights / "w.safetensors").read_text() == "weights"
    with pytest.raises(UsageError) as caught:
        plan(model='weights = "package:no-such-weights/w.safetensors"')
    told = "models/tiny/model.toml: weights: lies in the package no-such-weights, which is not installed"
    assert caught.value.line == f"{told} (pip install no-such-weights)"
