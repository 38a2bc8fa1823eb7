"""The float file beside the model that came, and beside what another converter makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from edgebuild.spec import evidence
from edgebuild.spec.artifact import Input, StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import TensorSpec
from edgebuild.steps.evidence.second_opinion import SecondOpinion, refusal
from edgebuild.steps.evidence.source_parity import SourceParity
from tests.steps.evidence import folders

ORIGINAL = np.array([[1.0, -4.0], [2.0, 0.5]])


@dataclass(frozen=True, slots=True)
class Converter:
    """Answers what it is given, doubled; or refuses."""

    refuses: bool

    kind: ClassVar[str] = "tflite"
    runtime: ClassVar[str] = "numpy"
    tools: ClassVar[tuple[str, ...]] = ()

    def adopt(self, path: Path, inputs: Sequence[TensorSpec]) -> bytes:
        """Nothing."""
        return b""

    def integer(self, model: bytes) -> str | None:
        """Never."""
        return None

    def answers(self, path: Path, samples: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        """The double of each."""
        if self.refuses:
            raise UsageError("is refused by TensorFlow: an operator")
        return (tuple(2 * values for values in sample) for sample in samples)


def run(step: SourceParity | SecondOpinion, inputs: dict[str, tuple[str, Path]], folder: Path) -> Path:
    (folder / "scratch").mkdir(parents=True)
    roles = {role: Input(kind, "", place) for role, (kind, place) in inputs.items()}
    step.run(StepIO(roles, folder, folder / "scratch", lambda *_, **__: None))
    return folder


def parity(tmp_path: Path, second: tuple[str, Path] | None = None) -> evidence.SourceParity:
    inputs = {
        "original": folders.outputs(tmp_path / "original", ORIGINAL),
        "baseline": folders.outputs(tmp_path / "baseline", ORIGINAL),
        **({} if second is None else {"second": second}),
    }
    return folders.read(evidence.SourceParity, run(SourceParity(), inputs, tmp_path / "parity"))


def opinion(tmp_path: Path, *, refuses: bool) -> tuple[str, Path]:
    (tmp_path / "file").mkdir()
    inputs = {"file": ("file", tmp_path / "file"), "data": folders.data(tmp_path / "data", [0, 1])}
    return "outputs", run(SecondOpinion(Converter(refuses), "net"), inputs, tmp_path / "second")


def test_without_another_converter_nothing_is_said_of_one(tmp_path: Path) -> None:
    assert parity(tmp_path).second is None


def test_another_converters_file_is_compared_with_ours_and_not_with_the_original(tmp_path: Path) -> None:
    told = parity(tmp_path, folders.outputs(tmp_path / "second", ORIGINAL + np.array([[0.0, 1.0], [0.0, 0.0]])))
    assert told.outputs[evidence.ONLY].max_abs == 0
    assert told.second is not None
    assert told.second.outputs[evidence.ONLY].relative == pytest.approx(1 / 3)
    assert told.second.converter == folders.measured.origin("host").runtimes


def test_a_converter_answers_all_held_out_examples_by_its_runtime(tmp_path: Path) -> None:
    _, folder = opinion(tmp_path, refuses=False)
    assert refusal(folder) is None
    with np.load(folder / "outputs.npz") as stored:
        assert stored["0"].shape == (2, 1)


def test_a_converter_that_refuses_stops_nothing_and_is_quoted(tmp_path: Path) -> None:
    second = opinion(tmp_path, refuses=True)
    assert not (second[1] / "outputs.npz").exists()
    told = parity(tmp_path, second)
    assert told.second == evidence.SecondOpinion({}, {}, "is refused by TensorFlow: an operator")
