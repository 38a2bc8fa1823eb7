"""The table of a build: float against compressed, and the verdict of every gate."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from edgebuild.report.table import table
from edgebuild.spec.units import show_bytes, show_count, show_seconds

if TYPE_CHECKING:
    from edgebuild.verbs.build import Journal, Outcome

COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow"}
_CHANGES = ("bytes", "compressed", "macs", "instructions", "seconds")
_MEANING = {"pass": "released", "fail": "no bundle, only the evidence", "inconclusive": "candidate, not released"}


def document(outcomes: list[Outcome], journal: Journal, status: str) -> dict[str, Any]:
    """The build as plain data."""
    return {
        "status": status,
        "ran": journal.ran,
        "reused": journal.reused,
        "notices": journal.notices,
        "bundles": [
            {"target": o.target, "model": o.model, "status": o.status, "folder": str(o.folder), **o.verdicts}
            | {"notes": list(o.notes)}
            for o in outcomes
        ],
    }


def show(outcomes: list[Outcome], journal: Journal) -> None:
    """Print every outcome and one line about the work done."""
    for outcome in outcomes:
        verdicts = outcome.verdicts
        for name in sorted(verdicts["formats"], key=lambda name: name != verdicts["format"]):
            found = verdicts["formats"][name]
            shipped = name == verdicts["format"] and outcome.status != "fail"
            show_one(f"{outcome.model} for {outcome.target}, {name}{' (shipped)' * shipped}", found)
        _show_notes(outcome.notes)
        line((outcome.status, COLOURS[outcome.status]), f": {outcome.folder} ({_meaning(outcome)})")
        show_next(verdicts["formats"][verdicts["format"]]["verdicts"])
    _show_notes(journal.notices)
    ran = (
        f"{len(journal.ran)} steps run, {journal.reused} up to date" if journal.ran else "nothing changed, nothing run"
    )
    line((ran, "dim"))


def _meaning(outcome: Outcome) -> str:
    gate = outcome.verdicts.get("gate")
    return f"{gate['status']} by a gate on {gate['device']}" if gate else _MEANING[outcome.status]


def show_bundle(manifest: dict[str, Any]) -> None:
    """Print the table of a bundle from its manifest."""
    subject = manifest["subject"]
    show_one(f"{subject['model']} for {subject['target']}, {manifest['runtime']['format']}", manifest)
    _show_notes(manifest.get("notes", ()))
    line(f"status: {manifest['status']}")


def _show_notes(notes: Iterable[str]) -> None:
    """What the steps did of their own accord, a line each."""
    for note in notes:
        line(("note: ", "yellow"), note)


def show_next(verdicts: list[dict[str, Any]]) -> None:
    """Print for each gate that did not pass how it missed, and what is likely to mend it."""
    for verdict in verdicts:
        if verdict.get("next"):
            missed = f"{verdict['metric']} {verdict['limit']!r}, {verdict['status']}: {verdict['reason']}"
            line(("next: ", "bold"), f"{missed}. Try {verdict['next']}")


_FOOTPRINT = (("bytes", "bytes"), ("download", "download"), ("parameters", "parameters"), ("MACs", "macs"))


def show_one(title: str, found: dict[str, Any], names: tuple[str, str] = ("float", "compressed")) -> None:
    """Print the measurements and verdicts of one comparison; `names` are those of its two files."""
    table(("", *names, ""), rows(found["evidence"]), title=title)
    if found["evidence"].get("proof", {}).get("steps"):
        table(*proofs(found["evidence"]["proof"]), title=_chosen_by(found["evidence"]["proof"]))
    keys = ("metric", "limit", "status", "n", "fidelity", "reason")
    gates = [[str(verdict[key]) for key in keys] for verdict in found["verdicts"]]
    table(("gate", "limit", "verdict", "n", "fidelity", "why"), gates, colours=COLOURS)


def rows(evidence: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """What was measured: name, float baseline, compressed, and how they compare."""
    footprint = evidence["footprint"]
    counted = [
        (name, show_count(footprint["baseline"][key]), show_count(footprint["candidate"][key]), _times(footprint, key))
        for name, key in _FOOTPRINT
        if key != "download" or footprint["candidate"].get(key) not in (None, footprint["candidate"]["bytes"])
    ]
    timed = [_timed(evidence[kind]) for kind in ("latency", "host-latency") if kind in evidence]
    right = [_right(evidence["accuracy"])] if "accuracy" in evidence else []
    return [*right, *_scores(evidence.get("scores", {})), *counted, *timed, *_of_processes(evidence)]


def _of_processes(evidence: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Starts and memory, where a gate had them measured."""
    found, rows = evidence.get("processes", {}), []
    for kind, show, words in (
        ("cold_start", show_seconds, ("faster", "slower")),
        ("memory", show_bytes, ("smaller", "larger")),
    ):
        values = found.get(kind, {"baseline": []})
        if values["baseline"]:
            theirs, ours = (statistics.median(values[role]) for role in ("baseline", "candidate"))
            name = f"{kind.replace('_', ' ')} ({found['fidelity']})"
            rows.append((name, show(theirs), show(ours), _compared(theirs / ours, *words, 2)))
    return rows


def _right(accuracy: dict[str, Any]) -> tuple[str, str, str, str]:
    """Shares of right answers; only a classification has them."""
    gain = accuracy["candidate"]["accuracy"] - accuracy["baseline"]["accuracy"]
    return "accuracy", _rate(accuracy["baseline"]), _rate(accuracy["candidate"]), f"{100 * gain:+.2f} pp"


def proofs(proof: dict[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns, and a row for each technique of the recipe: what it changed, and whether it bought anything."""
    answers = proof["task"] == "classification"
    columns = ("step", "bytes", "compressed", "MACs", "instructions", "time", "right answers" if answers else "error")
    return (*columns, ""), [(*_changes(step), _effect(step["drop"], answers), _worth(step)) for step in proof["steps"]]


def _chosen_by(proof: dict[str, Any]) -> str:
    """Which examples the proofs are told on: never those that judge."""
    if "validation" not in proof:  # a bundle of an edgebuild that chose by the examples that judge
        return ""
    examples = proof["validation"]
    origin = ", cut from the training data" if examples["cut"] else ""
    return f"what each step changed; answers on {examples['n']} validation examples{origin}"


def _changes(step: dict[str, Any]) -> list[str]:
    return [step["step"], *(_change(step["before"].get(name), step["after"].get(name)) for name in _CHANGES)]


def _effect(drop: dict[str, float], answers: bool) -> str:
    """On right answers in points, or on the mean error in its own unit."""
    if not answers:
        return f"{drop['estimate']:+.3g} [{drop['low']:+.3g}, {drop['high']:+.3g}]"
    gain, low, high = (0.0 - 100 * drop[name] for name in ("estimate", "high", "low"))  # 0.0 − 0.0 has no sign
    return f"{gain:+.2f} pp [{low:+.2f}, {high:+.2f}]"


def _worth(step: dict[str, Any]) -> str:
    if step["useless"]:
        return f"useless: costs {' and '.join(step['costs'])}, buys nothing"
    return "pays" if step["gains"] else "changes nothing that is measured here"


def _change(before: float | None, after: float | None) -> str:
    return f"{after / before - 1:+.1%}" if before and after else ""


def _scores(scores: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Metrics that were compared by bootstrap; one without a value has the reason instead."""
    rows = []
    for metric, bounds in scores.get("metrics", {}).items():
        found = next(iter(bounds.values()))
        if "undefined" in found:
            rows.append((metric, "", "", found["undefined"]))
        else:
            rows.append((metric, f"{found['baseline']:.4g}", f"{found['candidate']:.4g}", f"n = {scores['n']}"))
    return rows


def _timed(latency: dict[str, Any]) -> tuple[str, str, str, str]:
    """Seconds of float and compressed; a prediction shows its band."""
    theirs, ours = (statistics.median(latency[f"{role}_seconds"]) for role in ("baseline", "candidate"))
    band = f" ± {latency['band']:.0%}" if "band" in latency else ""
    name = f"latency ({latency['fidelity']})"
    return name, show_seconds(theirs) + band, show_seconds(ours) + band, _speed(latency, theirs / ours)


def _rate(rate: dict[str, float]) -> str:
    return f"{rate['accuracy']:.2%} [{rate['low']:.2%}, {rate['high']:.2%}]"


def _times(footprint: dict[str, dict[str, int]], key: str) -> str:
    theirs, ours = footprint["baseline"][key], footprint["candidate"][key]
    return _compared(theirs / ours, "smaller", "larger", 1) if theirs and ours else ""


def _speed(latency: dict[str, Any], separate: float) -> str:
    """The interleaved ratio where there is one: medians of separate times would hide the machine's drift."""
    logs = latency.get("log_ratios")
    faster = math.exp(-statistics.median(logs)) if logs else separate
    return _compared(faster, "faster", "slower", 2)


def _compared(times: float, better: str, worse: str, digits: int) -> str:
    return f"{times:.{digits}f}× {better}" if times >= 1 else f"{1 / times:.{digits}f}× {worse}"


def line(*parts: str | tuple[str, str]) -> None:
    """Print one line of texts, each alone or with its style."""
    from rich.console import Console
    from rich.text import Text

    Console(soft_wrap=True, highlight=False).print(Text.assemble(*parts))
