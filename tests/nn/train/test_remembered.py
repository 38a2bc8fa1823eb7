"""What a teacher answered is known to the next student's training, to the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgebuild.nn.train.remembered import remembering
from edgebuild.spec.artifact import Input

BATCHES = [torch.full((2, 3), float(number)) for number in range(3)]


class Teacher(nn.Module):
    """Answers twice what it is asked, and counts how often that is."""

    def __init__(self, noise: float = 0.0) -> None:
        super().__init__()
        self.asked, self.noise = 0, noise

    def forward(self, batch: Tensor) -> Tensor:
        self.asked += 1
        return 2 * batch + (self.noise * torch.rand(2, 3) if self.noise else 0)


def taught(folder: Path | None, teacher: Teacher, *batches: Tensor, digest: str = "a") -> list[Tensor]:
    with remembering(folder, [Input("torch", digest, Path())], [teacher]) as (asked,):
        return [torch.cat([*asked(batch)]) for batch in batches]


def test_a_batch_is_answered_once_by_each_teacher(tmp_path: Path) -> None:
    teacher = Teacher()
    first = taught(tmp_path, teacher, *BATCHES)
    again = taught(tmp_path, teacher, *BATCHES)
    assert teacher.asked == 3
    assert all(map(torch.equal, first, again))
    assert torch.equal(torch.stack(first), 2 * torch.stack(BATCHES))
    taught(tmp_path, teacher, BATCHES[0] + 0.5, BATCHES[0].to(torch.float64), torch.zeros(3, 2).T)
    assert teacher.asked == 6  # other values, types and layouts
    taught(tmp_path, teacher, BATCHES[0], digest="b")
    assert teacher.asked == 7


def test_without_a_folder_it_is_asked_every_time() -> None:
    teacher = Teacher()
    taught(None, teacher, BATCHES[0], BATCHES[0])
    assert teacher.asked == 2


def test_who_answers_at_random_is_not_remembered(tmp_path: Path) -> None:
    teacher = Teacher(noise=1.0)
    taught(tmp_path, teacher, *BATCHES)
    taught(tmp_path, teacher, *BATCHES)
    assert teacher.asked == 6


def diverged(asked: nn.Module) -> None:
    asked(BATCHES[0])
    raise ZeroDivisionError


def test_a_training_that_failed_leaves_nothing_and_a_torn_file_is_none(tmp_path: Path) -> None:
    teacher = Teacher()
    with pytest.raises(ZeroDivisionError), remembering(tmp_path, [Input("torch", "a", Path())], [teacher]) as (asked,):
        diverged(asked)
    assert [*tmp_path.iterdir()] == []
    taught(tmp_path, teacher, *BATCHES)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-100])
    assert torch.equal(taught(tmp_path, teacher, BATCHES[1])[0], 2 * BATCHES[1])
    assert teacher.asked == 5


def test_no_more_is_kept_than_there_is_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebuild.nn.train.remembered._MOST", 2 * 24)  # answers to two batches
    teacher = Teacher()
    taught(tmp_path, teacher, *BATCHES)
    taught(tmp_path, teacher, *BATCHES)
    assert teacher.asked == 4
