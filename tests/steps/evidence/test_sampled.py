"""The step that spends examples: what it writes, in which order, and that it goes on where it was interrupted."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from edgebuild.devices.local import Local
from edgebuild.spec import dataset, drawing
from edgebuild.spec.artifact import Input, StepIO
from edgebuild.spec.evidence import ORIGIN, Looks, Origin
from edgebuild.spec.rows import Split
from edgebuild.spec.target import Gate
from edgebuild.steps.evidence.outputs import Outputs
from edgebuild.steps.evidence.sampled import Sampled
from tests import tiny
from tests.steps.evidence import folders
from tests.zoo import dense, zoo

__all__ = ["zoo"]

X = np.random.default_rng(0).normal(size=(600, 4)).astype(np.float32)


@pytest.fixture
def inputs(zoo: Path, tmp_path: Path) -> dict[str, tuple[str, Path]]:
    """A network, examples sorted by what it answers, and what it answers here."""
    labels = dense(X, 16).argmax(1)
    order = np.argsort(labels, kind="stable")
    data, model = tmp_path / "data", tmp_path / "model"
    for folder in (data, model):
        folder.mkdir()
    dataset.write(data, "test", Split((X[order],), (labels[order],)))
    shutil.copyfile(zoo / "mlp.onnx", model / "model.onnx")
    found = {"model": ("onnx", model), "data": ("data", data)}
    here = tiny.perform(Outputs(Local(), "host"), tmp_path / "here", found)
    return found | {"candidate": ("outputs", here), "baseline": ("outputs", here)}


def answered(folder: Path) -> np.ndarray:
    with np.load(folder / "outputs.npz") as stored:
        return np.asarray(stored["0"])


def test_all_examples_come_in_the_order_of_the_data(inputs: dict[str, tuple[str, Path]], tmp_path: Path) -> None:
    there = tiny.perform(Sampled(Local(), "emulated"), tmp_path / "there", inputs)
    np.testing.assert_array_equal(answered(there), answered(inputs["candidate"][1]))


def test_gates_stop_it_early_at_the_first_of_those_that_are_drawn(
    inputs: dict[str, tuple[str, Path]], tmp_path: Path
) -> None:
    step = Sampled(Local(), "emulated", gates=(Gate("accuracy", "2 pp"),))
    some = answered(tiny.perform(step, tmp_path / "there", inputs))
    origin = folders.read(Origin, tmp_path / "there", ORIGIN)
    assert origin.looks == Looks((len(some),), 600, "decided")
    assert 50 < len(some) < 600
    np.testing.assert_array_equal(some, answered(inputs["candidate"][1])[drawing.chosen(600, len(some))])


def test_it_goes_on_where_it_was(inputs: dict[str, tuple[str, Path]], tmp_path: Path) -> None:
    partial, told = tmp_path / "partial", list[str]()
    for name in ("first", "second"):
        for part in (name, f"{name}-scratch"):
            (tmp_path / part).mkdir()
    given = {role: Input(kind, "", path) for role, (kind, path) in inputs.items()}

    def interrupt(done: float, note: str, **_: object) -> None:
        told.append(note)
        raise KeyboardInterrupt

    step = Sampled(Local(), "emulated", most=300)
    with pytest.raises(KeyboardInterrupt):
        step.run(StepIO(given, tmp_path / "first", tmp_path / "first-scratch", interrupt, partial=partial))
    assert [path.name for path in partial.glob("*.json")] == ["0.json"]
    (inputs["model"][1] / "model.onnx").write_bytes(b"nothing could be run any more")
    step.run(StepIO(given, tmp_path / "second", tmp_path / "second-scratch", partial=partial))
    assert "examples" in told[0]
    assert len(answered(tmp_path / "second")) == 300
    assert not partial.exists()
