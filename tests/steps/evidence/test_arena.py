"""The step that plans memory: of the files that it is given, in their formats."""

from __future__ import annotations

from pathlib import Path

from edgebuild.spec import evidence
from edgebuild.spec.registry import FORMATS
from edgebuild.steps.evidence._packing import planned
from edgebuild.steps.evidence.arena import Arena
from tests import tiny
from tests.steps.evidence import folders


def test_candidate_and_baseline_are_planned_from_their_files(made: tiny.Made, tmp_path: Path) -> None:
    inputs = {"candidate": ("tflite", made["tflite-int8"]), "baseline": ("tflite", made["tflite"])}
    arena = folders.read(evidence.Arena, tiny.perform(Arena(), tmp_path / "out", inputs))
    for plan, artifact in ((arena.candidate, "tflite-int8"), (arena.baseline, "tflite")):
        tensors = FORMATS.get("tflite")().lifetimes(made.file(artifact).read_bytes())
        assert plan == evidence.Activations(planned(tensors), len(tensors))
    assert 0.2 < arena.candidate.bytes / arena.baseline.bytes < 0.4


def test_all_files_of_an_assembly_need_theirs_at_once(made: tiny.Made, tmp_path: Path) -> None:
    small, large = ("tflite", made["tflite-int8"]), ("tflite", made["tflite"])

    def plans(inputs: dict[str, tuple[str, Path]], name: str) -> evidence.Arena:
        return folders.read(evidence.Arena, tiny.perform(Arena(), tmp_path / name, inputs))

    alone = plans({"candidate": small, "baseline": large}, "alone")
    parts = {"candidate/small": small, "candidate/large": large, "baseline": small}
    whole = plans(parts, "whole")
    assert whole.candidate.bytes == alone.candidate.bytes + alone.baseline.bytes
    assert whole.candidate.tensors == alone.candidate.tensors + alone.baseline.tensors
    assert whole.baseline == alone.candidate
