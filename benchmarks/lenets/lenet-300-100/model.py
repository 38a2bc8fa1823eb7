# mypy: ignore-errors
"""LeNet-300-100 (LeCun et al. 1998), on the digits of `models/digits`."""

from digits import augment, load
from torch import Tensor, nn

__all__ = ["augment", "build", "load"]


class Lenet(nn.Module):
    """784-300-100-10 with ReLU: 266,610 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(784, 300)
        self.fc2 = nn.Linear(300, 100)
        self.fc3 = nn.Linear(100, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, 1, 28, 28] in 0..1 -> logits [N, 10]."""
        x = self.fc1(x.flatten(1)).relu()
        return self.fc3(self.fc2(x).relu())


def build() -> nn.Module:
    """The network, untrained."""
    return Lenet()
