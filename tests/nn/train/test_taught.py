"""What teaches a student beside its answers: inner layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgebuild.nn.train.taps import shapes, tapped
from edgebuild.nn.train.taught import Features
from edgebuild.spec.errors import UsageError


def pair() -> tuple[nn.Sequential, nn.Sequential]:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU()), nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU())


@pytest.mark.parametrize("channels", [[(3, 5)], None])
def test_the_distance_of_features_falls_when_it_is_minimised(channels: list[tuple[int, int]] | None) -> None:
    student, teacher = pair()
    inputs = torch.randn(8, 1, 6, 6)
    with tapped(student, ["0"], "k") as ours, tapped(teacher, ["0"], "k") as theirs:
        features = Features((ours, theirs), [("0", "0")], channels)
        optimiser = torch.optim.Adam([*student.parameters(), *features.regressors.parameters()], 0.02)
        distances = []
        for _ in range(60):
            with torch.no_grad():
                teacher(inputs)
            student(inputs)
            distances.append(features.distance())
            optimiser.zero_grad()
            distances[-1].backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    assert distances[-1].item() < 0.5 * distances[0].item()
    assert teacher[0].weight.grad is None
    assert len(list(features.regressors.parameters())) == (2 if channels else 0)


def test_layers_of_equal_channels_are_compared_as_they_are() -> None:
    student, _ = pair()
    with tapped(student, ["0"], "k") as ours:
        features = Features((ours, ours), [("0", "0")], [(3, 3)])
        student(torch.randn(2, 1, 6, 6))
        assert features.distance().item() == 0


def test_a_layer_that_is_not_there_or_answers_no_channels_is_refused() -> None:
    student, _ = pair()
    with pytest.raises(UsageError, match="no layer '7'"), tapped(student, ["7"], "distill.layers"):
        pass
    flat = nn.Sequential(nn.Flatten(0), nn.Linear(4, 2))
    with pytest.raises(UsageError, match="answers no tensor of channels"):
        shapes(flat, (torch.zeros(1, 4),), ["1"], "distill.layers")
    assert shapes(student, (torch.zeros(1, 1, 6, 6),), ["0"], "k") == {"0": [1, 3, 4, 4]}
