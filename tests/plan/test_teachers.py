"""Who teaches in a plan: a builder, or a file of any source through its own runtime."""

from __future__ import annotations

import pytest

from edgebuild.plan.planner import Plan
from edgebuild.spec.errors import UsageError
from tests.plan.conftest import Planner

TEACHER = '\n[teacher]\nsource = {use = "onnx", file = "net.onnx"}\n'
RECIPE = '[{use = "distill"}]'
FILES = {"net.onnx": "not looked at"}


def teacher(made: Plan) -> tuple[str, str]:
    """The step that makes the teacher, and what it gives to distillation."""
    graph = made.graph
    (distill,) = [node for node in graph.nodes.values() if type(node.step).__name__ == "Distill"]
    node = graph.nodes[distill.inputs["teacher"]]
    return type(node.step).__name__, node.kind


def test_a_file_is_asked_once_about_all_that_is_learnt_from(plan: Planner) -> None:
    assert teacher(plan(model=TEACHER, files=FILES, recipe=RECIPE)) == ("TeacherAnswers", "answers")


def test_where_each_epoch_sees_other_examples_the_file_itself_teaches(plan: Planner) -> None:
    made = plan(model=f'augment = "turn"{TEACHER}', files=FILES, recipe=RECIPE)
    assert teacher(made) == ("ImportFile", "onnx")
    (distill,) = [node for node in made.graph.nodes.values() if type(node.step).__name__ == "Distill"]
    assert "edgebuild.travels.load_onnx" in distill.code
    assert "onnxruntime" in distill.tools


def test_a_lifted_model_has_teachers_too(plan: Planner) -> None:
    text = '[source]\nuse = "lifted"\nfile = "net.onnx"\n'
    declared = (
        'description = "d"\ndata = "load"\nlabels = ["a", "b"]\n[[inputs]]\nname = "image"\nshape = [1, 12, 12]\n'
    )
    built = '[teacher]\nbuilder = "build"\nweights = "net.pth"\n'
    made = plan(files={**FILES, "model.toml": declared + text + built, "net.pth": "no"}, recipe=RECIPE)
    assert teacher(made) == ("ImportWeights", "torch")


@pytest.mark.parametrize(
    ("model", "recipe", "told"),
    [
        (TEACHER, '[{use = "distill", features = "hints", layers = ["stem"]}]', "only the answers are known"),
        (TEACHER.replace('onnx", f', 'onn", f'), RECIPE, "teacher.source.use: unknown source 'onn'"),
        (TEACHER.replace("net.onnx", "other.onnx"), RECIPE, "teacher.source.file: no such file: 'other.onnx'"),
        (f'{TEACHER}builder = "build"\n', RECIPE, "a teacher has a builder or a source: one of the two"),
        ('\n[teacher]\nbuilder = "build"\nlayout = "nhwc"\n', RECIPE, "layout is for a source"),
    ],
)
def test_what_cannot_teach_is_refused_by_its_key(plan: Planner, model: str, recipe: str, told: str) -> None:
    with pytest.raises(UsageError) as refused:
        plan(model=model, files=FILES, recipe=recipe)
    assert told in refused.value.line
