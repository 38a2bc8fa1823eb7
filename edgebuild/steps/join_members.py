"""Makes one module of several models: the mean of their answers, or a chain."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from edgebuild.nn import checkpoint, joined
from edgebuild.nn.answers import listed
from edgebuild.nn.checkpoint import Checkpoint
from edgebuild.nn.joined import Join
from edgebuild.nn.model_code import ModelCode
from edgebuild.nn.train import batches, losses, training
from edgebuild.spec import dataset, notes, sha256
from edgebuild.spec.artifact import EXCUSED, Step, StepIO
from edgebuild.spec.rows import Stored
from edgebuild.spec.signature import Head, Signature

if TYPE_CHECKING:
    from torch import Tensor, nn

_CODE = '''\
"""Several models as one; made by edgebuild."""
from pathlib import Path

from edgebuild.nn import joined

CODE = "{digest}"  # of what joins them: other code is another model


def build():
    return joined.build(Path(__file__).parent)
'''
_FROM = """

import sys

sys.path.insert(0, str(Path(__file__).parent / "own"))
import importlib.util

_spec = importlib.util.spec_from_file_location("edgebuild_own_model", Path(__file__).parent / "own" / "model.py")
_own = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_own)
{names}
"""


@dataclass(frozen=True, slots=True)
class JoinMembers(Step):
    """Inputs: `member/<number>`, a torch artifact for each of the `names`; the model's own code where its functions
    `augment` or `fit` are to be used, and the data where weights are `fitted`.

    Fitted weights lie on the simplex and make the loss on the validation examples least (L-BFGS on their logits).
    """

    join: Join
    names: tuple[str, ...]
    signature: Signature
    fitted: bool = False
    augment: str | None = None
    fit: str | None = None
    origin: str = field(default="model", metadata=EXCUSED)

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "torch"
    needs: ClassVar[tuple[str, ...]] = ("code", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch", "safetensors", "numpy")

    def uses(self) -> tuple[str, ...]:
        """What its options ask for."""
        needed = {"code": bool(self.augment or self.fit), "data": self.fitted}
        return tuple(role for role in self.needs if needed[role])

    def run(self, io: StepIO) -> None:
        """Join, save."""
        training.seeded(0)
        places = [io.path(f"member/{number}") for number in range(len(self.names))]
        modules = [checkpoint.load(place).module for place in places]
        join, lines = self._fit(io, modules) if self.fitted else (self.join, [])
        folder = io.scratch / "code"
        folder.mkdir()
        for number, place in enumerate(places):
            kept = shutil.ignore_patterns(checkpoint.WEIGHTS, notes.FILE)
            shutil.copytree(place, joined.place(folder, number), ignore=kept, copy_function=shutil.copyfile)
        joined.write(join, folder)
        (folder / "model.py").write_text(_CODE.format(digest=_digest()) + self._own(io, folder))
        module, code = joined.network(join, modules).eval(), ModelCode(folder, self.origin)
        inputs, outputs = self.signature.inputs, self.signature.outputs
        checkpoint.save(
            Checkpoint(module, code, "build", inputs, self.augment, outputs=outputs, fit=self.fit), io.output
        )
        notes.write(io.output, lines)

    def _own(self, io: StepIO, folder: Path) -> str:
        """The lines that bring functions of the model's own code in."""
        if not self.uses() or "code" not in io.inputs:
            return ""
        shutil.copytree(io.path("code"), folder / "own", copy_function=shutil.copyfile)
        names = [name for name in (self.augment, self.fit) if name]
        return _FROM.format(names="\n".join(f"{name} = _own.{name}" for name in names))

    def _fit(self, io: StepIO, modules: Sequence[nn.Module]) -> tuple[Join, list[str]]:
        """Weights by the validation examples, and the line that tells of them."""
        data = dataset.read(io.path("data"), "validation")
        weights, fitted, alone = fit_weights(self.join, modules, data, dataset.heads(io.path("data")))
        shown = ", ".join(f"{name} {weight:.3g}" for name, weight in zip(self.names, weights, strict=True))
        best = min(range(len(alone)), key=alone.__getitem__)
        line = f"weights by {len(data)} validation examples: {shown}; loss {fitted:.4g}, of {self.names[best]} alone "
        return replace(self.join, weights=weights), [f"{line}{alone[best]:.4g}"]


def fit_weights(
    join: Join, modules: Sequence[nn.Module], data: Stored, heads: Sequence[Head]
) -> tuple[tuple[float, ...], float, list[float]]:
    """Weights on the simplex that make the loss on `data` least; that loss, and each member's alone."""
    import torch
    from torch import nn

    with torch.no_grad():
        every = [[listed(module(*inputs)) for inputs, _ in batches.in_order(data)] for module in modules]
    answers = [_whole(of) for of in every]
    inputs, labels = (_whole(sides) for sides in zip(*batches.in_order(data), strict=True))
    free = nn.Parameter(torch.zeros(len(modules), dtype=torch.float64))

    def value(weights: Tensor) -> Tensor:
        return losses.of_labels(heads, joined.mean(join, answers, list(weights.float())), labels, 0.0, inputs)

    descent = torch.optim.LBFGS([free], lr=0.5, max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        descent.zero_grad()
        now = value(free.softmax(0))
        now.backward()  # type: ignore[no-untyped-call]
        return now

    descent.step(closure)  # type: ignore[no-untyped-call]
    corners = torch.eye(len(modules), dtype=torch.float64)
    with torch.no_grad():
        alone = [float(value(corner)) for corner in corners]
        weights = [round(each, 6) for each in free.softmax(0).tolist()]
        fitted = float(value(torch.tensor(weights, dtype=torch.float64)))
    return tuple(weights), fitted, alone


def _whole(parts: Sequence[Sequence[Tensor]]) -> tuple[Tensor, ...]:
    """Batches of several tensors as these tensors."""
    import torch

    return tuple(torch.cat(same) for same in zip(*parts, strict=True))


def _digest() -> str:
    return sha256.of_file(Path(joined.__file__))
