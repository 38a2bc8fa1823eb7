"""Verdicts as SARIF 2.1.0: a rule for each gate, and a result for each one that did not pass.

A fail has kind `fail` and level `error`; an inconclusive verdict kind `open` ("insufficient information to decide",
section 3.27.9) and level `none`, as the standard asks of all that is no failure. Gates that pass have a rule and no
result: code hosts show every result as an alert. Standard: OASIS SARIF version 2.1.0, errata 01.
"""

from __future__ import annotations

import json
import math
from typing import Any
from urllib.parse import quote

from edgebuild import __version__
from edgebuild.engine import digests
from edgebuild.report.judged import Judged

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_KINDS = {"fail": ("fail", "error"), "inconclusive": ("open", "none")}


def render(judged: list[Judged]) -> str:
    """A log with one run."""
    rules = list(dict.fromkeys(_rule(item) for item in judged))
    run = {
        "tool": {
            "driver": {
                "name": "edgebuild",
                "semanticVersion": __version__,
                "rules": [_described(rule, judged) for rule in rules],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(item, rules.index(_rule(item))) for item in judged if item.verdict.status in _KINDS],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1, ensure_ascii=False) + "\n"


def _rule(item: Judged) -> str:
    return f"gate/{item.verdict.metric}"


def _described(rule: str, judged: list[Judged]) -> dict[str, Any]:
    limits = dict.fromkeys(item.verdict.limit for item in judged if _rule(item) == rule)
    metric = rule.partition("/")[2]
    return {
        "id": rule,
        "shortDescription": {"text": f"Gate on {metric}"},
        "fullDescription": {"text": f"{metric} must keep its limit ({', '.join(limits)}) on the target."},
    }


def _result(item: Judged, index: int) -> dict[str, Any]:
    verdict, (kind, level) = item.verdict, _KINDS[item.verdict.status]
    identity = digests.of_json([item.target, item.model, item.format, item.against, item.name])
    return {
        "ruleId": _rule(item),
        "ruleIndex": index,
        "kind": kind,
        "level": level,
        "message": {"text": f"{item.suite}: {item.name}: {verdict.status}: {item.line}"},
        "locations": [
            {"physicalLocation": {"artifactLocation": {"uri": quote(item.file)}, "region": {"startLine": 1}}},
        ],
        "partialFingerprints": {"edgebuildGate/v1": identity},
        "properties": {
            "estimate": _finite(verdict.estimate),
            "low": _finite(verdict.low),
            "high": _finite(verdict.high),
            "n": verdict.n,
            "unit": verdict.unit,
            "fidelity": verdict.fidelity,
        },
    }


def _finite(value: float | None) -> float | None:
    """JSON has no infinity, which the end of an interval may be."""
    return value if value is not None and math.isfinite(value) else None
