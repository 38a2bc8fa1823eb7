"""How two bundles differ: what they weigh and do, which examples they answer otherwise, and how they were made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgebuild.bundle import manifest
from edgebuild.bundle.baselines import differing
from edgebuild.bundle.difference import About, Difference, HeadAnswers, Operators, RightAnswers, Sides, Times
from edgebuild.bundle.facts import BundleManifest
from edgebuild.bundle.history import middles
from edgebuild.engine import keys
from edgebuild.spec.errors import IntegrityError
from edgebuild.spec.evidence import Answers, hits_key, known
from edgebuild.spec.registry import FORMATS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MADE_BY, _MEASURED_BY = ("edgebuild.steps.", "edgebuild.stages."), "edgebuild.steps.evidence."


class Opened(NamedTuple):
    """A bundle whose bytes were checked."""

    folder: Path
    facts: BundleManifest


Both = Sides[Opened]


def compare(first: Path, second: Path) -> Difference:
    """The differences; IntegrityError for a damaged bundle.

    What cannot be compared, such as times of two machines, has a `reason` instead of a difference.
    """
    both = Sides(first, second).each(lambda folder: Opened(folder, manifest.verify_bundle(folder)))
    return Difference(
        bundles=both.each(_about),
        weights=_weights(both),
        operators=_operators(both),
        accuracy=_accuracy(both),
        latency=_latency(both),
        verdicts=_verdicts(both),
        recipe=_changes(both.each(_options)),
        tools=_changes(both.each(_versions)),
    )


def _about(opened: Opened) -> About:
    facts = opened.facts
    of = (facts.subject.target, facts.subject.model, facts.format)
    return About(opened.folder, *of, facts.status, facts.edgebuild)


def _weights(both: Both) -> dict[str, Sides[int]]:
    """Bytes, parameters and operations of the files that ship, and the bytes of the whole bundle."""
    files = both.each(lambda opened: known(opened.facts.evidence.footprint).candidate)
    return {
        "bytes": files.each(lambda file: file.bytes),
        "download": files.each(lambda file: file.download),
        "parameters": files.each(lambda file: file.parameters),
        "macs": files.each(lambda file: file.macs),
        "bundle": both.each(lambda opened: sum(file.bytes for file in opened.facts.files.values())),
    }


def _operators(both: Both) -> Operators:
    """How many operators of each kind the files of the two have; a reason where a file cannot be read here."""
    try:
        counts = both.each(_counted)
    except ImportError as error:
        return Operators(reason=f"files cannot be read here: {error}")
    names = sorted({*counts.a, *counts.b})
    return Operators({name: Sides(counts.a[name], counts.b[name]) for name in names})


def _counted(opened: Opened) -> Counter[str]:
    every = Counter[str]()
    for part in opened.facts.parts:
        every.update(FORMATS.get(part.runtime.format)().operators(manifest.model(opened.folder, part)))
    return every


def _accuracy(both: Both) -> RightAnswers:
    """Shares of right answers, and the examples that only one of the two gets right."""
    heads = both.each(_heads)
    if not heads.a or not heads.b:
        return RightAnswers(reason="not both have answers that are right or wrong")
    if heads.a.keys() != heads.b.keys():
        return RightAnswers(reason=f"their outputs are others: {', '.join(heads.a)}, and {', '.join(heads.b)}")
    return RightAnswers({name: _of_head(both, heads, name) for name in heads.a})


def _of_head(both: Both, heads: Sides[Mapping[str, Answers]], name: str) -> HeadAnswers:
    """The same of one head."""
    answers, data = heads.each(lambda each: each[name]), both.each(lambda opened: opened.facts.sources.get("data"))
    rates, n = answers.each(lambda each: each.candidate), answers.a.n
    if data.a is None or not data.same:
        return HeadAnswers(rates, n, reason="they were judged on different examples")
    key = hits_key("candidate", name, len(heads.a))
    hits = both.each(lambda opened: _hits(opened, key))
    lost, won = (hits.a & ~hits.b).nonzero()[0], (hits.b & ~hits.a).nonzero()[0]
    return HeadAnswers(rates, n, tuple(lost.tolist()), tuple(won.tolist()))


def _heads(opened: Opened) -> Mapping[str, Answers]:
    """Right answers of every head whose answers are right or wrong."""
    accuracy = opened.facts.evidence.accuracy
    return accuracy.heads if accuracy else {}


def _hits(opened: Opened, key: str) -> NDArray[np.bool_]:
    """Which examples [N] bool the shipped file got right, where its status was decided."""
    import numpy as np

    name = f"accuracy-{opened.facts.format}/hits.npz"
    places = [opened.folder / "evidence" / part / name for part in ("gate/float", ".")]
    for place in places:
        if place.is_file():
            with np.load(place) as stored:
                hits: NDArray[np.bool_] = stored[key]
            return hits
    raise IntegrityError("has no record of the examples that it got right", file=str(opened.folder))


def _latency(both: Both) -> Times:
    """Median seconds of both files and their baselines; comparable only where the same device measured both."""
    timed = both.each(lambda opened: opened.facts.evidence.latency)
    measured_on = both.each(lambda opened: opened.facts.fingerprints.get("latency", {}))
    facts = differing(measured_on.a, measured_on.b)
    reason = f"measured on different machines: {', '.join(facts)} differ" if facts else None
    return Times(timed.each(middles), timed.each(lambda latency: latency.fidelity if latency else None), reason)


def _verdicts(both: Both) -> dict[str, Sides[str | None]]:
    """What each gate says of the two, by metric and limit."""
    statuses = both.each(
        lambda opened: {f"{each.name} {each.limit}": str(each.status) for each in opened.facts.verdicts}
    )
    return {
        name: Sides(statuses.a.get(name), statuses.b.get(name)) for name in dict.fromkeys([*statuses.a, *statuses.b])
    }


def _changes(both: Sides[dict[str, str]]) -> tuple[str, ...]:
    """What differs, one line each."""
    return tuple(keys.changes(both.a, both.b))


def _options(opened: Opened) -> dict[str, str]:
    """The steps that made a bundle, and their options."""
    facts, options = opened.facts, dict[str, str]()
    for record in facts.provenance:
        step = record.parts["step"]
        if step.startswith(_MADE_BY) and not step.startswith(_MEASURED_BY):
            name = record.step.removeprefix(f"{facts.subject.target}/")
            options[name] = step.rpartition(".")[2]
            parts = record.parts.items()
            options |= {f"{name} {part.removeprefix('option.')}": v for part, v in parts if part.startswith("option.")}
    return options


def _versions(opened: Opened) -> dict[str, str]:
    """The tools that made a bundle."""
    parts = [record.parts for record in opened.facts.provenance]
    tools = {name: text for each in parts for name, text in each.items() if name.startswith("tool.")}
    return {name.removeprefix("tool."): text for name, text in tools.items()} | {"edgebuild": opened.facts.edgebuild}
