"""Several modules as one: the mean of their answers, or each fed with what the one before it answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgebuild.nn import checkpoint
from edgebuild.nn.answers import listed

if TYPE_CHECKING:
    from torch import Tensor, nn

Way = Literal["average", "sequence"]
Mean = Literal["outputs", "probabilities"]
FILE = "joined.json"  # in the code of a joined model
_LEAST = 1e-6  # probability: less has no logarithm worth having, and none at all in 8 bits


@dataclass(frozen=True, slots=True)
class Join:
    """How `members` are joined: `weights` of a mean sum to 1, which is one `of` outputs as they come, or of the
    probabilities that logits stand for; then the answers are its logarithms.
    """

    way: Way
    members: int
    weights: tuple[float, ...] = ()
    of: Mean = "outputs"


def write(join: Join, folder: Path) -> None:
    """Keep it where `build` finds it; the artifacts of the members go beside it, without their weights."""
    (folder / FILE).write_text(json.dumps(asdict(join), indent=1, sort_keys=True) + "\n")


def place(folder: Path, number: int) -> Path:
    """Where the artifact of a member goes."""
    return folder / f"member{number}"


def build(folder: Path) -> nn.Module:
    """The joined module with its members as they are built, to be filled."""
    described = json.loads((folder / FILE).read_text())
    join = Join(described["way"], described["members"], tuple(described["weights"]), described["of"])
    return network(join, [checkpoint.unfilled(place(folder, number)) for number in range(join.members)])


def network(join: Join, members: Sequence[nn.Module]) -> nn.Module:
    """The members as one module, `members.0` and so on in its state dict."""
    from torch import nn

    class Joined(nn.Module):
        """Answers as a tensor where there is one, else as a tuple."""

        def __init__(self) -> None:
            super().__init__()
            self.members = nn.ModuleList(members)

        def forward(self, *inputs: Tensor) -> Any:
            if join.way == "sequence":
                values = inputs
                for member in self.members:
                    values = listed(member(*values))
            else:
                values = mean(join, [listed(member(*inputs)) for member in self.members])
            return values[0] if len(values) == 1 else tuple(values)

    return Joined()


def mean(join: Join, answers: Sequence[Sequence[Tensor]], weights: Sequence[Any] | None = None) -> tuple[Tensor, ...]:
    """The weighted mean of each output over the members; other weights than its own where they are being fitted."""
    shares = join.weights if weights is None else weights
    return tuple(_mean(join.of, each, shares) for each in zip(*answers, strict=True))


def _mean(of: Mean, answers: Sequence[Tensor], weights: Sequence[Any]) -> Tensor:
    values = [answer.softmax(1) for answer in answers] if of == "probabilities" else answers
    total: Tensor = values[0] * weights[0]
    for value, weight in zip(values[1:], weights[1:], strict=True):
        total = total + value * weight
    return total.clamp_min(_LEAST).log() if of == "probabilities" else total
