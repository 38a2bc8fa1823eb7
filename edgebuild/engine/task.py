"""A step that is to run, and what it may use: what a build hands to the processes that do the work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgebuild.spec.artifact import Input, Record, Step
from edgebuild.spec.cores import Cores


@dataclass(frozen=True, slots=True)
class Limits:
    """What a step may use: bytes of data memory, seconds of wall time, compute threads."""

    memory: int = 8 * 2**30
    seconds: float = 3600.0
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Task:
    """A step to run: where its inputs are, the folder with `output/`, `scratch/` and its log, the one for curves, the
    one that outlives a kill, the cores that steps share, and the folder that runs on other inputs share.
    """

    label: str
    step: Step
    inputs: Mapping[str, Input]
    folder: Path
    curves: Path
    provenance: tuple[Record, ...] = ()
    partial: Path | None = None
    cores: Cores = field(default_factory=Cores)
    kept: Path | None = None
