"""A part of an assembly as a plan has it: the file of a model, or of a half of one."""

from __future__ import annotations

from dataclasses import dataclass

from edgebuild.plan.measurements import Measurements
from edgebuild.plan.recipe import Chain
from edgebuild.plan.weights import Weights
from edgebuild.spec.model import PartSpec
from edgebuild.spec.signature import Signature

FEATURES = "features"  # what crosses from an exit to the rest of a network


@dataclass(frozen=True, slots=True)
class Built:
    """A part for one runtime: its chain, and what measures its files.

    signature: of a half, without what crosses; None where it is the whole's
    """

    spec: PartSpec
    chain: Chain
    files: Measurements
    weights: Weights
    signature: Signature | None = None
