"""Makes a soup of models: the mean of the weights of several trainings of one network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from edgebuild.nn import checkpoint
from edgebuild.nn.train import soup, training
from edgebuild.spec import notes
from edgebuild.spec.artifact import EXCUSED, Step, StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.steps import _soup


@dataclass(frozen=True, slots=True)
class MixWeights(Step):
    """Inputs: `member/<number>`, a torch artifact for each of the `names`, and the data: validation examples choose.

    All else that the artifact says is the first member's.
    """

    way: soup.Way
    names: tuple[str, ...]
    origin: str = field(default="model", metadata=EXCUSED)

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "torch"
    needs: ClassVar[tuple[str, ...]] = ("data",)
    tools: ClassVar[tuple[str, ...]] = ("torch", "safetensors")

    def run(self, io: StepIO) -> None:
        """Mix, save; UsageError for members of unlike structures."""
        training.seeded(0)
        loaded = [checkpoint.load(io.path(f"member/{number}")) for number in range(len(self.names))]
        states = [{name: each.clone() for name, each in one.module.state_dict().items()} for one in loaded]
        try:
            line = _soup.cook(io, loaded[0].module, states, self.way, self.names)
        except UsageError as error:
            raise UsageError(error.reason, file=f"{self.origin}/model.toml", key="source.members") from None
        checkpoint.save(loaded[0], io.output)
        notes.write(io.output, [line])
