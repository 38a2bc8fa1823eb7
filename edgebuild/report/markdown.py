"""Verdicts as Markdown, for job summaries and comments on code hosts, cut where those would refuse it."""

from __future__ import annotations

import re
from itertools import groupby

from edgebuild.report.judged import Judged

# A comment may have 65,536 characters; a job summary 1 MiB, which so many characters cannot exceed (4 bytes each).
LIMIT = 65_536
_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~&@:$-])")
_SIGNS = {"pass": "✅", "fail": "❌", "inconclusive": "❔"}
_HEAD = "| | gate | limit | verdict | n | fidelity | why |\n|---|---|---|---|---|---|---|\n"


def render(judged: list[Judged], limit: int = LIMIT) -> str:
    """A table for each comparison, what did not pass first; at most `limit` characters, then what is left out."""
    text, shown = "", 0
    for name, cases in groupby(judged, key=lambda item: item.suite):
        ordered = sorted(cases, key=lambda item: item.verdict.status == "pass")
        block = f"### edgebuild: {_escape(name)}\n\n{_HEAD}"
        for item in ordered:
            line = _row(item)
            notice = _notice(len(judged) - shown)
            if len(text) + len(block) + len(line) + len(notice) + 2 > limit:
                return f"{text}{block}\n{notice}" if len(text) + len(block) + len(notice) < limit else text + notice
            block, shown = block + line, shown + 1
        text += block + "\n"
    return text


def _notice(left: int) -> str:
    return f"\n{left} more verdicts are left out: this text may not be longer. The JSON document has them all.\n"


def _row(item: Judged) -> str:
    verdict = item.verdict
    reason = verdict.reason + (f". Try {verdict.next}" if verdict.next else "")
    cells = (verdict.name, verdict.limit, verdict.status, str(verdict.n), verdict.fidelity, reason)
    return f"| {_SIGNS[verdict.status]} | {' | '.join(_escape(cell) for cell in cells)} |\n"


def _escape(text: str) -> str:
    """The text as it is: no markup, no link, no mention, and one line."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
