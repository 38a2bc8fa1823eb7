"""How two bundles differ: what they weigh and do, which examples they answer otherwise, and how they were made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.bundle import manifest
from edgebuild.bundle.baselines import differing
from edgebuild.bundle.history import middle
from edgebuild.engine import keys
from edgebuild.spec.errors import IntegrityError
from edgebuild.spec.registry import FORMATS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SIDES = ("a", "b")
_MADE_BY, _MEASURED_BY = ("edgebuild.steps.", "edgebuild.stages."), "edgebuild.steps.evidence."


def compare(first: Path, second: Path) -> dict[str, Any]:
    """The differences as plain data, side by side under `a` and `b`; IntegrityError for a damaged bundle.

    What cannot be compared, such as times of two machines, has a `reason` instead of a difference.
    """
    folders = dict(zip(_SIDES, (first, second), strict=True))
    facts = {side: manifest.verify_bundle(folder) for side, folder in folders.items()}
    return {
        "bundles": {side: _about(folders[side], found) for side, found in facts.items()},
        "weights": _weights(facts),
        "operators": _operators(folders, facts),
        "accuracy": _accuracy(folders, facts),
        "latency": _latency(facts),
        "verdicts": _verdicts(facts),
        "recipe": _recipe(facts),
        "tools": _tools(facts),
    }


def _about(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    subject = facts["subject"]
    about = {"target": subject["target"], "model": subject["model"], "format": facts["runtime"]["format"]}
    return {"folder": str(folder), **about, "status": facts["status"], "edgebuild": facts["edgebuild"]}


def _weights(facts: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, int | None]]:
    """Bytes, parameters and operations of the files that ship, and the bytes of the whole bundle."""
    footprints = {side: found["evidence"]["footprint"]["candidate"] for side, found in facts.items()}
    names = dict.fromkeys(name for found in footprints.values() for name in found)
    weights: dict[str, dict[str, int | None]] = {
        name: {side: found.get(name) for side, found in footprints.items()} for name in names
    }
    whole = {side: sum(file["bytes"] for file in found["files"].values()) for side, found in facts.items()}
    return weights | {"bundle": dict(whole)}


def _operators(folders: Mapping[str, Path], facts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """How many operators of each kind the two files have; a reason where a file cannot be read here."""
    counts: dict[str, Counter[str]] = {}
    for side, found in facts.items():
        kind = found["runtime"]["format"]
        try:
            counts[side] = Counter(FORMATS.get(kind)().operators(manifest.model(folders[side], found)))
        except ImportError as error:
            return {"reason": f"{kind} files cannot be read here: {error}"}
    names = sorted({*counts["a"], *counts["b"]})
    return {"counts": {name: {side: counts[side][name] for side in _SIDES} for name in names}}


def _accuracy(folders: Mapping[str, Path], facts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Shares of right answers, and the examples that only one of the two gets right."""
    evidence = {side: found["evidence"].get("accuracy") for side, found in facts.items()}
    if None in evidence.values():
        return {"reason": "not both are classifications"}
    found = {"rates": {side: evidence[side]["candidate"] for side in _SIDES}, "n": evidence["a"]["n"]}
    data = [each.get("sources", {}).get("data") for each in facts.values()]
    if data[0] is None or data[0] != data[1]:
        return found | {"reason": "they were judged on different examples"}
    hits = [_hits(folders[side], facts[side]) for side in _SIDES]
    lost, won = (hits[0] & ~hits[1]).nonzero()[0], (hits[1] & ~hits[0]).nonzero()[0]
    return found | {"lost": lost.tolist(), "won": won.tolist()}


def _hits(folder: Path, facts: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Which examples [N] bool the shipped file got right, where its status was decided."""
    import numpy as np

    name = f"accuracy-{facts['runtime']['format']}/hits.npz"
    places = [folder / "evidence" / part / name for part in ("gate/float", ".")]
    for place in places:
        if place.is_file():
            with np.load(place) as stored:
                hits: NDArray[np.bool_] = stored["candidate"]
            return hits
    raise IntegrityError("has no record of the examples that it got right", file=str(folder))


def _latency(facts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Median seconds of both files and their baselines; comparable only where the same device measured both."""
    timed = {side: found["evidence"].get("latency", {}) for side, found in facts.items()}
    known = ("candidate", "baseline")
    seconds = {side: {role: middle(latency, role) for role in known} for side, latency in timed.items()}
    found = {"seconds": seconds, "fidelity": {side: latency.get("fidelity") for side, latency in timed.items()}}
    ours, theirs = (each.get("fingerprints", {}).get("latency", {}) for each in facts.values())
    keys_ = differing(ours, theirs)
    return found | ({"reason": f"measured on different machines: {', '.join(keys_)} differ"} if keys_ else {})


def _verdicts(facts: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str | None]]:
    """What each gate says of the two, by metric and limit."""
    said = {
        side: {f"{verdict['metric']} {verdict['limit']}": verdict["status"] for verdict in found["verdicts"]}
        for side, found in facts.items()
    }
    names = dict.fromkeys([*said["a"], *said["b"]])
    return {name: {side: said[side].get(name) for side in _SIDES} for name in names}


def _recipe(facts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The options of the steps that made the two, as far as they differ, one line each."""
    return keys.changes(*(_options(found) for found in facts.values()))


def _options(facts: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for record in facts["provenance"]:
        step = record["parts"]["step"]
        if step.startswith(_MADE_BY) and not step.startswith(_MEASURED_BY):
            name = record["step"].removeprefix(f"{facts['subject']['target']}/")
            found[name] = step.rpartition(".")[2]
            parts = record["parts"].items()
            found |= {f"{name} {part.removeprefix('option.')}": v for part, v in parts if part.startswith("option.")}
    return found


def _tools(facts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The versions of tools that differ, one line each."""
    return keys.changes(*(_versions(found) for found in facts.values()))


def _versions(facts: Mapping[str, Any]) -> dict[str, str]:
    parts = [record["parts"] for record in facts["provenance"]]
    found = {name: text for each in parts for name, text in each.items() if name.startswith("tool.")}
    return {name.removeprefix("tool."): text for name, text in found.items()} | {"edgebuild": facts["edgebuild"]}
