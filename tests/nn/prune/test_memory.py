"""What following a network and proving its groups takes: memory by what torch allocates, work by calls of ours."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from edgebuild.nn import prune
from edgebuild.nn.prune.dependencies import dependencies
from edgebuild.nn.prune.proof import proven
from edgebuild.nn.prune.trial import prepared
from tests.nn.nets import Forward

OURS = str(Path(prune.__file__).parent)


def allocated(call: Callable[[], Any]) -> int:
    """The most bytes of tensors that were there at once on top of those before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        call()
    events = [each for each in seen.profiler.kineto_results.events() if each.name() == "[memory]"]
    now = most = 0
    for each in sorted(events, key=lambda event: event.start_ns()):
        now += each.nbytes()
        most = max(most, now)
    return most


def calls(call: Callable[[], Any]) -> int:
    """How often functions of the pruning engine are called."""
    count = 0

    def note(frame: FrameType, event: str, _: Any) -> None:
        nonlocal count
        count += event == "call" and frame.f_code.co_filename.startswith(OURS)

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return count


def test_a_proof_takes_less_than_twice_the_model() -> None:
    net = nn.Sequential(*(part for _ in range(6) for part in (nn.Linear(256, 256), nn.ReLU()))).eval()
    example = (torch.randn(1, 256),)
    model = sum(each.numel() * each.element_size() for each in net.parameters())
    before = {name: held.clone() for name, held in net.state_dict().items()}
    found: list[Any] = []
    assert allocated(lambda: found.append(dependencies(net, example))) < model / 4
    assert model / 8 < allocated(lambda: found.append(proven(net, example, found[0]))) < 2 * model
    assert len(found[1].together) == 5
    assert all(torch.equal(held, before[name]) for name, held in net.state_dict().items())


def test_work_of_following_grows_with_width_and_depth_and_no_faster() -> None:
    def followed(width: int, depth: int) -> int:
        convs = [nn.Conv2d(3, width, 3), *(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))]
        net = Forward(
            lambda net, x: sum_of(list(net.children()), x), **{f"conv{k}": each for k, each in enumerate(convs)}
        )
        return calls(lambda: dependencies(net, (torch.randn(1, 3, 8, 8),)))

    least = followed(64, 4)
    assert least > 100
    assert followed(256, 4) < 5 * least
    assert followed(64, 16) < 5 * least


def sum_of(convs: list[nn.Module], x: Tensor) -> Tensor:
    """A convolution and residual ones."""
    x = convs[0](x)
    for each in convs[1:]:
        x = x + torch.relu(each(x))
    return x.mean((2, 3))


class Compiled(nn.Module):
    """Hands a parameter to compiled code, which no function of torch's sees."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.gain, self.last = nn.Linear(6, 8), nn.Parameter(torch.randn(8, 8)), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.last(compiled()(self.first(x), self.gain))
        return logits


@cache
def compiled() -> Callable[..., Tensor]:
    """A product by torch's own compiler."""
    return torch.jit.script(product)


def product(x: Tensor, weight: Tensor) -> Tensor:
    """A product of matrices."""
    return x @ weight


def test_parameters_that_compiled_code_reads_are_copied_as_a_whole() -> None:
    net, example = Compiled().eval(), (torch.randn(1, 6),)
    tried = prepared(net, example)
    assert (tried.streamed, str(tried.dtype)) == (False, "torch.float64")
    (given,) = tried.whole()[0]
    assert torch.allclose(given, copy_of(net)(tried.examples[0][0]))
    assert prepared(net.first, example).streamed


def copy_of(net: Compiled) -> nn.Module:
    """The same in double precision."""
    other = Compiled()
    other.load_state_dict(net.state_dict())
    return other.double()
