"""Several teachers: every one that a model declares is connected to each step that learns from teachers, and heard."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from edgebuild.engine.store import Store
from edgebuild.nn import checkpoint
from edgebuild.plan.planner import Plan
from edgebuild.spec.artifact import Step
from edgebuild.steps.techniques.distill import Distill
from edgebuild.steps.techniques.qat import Qat
from tests import tiny

Planner = Callable[..., Plan]
DISTIL = '[{use = "distill", epochs = 1, batch_size = 32, learning_rate = 0.02}]'


def teachers(*names: str) -> str:
    return "".join(f'\n[[teachers]]\nbuilder = "build"\nweights = "{name}.safetensors"' for name in names)


def node_of(plan: Plan, kind: type[Step]) -> str:
    (name,) = [name for name, node in plan.graph.nodes.items() if isinstance(node.step, kind)]
    return name


@pytest.mark.parametrize(
    ("recipe", "kind"), [('[{use = "distill"}]', Distill), ('[{use = "qat"}, {use = "int8"}]', Qat)]
)
def test_every_declared_teacher_is_connected(plan: Planner, recipe: str, kind: type[Step]) -> None:
    files = {f"{name}.safetensors": name for name in "abc"}
    made = plan(recipe=recipe, model=teachers("a", "b", "c"), files=files)
    inputs = made.graph.nodes[node_of(made, kind)].inputs
    connected = {role: made.graph.label(item) for role, item in inputs.items() if role.startswith("teacher")}
    assert connected == {"teacher": "tiny/teacher", "teacher/2": "tiny/teacher-2", "teacher/3": "tiny/teacher-3"}


def test_a_planned_distillation_hears_the_second_teacher(
    plan: Planner, store: Store, made: tiny.Made, tmp_path: Path
) -> None:
    """A second teacher that says the opposite changes what is learnt; one that says the same does not."""
    good = load_file(made["float"] / checkpoint.WEIGHTS)
    save_file(good, tmp_path / "good")
    save_file(good | {"head.weight": -good["head.weight"]}, tmp_path / "spoilt")

    def taught_by(*names: str) -> torch.Tensor:
        folder = tmp_path / "models" / "tiny"
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("good", "spoilt"):
            shutil.copyfile(tmp_path / name, folder / f"{name}.safetensors")
        declared = 'weights = "good.safetensors"' + teachers(*names)
        return _weights(_performed(plan(recipe=DISTIL, model=declared), store, tmp_path / f"by-{names}"))

    alone, same, other = taught_by("good"), taught_by("good", "good"), taught_by("good", "spoilt")
    assert torch.allclose(alone, same, atol=1e-4)
    assert not torch.allclose(alone, other, atol=1e-2)


def _performed(plan: Plan, store: Store, root: Path) -> Path:
    """What the planned `distill` makes: its step and all before it, run as they are connected."""
    wanted = node_of(plan, Distill)
    folders = {item: store.path(artifact) for item, artifact in plan.graph.sources.items()}
    for number, name in enumerate([*plan.graph.upstream(wanted), wanted]):
        node = plan.graph.nodes[name]
        inputs = {role: (plan.graph.kind(item), folders[item]) for role, item in node.inputs.items()}
        folders[name] = tiny.perform(node.step, root / str(number), inputs)
    return folders[wanted]


def _weights(folder: Path) -> torch.Tensor:
    return checkpoint.load(folder).module.get_parameter("head.weight")
