"""Numbers that were dear to measure, kept from one run of a step for the next: a file each that says what it is of."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgebuild.spec import sha256


@dataclass(frozen=True, slots=True)
class Kept:
    """A folder of numbers; where there is none nothing is kept. Builds may share it; a torn file counts as none."""

    folder: Path | None

    def read(self, subject: str) -> float | None:
        """The number that was kept of this, as it was."""
        try:
            held = json.loads(self._file(subject).read_bytes())
            number = float(held["number"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return number if held == _entry(subject, number) else None

    def write(self, subject: str, number: float) -> None:
        """Keep it. A disk that takes nothing more costs the next run its time, not this one its result."""
        if self.folder is None:
            return
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            fresh = self.folder / f".{os.getpid()}.{os.urandom(4).hex()}"
            fresh.write_text(json.dumps(_entry(subject, number)), encoding="utf-8")
            fresh.replace(self._file(subject))

    def _file(self, subject: str) -> Path:
        if self.folder is None:
            raise FileNotFoundError
        return self.folder / f"{sha256.of_bytes(subject.encode())}.json"


def _entry(subject: str, number: float) -> dict[str, str | float]:
    digest = sha256.of_bytes(f"{subject} {number!r}".encode())
    return {"of": subject, "number": number, "sha256": digest}
