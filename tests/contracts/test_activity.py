"""The model `activity`: what it is judged on are people whom it never saw."""

from __future__ import annotations

import numpy as np
import torch

from edgebuild.nn.model_code import ModelCode
from tests import ROOT


def test_nobody_is_in_two_splits_and_the_network_takes_the_windows() -> None:
    code = ModelCode(ROOT / "models" / "activity", "models/activity")
    splits = code.function("load", "data")()
    slices = splits["slices"]
    assert sorted(slices) == ["person 10", "person 8", "person 9"]
    assert np.sum([*slices.values()], axis=0).tolist() == [1] * len(splits["test"][1])
    seen = {name: {window.tobytes() for window in splits[name][0]} for name in ("train", "validation", "test")}
    assert not seen["test"] & (seen["train"] | seen["validation"])
    assert all({*labels.tolist()} == {*range(7)} for _, labels in (splits[name] for name in seen))
    x = torch.from_numpy(splits["test"][0][:4])
    assert code.function("build", "builder")()(x).shape == (4, 7)
