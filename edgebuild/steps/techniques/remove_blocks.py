"""Removes residual blocks that hardly change what goes through them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge
from pydantic import Field

from edgebuild.nn import checkpoint, layers, records
from edgebuild.nn.prune import sensitivity
from edgebuild.nn.restructure import blocks, choice, sites
from edgebuild.nn.restructure.swaps import Swap
from edgebuild.nn.train.batches import in_order
from edgebuild.spec import dataset, notes
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.technique import Technique
from edgebuild.spec.units import Share
from edgebuild.steps import _exchanges

if TYPE_CHECKING:
    from edgebuild.nn.checkpoint import Checkpoint
_BATCH = 64


@dataclass(frozen=True, slots=True)
class RemoveBlocks(Technique):
    """Of the blocks x + f(x) those go whose output agrees most with their input (ShortGPT, Men et al. 2024).

    `blocks` of them, or with `budget` as many, one after another, as cost no more accuracy than that on validation
    examples before anything is trained. Agreement is the cosine of input and output, or linear CKA (Kornblith et al.
    2019), on training examples. A block is found in the model's graph; one that changes the size of what goes through
    it stays. Fine-tune afterwards: `distill`.
    """

    blocks: Annotated[int, Field(ge=1, description="how many go, where there is no budget")] = 1
    budget: Annotated[Share | None, Field(description="accuracy that may be lost before fine-tuning")] = None
    criterion: Literal["cosine", "cka"] = "cosine"
    keep: tuple[str, ...] = ()
    examples: Annotated[int, Ge(2)] = 256
    seed: Seed = 0

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    gentler: ClassVar[str] = "fewer `blocks` or a `budget`"
    stronger: ClassVar[str] = "more `blocks`"

    def run(self, io: StepIO) -> None:
        """Remove and save; the record has every block's agreement. UsageError where there is nothing to remove."""
        model = checkpoint.load(io.path("model"))
        keep = layers.named(model.module, self.keep, "remove_blocks.keep")
        every = blocks.residual(model.module, model.example(), keep)
        if not every:
            message = "the model has no block that adds something to what it takes, in the same shape"
            raise UsageError(message, hint="leave the step out")
        able, stuck = _exchanges.exchangeable(
            model.module, model.example(), dict.fromkeys(every), lambda path: Swap(path, "nothing")
        )
        residual = [*able]
        examples = dataset.calibration(io.path("data"), self.examples, self.seed)
        fed = (inputs for inputs, _ in in_order(examples, _BATCH))
        agree = blocks.agreements(model.module, residual, fed)
        order = sorted(residual, key=lambda path: -asdict(agree[path])[self.criterion])
        gone, trials = self._gone(model, order, io)
        module, added = blocks.without(model.module, gone)
        thin = replace(model, module=module, swaps=(*model.swaps, *added))
        checkpoint.save(thin, io.output)
        before, after = (sites.total(one.module, one.example()) for one in (model, thin))
        record = {"agreement": {path: asdict(one) for path, one in agree.items()}, "removed": gone, "trials": trials}
        records.write(io.output, record | {"macs": [before, after]})
        message = f"{len(gone)} of {len(residual)} residual blocks are gone ({', '.join(gone)})"
        notes.write(io.output, [f"{message}: {after / before:.0%} of the multiplications are left", *stuck])

    def _gone(self, model: Checkpoint, order: Sequence[str], io: StepIO) -> tuple[list[str], Mapping[str, Any] | None]:
        """The blocks to remove, and what each trial of the budget gave."""
        if self.budget is None:
            if self.blocks > len(order):
                reason = f"{self.blocks} blocks cannot go: there are {len(order)} ({', '.join(sorted(order))})"
                raise UsageError(reason, option="blocks")
            return [*order[: self.blocks]], None
        data, heads = dataset.validation(io.path("data"), self.examples, self.seed), dataset.heads(io.path("data"))
        choice.refuse_without_choice(heads)
        return choice.within(
            order, self.budget, lambda gone: sensitivity.measure(blocks.without(model.module, gone)[0], data, heads)
        )
