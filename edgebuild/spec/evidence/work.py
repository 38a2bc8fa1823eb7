"""What a file weighs and does: bytes, parameters, operations, memory for activations, counted instructions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Weight:
    """Bytes of a file and of its download, and parameters and multiply-accumulates of the model it was made of."""

    bytes: int
    download: int
    parameters: int
    macs: int


@dataclass(frozen=True, slots=True)
class Footprint:
    """What both files weigh."""

    candidate: Weight
    baseline: Weight


@dataclass(frozen=True, slots=True)
class Activations:
    """Bytes of a static plan of so many tensors."""

    bytes: int
    tensors: int


@dataclass(frozen=True, slots=True)
class Arena:
    """Memory for the activations of one inference of both files."""

    candidate: Activations
    baseline: Activations


@dataclass(frozen=True, slots=True)
class CacheWork:
    """Accesses to a cache in lines, and how many of them missed."""

    accesses: int
    misses: int


@dataclass(frozen=True, slots=True)
class Counted:
    """The work of one inference on one thread: instructions, also by class, accesses to caches, and cycles.

    `cycles` are what the core's pipelines need by llvm-mca; `covered` is the share of instructions that it saw.
    `operators` are those that a runtime executes, each of which several threads would share; 0 where nobody asked.
    """

    instructions: int
    classes: Mapping[str, int]
    caches: Mapping[str, CacheWork]
    cycles: float
    covered: float
    operators: float = 0.0


@dataclass(frozen=True, slots=True)
class BothCounted:
    """The counted work of both files."""

    candidate: Counted
    baseline: Counted


@dataclass(frozen=True, slots=True)
class Operators:
    """How many operators two files have in common, and each has."""

    shared: int
    candidate: int
    baseline: int


@dataclass(frozen=True, slots=True)
class SharedWork:
    """The share of each file's work that the other does too, by the same operators on the same shapes."""

    candidate: float
    baseline: float
    operators: Operators
