"""Code that decides by numbers of its own is exported with what it decides now; code that decides by inputs is not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgebuild.nn.exporting import exported
from edgebuild.nn.graph import trace
from edgebuild.nn.legalize.legalize import legal
from edgebuild.nn.prune.trace import parts
from edgebuild.spec.signature import TensorSpec


class Scaled(nn.Module):
    """Scales that are found on the first examples, as a flow has it, and as many steps as a buffer says."""

    ready: Tensor
    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 6)
        self.register_buffer("ready", torch.tensor([0.0]))
        self.register_buffer("steps", torch.tensor(2))

    def forward(self, x: Tensor) -> Tensor:
        if not self.ready:
            x = x * 3
        for _ in range(int(self.steps)):
            x = torch.relu(self.inner(x)) + self.ready
        return x


@pytest.fixture(scope="module")
def example() -> tuple[Tensor]:
    return (torch.randn(1, 6),)


@pytest.mark.parametrize("ready", [0.0, 1.0])
def test_a_format_gets_what_the_code_decides_now(ready: float, example: tuple[Tensor]) -> None:
    module = Scaled().eval()
    module.ready.fill_(ready)
    settled = legal(module, example, "onnx")
    torch.export.export(settled.module, example)
    assert torch.equal(settled.module(*example), module(*example))
    assert settled.lines == (
        "what the model's code decides by numbers that it keeps in buffers is settled as they are",
    )
    assert type(module) is Scaled


def test_its_layers_are_followed_when_it_is_pruned_and_quantized(example: tuple[Tensor]) -> None:
    module = Scaled().eval()
    assert [part.name for part in parts.exported(module, example).parts] == [""]
    assert torch.allclose(trace(module, (TensorSpec("x", (6,)),))(*example), module(*example))


def test_what_is_decided_by_inputs_is_still_refused(example: tuple[Tensor]) -> None:
    class Either(Scaled):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) if x.sum() > 0 else x

    module = Either().eval()
    with pytest.raises(Exception, match="data-dependent"):
        exported(module, example)
    assert legal(module, example, "onnx").module is module
    assert type(module) is Either
