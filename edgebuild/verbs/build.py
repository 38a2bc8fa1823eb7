"""The product in one call: load what was asked for, plan it, bring it up to date, put the bundles in place."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from edgebuild.bundle import history, manifest
from edgebuild.bundle.facts import Gate, Standing
from edgebuild.engine import digests, files, owned
from edgebuild.engine.scheduler import Events
from edgebuild.engine.store import Store, disk_error
from edgebuild.spec import documents, notes, sha256
from edgebuild.spec.errors import EdgebuildError, UsageError
from edgebuild.spec.evidence import VERDICTS, Judged, Status, Verdict, Verdicts
from edgebuild.spec.project import Project
from edgebuild.spec.registry import GATES

if TYPE_CHECKING:
    from edgebuild.engine.graph import Graph
    from edgebuild.engine.resolve import Outlook
    from edgebuild.engine.store import Action
    from edgebuild.engine.task import Limits
    from edgebuild.plan.planner import Plan, Product
    from edgebuild.plan.recipe import Without

_EVIDENCE = "*/evidence.json"  # in the folder that is published where a gate failed
# Imported once by the server that steps are forked from. Only what is safe to fork: no thread may be running.
_PRELOAD = ("numpy", "torch", "onnx", "edgebuild.nn.checkpoint", "edgebuild.nn.train.training")


@dataclass(frozen=True, slots=True)
class Request:
    """What to build: names of targets, names of models (empty: all), how many steps side by side, and the name of a
    recipe in the place of the targets' own.
    """

    project: Project
    targets: tuple[str, ...]
    models: tuple[str, ...] = ()
    jobs: int = 2
    recipe: str | None = None


@dataclass(frozen=True, slots=True)
class Gated:
    """What a gate has made of a bundle after it was built."""

    status: Standing
    gate: Gate


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one model on one target: its status, where the bundle or the evidence is, the verdicts, whether
    the folder is new, what the steps noted about their work, and what a gate has said since.
    """

    target: str
    model: str
    status: str
    folder: Path
    verdicts: Verdicts
    new: bool = False
    notes: tuple[str, ...] = ()
    gate: Gated | None = None


class Listener(Events, Protocol):
    """Who listens to a whole build: to its steps, and to what the user should know before they run."""

    def notice(self, text: str) -> None:
        """Something the user should know, such as a device that is not there."""


@dataclass(slots=True)
class Journal:
    """A listener that remembers what ran and why, and what the user was told, and passes everything on."""

    onward: Listener
    ran: list[dict[str, Any]] = field(default_factory=list)
    reused: int = 0
    notices: list[str] = field(default_factory=list)

    def notice(self, text: str) -> None:
        """Keep it for the end of the build, where it will be looked for; told once."""
        if text not in self.notices:
            self.notices.append(text)
            self.onward.notice(text)

    def cached(self, label: str) -> None:
        """Count it."""
        self.reused += 1
        self.onward.cached(label)

    def started(self, label: str, reason: str) -> None:
        """Note the reason."""
        self.ran.append({"step": label, "reason": reason})
        self.onward.started(label, reason)

    def progress(self, label: str, done: float, note: str) -> None:
        """Pass it on."""
        self.onward.progress(label, done, note)

    def finished(self, label: str, seconds: float, unchanged: bool) -> None:
        """Note the time."""
        for entry in self.ran:
            if entry["step"] == label:
                entry |= {"seconds": seconds, "same_bytes": unchanged}
        self.onward.finished(label, seconds, unchanged)

    def waiting(self, label: str, why: str) -> None:
        """Pass it on."""
        self.onward.waiting(label, why)


def build(request: Request, events: Listener, limits: Limits) -> tuple[list[Outcome], Journal]:
    """Build everything that was asked for and publish it; raises the first error, with nothing half-written.

    Where a recipe drops what is useless, the build is repeated without the steps that proved so, until none does.
    """
    journal = Journal(events)
    without: dict[tuple[str, str], Without] = {}
    while True:
        with _planned(request, without) as (store, plan):
            _check_output(request.project.dist)
            for product in plan.products:
                _check_places(request.project, product)
            for notice in plan.notices:
                journal.notice(notice)
            done = bring_up(store, plan.graph, request.jobs, journal, limits)
            dropped = _dropped(store, plan, done, without)
            for notice in dropped:
                journal.notice(notice)
            if not dropped:
                outcomes = [_publish(request.project, store, product, done) for product in plan.products]
                _remember(request.project, plan, outcomes, done, journal)
                return outcomes, journal


def _dropped(
    store: Store, plan: Plan, done: Mapping[str, Action], without: dict[tuple[str, str], Without]
) -> list[str]:
    """Add to `without` what proved useless where the recipe says to leave it out; a line for each product with any.

    Of a product whose verdicts are not in `done` nothing is known.
    """
    from edgebuild.plan.useless import useless

    told = []
    for product in plan.products:
        if not product.drop_useless or product.verdicts not in done:
            continue
        place, found = (product.target, product.model), useless(product.chains, _verdicts(store, product, done))
        if found:
            told.append(f"{'/'.join(place)}: {len(found)} useless steps are left out of the recipe")
            without[place] = without.get(place, frozenset()) | found
    return told


def _verdicts(store: Store, product: Product, done: Mapping[str, Action]) -> Verdicts:
    return documents.read(Verdicts, store.path(done[product.verdicts].output) / VERDICTS)


def bring_up(store: Store, graph: Graph, jobs: int, journal: Journal, limits: Limits) -> dict[str, Action]:
    """Run what is not up to date; what ran is kept for `explain` whatever happens."""
    from edgebuild.devices.jobs.turns import Machine
    from edgebuild.engine import worker
    from edgebuild.engine.scheduler import Scheduler
    from edgebuild.spec.surroundings import QUIET

    os.environ.update(QUIET)  # workers inherit it
    worker.preload(_PRELOAD)
    scheduler = Scheduler(graph, store, jobs=jobs, events=journal, limits=limits, turns=Machine())
    try:
        return scheduler.build()
    finally:
        _keep_journal(store, journal)


def foresee(request: Request) -> list[Outlook]:
    """What a build would do now, step by step, without running anything."""
    from edgebuild.engine.resolve import outlook

    with _replayed(request) as (store, plan):
        return [_with_notes(item, store) for item in outlook(plan.graph, store)]


def _with_notes(item: Outlook, store: Store) -> Outlook:
    """The same with what an up-to-date step noted, such as files that it read and whose change nobody would see."""
    said = notes.read(store.path(item.action.output)) if item.action and item.state == "current" else []
    return replace(item, reason="; ".join([item.reason, *said]))


@contextmanager
def _replayed(request: Request) -> Iterator[tuple[Store, Plan]]:
    """The plan that a build would arrive at by what is known: less what proofs that are up to date call useless.

    What was left out is kept nowhere: the rounds of the build are gone through again in its stored verdicts, up to the
    first that would be judged anew.
    """
    from edgebuild.engine.resolve import outlook

    without: dict[tuple[str, str], Without] = {}
    while True:
        with _planned(request, without) as (store, plan):
            drops = any(product.drop_useless for product in plan.products)
            foreseen = {item.label: item for item in outlook(plan.graph, store)} if drops else {}
            judged = [(p.verdicts, foreseen.get(plan.graph.label(p.verdicts))) for p in plan.products]
            done = {name: item.action for name, item in judged if item and item.action and item.state == "current"}
            if not _dropped(store, plan, done, without):
                yield store, plan
                return


@dataclass(frozen=True, slots=True)
class LastVerdict:
    """What the last build said of a metric of one format, what that was measured on, and whether it would stand now.

    `why` says why a build would judge anew.
    """

    target: str
    model: str
    format: str
    shipped: bool
    verdict: Verdict
    state: str
    why: str
    fingerprint: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """As plain data, with the verdict's own fields beside the rest."""
        plain: dict[str, Any] = documents.to_json(self)
        verdict: dict[str, Any] = plain.pop("verdict")
        return plain | verdict


def last_verdicts(request: Request, metric: str) -> list[LastVerdict]:
    """What the last build said of one metric, format by format, with what its evidence was measured on.

    `state` is whether a build would judge anew. UsageError where nothing was judged yet, or not by this metric.
    """
    from edgebuild.engine.resolve import outlook

    verdicts: list[LastVerdict] = []
    with _replayed(request) as (store, plan):
        foreseen = {item.label: item for item in outlook(plan.graph, store)}
        for product in plan.products:
            item = foreseen[plan.graph.label(product.verdicts)]
            if item.action is None or not store.holds(item.action.output):
                told = f"{product.target}/{product.model} was never judged here"
                raise UsageError(told, hint=f"edgebuild build --target {product.target}")
            stored = documents.read(Verdicts, store.path(item.action.output) / VERDICTS)
            for name, verdict in _of_metric(stored, metric):
                measured_on = _measured_on(store, plan, product, name, verdict)
                of_format = (product.target, product.model, name, name == stored.format)
                verdicts.append(LastVerdict(*of_format, verdict, item.state, item.reason, measured_on))
    return verdicts


def _of_metric(stored: Verdicts, metric: str) -> list[tuple[str, Verdict]]:
    """The verdicts on a metric, each with its format."""
    every = [(name, verdict) for name, judged in stored.formats.items() for verdict in judged.verdicts]
    if of_metric := [(name, verdict) for name, verdict in every if verdict.metric == metric]:
        return of_metric
    known = ", ".join(dict.fromkeys(verdict.metric for _, verdict in every))
    raise UsageError(f"no gate on {metric!r}", key="--gate", hint=f"judged were: {known}")


def _measured_on(store: Store, plan: Plan, product: Product, kind: str, verdict: Verdict) -> dict[str, str]:
    """The facts in the keys of the steps that the metric's evidence came from, as they were then."""
    inputs = plan.graph.nodes[product.verdicts].inputs
    metric = verdict.metric
    asked = GATES.get(metric).asks(verdict.limit) or metric
    role = next((name for name in (asked, f"{asked}/{kind}", f"{metric}/{kind}") if name in inputs), None)
    found: dict[str, str] = {}
    for identity in [*plan.graph.upstream(inputs[role]), inputs[role]] if role else ():
        last = store.last(plan.graph.label(identity))
        parts = last.parts if last else {}
        found |= {name.removeprefix("fact."): text for name, text in parts.items() if name.startswith("fact.")}
    return dict(sorted(found.items()))


def last_build(project: Project) -> list[dict[str, Any]]:
    """What the last build ran and why; empty when there was none."""
    try:
        ran: list[dict[str, Any]] = json.loads((project.store / "last-build.json").read_text())
    except (OSError, ValueError):
        return []
    return ran


@contextmanager
def _planned(request: Request, without: dict[tuple[str, str], Without] | None = None) -> Iterator[tuple[Store, Plan]]:
    """The open store and the plan for a request, less the steps of its recipes that are left out."""
    from edgebuild.plan import planner

    project = request.project
    targets = [project.target(name) for name in dict.fromkeys(request.targets)]
    if request.recipe is not None:
        recipe = project.recipe(request.recipe, key="--recipe")
        targets = [replace(target, recipe=recipe) for target in targets]
    policy = project.policy()
    models = [project.model(name) for name in dict.fromkeys(request.models or tuple(project.model_folders()))]
    if not models:
        raise UsageError("no model to build", file="models", hint="a model is a folder with a model.toml")
    store = Store(project.store)
    try:
        yield store, planner.make(store, targets, models, tuple(project.target_files()), policy, without)
    finally:
        store.close()


def _check_output(dist: Path) -> None:
    """UsageError now rather than after the build when bundles cannot be written."""
    try:
        dist.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=dist) as file:
            file.write(b"\0" * 4096)
    except OSError as error:
        raise disk_error(error, dist) from None


def _check_places(project: Project, product: Product) -> None:
    """UsageError where a folder of the user's stands in the place of what will be published, or taken away."""
    place, evidence = _places(project, product)
    owned.check_replaceable(place, manifest.MANIFEST)
    owned.check_replaceable(evidence, _EVIDENCE)


def _places(project: Project, product: Product) -> tuple[Path, Path]:
    """Where the bundle goes, and where the evidence goes when there is none."""
    place = project.dist / product.target / product.model
    return place, place.with_name(f"{product.model}.evidence")


def _keep_journal(store: Store, journal: Journal) -> None:
    if journal.ran:
        text = json.dumps(journal.ran, indent=1, ensure_ascii=False)
        with suppress(OSError):  # the build's own error, if there is one, is the one to tell
            files.write_file(store.root / "last-build.json", text.encode(), store.scratch("journal"))


def _publish(project: Project, store: Store, product: Product, done: dict[str, Action]) -> Outcome:
    """Put the bundle in place, or, where a gate failed, take an older one away and leave the evidence."""
    made = store.path(done[product.bundle].output)
    verdicts = _verdicts(store, product, done)
    place, evidence = _places(project, product)
    shipped, said = (made / "bundle").is_dir(), tuple(notes.read(made / "evidence"))
    source, folder, other = (made / "bundle", place, evidence) if shipped else (made / "evidence", evidence, place)
    if shipped and (gated := _as_gated(place, source, verdicts)) is not None:
        gate, verdicts = gated
        return Outcome(product.target, product.model, verdicts.status, place, verdicts, notes=said, gate=gate)
    try:
        new = not folder.is_dir() or digests.of_tree(folder) != digests.of_tree(source)
        if new:
            files.publish_tree(source, folder)
        files.remove_tree(other)
    except OSError as error:
        raise disk_error(error, folder) from None
    return Outcome(product.target, product.model, verdicts.status, folder, verdicts, new, said)


def _as_gated(place: Path, built: Path, verdicts: Verdicts) -> tuple[Gated, Verdicts] | None:
    """What a gate has said of this very bundle since, and the verdicts with the gate's in their place; else None."""
    try:
        facts = manifest.verify_bundle(place)
    except EdgebuildError:
        return None
    if facts.gate is None or facts.gate.origin != sha256.of_file(built / manifest.MANIFEST):
        return None
    status: Status = "pass" if facts.status == "released" else "fail"
    formats = {**verdicts.formats, verdicts.format: Judged(status, facts.verdicts, facts.evidence)}
    return Gated(facts.status, facts.gate), Verdicts(status, verdicts.format, formats)


def _remember(project: Project, plan: Plan, outcomes: list[Outcome], done: dict[str, Action], events: Journal) -> None:
    """Add a line for each new outcome to the project's history; one that cannot be written undoes no build."""
    pairs = [pair for pair in zip(plan.products, outcomes, strict=True) if pair[1].new]
    try:
        history.append(project.root, [_entry(project, plan, *pair, done) for pair in pairs])
    except OSError as error:
        events.notice(f"{history.FILE} cannot be written: {error.strerror}")


def _entry(project: Project, plan: Plan, product: Product, outcome: Outcome, done: dict[str, Action]) -> history.Entry:
    name, judged = outcome.verdicts.format, outcome.verdicts.shipped
    inputs = plan.graph.nodes[product.bundle].inputs
    digests_ = {role: done[inputs[f"{role}/{name}"]].output.digest for role in ("candidate", "baseline")}
    measured_on = plan.graph.fingerprint(inputs["evidence/latency"])
    subject = history.Subject("build", product.target, product.model, name)
    return history.entry(project.root, subject, judged, digests_, measured_on)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
