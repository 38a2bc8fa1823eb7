"""Trains a network so that it works at several widths and depths, which share its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt
from pydantic import Field

from edgebuild.nn import checkpoint, layers, records
from edgebuild.nn.prune import channels, importance, sensitivity, units
from edgebuild.nn.prune.work import layer_work
from edgebuild.nn.restructure import blocks, sites, slices, stand_ins
from edgebuild.nn.restructure.slices import Nest, Slice, Sliced
from edgebuild.nn.restructure.swaps import Swap
from edgebuild.nn.restructure.times import Times
from edgebuild.nn.train import losses, sandwich, statistics, training
from edgebuild.nn.train.batches import in_order
from edgebuild.spec import dataset, notes
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.model import Clip, Replicas, Training
from edgebuild.spec.technique import Technique
from edgebuild.steps import _training

if TYPE_CHECKING:
    from torch import nn

    from edgebuild.nn.checkpoint import Checkpoint
    from edgebuild.spec.rows import Split
    from edgebuild.spec.signature import Head

_BATCH = 64


@dataclass(frozen=True, slots=True)
class Elastic(Technique):
    """One training for several networks: slices of the model's own that share its weights (Yu & Huang 2019).

    A slice of a width keeps that share of each dependency group's channels (and attention heads), in the nearest
    multiple of `round_to`, the most important by `criterion`; one may also lack up to `blocks` residual blocks, those
    that change least first. Every batch teaches the whole by labels, and the least slice and `drawn` others by labels
    and by what the whole answers (the sandwich rule, in-place distillation). No option follows from the target, so that
    several targets share one training, and each takes what it needs by `slice`. What it makes is the whole.
    """

    widths: Annotated[
        tuple[Annotated[float, Field(gt=0, lt=1)], ...],
        Field(description="shares of the channels that slices have, beside the whole"),
    ] = (0.25, 0.5, 0.75)
    blocks: Annotated[int, Field(ge=0, description="residual blocks that slices may lack")] = 0
    drawn: Annotated[int, Field(ge=0, description="slices between the least and the whole in each batch")] = 1
    alpha: Annotated[float, Field(ge=0, le=1, description="weight of the labels for slices")] = 0.1
    temperature: Annotated[float, Gt(0)] = 4.0
    round_to: Annotated[int, Ge(1)] = 8
    keep: tuple[str, ...] = ()
    criterion: importance.Name = "magnitude"
    norm: Literal[1, 2] = 2
    examples: Annotated[int, Ge(2)] = 512
    epochs: Annotated[int, Ge(1)] = 20
    batch_size: Annotated[int, Ge(1)] = 64
    learning_rate: Annotated[float, Gt(0)] = 0.05
    weight_decay: Annotated[float, Ge(0)] = 5e-4
    seed: Seed = 0
    clip: Clip = 2.0
    replicas: Replicas = None

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    values_only: ClassVar[bool] = True
    gentler: ClassVar[str] = "more `epochs`"

    def __post_init__(self) -> None:
        """ValueError where there is nothing to slice, and for options of a training that do not go together."""
        _ = self.training
        if not self.widths and not self.blocks:
            raise ValueError("without widths and blocks there is nothing but the whole")

    @property
    def trains(self) -> bool:
        """Always."""
        return True

    @property
    def training(self) -> Training:
        """How its weights are made."""
        how = Training(self.epochs, self.batch_size, self.learning_rate, self.weight_decay, seed=self.seed)
        return replace(how, clip=self.clip, replicas=self.replicas)

    def run(self, io: StepIO) -> None:
        """Train and save the whole with the order of what its slices lack; the record has each slice's quality."""
        training.seeded(self.seed)
        model = checkpoint.load(io.path("model"))
        sliced = self._sliced(model, io)
        heads, data = dataset.heads(io.path("data")), dataset.read(io.path("data"), "train")
        least, *others = [sliced.shared(one) for one in sliced.nest.slices()[:-1]]
        loss = sandwich.lesson(heads, least, others, self.drawn, self.alpha, self.temperature)
        learner = _training.learner(model, model.module, [one.module for one in (least, *others)])
        lines = _training.fit(io, self, learner, data, loss, self.training, "distill")
        checkpoint.save(model, io.output)
        sliced.nest.write(io.output)
        table = measured(sliced, io, model.example(), heads, self.examples, self.seed)
        records.write(io.output, {"blocks": sliced.nest.blocks, "slices": table})
        notes.write(io.output, [*channels.remarks(sliced.stock.unfollowed), *lines, _line(table)])

    def _sliced(self, model: Checkpoint, io: StepIO) -> Sliced:
        """The network and the order in which slices lose what they lack; UsageError for what cannot be sliced so."""
        keep = layers.named(model.module, self.keep, "elastic.keep")
        stock = channels.inventory(model.module, model.example(), keep, self.round_to)
        scores = units.scored(slices.able(stock), self._importance(model.module, io))
        if self.widths and not scores:
            reasons = "; ".join(f"{name!r}: {why}" for name, why in stock.whole.items()) or "it has no channels to lose"
            raise UsageError(f"the model has one width alone ({reasons})", option="widths", hint="leave the step out")
        order = {name: score.argsort(stable=True).tolist() for name, score in scores.items()}
        silent = {one.name: [*range(len(one.members))] for one in slices.able(stock) if one.name not in order}
        widths = tuple(sorted({*self.widths, 1.0}))
        nest = Nest(widths, self.round_to, self.keep, order | silent, self._blocks(model, io))
        sliced = Sliced(model.module, stock, nest)
        _refuse_alike(sliced)
        return sliced

    def _importance(self, module: nn.Module, io: StepIO) -> importance.Importance:
        def examples() -> Split:
            return dataset.calibration(io.path("data"), self.examples, self.seed)

        def loss() -> losses.Loss:
            return losses.supervised(dataset.heads(io.path("data")))

        subject = importance.Subject(module, examples, loss, self.norm, self.seed)
        return importance.criterion(self.criterion, subject)

    def _blocks(self, model: Checkpoint, io: StepIO) -> tuple[str, ...]:
        """Residual blocks, those that change least first, as many as slices may lack."""
        if not self.blocks:
            return ()
        every = blocks.residual(model.module, model.example(), layers.named(model.module, self.keep, "elastic.keep"))
        nothing = {path: Swap(path, "nothing") for path in every}
        stuck = stand_ins.unable(model.module, model.example(), nothing)
        residual = [path for path in every if path not in stuck]
        if len(residual) < self.blocks:
            reason = f"{self.blocks} blocks cannot be left out: there are {len(residual)}"
            reason += f" ({', '.join(residual)})" if residual else ""
            raise UsageError("; ".join([reason, *stand_ins.remarks(stuck)]), option="blocks")
        data = dataset.calibration(io.path("data"), self.examples, self.seed)
        agree = blocks.agreements(model.module, residual, (inputs for inputs, _ in in_order(data, _BATCH)))
        return tuple(sorted(residual, key=lambda path: -agree[path].cosine)[: self.blocks])


def measured(
    sliced: Sliced,
    io: StepIO,
    example: Any,
    heads: Sequence[Head],
    examples: int,
    seed: int,
    clock: Times | None = None,
) -> list[dict[str, Any]]:
    """Of each slice, with statistics of its own: its share of the multiplications and its quality on validation; with a
    clock its share of the whole's time, and whether that is counted.
    """
    train, held = dataset.read(io.path("data"), "train"), dataset.validation(io.path("data"), examples, seed)
    whole, rows = sites.total(sliced.module, example), []
    for one in sliced.nest.slices():
        module, _ = sliced.cut(one)
        statistics.estimate(module, train)
        shapes = [layer.shape for layer in layer_work(module, example)]
        macs, quality = sum(shape.macs for shape in shapes), sensitivity.measure(module, held, heads)
        rows.append({"width": one.width, "removed": one.removed, "macs": macs, "share": macs / whole})
        rows[-1] |= {"time": clock.share(shapes), "counted": clock.counted} if clock else {}
        rows[-1] |= quality.recorded() | {"examples": len(held)}
    return rows


def _line(table: Sequence[dict[str, Any]]) -> str:
    lines = [
        f"{Slice(one['width'], one['removed'])} has {one['share']:.0%} of the multiplications, loss {one['loss']:.3g}"
        for one in table
    ]
    return f"slices, by {table[0]['examples']} validation examples: {'; '.join(lines)}"


def _refuse_alike(sliced: Sliced) -> None:
    """UsageError for two widths that come to the same, or one that comes to the whole."""
    lost: dict[tuple[tuple[str, int], ...], float] = {}
    for width in sliced.nest.widths:
        key = tuple(sorted((one.name, len(gone)) for one, gone in sliced.gone(width) if gone))
        if key in lost:
            line = (
                f"widths {lost[key]:g} and {width:g} are the same: channels stay in multiples of {sliced.nest.round_to}"
            )
            raise UsageError(line, option="widths", hint="leave one out, or lower round_to")
        lost[key] = width
