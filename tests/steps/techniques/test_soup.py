"""A soup of fine-tunings is chosen on validation examples alone, and is no worse on them than any of its runs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torch

from edgebuild.nn import checkpoint
from edgebuild.nn.train import losses, stopping
from edgebuild.spec import dataset, notes
from edgebuild.spec.errors import UsageError
from edgebuild.steps.mix_weights import MixWeights
from edgebuild.steps.techniques.distill import Distill
from edgebuild.steps.techniques.soup import Soup
from tests import tiny


@pytest.fixture(scope="module")
def unjudged(made: tiny.Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data without the examples that judge: nothing may be chosen by them."""
    folder = tmp_path_factory.mktemp("unjudged") / "data"
    return shutil.copytree(made["data"], folder, ignore=shutil.ignore_patterns("test.*"))


def loss(data: Path, folder: Path) -> float:
    module = checkpoint.load(folder).module
    supervised = losses.supervised(dataset.heads(data))
    return stopping.validation_loss(module, dataset.read(data, "validation"), supervised, torch.device("cpu"))


def test_it_is_no_worse_by_validation_than_its_best_run(made: tiny.Made, unjudged: Path, tmp_path: Path) -> None:
    inputs = {"model": ("torch", made["pruned"]), "teacher": ("torch", made["float"]), "data": ("data", unjudged)}
    step = Soup(runs=2, epochs=1, batch_size=32, learning_rates=(0.02, 0.01), seed=4)
    folder = tiny.perform(step, tmp_path / "soup", inputs)
    (line,) = notes.read(folder)
    best = float(re.findall(r"alone (\S+)", line)[0])
    assert loss(unjudged, folder) <= best * 1.001  # the line has four digits
    single = Distill(epochs=1, batch_size=32, learning_rate=0.01, seed=5)
    second = tiny.perform(single, tmp_path / "second", inputs)
    assert best <= loss(unjudged, second) * 1.001  # the second run as it is, its batch norms too
    again = tiny.perform(step, tmp_path / "again", inputs)
    assert (again / checkpoint.WEIGHTS).read_bytes() == (folder / checkpoint.WEIGHTS).read_bytes()


def test_models_of_one_structure_are_mixed_and_others_refused(made: tiny.Made, unjudged: Path, tmp_path: Path) -> None:
    data = {"data": ("data", unjudged)}
    step = MixWeights("greedy", ("a", "b"), "models/x")
    folder = tiny.perform(step, tmp_path / "out", data | {f"member/{n}": ("torch", made["float"]) for n in (0, 1)})
    (line,) = notes.read(folder)
    mixed, alone = map(float, re.findall(r"loss (\S+);.* alone (\S+)", line)[0])
    assert loss(unjudged, folder) == pytest.approx(mixed, rel=1e-3)
    assert mixed <= alone == pytest.approx(loss(unjudged, made["float"]), rel=1e-3)
    unlike = {"member/0": ("torch", made["float"]), "member/1": ("torch", made["distilled"])}
    with pytest.raises(UsageError, match="models/x/model.toml: source.members: 'b' is another network than 'a'"):
        tiny.perform(step, tmp_path / "unlike", data | unlike)
