"""A plain network of four convolutions, the student."""

from torch import Tensor, nn

WIDTHS = (8, 16, 32, 64)


class Student(nn.Module):
    """Convolutions that halve the picture, then the mean over what is left, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        pairs = zip((1, *WIDTHS), WIDTHS, strict=False)
        self.layers = nn.Sequential(*(_layer(before, after) for before, after in pairs))
        self.head = nn.Linear(WIDTHS[-1], 10)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures [N, 1, 32, 32] -> logits [N, 10]."""
        # keepdim spares the TFLite file a transpose
        logits: Tensor = self.head(self.layers(x).mean((2, 3), keepdim=True).flatten(1))
        return logits


def _layer(before: int, after: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU())


def build() -> nn.Module:
    """The student, its weights drawn at random."""
    return Student()
