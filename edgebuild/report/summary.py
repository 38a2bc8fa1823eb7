"""The table of a build: float against compressed, and the verdict of every gate."""

from __future__ import annotations

import math
import os
import statistics
import sys
from typing import TYPE_CHECKING, Any

from edgebuild.report import mistakes
from edgebuild.report.table import table
from edgebuild.spec import documents
from edgebuild.spec.evidence import Predicted, Timed, Undefined, known
from edgebuild.spec.joining import ASSEMBLIES
from edgebuild.spec.registry import TASKS
from edgebuild.spec.units import show_bytes, show_count, show_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from edgebuild.bundle.facts import BundleManifest
    from edgebuild.spec.calibration import Calibration
    from edgebuild.spec.evidence import (
        Accuracy,
        Answers,
        CutPlace,
        Cuts,
        Drop,
        Evidence,
        Footprint,
        Joined,
        Latency,
        Processes,
        Proof,
        Proved,
        Rate,
        Samples,
        Scores,
        SecondOpinion,
        SourceParity,
        Verdict,
    )
    from edgebuild.verbs.build import Outcome
    from edgebuild.verbs.journal import Journal

COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow"}
_MEANING = {"pass": "released", "fail": "no bundle, only the evidence", "inconclusive": "candidate, not released"}


def document(outcomes: list[Outcome], journal: Journal, status: str) -> dict[str, Any]:
    """The build as plain data."""
    return {
        "status": status,
        "ran": documents.to_json(journal.ran),
        "reused": journal.reused,
        "fetched": journal.fetched_steps,
        "counts": {"local": journal.reused, "remote": len(journal.fetched_steps), "ran": len(journal.ran)},
        "cache": cache(journal),
        "cluster": _cluster(journal),
        "notices": journal.notices,
        "bundles": [
            {"target": o.target, "model": o.model, "folder": str(o.folder)}
            | documents.to_json(o.verdicts)
            | ({"gate": {"status": o.gate.status, **documents.to_json(o.gate.gate)}} if o.gate else {})
            | {"notes": list(o.notes), "calibrations": documents.to_json(o.calibrations)}
            | {"packages": {kind: str(folder) for kind, folder in o.packages.items()}}
            for o in outcomes
        ],
    }


def show(outcomes: list[Outcome], journal: Journal) -> None:
    """Print every outcome and one line about the work done."""
    for outcome in outcomes:
        verdicts = outcome.verdicts
        for name in sorted(verdicts.formats, key=lambda name: name != verdicts.format):
            judged, shipped = verdicts.formats[name], name == verdicts.format and outcome.status != "fail"
            title = f"{outcome.model} for {outcome.target}, {name}{' (shipped)' * shipped}"
            show_one(title, judged.evidence, judged.verdicts)
        _show_calibrations(outcome.calibrations)
        _show_notes(outcome.notes)
        line((outcome.status, COLOURS[outcome.status]), f": {outcome.folder} ({_meaning(outcome)})")
        for kind, folder in outcome.packages.items():
            line((f"{kind}: ", "dim"), str(folder))
        show_next(verdicts.shipped.verdicts)
        if outcome.status == "fail" and verdicts.shipped.evidence.joined is None:  # an assembly has several recipes
            search = f"edgebuild search --target {outcome.target} --model {outcome.model}"
            line(("next: ", "bold"), f"{search} looks for a recipe that passes")
    _show_notes(journal.notices)
    line((_work(journal), "dim"))


def _work(journal: Journal) -> str:
    """How many steps ran, and where the others came from."""
    if not journal.ran and not journal.fetched_steps:
        return "nothing changed, nothing run"
    remote = [f"{len(journal.fetched_steps)} from the cache"] if journal.fetched_steps else []
    return ", ".join([f"{len(journal.ran)} steps run", *remote, f"{journal.reused} up to date"])


def _cluster(journal: Journal) -> dict[str, Any] | None:
    """The cluster of the build, and what it did; None where there was none."""
    if journal.cluster is None:
        return None
    return {"address": journal.cluster.address, **documents.to_json(journal.cluster.counts)}


def cache(journal: Journal) -> dict[str, Any] | None:
    """The cache of the build, and what it did; None where there was none."""
    sharing = journal.sharing
    return {"url": sharing.place.shown, **documents.to_json(sharing.counts)} if sharing else None


def _meaning(outcome: Outcome) -> str:
    gate = outcome.gate
    return f"{gate.status} by a gate on {gate.gate.device}" if gate else _MEANING[outcome.status]


def show_bundle(facts: BundleManifest) -> None:
    """Print the table of a bundle from its manifest."""
    title = f"{facts.subject.model} for {facts.subject.target}, {facts.format}"
    show_one(title, facts.evidence, facts.verdicts)
    _show_calibrations({record.step: record.calibration for record in facts.provenance if record.calibration})
    _show_notes(facts.notes)
    line(f"status: {facts.status}")


def _show_calibrations(steps: Mapping[str, Calibration]) -> None:
    """What ranges came from, a line for each step that took some."""
    for step, calibration in steps.items():
        line(("calibrated: ", "dim"), f"{step}: {calibration.line}")


def _show_notes(notes: Iterable[str]) -> None:
    """What the steps did of their own accord, a line each."""
    for note in notes:
        line(("note: ", "yellow"), note)


def show_next(verdicts: Iterable[Verdict]) -> None:
    """Print for each gate that did not pass how it missed, and what is likely to mend it."""
    for verdict in verdicts:
        if verdict.next:
            missed = f"{verdict.name} {verdict.limit!r}, {verdict.status}: {verdict.reason}"
            line(("next: ", "bold"), f"{missed}. Try {verdict.next}")


def show_one(
    title: str, evidence: Evidence, verdicts: Iterable[Verdict], names: tuple[str, str] = ("float", "compressed")
) -> None:
    """Print the measurements and verdicts of one comparison; `names` are those of its two files."""
    table(("", *names, ""), rows(evidence), title=title)
    if evidence.joined:
        table(*parts(evidence.joined), title=whole(evidence.joined))
    if evidence.cuts:
        table(*cuts(evidence.cuts), title=split(evidence.cuts))
    if evidence.scores:
        mistakes.show(evidence.scores, names)
    if evidence.proof and evidence.proof.steps:
        table(*proofs(evidence.proof), title=_chosen_by(evidence.proof))
    gates = [(v.name, v.limit, v.status, str(v.n), v.fidelity, v.reason) for v in verdicts]
    table(("gate", "limit", "verdict", "n", "fidelity", "why"), gates, colours=COLOURS)


Row = tuple[str, str, str, str]


def rows(evidence: Evidence) -> list[Row]:
    """What was measured: name, float baseline, compressed, and how they compare."""
    timed = [_timed(latency) for latency in (evidence.latency, evidence.host_latency) if latency is not None]
    return [
        *_imported(evidence.source_parity),
        *_right(evidence.accuracy),
        *_scores(evidence.scores),
        *_weights(known(evidence.footprint)),
        *timed,
        *_of_processes(evidence.processes),
    ]


def _imported(parity: SourceParity | None) -> list[Row]:
    """How far the float file is from the model that came; only a file of others has that."""
    if parity is None:
        return []
    worst = max(parity.outputs.values(), key=lambda output: output.relative)
    where = " and ".join(f"{runtime} {version}" for runtime, version in parity.original.items())
    row = ("as it came", f"off by {worst.relative:.1e}", "", f"n = {worst.n}, in {where}")
    return [row] if parity.second is None else [row, _second(parity.second)]


def _second(second: SecondOpinion) -> Row:
    """How far the float file is from another converter's, or why that made none."""
    name = "as others convert it"
    if second.refused is not None:
        return (name, "–", "", second.refused)
    worst = max(second.outputs.values(), key=lambda output: output.relative)
    of = " and ".join(f"{tool} {version}" for tool, version in second.converter.items())
    return (name, f"off by {worst.relative:.1e}", "", f"n = {worst.n}, the converter of {of}")


def _weights(footprint: Footprint) -> list[Row]:
    """What is counted; a download only where it is another file."""
    ours, theirs = footprint.candidate, footprint.baseline
    counts = [("bytes", theirs.bytes, ours.bytes)]
    counts += [("download", theirs.download, ours.download)] if ours.download != ours.bytes else []
    counts += [("parameters", theirs.parameters, ours.parameters), ("MACs", theirs.macs, ours.macs)]
    return [(name, show_count(before), show_count(after), _times(before, after)) for name, before, after in counts]


def _of_processes(processes: Processes | None) -> list[Row]:
    """Starts and memory, where a gate had them measured."""
    if processes is None:
        return []
    start = _middles("cold start", processes, processes.cold_start, show_seconds, ("faster", "slower"))
    return start + _middles("memory", processes, processes.memory, show_bytes, ("smaller", "larger"))


def _middles(
    name: str, processes: Processes, samples: Samples, show: Callable[[float], str], words: tuple[str, str]
) -> list[Row]:
    if not samples.baseline:
        return []
    theirs, ours = statistics.median(samples.baseline), statistics.median(samples.candidate)
    compared = _compared(theirs / ours, *words, 2)
    return [(f"{name} ({processes.fidelity})", show(theirs), show(ours), compared)]


def _right(accuracy: Accuracy | None) -> list[Row]:
    """Shares of right answers; only a classification has them."""
    heads = accuracy.heads if accuracy else {}
    return [_right_of(_of_head("accuracy", name, heads), answers) for name, answers in heads.items()]


def _right_of(name: str, answers: Answers) -> Row:
    gain = answers.candidate.accuracy - answers.baseline.accuracy
    return name, _rate(answers.baseline), _rate(answers.candidate), f"{100 * gain:+.2f} pp"


def _of_head(what: str, name: str, heads: Mapping[str, Any]) -> str:
    """The name of a head is told where there are several."""
    return f"{what} of {name}" if len(heads) > 1 else what


def proofs(proof: Proof) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns, and a row for each technique of the recipe: what it changed, and whether it bought anything."""
    choices = {head: TASKS.get(task).choice for head, task in proof.tasks.items()}
    answers = [_of_head("right answers" if choice else "error", head, choices) for head, choice in choices.items()]
    columns = ("step", "bytes", "compressed", "MACs", "instructions", "time", *answers, "")
    effects = [[_effect(step.drops[head], choice) for head, choice in choices.items()] for step in proof.steps]
    return columns, [(*_changes(step), *row, _worth(step)) for step, row in zip(proof.steps, effects, strict=True)]


def parts(joined: Joined) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns, and a row for each part of an assembly: what it weighs and takes, and how often it runs."""
    rows: list[tuple[str, ...]] = []
    for part in joined.parts:
        seconds = show_seconds(part.seconds) if part.seconds is not None else ""
        rows.append((part.name, show_count(part.bytes), seconds, f"{_rate(part.runs.share)}, n = {part.runs.of}"))
    return ("part", "bytes", "time", "runs for"), rows


def whole(joined: Joined) -> str:
    """What joins the parts, and the time of the whole: the mean with its ends, and the worst case."""
    if (times := joined.times) is None:
        return joined.joined.use
    ends = f"{show_seconds(times.mean)} [{show_seconds(times.low)}, {show_seconds(times.high)}]"
    last = joined.parts[-1]
    kind = ASSEMBLIES.usable().get(joined.joined.use)
    alone = kind is None or not kind.files  # a half answers nothing alone
    slower = alone and last.seconds is not None and times.mean >= last.seconds
    joining = f"{joined.joined.use}: mean {ends}, worst case {show_seconds(times.worst)} ({times.fidelity})"
    return joining + (f"; {last.name} alone is as fast" if slower else "")


def cuts(measured: Cuts) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns, and a row for each place where a model can be cut: what crosses, and what that takes over links."""
    links = sorted(measured.there, key=float)
    rows: list[tuple[str, ...]] = []
    for cut in measured.table:
        times = [show_seconds(cut.total[link]) for link in links]
        sides = (show_seconds(cut.edge_seconds), show_seconds(cut.server_seconds))
        choice = "chosen" if cut is measured.best else _not_taken(cut)
        shape = f"{'×'.join(map(str, cut.shape))} {cut.dtype}"
        rows.append((cut.tensor, shape, show_count(cut.bytes), *sides, *times, choice))
    there = [show_seconds(measured.there[link]) for link in links]
    rows.append(("(input)", "", "", "", "", *there, "all at the server"))
    return ("cut behind", "shape", "bytes", "edge", "server", *(_bits(link) for link in links), ""), rows


def _not_taken(cut: CutPlace) -> str:
    return "" if cut.equal and cut.useful else "no work on one side, or too large" if cut.equal else "answers differ"


def _bits(link: str) -> str:
    return f"{float(link) / 1e6:g} Mbit/s"


def split(measured: Cuts) -> str:
    """Where the model is cut, and how the edge's times were had."""
    how = f"edge times are this machine's × {measured.scale:.3g} ({measured.fidelity})"
    return f"cut behind {measured.chosen}; all at the edge takes {show_seconds(measured.here)}; {how}"


def _chosen_by(proof: Proof) -> str:
    """Which examples the proofs are told on: never those that judge."""
    if proof.validation is None:  # a bundle of an edgebuild that chose by the examples that judge
        return ""
    origin = ", cut from the training data" if proof.validation.cut else ""
    return f"what each step changed; answers on {proof.validation.n} validation examples{origin}"


def _changes(step: Proved) -> list[str]:
    before, after = step.before, step.after
    pairs = (
        (before.bytes, after.bytes),
        (before.compressed, after.compressed),
        (before.macs, after.macs),
        (before.instructions, after.instructions),
        (before.seconds, after.seconds),
    )
    return [step.step, *(_change(*pair) for pair in pairs)]


def _effect(drop: Drop, answers: bool) -> str:
    """On right answers in points, or on the mean error in its own unit."""
    if not answers:
        return f"{drop.estimate:+.3g} [{drop.low:+.3g}, {drop.high:+.3g}]"
    gain, low, high = (0.0 - 100 * value for value in (drop.estimate, drop.high, drop.low))  # 0.0 − 0.0 has no sign
    return f"{gain:+.2f} pp [{low:+.2f}, {high:+.2f}]"


def _worth(step: Proved) -> str:
    if step.useless:
        return f"useless: costs {' and '.join(step.costs)}, buys nothing"
    return "pays" if step.gains else "changes nothing that is measured here"


def _change(before: float | None, after: float | None) -> str:
    return f"{after / before - 1:+.1%}" if before and after else ""


def _scores(scores: Scores | None) -> list[Row]:
    """Metrics that were compared by bootstrap; one without a value has the reason instead."""
    if scores is None:
        return []
    shown: list[Row] = []
    for head, changes in scores.heads.items():
        for metric, bounds in changes.metrics.items():
            name, change = _of_head(metric, head, scores.heads), next(iter(bounds.values()))
            if isinstance(change, Undefined):
                shown.append((name, "", "", change.undefined))
            else:
                shown.append((name, f"{change.baseline:.4g}", f"{change.candidate:.4g}", f"n = {scores.n}"))
    return shown


def _timed(latency: Latency) -> Row:
    """Seconds of float and compressed; a prediction shows its band."""
    theirs, ours = statistics.median(latency.baseline_seconds), statistics.median(latency.candidate_seconds)
    band = f" ± {latency.band.error:.0%}" if isinstance(latency, Predicted) else ""
    name = f"latency ({latency.fidelity})"
    return name, show_seconds(theirs) + band, show_seconds(ours) + band, _speed(latency, theirs / ours)


def _rate(rate: Rate) -> str:
    return f"{rate.accuracy:.2%} [{rate.low:.2%}, {rate.high:.2%}]"


def _times(theirs: int, ours: int) -> str:
    return _compared(theirs / ours, "smaller", "larger", 1) if theirs and ours else ""


def _speed(latency: Latency, separate: float) -> str:
    """The interleaved ratio where there is one: medians of separate times would hide the machine's drift."""
    logs = latency.log_ratios if isinstance(latency, Timed) else ()
    faster = math.exp(-statistics.median(logs)) if logs else separate
    return _compared(faster, "faster", "slower", 2)


def _compared(times: float, better: str, worse: str, digits: int) -> str:
    return f"{times:.{digits}f}× {better}" if times >= 1 else f"{1 / times:.{digits}f}× {worse}"


def line(*parts: str | tuple[str, str]) -> None:
    """Print one line of texts, each alone or with its style, which only a terminal shows."""
    if not (sys.stdout.isatty() or os.environ.get("FORCE_COLOR")):
        print("".join(part if isinstance(part, str) else part[0] for part in parts))
        return
    from rich.console import Console
    from rich.text import Text

    Console(soft_wrap=True, highlight=False).print(Text.assemble(*parts))
