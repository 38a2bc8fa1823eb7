"""Code that decides by numbers of its own, writes to its weights or checks is settled; code that decides by inputs is
not.
"""

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
        if self.steps < 1:
            self.ready.fill_(9.0)
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
    assert len(settled.lines) == 1
    assert settled.lines[0].startswith("settled as the model is now, and no part of the file: ")
    assert type(module) is Scaled
    assert float(module.ready) == ready  # the other end of a branch was tried on a copy


class Careful(nn.Module):
    """Asks what it is given, and holds its weights to a largest norm, as networks for brain signals do."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 6)
        self.register_buffer("scale", torch.tensor(3))

    def forward(self, x: Tensor) -> Tensor:
        assert (x.abs() < 1e6).all(), "too large"
        self.inner.weight.data = torch.renorm(self.inner.weight.data, 2, 0, 0.3)
        if torch.isnan(x).any():
            raise ValueError("not a number")
        y: Tensor = self.inner(x) * self.scale.item()
        return y


def test_checks_and_what_is_written_to_weights_are_no_part_of_a_graph(example: tuple[Tensor]) -> None:
    module = Careful().eval()
    settled = legal(module, example, "tflite")
    program = torch.export.export(settled.module, example)
    assert not [node for node in program.graph.nodes if "item" in str(node.target)]
    torch.testing.assert_close(settled.module(*example), module(*example))
    assert float(module.inner.weight.norm(dim=1).max()) < 0.3 + 1e-5


class Apart(nn.Module):
    """Computes in blocks that torch.export keeps apart, one within the other, and answers with what is made there."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(3, 4, 3)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)

    @torch.no_grad()
    def made(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast("cuda", enabled=True):
            y = self.pool(self.inner(x)) + torch.tensor([0.5])
        return y, y.sum((2, 3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y, total = self.made(x)
        return torch.relu(y) * 2, total


def test_what_stands_in_a_block_of_its_own_is_rewritten_and_followed() -> None:
    module, inputs = Apart().eval(), (torch.randn(2, 3, 12, 12),)
    program = exported(module, inputs)
    assert "higher_order" not in str(program.graph)
    settled = legal(module, inputs, "tflite")
    assert ["'pool'" in line and "wrong otherwise" in line for line in settled.lines] == [True]
    torch.testing.assert_close(settled.module(*inputs), module(*inputs))
    torch.testing.assert_close(exported(settled.module, inputs).module()(*inputs), module(*inputs))


def test_an_autocast_that_changes_types_on_the_processor_stays() -> None:
    class Half(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                y = super().forward(x)
            return y * 2

    module, inputs = Half(6, 6).eval(), (torch.randn(1, 6),)
    assert module(*inputs).dtype is torch.bfloat16
    assert "wrap_with_autocast" in str(exported(module, inputs).graph)


class Either(nn.Module):
    """A branch whose other end fails for these inputs, and yet is no check."""

    def forward(self, x: Tensor) -> Tensor:
        return x[x > 9].amax() * x if (x > 9).any() else -x


def test_its_layers_are_followed_when_it_is_pruned_and_quantized(example: tuple[Tensor]) -> None:
    module = Scaled().eval()
    assert [part.name for part in parts.exported(module, example).parts] == [""]
    assert torch.allclose(trace(module, (TensorSpec("x", (6,)),))(*example), module(*example))


def test_what_is_decided_by_inputs_is_still_refused(example: tuple[Tensor]) -> None:
    module = Either().eval()
    with pytest.raises(Exception, match="data-dependent"):
        exported(module, example)
    assert legal(module, example, "onnx").module is module
