"""Several models of a project as one network: their mean, or a chain, which is then exported and pruned like any."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgebuild.engine.store import Store
from edgebuild.nn import checkpoint
from edgebuild.nn.joined import Join
from edgebuild.plan import gate, planner
from edgebuild.spec import dataset, notes
from edgebuild.spec.errors import UsageError
from edgebuild.spec.project import open_project
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.signature import Signature, TensorSpec
from edgebuild.spec.target import Policy
from edgebuild.steps.convert import Convert
from edgebuild.steps.join_members import JoinMembers
from edgebuild.steps.techniques.prune_channels import PruneChannels
from edgebuild.steps.untrained import Untrained
from tests import tiny

SIGNATURE = tiny.spec("tiny").declared.signature.bare
SCORES = Signature((TensorSpec("scores", (4,)),), (TensorSpec("output", (4,)),))
HEAD = """\
from torch import nn

def build():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4))
"""


def joined(made: tiny.Made, folder: Path, step: JoinMembers, *members: Path) -> Path:
    inputs = {f"member/{number}": ("torch", place) for number, place in enumerate(members)}
    return tiny.perform(step, folder, inputs | {"data": ("data", made["data"]), "code": ("code", made["code"])})


@pytest.fixture(scope="module")
def averaged(made: tiny.Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mean of the float model and of a pruned one, a third and two thirds, with the model's own augmentation."""
    step = JoinMembers(Join("average", 2, (1 / 3, 2 / 3)), ("a", "b"), SIGNATURE)
    return joined(made, tmp_path_factory.mktemp("averaged") / "out", step, made["float"], made["distilled"])


def answers(folder: Path, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return checkpoint.load(folder).module(x)


@pytest.fixture
def x(made: tiny.Made) -> torch.Tensor:
    return torch.from_numpy(np.array(dataset.read(made["data"], "test").inputs[0][:16]))


def test_an_average_answers_the_weighted_mean_of_its_members(made: tiny.Made, averaged: Path, x: torch.Tensor) -> None:
    expected = answers(made["float"], x) / 3 + answers(made["distilled"], x) * 2 / 3
    torch.testing.assert_close(answers(averaged, x), expected)


def test_it_is_converted_and_pruned_like_any_other_model(averaged: Path, x: torch.Tensor, tmp_path: Path) -> None:
    import onnxruntime

    pruned = tiny.perform(PruneChannels(ratio=0.5, round_to=2), tmp_path / "pruned", {"model": ("torch", averaged)})
    weights = [sum(one.numel() for one in checkpoint.load(each).module.parameters()) for each in (averaged, pruned)]
    assert weights[1] < 0.75 * weights[0]
    for name, place in (("whole", averaged), ("thin", pruned)):
        folder = tiny.perform(Convert("onnx"), tmp_path / name, {"model": ("torch", place)})
        session = onnxruntime.InferenceSession(str(folder / FORMATS.get("onnx").file))
        (scores,) = session.run(None, {session.get_inputs()[0].name: x[:1].numpy()})
        np.testing.assert_allclose(scores, answers(place, x[:1]).numpy(), atol=1e-4)


def test_the_mean_of_probabilities_answers_with_their_logarithms(
    made: tiny.Made, x: torch.Tensor, tmp_path: Path
) -> None:
    step = JoinMembers(Join("average", 2, (0.5, 0.5), "probabilities"), ("a", "b"), SIGNATURE)
    folder = joined(made, tmp_path / "out", step, made["float"], made["distilled"])
    expected = (answers(made["float"], x).softmax(1) + answers(made["distilled"], x).softmax(1)) / 2
    torch.testing.assert_close(answers(folder, x).softmax(1), expected, atol=1e-4, rtol=1e-3)


def test_fitted_weights_are_no_worse_by_validation_than_any_member_alone(made: tiny.Made, tmp_path: Path) -> None:
    tiny_ = tiny.spec("tiny").declared
    bare = tiny.perform(Untrained("build", tiny_.signature.bare), tmp_path / "bare", {"code": ("code", made["code"])})
    step = JoinMembers(Join("average", 2, (0.5, 0.5)), ("random", "trained"), SIGNATURE, fitted=True)
    folder = joined(made, tmp_path / "out", step, bare, made["distilled"])
    (line,) = notes.read(folder)
    text, _, alone = line.partition(", of trained alone ")
    assert line.startswith("weights by ")
    assert float(text.rpartition("loss ")[2]) <= float(alone) + 1e-6
    described = (folder / "code" / "joined.json").read_text()
    assert "0.5," not in described


def test_a_sequence_feeds_each_with_what_the_one_before_answers(
    made: tiny.Made, x: torch.Tensor, tmp_path: Path
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "model.py").write_text(HEAD)
    head = tiny.perform(Untrained("build", SCORES), tmp_path / "head", {"code": ("code", tmp_path / "code")})
    step = JoinMembers(Join("sequence", 2), ("features", "head"), SIGNATURE)
    folder = joined(made, tmp_path / "out", step, made["float"], head)
    torch.testing.assert_close(answers(folder, x), answers(head, answers(made["float"], x)))


def test_the_models_own_functions_come_along(made: tiny.Made, tmp_path: Path) -> None:
    shutil.copytree(made["code"], tmp_path / "code")
    with (tmp_path / "code" / "model.py").open("a") as file:
        file.write("\n\ndef twice(x, generator):\n    return 2 * x\n")
    step = JoinMembers(Join("average", 2, (0.5, 0.5)), ("a", "b"), SIGNATURE, augment="twice")
    inputs = {f"member/{number}": ("torch", made["float"]) for number in range(2)}
    folder = tiny.perform(step, tmp_path / "out", inputs | {"code": ("code", tmp_path / "code")})
    augment = checkpoint.load(folder).augmentation()
    assert augment is not None
    assert augment(torch.ones(1), torch.Generator()).item() == 2


TARGET = """\
description = "a board"
hardware = {arch = "aarch64", cpu = "cortex-a72"}
runtimes = [{format = "onnx"}]
recipe = [{use = "int8"}]
devices = [{transport = "local"}]
gates = [{metric = "accuracy", limit = "1 pp"}]
"""
WHOLE = 'description = "x"\nbase = "tiny"\n[source]\nuse = "average"\nmembers = ["tiny", "other"]\n'
OTHER = (tiny.MODELS / "tiny" / "model.toml").read_text()
FILE = OTHER.replace('builder = "build"\n', "") + '\n[source]\nuse = "onnx"\nfile = "net.onnx"\n'
LABELS = tiny.spec("tiny").declared.labels
SWAPPED = OTHER.replace(LABELS[0], "?").replace(LABELS[1], LABELS[0]).replace("?", LABELS[1])
SEQUENCE = WHOLE.replace("average", "sequence")
HEAD_MODEL = OTHER.replace("shape = [1, 12, 12]", "shape = [4]")


@pytest.fixture
def plan(tmp_path: Path) -> Iterator[Callable[..., planner.Plan]]:
    """Plans a model that is made of `tiny` and another."""
    store = Store(tmp_path / "store")

    def make(whole: str, other: str = OTHER) -> planner.Plan:
        for name, text in (("tiny", OTHER), ("other", other), ("whole", whole)):
            shutil.copytree(tiny.MODELS / "tiny", tmp_path / "models" / name, dirs_exist_ok=True)
            (tmp_path / "models" / name / "model.toml").write_text(text)
        (tmp_path / "models" / "other" / "net.onnx").write_bytes(b"a file")
        (tmp_path / "targets").mkdir(exist_ok=True)
        (tmp_path / "targets" / "board.toml").write_text(TARGET)
        project = open_project(tmp_path)
        return planner.make(store, [project.target("board")], [project.model("whole")], ["board"], Policy())

    yield make
    store.close()


def test_members_are_trained_as_they_declare_and_the_recipe_takes_the_whole(plan: Callable[..., planner.Plan]) -> None:
    graph = plan(WHOLE, OTHER.replace("[training]", "[training]\nseed = 7")).graph
    labels = {label for names in graph.labels.values() for label in names}
    assert {"tiny/float", "other/float", "whole/float", "board/whole/onnx/int8"} <= labels
    assert "board/tiny/onnx/int8" not in labels
    assert len(plan(WHOLE.replace("average", "soup")).graph.nodes) > 0


def test_a_finished_chain_is_gated_as_the_one_file_that_it_is_and_no_member_is_trained(
    plan: Callable[..., planner.Plan], tmp_path: Path
) -> None:
    """Against the float model and against a release, also where the held-out examples are not in the store."""
    plan(SEQUENCE, HEAD_MODEL)
    project, store = open_project(tmp_path), Store(tmp_path / "another store")
    ours, theirs = (_file(store, tmp_path / name) for name in ("ours", "theirs"))
    against = gate.Against("the float model", theirs, {})
    subject = gate.Subject(
        project.target("board"),
        project.model("whole"),
        Policy(),
        "onnx",
        ours,
        against,
        replace(against, name="v1"),
        None,
    )
    gated = gate.make(store, subject)
    store.close()
    assert [compared.against for compared in gated.compared] == ["the float model", "v1"]
    assert all("accuracy/onnx" in compared.evidence for compared in gated.compared)
    steps = {type(node.step).__name__ for node in gated.graph.nodes.values()}
    assert "LoadData" in steps
    assert not steps & {"Train", "JoinMembers", "Convert", "Int8"}


def _file(store: Store, folder: Path) -> gate.Shipped:
    folder.mkdir()
    (folder / FORMATS.get("onnx").file).write_bytes(folder.name.encode())
    return gate.Shipped({"": store.put(folder, "onnx")})


@pytest.mark.parametrize(
    ("whole", "other", "told"),
    [
        (WHOLE, SWAPPED, f"source.members: member 'other' has the labels in another order: number 0 is {LABELS[1]!r}"),
        (WHOLE, FILE, "source.members: 'other' comes as onnx, and only modules can be one network"),
        (WHOLE, WHOLE, "source.members[1]: 'other' is made of others: name these"),
        (WHOLE.replace('"other"', '"othr"'), OTHER, "source.members[1]: unknown model 'othr' (did you mean 'other'?"),
        (WHOLE.replace(', "other"', ""), OTHER, "source.members: tuple should have at least 2 items"),
        (WHOLE + "weights = [1.0]\n", OTHER, "source.weights: 1 weights are given for 2 members"),
        (WHOLE + "weights = [1.0, 0.0]\n", OTHER, "source.weights[1]: input should be greater than 0, got 0.0"),
        (WHOLE + "weights = [1.0, 2.0]\nfitted = true\n", OTHER, "source.fitted: weights are given, and fitted asks"),
        (WHOLE.replace("average", "soup"), SWAPPED, "source.members: member 'other' has the labels in another order"),
        (WHOLE.replace("average", "soup") + 'way = "best"\n', OTHER, "source.way: input should be 'greedy' or 'unif"),
        (SEQUENCE, OTHER, "source.members: 'tiny' answers [4] float32, and 'other' takes [1, 12, 12] float32"),
    ],
)  # fmt: skip
def test_members_that_cannot_be_one_are_refused_in_one_line(
    plan: Callable[..., planner.Plan], whole: str, other: str, told: str
) -> None:
    with pytest.raises(UsageError) as caught:
        plan(whole, other)
    assert caught.value.line.startswith(f"models/whole/model.toml: {told}")
