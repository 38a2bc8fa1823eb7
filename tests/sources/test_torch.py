"""What a builder in model.py stands for: the source `torch`, spelt out or not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgebuild.plan.planner import Plan
from edgebuild.steps.import_weights import ImportWeights
from edgebuild.steps.train import Train
from tests import tiny

Planner = Callable[..., Plan]
DECLARED = (tiny.MODELS / "tiny" / "model.toml").read_text()
WITHOUT_BUILDER = DECLARED.replace('builder = "build"\n', "")


def spelt_out(*lines: str) -> dict[str, str]:
    assert WITHOUT_BUILDER != DECLARED
    return {"model.toml": "\n".join((WITHOUT_BUILDER, "[source]", 'use = "torch"', *lines, ""))}


def steps(plan: Plan) -> list[type]:
    return [type(node.step) for node in plan.graph.nodes.values()]


def test_a_builder_is_the_source_torch(plan: Planner) -> None:
    short = plan()
    assert plan(files=spelt_out('builder = "build"')).graph.nodes == short.graph.nodes
    assert Train in steps(short)


def test_weights_are_an_option_of_the_source(plan: Planner) -> None:
    weights = {"mine.pth": "tensors"}
    made = plan(files=spelt_out('builder = "build"', 'weights = "mine.pth"') | weights)
    assert made.graph.nodes == plan(files={"model.toml": DECLARED} | weights, model='weights = "mine.pth"').graph.nodes
    assert (ImportWeights in steps(made), Train in steps(made)) == (True, False)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (('builder = "build"', 'file = "m.onnx"'), "models/tiny/model.toml: source: unknown key 'file'"),
        ((), "models/tiny/model.toml: source.builder: is missing"),
        (
            ('builder = "build"', 'weights = "gone.pth"'),
            "models/tiny/model.toml: source.weights: no such file: 'gone.pth'",
        ),
        (('builder = "build"', 'weights = "../x.pth"'), "source.weights: '../x.pth' must name something inside"),
    ],
)
def test_a_wrong_option_is_refused_by_its_key(refusal: Callable[..., str], lines: tuple[str, ...], told: str) -> None:
    assert told in refusal(files=spelt_out(*lines))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (WITHOUT_BUILDER, "builder is missing: a model in PyTorch has one, any other has a [source]"),
        (DECLARED + '\n[source]\nuse = "torch"\n', "builder and [source] both say where the model comes from"),
        (WITHOUT_BUILDER + '\n[source]\nuse = "torhc"\n', "source.use: unknown source 'torhc' (did you mean 'torch'?"),
        (WITHOUT_BUILDER + '\n[source]\nbuilder = "build"\n', "source.use must name where the model comes from"),
        ('weights = "x.pth"\n' + WITHOUT_BUILDER + '\n[source]\nuse = "torch"\n', "weights are a builder's"),
    ],
)
def test_a_model_says_once_where_it_comes_from(refusal: Callable[..., str], text: str, told: str) -> None:
    assert told in refusal(files={"model.toml": text})
