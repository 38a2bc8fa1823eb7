"""Size: bytes of the model file, absolute or against the float baseline in the same format."""

from __future__ import annotations

from typing import Any

from edgebuild.spec.evidence import Status, Verdict
from edgebuild.spec.target import Gate
from edgebuild.spec.units import BYTES, SHARE, parse, show_bytes


class Size:
    """The limit is bytes ("64 KiB") or a change ("-90 %": at most a tenth of the float file). Sizes carry no noise."""

    @staticmethod
    def limit(text: str) -> tuple[float | None, float | None]:
        """(bytes, None) or (None, relative change); ValueError for anything else."""
        if "%" in text:
            change = parse(text, SHARE)
            if change <= -1:
                raise ValueError(f"a file cannot shrink by 100 % or more, got {text!r}")
            return None, change
        size = parse(text, BYTES)
        if size <= 0:
            raise ValueError(f"a size must be above zero, got {text!r}")
        return size, None

    def judge(self, gate: Gate, evidence: dict[str, Any]) -> Verdict:
        """Pass when the file is not larger than the limit, else fail."""
        found = evidence["footprint"]
        ours, theirs = found["candidate"]["bytes"], found["baseline"]["bytes"]
        limit, change = self.limit(gate.limit)
        # Rounded, for 1 − 0.9 is not 0.1 to a computer, and a file of exactly a tenth is inside "-90 %".
        most = limit if limit is not None else round(theirs * (1 + (change or 0.0)), 6)
        status: Status = "pass" if ours <= most else "fail"
        reason = f"{show_bytes(ours)} of at most {show_bytes(most)}; the float file has {show_bytes(theirs)}"
        return Verdict("size", gate.limit, "B", status, reason, "hardware", 1, ours, ours, ours)
