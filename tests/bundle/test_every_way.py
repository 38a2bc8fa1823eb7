"""Every quantization that `edgebuild steps` calls real goes from a plan into a bundle, whose run.py runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebuild.plan.planner import Plan
from edgebuild.spec import dataset
from edgebuild.spec.quantization import Support
from edgebuild.spec.registry import FORMATS
from tests import runtimes, tiny
from tests.bundle.test_assemble import assemble, execute
from tests.plan.conftest import plan, store  # noqa: F401

STEPS = {"static": "int8", "dynamic": "dynamic_int8", "weights_only": "weights_only", "float16": "float16"}
CLOSE = 0.2  # of the likeliest label's share, to torch's


def ways() -> Iterator[Any]:
    """(format, the recipe's line) of everything in the formats' tables, and of each way to code the download."""
    for name in FORMATS.names():
        for row in FORMATS.get(name).real:
            for line in lines(row):
                yield pytest.param(name, (line,), id=f"{name}-{'-'.join(line.values())}")
        whole = {"use": "int8"} | ({"io": "int8"} if name == "tflite" else {})
        small = (whole,) if FORMATS.get(name).real else ()
        yield pytest.param(name, (*small, {"use": "encode"}), id=f"{name}-encode", marks=runtimes.installed(name))


def lines(row: Support) -> Iterator[dict[str, str]]:
    """The lines of a recipe that ask for what this row has."""
    use, borders = STEPS[row.technique], row.borders if row.technique == "static" else ("",)
    activations = row.activations if row.technique == "static" and row.activations else ("",)
    for weights, granularity, activation, border in product(row.weights, row.granularity, activations, borders):
        wanted = {"weights": weights, "granularity": granularity, "activations": activation, "io": border}
        known = {"int8": ("granularity", "activations", "io"), "float16": ()}.get(use, ("weights", "granularity"))
        yield {"use": use} | {option: wanted[option] for option in known if wanted[option]}


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> tiny.Made:
    """A transformer: layers that kernels for 4 bits and for blocks can take."""
    return tiny.start("patches", tmp_path_factory.mktemp("patches"))


@pytest.mark.parametrize(("name", "recipe"), ways())
def test_a_bundle_of_it_answers_as_the_model_does(
    request: pytest.FixtureRequest,
    plan: Callable[..., Plan],  # noqa: F811
    tmp_path: Path,
    name: str,
    recipe: tuple[dict[str, str], ...],
) -> None:
    blocks = any("int4" in line.values() or "block" in line.values() for line in recipe)
    made: tiny.Made = request.getfixturevalue("patches" if blocks else "made")
    keep = ', keep = ["patches"]' if blocks else ""
    table = ", ".join(
        "{" + ", ".join(f'{key} = "{value}"' for key, value in line.items()) + keep + "}" for line in recipe
    )
    planned = plan(runtimes=f'[{{format = "{name}"}}]', recipe=f"[{table}]")
    (chain,) = planned.products[0].chains
    folder = made[name]
    for number, stage in enumerate(chain.stages):
        step = planned.graph.nodes[stage.output].step
        inputs = {"model": (name, folder), "data": ("data", made["data"])}
        folder = tiny.perform(step, tmp_path / f"step-{number}", inputs)
    bundle = assemble(made, tmp_path, name, candidate=folder) / "bundle"
    sample = dataset.read(made["data"], "test").inputs[0][3:4]
    assert np.array_equal(np.load(bundle / "sample.npy"), sample)
    logits = runtimes.torch_answers(made, count=4)[3].astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum()
    label, _, share = execute(bundle, str(bundle / "sample.npy")).removeprefix("sample.npy: ").partition(" (")
    assert label == tiny.spec(made.name).declared.labels[int(shares.argmax())]
    assert float(share.split()[0]) / 100 == pytest.approx(float(shares.max()), abs=CLOSE)
