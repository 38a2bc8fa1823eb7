"""Sets single weights to zero: the file keeps its shapes, its download shrinks once it is compressed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Gt
from pydantic import Field

from edgebuild.nn import checkpoint, layers, records
from edgebuild.nn.prune import sensitivity, sparsity
from edgebuild.nn.prune.schedule import Schedule
from edgebuild.nn.train import losses, training
from edgebuild.spec import dataset
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.technique import Technique
from edgebuild.spec.units import Share

if TYPE_CHECKING:
    from torch import nn

    from edgebuild.nn.prune.sparsity import Masks, Scores
    from edgebuild.spec.rows import Split


@dataclass(frozen=True, slots=True)
class PruneWeights(Technique):
    """A share of the weights becomes zero and stays zero in training (Han et al. 2015).

    What goes is, one of the four: the least important `ratio` of each layer (or of all together, `scope`); weights
    with |w| ≤ `threshold`; all but N of every M (`pattern` "2:4", Mishra et al. 2021); or what a sensitivity scan
    finds within the accuracy `budget` (Li et al. 2017). Importance is |w|, |w·∂L/∂w| (Molchanov et al. 2019) or random.
    No runtime here is faster for it: the gain is in the compressed download.
    """

    ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5
    criterion: Literal["magnitude", "taylor", "random"] = "magnitude"
    scope: Annotated[Literal["layer", "global"], Field(description="where weights compete to stay")] = "layer"
    threshold: Annotated[float | None, Gt(0)] = None
    pattern: Annotated[str | None, Field(pattern=r"^[1-9]\d?:[1-9]\d?$", description="N:M along the inputs")] = None
    budget: Annotated[Share | None, Field(description="accuracy that the whole may lose before fine-tuning")] = None
    schedule: Schedule = field(default_factory=Schedule)
    keep: tuple[str, ...] = ()
    examples: Annotated[
        int, Field(ge=1, description="training examples for gradients, validation examples for the scan")
    ] = 512
    seed: Seed = 0

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    needs: ClassVar[tuple[str, ...]] = ("model", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    values_only: ClassVar[bool] = True
    gentler: ClassVar[str] = "a lower `ratio` or a `budget`"

    def __post_init__(self) -> None:
        """ValueError for options that contradict each other."""
        ways = {"threshold": self.threshold, "pattern": self.pattern, "budget": self.budget}
        chosen = [name for name, value in ways.items() if value is not None]
        if len(chosen) > 1:
            raise ValueError(f"{' and '.join(chosen)} each say how much goes: keep one")
        if chosen and self.scope == "global":
            raise ValueError(f"{chosen[0]} decides layer by layer, so scope cannot be global")
        if self.threshold is not None and self.criterion != "magnitude":
            raise ValueError(f"a threshold is one of magnitude, not of {self.criterion}")
        if self.schedule.rounds > 1 and chosen in (["threshold"], ["pattern"]):
            raise ValueError(f"a {chosen[0]} is reached in one round, so schedule cannot be {self.schedule.kind}")
        if self.pattern is not None and not self._kept_of()[0] < self._kept_of()[1]:
            raise ValueError(f"pattern {self.pattern!r} removes nothing: N must be below M")

    def _kept_of(self) -> tuple[int, int]:
        kept, _, of = (self.pattern or "").partition(":")
        return int(kept), int(of)

    def uses(self) -> tuple[str, ...]:
        """Data only for what learns or looks at examples."""
        looks = self.criterion == "taylor" or self.budget is not None or self.schedule.epochs
        return ("model", "data") if looks else ("model",)

    def run(self, io: StepIO) -> None:
        """Prune, fine-tune where the schedule says so, and save; `record.json` says what became of each layer."""
        training.seeded(self.seed)
        model = checkpoint.load(io.path("model"))
        parameters, skipped = self._parameters(model.module)
        model = replace(model, sparse=tuple(sorted({*model.sparse, *parameters})))
        scan = self._scan(model.module, parameters, io) if self.budget is not None else None
        ratios = scan["ratios"] if scan else dict.fromkeys(parameters, self.ratio)

        def cut(share: float) -> None:
            masks = self._masks(model.module, parameters, {name: share * ratio for name, ratio in ratios.items()}, io)
            sparsity.remove(parameters, masks)

        self.schedule.carry_out(model, io, cut, self.seed)
        zeros = {name: [p.numel() - int(p.count_nonzero()), p.numel()] for name, p in parameters.items()}
        if not any(count for count, _ in zeros.values()):
            raise UsageError("no weight is removed", key="prune_weights", hint="raise the ratio or threshold")
        checkpoint.save(model, io.output)
        records.write(io.output, {"zeros": zeros, "skipped": skipped, "sensitivity": scan})

    def _masks(
        self, module: nn.Module, parameters: dict[str, nn.Parameter], ratios: dict[str, float], io: StepIO
    ) -> Masks:
        """What goes from each parameter at these ratios."""
        if self.threshold is not None:
            return sparsity.below(self.threshold, parameters)
        scores = self._scores(module, parameters, io)
        if self.pattern is not None:
            return {name: sparsity.n_of_m(score, *self._kept_of()) for name, score in scores.items()}
        if self.scope == "global":
            return sparsity.least_of_all(scores, parameters, max(ratios.values()))
        return sparsity.least_of_each(scores, parameters, ratios)

    def _scores(self, module: nn.Module, parameters: dict[str, nn.Parameter], io: StepIO) -> Scores:
        if self.criterion == "taylor":
            training.gradients(module, self._seen(io), losses.supervised(dataset.heads(io.path("data"))))
        by_name = {"magnitude": sparsity.magnitude, "taylor": sparsity.taylor, "random": sparsity.random}
        return by_name[self.criterion](parameters)

    def _seen(self, io: StepIO) -> Split:
        return dataset.calibration(io.path("data"), self.examples, self.seed)

    def _scan(self, module: nn.Module, parameters: dict[str, nn.Parameter], io: StepIO) -> dict[str, Any]:
        """The sensitivity of each layer and the ratios chosen from it, as plain data."""
        scores = self._scores(module, parameters, io)
        data, heads = dataset.validation(io.path("data"), self.examples, self.seed), dataset.heads(io.path("data"))

        def trial(ratios: Mapping[str, float]) -> sensitivity.Quality:
            whole = {name: parameters[name].detach().clone() for name in ratios}
            for name, mask in sparsity.least_of_each(scores, parameters, ratios).items():
                parameters[name].data.masked_fill_(mask, 0)
            quality = sensitivity.measure(module, data, heads)
            for name, weight in whole.items():
                parameters[name].data.copy_(weight)
            return quality

        assert self.budget is not None
        return sensitivity.chosen([*parameters], self.budget, trial, heads)

    def _parameters(self, module: nn.Module) -> tuple[dict[str, nn.Parameter], dict[str, str]]:
        """What to prune by name, and why the rest is not; UsageError when nothing is left."""
        kept = {id(p) for part in layers.named(module, self.keep, "prune_weights.keep") for p in part.parameters()}
        matrices = sparsity.matrices(module)
        skipped = {name: "named in keep" for name, p in matrices.items() if id(p) in kept}
        of = self._kept_of()[1] if self.pattern else 1
        odd = {
            name: f"its {p.shape[1]} inputs are no multiple of {of}" for name, p in matrices.items() if p.shape[1] % of
        }
        skipped = odd | skipped
        chosen = {name: p for name, p in matrices.items() if name not in skipped}
        if not chosen:
            reasons = "; ".join(f"{name}: {why}" for name, why in skipped.items()) or "the model has none that count"
            raise UsageError(f"there are no weights to prune ({reasons})", key="prune_weights")
        return chosen, skipped
