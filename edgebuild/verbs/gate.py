"""A gate on a finished bundle: measure its file again on a device, judge it, and let the verdict decide its status."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.bundle import baselines, commit, facts, history, manifest, promote
from edgebuild.bundle.facts import BundleManifest, Gate, Manifest, Standing
from edgebuild.engine import digests, files, owned
from edgebuild.engine.store import Store, disk_error
from edgebuild.gates.statistics.drift import COUNTED, MEASURED, Drift, drift
from edgebuild.spec import documents
from edgebuild.spec.errors import UsageError
from edgebuild.spec.evidence import VERDICTS, Evidence, Judged, Predicted, Status, Verdict, Verdicts, combine
from edgebuild.spec.project import Project
from edgebuild.spec.target import Fidelity
from edgebuild.verbs.journal import Journal, Listener, bring_up, shared

if TYPE_CHECKING:
    from edgebuild.bundle.baselines import Baseline
    from edgebuild.engine.store import Action
    from edgebuild.engine.task import Limits
    from edgebuild.plan.gate import Compared, GatePlan, Subject
    from edgebuild.spec.cache import Place

_RESULT = "gate.json"
_FILES = ("candidate", "baseline")  # of which the history has digests


@dataclass(frozen=True, slots=True)
class Request:
    """What to judge: a bundle, on a target and perhaps a device of one's own choice, against a release or without.

    With `withdraw` a bundle that fails loses its release. `cache` is where results are shared with other machines.
    """

    project: Project
    bundle: Path
    target: str
    baselines: Path
    against: str | None = None
    device: str | None = None
    withdraw: bool = False
    jobs: int = 1
    cache: Place | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The verdicts of one comparison and the evidence that they rest on."""

    against: str
    status: Status
    verdicts: tuple[Verdict, ...]
    evidence: Evidence
    fingerprints: dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Result:
    """What the gate said, on which device, and the bundle's status before and after; `folder` has the evidence."""

    target: str
    model: str
    format: str
    bundle: Path
    folder: Path
    status: Status
    before: Standing
    after: Standing
    device: str
    fidelity: Fidelity
    fingerprint: dict[str, str]
    comparisons: tuple[Comparison, ...]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        plain: dict[str, Any] = documents.to_json(self)
        return plain


def gate(request: Request, events: Listener, limits: Limits) -> tuple[Result, Journal]:
    """Judge the bundle; promote a candidate that passes, and withdraw only what `request` says may be withdrawn.

    UsageError for what cannot be compared, IntegrityError for a bundle or a baseline with a wrong digest, DeviceError
    when the device fails. The bundle's files stay as they are but for its manifest, card and the gate's evidence.
    """
    from edgebuild.plan import gate as planner

    journal = Journal(events)
    with shared(request.cache, journal), _opened(request) as (store, copy):
        facts = manifest.verify_bundle(copy)
        owned.check_replaceable(_folder(request), _RESULT)
        release = _release(request, facts)
        subject = _subject(request, store, copy, facts, release)
        plan = planner.make(store, subject)
        for notice in plan.notices:
            events.notice(notice)
        done = bring_up(store, plan.graph, request.jobs, journal, limits)
        comparisons = tuple(_comparison(store, item, done) for item in plan.compared)
        warnings = tuple(_warnings(request, facts, release, comparisons, subject))
        result = _result(request, facts, plan, comparisons, warnings)
        _settle(request, result, copy, store, plan, done)
        try:
            history.append(request.project.root, [_entry(request, result, facts)])
        except OSError as error:
            events.notice(f"{history.FILE} cannot be written: {error.strerror}")
    return result, journal


def _folder(request: Request) -> Path:
    """Where the evidence of the gate goes."""
    return request.bundle.with_name(f"{request.bundle.name}.gate")


@contextmanager
def _opened(request: Request) -> Iterator[tuple[Store, Path]]:
    """The store, and a copy of the bundle that nobody changes while it is judged."""
    store = Store(request.project.store)
    try:
        manifest.verify_bundle(request.bundle)
        copy = store.scratch("gate") / "bundle"
        try:
            shutil.copytree(request.bundle, copy, symlinks=True, copy_function=shutil.copyfile)
        except (OSError, shutil.Error) as error:
            raise UsageError(f"cannot be read: {error}", file=str(request.bundle)) from None
        yield store, copy
    finally:
        store.close()


def _release(request: Request, facts: BundleManifest) -> Baseline | None:
    """The release to compare with, when it is one of the same target and format, and answers the same question."""
    if request.against is None:
        return None
    release = baselines.release(request.baselines, request.against)
    ours = {"target": request.target, "model": facts.subject.model, "format": facts.format}
    theirs = {"target": release.target, "model": release.model, "format": release.format}
    others = [name for name in ours if ours[name] != theirs[name]]
    if others and not (others == ["model"] and _alike(facts, release.facts)):
        differences = ", ".join(f"{name} {theirs[name]!r}, not {ours[name]!r}" for name in others)
        hint = (
            "another model must take and answer the same, of the same held-out examples" if "model" in others else None
        )
        raise UsageError(
            f"cannot be compared with this bundle: it is of {differences}", file=str(release.folder), hint=hint
        )
    return release


def _alike(ours: Manifest, theirs: Manifest) -> bool:
    """Whether two models take and answer the same, of the same held-out examples."""
    one, other = (
        (each.subject.signature, each.subject.heads, each.subject.preprocess, each.sources.get("data"))
        for each in (ours, theirs)
    )
    return one == other


def _subject(request: Request, store: Store, copy: Path, facts: BundleManifest, release: Baseline | None) -> Subject:
    """What is judged, on the target or on the device that was named; UsageError for a bundle of another target."""
    from edgebuild.plan.instruments import addressed
    from edgebuild.plan.subject import Finder

    built_for = facts.subject.target
    target = request.project.target(request.target)
    if built_for != target.name:
        hint = f"edgebuild gate {request.bundle} --target {built_for}"
        raise UsageError(f"is a bundle for {built_for!r}, not for {target.name!r}", file=str(request.bundle), hint=hint)
    if request.device is not None:
        target = replace(target, devices=(addressed(request.device),))
    model = request.project.model(facts.subject.model)
    finder = Finder(store, request.bundle, copy, facts, request.baselines, release)
    return finder.subject(target, model, request.project.policy())


def _comparison(store: Store, item: Compared, done: Mapping[str, Action]) -> Comparison:
    judged = documents.read(Verdicts, store.path(done[item.verdicts].output) / VERDICTS).shipped
    fingerprints = {role.partition("/")[0]: dict(facts) for role, facts in item.fingerprints.items()}
    return Comparison(item.against, judged.status, judged.verdicts, judged.evidence, fingerprints)


def _warnings(
    request: Request,
    facts: BundleManifest,
    release: Baseline | None,
    comparisons: tuple[Comparison, ...],
    subject: Subject,
) -> Iterator[str]:
    """What makes a reader careful: another machine than before, or the same one that has changed."""
    for comparison, known in zip(comparisons, (None, release), strict=False):
        digest = known.facts.sources.get("candidate") if known else facts.sources["baseline"]  # none of several files
        measured_on = comparison.fingerprints.get("latency", {})
        earlier = baselines.samples(known, "candidate", measured_on) if known else []
        earlier += history.times(request.project.root, digest, measured_on) if digest else []
        latency = comparison.evidence.latency
        now, tolerance = history.middles(latency).baseline, COUNTED if isinstance(latency, Predicted) else MEASURED
        if now is not None and (alarm := drift(earlier, now, tolerance)) is not None:
            yield _alarm(comparison.against, alarm)
        if known and (keys := baselines.differing(measured_on, known.facts.fingerprints.get("latency", {}))):
            yield f"{known.name} was measured elsewhere ({', '.join(keys)} differ): its stored times are not compared"
    if subject.data is None:
        yield "the held-out examples are as the model's code loads them now; those of the build are not here"


def _alarm(name: str, alarm: Drift) -> str:
    return (
        f"the machine has changed, not the model: {name} takes {alarm.now:.3g} s here, far above {alarm.median:.3g} s, "
        f"the median of {alarm.n} earlier times (limit {alarm.fence:.3g} s)"
    )


def _result(
    request: Request,
    facts: BundleManifest,
    plan: GatePlan,
    comparisons: tuple[Comparison, ...],
    warnings: tuple[str, ...],
) -> Result:
    status, before = combine([item.status for item in comparisons]), facts.status
    after: Standing = (
        "released" if status == "pass" else "withdrawn" if status == "fail" and request.withdraw else before
    )
    return Result(
        target=request.target,
        model=facts.subject.model,
        format=facts.format,
        bundle=request.bundle,
        folder=_folder(request),
        status=status,
        before=before,
        after=after,
        device=plan.instrument.device.transport,
        fidelity=plan.instrument.fidelity,
        fingerprint=plan.instrument.fingerprint,
        comparisons=comparisons,
        warnings=warnings,
    )


def _settle(
    request: Request,
    result: Result,
    copy: Path,
    store: Store,
    plan: GatePlan,
    done: Mapping[str, Action],
) -> None:
    """Keep the evidence, and give the bundle its new status."""
    staging = Path(tempfile.mkdtemp(dir=store.scratch("gate-evidence")))
    for number, item in enumerate(plan.compared):
        for role, identity in item.evidence.items():
            place = staging / ("float" if number == 0 else "baseline") / role.replace("/", "-")
            shutil.copytree(store.path(done[identity].output), place, copy_function=shutil.copyfile)
    (staging / _RESULT).write_text(json.dumps(result.to_json(), indent=1, sort_keys=True) + "\n")
    try:
        files.publish_tree(staging, result.folder)
        if result.after != result.before:
            _restate(request, result, copy, staging)
    except OSError as error:
        raise disk_error(error, request.bundle) from None


def _entry(request: Request, result: Result, facts: BundleManifest) -> history.Entry:
    """The line of the history: the verdicts of all comparisons, the times of the first."""
    first = result.comparisons[0]
    verdicts = tuple(verdict for item in result.comparisons for verdict in item.verdicts)
    judged = Judged(result.status, verdicts, first.evidence)
    named = {role: digest for role, digest in facts.sources.items() if role.partition("/")[0] in _FILES}
    measured_on = first.fingerprints.get("latency", {})
    subject = history.Subject("gate", result.target, result.model, result.format)
    return history.entry(request.project.root, subject, judged, named, measured_on)


def _restate(request: Request, result: Result, copy: Path, evidence: Path) -> None:
    """Put the bundle with its new status in the place of the old, unless somebody has changed that meanwhile."""
    if digests.of_tree(request.bundle) != digests.of_tree(copy):
        raise UsageError("was changed while the gate ran: nothing was promoted", file=str(request.bundle))
    first = result.comparisons[0]
    judgement = Gate(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit.at(request.project.root),
        device=result.device,
        fidelity=result.fidelity,
        fingerprint=result.fingerprint,
        comparisons=tuple(facts.Compared(each.against, each.status, each.verdicts) for each in result.comparisons),
    )
    status: Standing = "released" if result.after == "released" else "withdrawn"
    judged = facts.Judged(status, first.verdicts, first.evidence, first.fingerprints)
    promote.restate(copy, judged, judgement, evidence)
    files.publish_tree(copy, request.bundle)
