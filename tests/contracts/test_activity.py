"""The model `activity`: what it is judged on are people whom it never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from edgebuild.nn.model_code import ModelCode
from edgebuild.plan.weights import loader
from edgebuild.spec import dataset
from edgebuild.spec.files import read_model
from tests import ROOT, tiny

FOLDER = ROOT / "models" / "activity"


def test_nobody_is_in_two_splits_and_the_network_takes_the_windows(tmp_path: Path) -> None:
    step = loader(read_model(FOLDER, "models/activity/model.toml"))
    data = tiny.perform(step, tmp_path / "data", {"code": ("code", FOLDER)})
    slices = dataset.slices(data)
    assert sorted(slices) == ["person 10", "person 8", "person 9"]
    splits = {name: dataset.read(data, name) for name in ("train", "validation", "test")}
    assert np.sum([*slices.values()], axis=0).tolist() == [1] * len(splits["test"])
    seen = {name: {window.tobytes() for window in np.asarray(split.inputs[0])} for name, split in splits.items()}
    assert not seen["test"] & (seen["train"] | seen["validation"])
    assert all({*split.labels[0].tolist()} == {*range(7)} for split in splits.values())
    groups = dataset.groups(data, "test")
    assert groups is not None
    assert len(np.unique(groups)) == 3 * 14  # recordings
    x = torch.from_numpy(splits["test"].inputs[0][:4])
    assert ModelCode(FOLDER, "models/activity").function("build", "builder")()(x).shape == (4, 7)
