"""Gives a network an exit: a head behind one of its modules that learns to answer as the network does at its end."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from edgebuild.nn import checkpoint
from edgebuild.nn.answers import listed
from edgebuild.nn.checkpoint import Checkpoint
from edgebuild.nn.model_code import ModelCode
from edgebuild.nn.restructure import exits
from edgebuild.nn.restructure.exits import Cut, Exit
from edgebuild.nn.train import batches, training
from edgebuild.spec import dataset, notes, sha256
from edgebuild.spec.artifact import EXCUSED, Step, StepIO
from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.spec.rows import Stored

CODE = '''\
"""Half of a network with an exit; made by edgebuild."""
from pathlib import Path

from edgebuild.nn.restructure import exits

CODE = "{digest}"  # of what cuts it: other code is another model


def build_exit():
    return exits.build(Path(__file__).parent, "exit")


def build_rest():
    return exits.build(Path(__file__).parent, "rest")
'''
_BATCH, _ROUNDS = 128, 300


@dataclass(frozen=True, slots=True)
class AddExit(Step):
    """Inputs: the `model` and its data. The output is the first half: it answers what the exit does, and the features.

    The network stays as it is, so its own answers do. The head learns from training examples by their labels (`alpha`)
    and by what the network answers in the end (Hinton et al. 2015), on features that are taken once: that is convex,
    and L-BFGS finds the one best head.
    """

    after: str = ""
    grid: int = 4
    alpha: float = 0.5
    temperature: float = 2.0
    shown: str = field(default="model.toml", metadata=EXCUSED)

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    produces: ClassVar[str | None] = "torch"
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch", "safetensors", "numpy")

    def run(self, io: StepIO) -> None:
        """Cut, teach, save. UsageError, which names the assembly's key, for a place where no exit can stand."""
        training.seeded(0)
        model = checkpoint.load(io.path("model"))
        try:
            cut = Cut.of(model, self.after)
        except UsageError as error:
            key = f"assembly.{error.option}" if error.option else "assembly"
            raise UsageError(error.reason, file=self.shown, key=key, hint=error.hint) from None
        how = Exit(cut.after, self.grid, model.outputs[0].shape[0])
        first = cut.first(exits.head(cut.shape, how)).eval()
        lines = self._teach(first, model.module, cut, io)
        folder = io.scratch / "code"
        folder.mkdir()
        shutil.copytree(io.path("model"), folder / exits.MEMBER, copy_function=shutil.copyfile)
        exits.write(how, folder)
        (folder / "model.py").write_text(CODE.format(digest=sha256.of_file(Path(exits.__file__))))
        code = ModelCode(folder, model.code.origin)
        answers = (*model.outputs, cut.features)
        checkpoint.save(Checkpoint(first, code, "build_exit", model.inputs, outputs=answers), io.output)
        notes.write(io.output, lines)

    def _teach(self, first: nn.Module, whole: nn.Module, cut: Cut, io: StepIO) -> list[str]:
        """Fit the head in place; the line that says how well it answers alone."""
        import torch

        last = first.get_submodule(exits.HEAD)[-1]  # type: ignore[index]
        data = dataset.read(io.path("data"), "train")
        pool = exits.pooled(cut.shape, self.grid)
        with torch.no_grad():
            seen = [
                (pool(listed(first(*inputs))[1].reshape(-1, *cut.shape)), listed(whole(*inputs))[0], labels[0])
                for inputs, labels in batches.in_order(data, _BATCH)
            ]
        features, taught, labels = (torch.cat(parts) for parts in zip(*seen, strict=True))
        weight, bias = self.fitted(features, taught, labels.long())
        with torch.no_grad():
            last.weight.copy_(weight)
            last.bias.copy_(bias)
        held = dataset.read(io.path("data"), "validation")
        right = [_right(module, held) for module in (first, whole)]
        return [
            f"an exit behind {cut.after!r} answers {right[0]:.2%} of {len(held)} validation examples rightly alone, "
            f"the whole {right[1]:.2%}; {cut.features.shape[0]} values go on from there"
        ]

    def fitted(self, features: Tensor, taught: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Weight [C, F] and bias [C] for features [N, F] that answer as labels [N] and logits [N, C] say.

        Features are brought to one spread for the descent, but for those that hardly move: their weights would be as
        many times larger, and of the others nothing would be left in 8 bits.
        """
        mean, spread = features.mean(0), features.std(0)
        spread = spread.clamp_min(max(float(spread.mean()), 1e-6))
        weight, bias = self._descended((features - mean) / spread, taught, labels)
        return weight / spread, bias - (weight / spread) @ mean

    def _descended(self, features: Tensor, taught: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        import torch
        from torch.nn import functional

        heat, classes = self.temperature, taught.shape[1]
        weight = torch.zeros(classes, features.shape[1], requires_grad=True)
        bias = torch.zeros(classes, requires_grad=True)
        soft = (taught / heat).softmax(1)
        descent = torch.optim.LBFGS([weight, bias], max_iter=_ROUNDS, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            descent.zero_grad()
            logits = features @ weight.T + bias
            hard = functional.cross_entropy(logits, labels)
            kept = functional.kl_div((logits / heat).log_softmax(1), soft, reduction="batchmean")
            loss = self.alpha * hard + (1 - self.alpha) * heat**2 * kept + 1e-4 * weight.square().sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        descent.step(closure)  # type: ignore[no-untyped-call]
        return weight.detach(), bias.detach()


def _right(module: nn.Module, held: Stored) -> float:
    """The share of right answers."""
    import torch

    hits: list[Tensor] = []
    with torch.no_grad():
        for inputs, labels in batches.in_order(held, _BATCH):
            hits.append(listed(module(*inputs))[0].argmax(1) == labels[0])
    return float(torch.cat(hits).double().mean())
