"""A program of torch.export becomes a module of layers again, proved against the program itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from edgebuild.nn import checkpoint
from edgebuild.nn.program import loaded
from edgebuild.plan.planner import Plan
from edgebuild.sources.pt2 import Program
from edgebuild.spec import notes
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import Signature, TensorSpec
from edgebuild.steps.lift_file import LiftFile
from edgebuild.steps.lift_file import refusal as refusal_of
from edgebuild.steps.techniques.prune_channels import PruneChannels
from tests import tiny
from tests.sources.test_named import DECLARED

ENDS = Signature((TensorSpec("image", (1, 12, 12)),), (TensorSpec("output", (4,)),))


@pytest.fixture
def programs(made: tiny.Made, tmp_path: Path) -> Path:
    """A folder with the tiny model as its author would export it: as it was trained, with the batch that he had."""
    module = checkpoint.load(made["float"]).module.train()
    program = torch.export.export(module, (torch.zeros(2, 1, 12, 12),), dynamic_shapes=({0: torch.export.Dim("n")},))
    (tmp_path / "file").mkdir()
    torch.export.save(program, tmp_path / "file" / "net.pt2")
    return tmp_path / "file"


def lift(programs: Path, made: tiny.Made) -> Path:
    step = LiftFile(Program(), "net.pt2", ENDS, origin="models/m", shown="models/m/net.pt2")
    return tiny.perform(step, programs.parent / "lifted", {"file": ("", programs), "data": ("data", made["data"])})


def test_a_program_in_training_mode_is_lifted_as_it_evaluates_and_pruned(programs: Path, made: tiny.Made) -> None:
    output = lift(programs, made)
    (told,) = notes.read(output)
    assert told.startswith("models/m/net.pt2: answers as its file does, to ")
    original, lifted = checkpoint.load(made["float"]).module.eval(), checkpoint.load(output).module
    x = torch.randn(4, 1, 12, 12)
    assert torch.allclose(lifted(x), original(x), atol=1e-4)
    pruned = tiny.perform(
        PruneChannels(ratio=0.5, round_to=8), programs.parent / "pruned", {"model": ("torch", output)}
    )
    counts = [sum(each.numel() for each in one.parameters()) for one in (checkpoint.load(pruned).module, lifted)]
    assert counts[0] < 0.5 * counts[1]


def test_what_the_program_answers_decides_and_not_what_was_made_of_it(
    programs: Path, made: tiny.Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A conversion that went wrong agrees with itself: here one of another program."""
    (programs.parent / "other").mkdir()
    module = checkpoint.load(made["float"]).module.eval()
    with torch.no_grad():
        module.head.bias += 1  # type: ignore[union-attr, operator]
    other = programs.parent / "other" / "net.pt2"
    torch.export.save(torch.export.export(module, (torch.zeros(1, 1, 12, 12),)), other)
    convert = loaded.to_onnx
    monkeypatch.setattr(loaded, "to_onnx", lambda path: convert(other))
    assert "of its PyTorch module is off by" in str(refusal_of(lift(programs, made)))


def test_a_batch_that_is_fixed_is_refused_with_its_size(programs: Path, made: tiny.Made) -> None:
    module = checkpoint.load(made["float"]).module.eval()
    torch.export.save(torch.export.export(module, (torch.zeros(3, 1, 12, 12),)), programs / "net.pt2")
    with pytest.raises(UsageError) as caught:
        lift(programs, made)
    assert caught.value.line.startswith("models/m/net.pt2: takes 'x' [3, 1, 12, 12] float32, which cannot be [1, 1, 12")


def test_a_plan_lifts_it(plan: Callable[..., Plan]) -> None:
    files = {"model.toml": DECLARED + '[source]\nuse = "pt2"\nfile = "net.pt2"\n', "net.pt2": "a program"}
    steps = [node.step for node in plan(files=files).graph.nodes.values()]
    assert [step.reader for step in steps if isinstance(step, LiftFile)] == [Program()]
