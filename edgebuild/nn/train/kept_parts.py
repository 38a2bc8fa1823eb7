"""What several processes that train a module together keep to go on from after a kill: each its part, of one step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgebuild.nn.train.group import least
from edgebuild.nn.train.kept import Kept
from edgebuild.spec.stage import Stage


class KeptParts:
    """One process's part of what all keep; the others are asked through `torch.distributed`.

    A kill may come while some have written and others not. Each has the last step and the one before, and none writes
    the next one before all have written the last: the least of what is newest anywhere is there everywhere.
    """

    def __init__(self, folder: Path | None, stage: Stage) -> None:
        """Nothing is read or written yet."""
        self._kept = Kept(folder, f"part{stage.index + 1}of{stage.count}")

    def due(self) -> bool:
        """Whether this process is ready for one; all must be."""
        return self._kept.due()

    def write(self, state: dict[str, Any], step: int) -> None:
        """Keep this state in the place of the last but one."""
        self._kept.forget(self._kept.steps()[:-1])
        self._kept.write(state, step)

    def read(self) -> dict[str, Any] | None:
        """This process's part of the last step that all have; None, everywhere, where there is none."""
        newest = least(max(self._kept.steps(), default=-1))
        state = self._kept.read(newest)
        everywhere = bool(least(int(state is not None)))
        self._kept.forget(step for step in self._kept.steps() if not everywhere or step != newest)
        return state if everywhere else None

    def clear(self) -> None:
        """Forget all: the training begins anew."""
        self._kept.forget(self._kept.steps())
