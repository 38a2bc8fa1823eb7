"""What the ranges of a quantized file came from: how many examples, which, and that noise would not have given them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgebuild.spec import documents

FILE = "calibration.json"  # in the artifact of a step that calibrates; in evidence, all of these by step


@dataclass(frozen=True, slots=True)
class Calibration:
    """Ranges that were taken from `examples` of the training split, whose inputs have the digest `sha256`.

    Of `ranges` tensors, `differ` have another range on some of them than on as many random inputs; `by_chance` have
    another range on these than on other random inputs, for ranges are extremes. Tools that calibrate on nothing, and
    say nothing, are the commonest complaint.
    """

    examples: int
    sha256: str
    ranges: int
    differ: int
    by_chance: int

    @property
    def line(self) -> str:
        """All of it, for people."""
        source = f"ranges come from {self.examples} training examples (SHA-256 {self.sha256[:12]}…)"
        difference = f"{self.differ} of {self.ranges} are not those that noise gives"
        chance = f"from one noise to another {self.by_chance} are not the same"
        question = ": is there anything in these examples?" if self.differ <= self.by_chance else ""
        return f"{source}; {difference}, {chance}{question}"


@dataclass(frozen=True, slots=True)
class Calibrations:
    """Those of all steps on the way to a bundle, by step."""

    steps: Mapping[str, Calibration]


def read(folder: Path) -> Calibration | None:
    """That of an artifact; None for a step that took no ranges from data."""
    file = folder / FILE
    return documents.read(Calibration, file) if file.is_file() else None


def read_all(evidence: Path) -> Mapping[str, Calibration]:
    """Those of all steps, by step, as a bundle's evidence has them."""
    file = evidence / FILE
    return documents.read(Calibrations, file).steps if file.is_file() else {}
