"""The product in one call: load what was asked for, plan it, bring it up to date, put the bundles in place."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.bundle import history, manifest
from edgebuild.bundle.facts import Gate, Standing
from edgebuild.engine import digests, files, owned
from edgebuild.engine.store import Store, disk_error
from edgebuild.spec import calibration, notes, sha256
from edgebuild.spec.calibration import Calibration
from edgebuild.spec.errors import EdgebuildError, UsageError
from edgebuild.spec.evidence import Judged, Status, Verdicts
from edgebuild.spec.project import Project
from edgebuild.verbs.journal import Journal, Listener, bring_up, clustered, shared
from edgebuild.verbs.request import Request, Revised, pass_over, planned, revise, verdicts_of

if TYPE_CHECKING:
    from edgebuild.engine.store import Action
    from edgebuild.engine.task import Limits
    from edgebuild.plan.planner import Plan
    from edgebuild.plan.product import Product


_EVIDENCE = "*/evidence.json"  # in the folder that is published where a gate failed


@dataclass(frozen=True, slots=True)
class Gated:
    """What a gate has made of a bundle after it was built."""

    status: Standing
    gate: Gate


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one model on one target: its status, where the bundle or the evidence is, the verdicts, whether
    the folder is new, what the steps noted about their work, what a gate has said since, and by kind the folders of the
    packages that were made of the bundle.
    """

    target: str
    model: str
    status: str
    folder: Path
    verdicts: Verdicts
    new: bool = False
    notes: tuple[str, ...] = ()
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    gate: Gated | None = None
    packages: Mapping[str, Path] = field(default_factory=dict)


def build(request: Request, events: Listener, limits: Limits) -> tuple[list[Outcome], Journal]:
    """Build everything that was asked for and publish it; raises the first error, with nothing half-written.

    Where a recipe drops what is useless, the build is repeated without the steps that proved so, until none does; where
    it names another for what does not pass, or what a technique of it refuses, with that one.
    Whether a model can be lifted is found out first: the plan depends on it.
    """
    journal = Journal(events)
    with shared(request.cache, journal), clustered(request.cluster, journal):
        return _build(request, journal, limits), journal


def _build(request: Request, journal: Journal, limits: Limits) -> list[Outcome]:
    revised = Revised()
    while True:
        with planned(request, revised) as (store, plan):
            _check_output(request.project.dist)
            for product in plan.products:
                _check_places(request.project, product)
            if plan.undecided:
                plan.graph.keep(plan.undecided)
                bring_up(store, plan.graph, request.jobs, journal, limits)
                continue
            for notice in plan.notices:
                journal.notice(notice)
            done, revisions = _brought_up(store, plan, request.jobs, journal, limits, revised)
            for notice in revisions:
                journal.notice(notice)
            if not revisions:
                outcomes = [_publish(request.project, store, product, done) for product in plan.products]
                _remember(request.project, plan, outcomes, done, journal)
                return [_packaged(request.project, outcome) for outcome in outcomes]


def _brought_up(
    store: Store, plan: Plan, jobs: int, journal: Journal, limits: Limits, revised: Revised
) -> tuple[dict[str, Action], list[str]]:
    """The actions by node, and a line for each product of which the plan must be made again; with none of the actions
    where a technique refuses what it is given, and the recipe names another.
    """
    if passed := pass_over(store, plan, revised):
        return {}, passed
    try:
        done = bring_up(store, plan.graph, jobs, journal, limits)
    except UsageError:
        if passed := pass_over(store, plan, revised):
            return {}, passed
        raise
    return done, revise(store, plan, done, revised)


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


def _publish(project: Project, store: Store, product: Product, done: dict[str, Action]) -> Outcome:
    """Put the bundle in place, or, where a gate failed, take an older one away and leave the evidence."""
    output = store.path(done[product.bundle].output)
    verdicts = verdicts_of(store, product, done)
    place, evidence = _places(project, product)
    shipped, remarks = (output / "bundle").is_dir(), tuple(notes.read(output / "evidence"))
    steps = calibration.read_all(output / "evidence")
    source, folder, other = (output / "bundle", place, evidence) if shipped else (output / "evidence", evidence, place)
    if shipped and (gated := _as_gated(place, source, verdicts)) is not None:
        gate, verdicts = gated
        return Outcome(
            product.target,
            product.model,
            verdicts.status,
            place,
            verdicts,
            notes=remarks,
            calibrations=steps,
            gate=gate,
        )
    try:
        new = not folder.is_dir() or digests.of_tree(folder) != digests.of_tree(source)
        if new:
            files.publish_tree(source, folder)
        files.remove_tree(other)
    except OSError as error:
        raise disk_error(error, folder) from None
    return Outcome(product.target, product.model, verdicts.status, folder, verdicts, new, remarks, steps)


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


def _packaged(project: Project, outcome: Outcome) -> Outcome:
    """With the packages that the target asks for."""
    target = project.target(outcome.target)
    if not target.packages:
        return outcome
    from edgebuild.verbs import packages

    bundle = project.dist / outcome.target / outcome.model
    return replace(outcome, packages=packages.bring_up(bundle, target.packages, target.file))


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
    of_format = {role: item for role, item in inputs.items() if role.split("/")[1:2] == [name] and item in done}
    files = {role: item for role, item in of_format.items() if role.split("/")[0] in ("candidate", "baseline")}
    digests_ = {role.replace(f"/{name}", "", 1): done[item].output.digest for role, item in files.items()}
    measured_on = plan.graph.fingerprint(inputs["evidence/latency"])
    subject = history.Subject("build", product.target, product.model, name)
    return history.entry(project.root, subject, judged, digests_, measured_on)
