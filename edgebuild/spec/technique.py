"""What a recipe may name: a step that takes a model and gives a smaller, faster or more robust one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from edgebuild.spec.artifact import Step
from edgebuild.spec.evidence import LayerShape
from edgebuild.spec.quantization import Quantization
from edgebuild.spec.target import Hardware

_MODULE = "torch"
_HALF = "float16"


class Shapes(Protocol):
    """A frozen dataclass that says which layers are timed for a model, where these are others than its own."""

    def of(self, model: Path) -> Iterable[LayerShape]:
        """The shapes, those of the model with them, for a torch artifact; UsageError for one that cannot be traced."""


@dataclass(frozen=True, slots=True)
class Timed:
    """Layers whose time on the target's core a technique must know.

    multiple: of which number of channels the widths are multiples at which each is counted; None: whole ones alone
    shapes: which they are; None: those of the model
    """

    multiple: int | None = None
    shapes: Shapes | None = None


def recomputed(numbers: str | None, operator: str | None, dtypes: Iterable[str]) -> str:
    """Why a technique that makes a file compute in `numbers` does not take one that has integers inside (`operator`) or
    whose inputs and outputs have these types; "" where it takes it, and where it changes no numbers.
    """
    if numbers and operator:
        return f"the file computes in integers already ({operator})"
    if numbers == _HALF and _HALF in dtypes:
        return "the file computes in half precision already"
    return ""


class Technique(Step, Protocol):
    """A step that recipes name; one file in `steps/techniques/`. All that it has beyond a step has a default.

    numbers: what it makes a file compute in ("int8"); a recipe has one step that changes that
    final: True where no step on the same kind of artifact may follow: it would not carry on what this one adds
    values_only: whether a torch model keeps its operations and their sizes; other steps may change both
    gentler: what to try where it costs too many right answers, as the end of "… with a lower `ratio`"
    gentler_on_file: the same for a model that is no module, where that is another
    stronger: what to try where it takes too little away
    """

    __slots__ = ()

    produces: ClassVar[str | None] = None
    numbers: ClassVar[str | None] = None
    final: ClassVar[bool] = False
    values_only: ClassVar[bool] = False
    gentler: ClassVar[str | None] = None
    gentler_on_file: ClassVar[str | None] = None
    stronger: ClassVar[str | None] = None

    @classmethod
    def from_hardware(cls, hardware: Hardware) -> Mapping[str, Any]:
        """Options whose default is a property of the target's hardware, by name."""
        return {}

    def leaves(self) -> float:
        """The least share of parameters and multiply-accumulates that it can leave, whatever the model; 0 where its
        options do not say.
        """
        return 1.0 if self.values_only or _MODULE not in self.consumes else 0.0

    def opens(self) -> tuple[str, ...]:
        """Roles whose artifact it looks into, which must be a module then: a file that teaches has answers alone."""
        return ()

    def misplaced(self, before: Sequence[Technique]) -> str | None:
        """Why it cannot stand behind these steps of a recipe, as what follows its name; None where it can."""
        return None

    def quantization(self) -> Quantization | None:
        """What a format is asked for, so that a plan can refuse what no kernel computes; None where nothing is."""
        return None

    def timed(self) -> Timed | None:
        """The layers whose time on the target it must know.

        It then has inputs `widths/<format>` (`evidence.WidthCurves`), or none where nothing counts for the target.
        """
        return None
