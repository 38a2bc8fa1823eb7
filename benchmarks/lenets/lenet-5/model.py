# mypy: ignore-errors
"""LeNet-5 as Caffe and Deep Compression have it (Han et al. 2016), on the digits of `models/digits`."""

from digits import augment, load
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["augment", "build", "load"]


class Lenet(nn.Module):
    """Two 5 × 5 convolutions of 20 and 50 channels, each max-pooled, then 500 and 10 units: 431,080 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.fc1 = nn.Linear(800, 500)
        self.fc2 = nn.Linear(500, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, 1, 28, 28] in 0..1 -> logits [N, 10]. As in Caffe, only the hidden layer has a ReLU."""
        x = functional.max_pool2d(self.conv1(x), 2)
        x = functional.max_pool2d(self.conv2(x), 2)
        return self.fc2(self.fc1(x.flatten(1)).relu())


def build() -> nn.Module:
    """The network, untrained."""
    return Lenet()
