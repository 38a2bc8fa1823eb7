"""Branches whose results are added become one convolution where that computes the same, and stay where it does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgebuild.formats.onnx import Onnx
from edgebuild.nn.legalize import proof
from edgebuild.nn.legalize.legalize import legal

EXAMPLE = (torch.randn(1, 8, 9, 10),)


class Sum(nn.Module):
    """What its branches answer, added into one number after another as MobileOne does, then rectified in place."""

    def __init__(self, *branches: nn.Module, start: float = 0) -> None:
        super().__init__()
        self.branches, self.start = nn.ModuleList(branches), start

    def forward(self, x: Tensor) -> Tensor:
        total: float | Tensor = self.start
        for branch in self.branches:
            total += branch(x)
        assert isinstance(total, Tensor)
        return torch.relu_(total)


class Both(nn.Module):
    """A branch of which another operator reads the answer as well."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        narrow = self.narrow(x)
        return (self.wide(x) + narrow) * torch.sigmoid(narrow)


class Alone(nn.Module):
    """Convolutions over one picture without a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        one = torch.sigmoid(x[0])
        return (self.wide(one) + one)[None]


class Twice(nn.Module):
    """One convolution that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.wide(x) + self.narrow(x)) - self.wide(x + 1)


def normed(*convolution: object, **options: object) -> nn.Module:
    layer = nn.Conv2d(*convolution, bias=False, **options)  # type: ignore[arg-type]
    return nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels))


def trained(module: nn.Module) -> nn.Module:
    """With statistics, factors and summands as training leaves them."""
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 2)
            nn.init.normal_(part.bias)
            part.running_mean = torch.randn(part.num_features)
            part.running_var = torch.rand(part.num_features) + 0.1
    return module.eval()


def convolutions(module: nn.Module) -> int:
    return Onnx().operators(Onnx().convert(module, EXAMPLE)).count("Conv")


@pytest.mark.parametrize(
    ("build", "left"),
    [
        (lambda: Sum(normed(8, 8, 3, padding=1), normed(8, 8, 1), nn.BatchNorm2d(8)), 1),
        (lambda: Sum(nn.Conv2d(8, 8, 1), nn.Identity(), nn.Conv2d(8, 8, (3, 5), padding=(1, 2), groups=2)), 2),
        (lambda: Sum(nn.Conv2d(8, 8, (1, 3), 1, (0, 1), 1, 4), nn.Conv2d(8, 8, (3, 5), 1, (1, 2), groups=2)), 1),
        (lambda: Sum(normed(8, 6, 3, 2, 1, groups=2), nn.Conv2d(8, 6, 1, 2, groups=2)), 1),
        (lambda: Sum(normed(8, 8, 3, padding=2, dilation=2), nn.Conv2d(8, 8, 1), nn.Identity()), 1),
        (lambda: Sum(nn.Sequential(nn.ReLU(), normed(8, 8, 3, padding=1)), nn.Conv2d(8, 8, 1), nn.Identity()), 2),
    ],
)  # fmt: skip
def test_branches_that_lie_within_one_become_part_of_it(build: Callable[[], nn.Module], left: int) -> None:
    module = trained(build())
    merged = legal(module, EXAMPLE, "onnx")
    assert convolutions(merged.module) == left
    assert "branches that are added became one convolution, in 'branches." in "".join(merged.lines)
    assert proof.distance(module, merged.module, EXAMPLE) < 1e-6
    assert legal(merged.module, EXAMPLE, "onnx").module is merged.module


@pytest.mark.parametrize(
    "build",
    [
        lambda: Sum(nn.Conv2d(8, 8, (3, 1), padding=(1, 0)), nn.Conv2d(8, 8, (1, 3), padding=(0, 1))),
        lambda: Sum(nn.Conv2d(8, 8, 3, padding=1, dilation=1), nn.Conv2d(8, 8, 3, padding=2, dilation=2)),
        lambda: Sum(nn.Conv2d(8, 8, 3, padding=1), nn.Identity(), start=1),
        lambda: Sum(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.Conv2d(8, 8, 1)),
        Both,
        Alone,
        Twice,
    ],
)
def test_what_is_not_one_convolution_stays(build: Callable[[], nn.Module]) -> None:
    module = trained(build())
    assert legal(module, EXAMPLE, "onnx").module is module


def test_a_file_has_no_weights_of_branches_that_are_gone() -> None:
    module = trained(Sum(*(normed(8, 64, 3, padding=1) for _ in range(4))))
    file = Onnx().convert(legal(module, EXAMPLE, "onnx").module, EXAMPLE)
    assert len(file) < 1.3 * 4 * (8 * 64 * 9 + 64)
