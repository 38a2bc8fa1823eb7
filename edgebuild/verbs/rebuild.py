"""Makes again what a bundle says was made the same everywhere, from the sources that are here, and compares digests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING

from edgebuild.bundle import manifest, promote
from edgebuild.bundle.facts import BundleManifest
from edgebuild.engine import digests
from edgebuild.spec import sha256
from edgebuild.spec.errors import IntegrityError, UsageError
from edgebuild.spec.project import Project
from edgebuild.verbs import preloading
from edgebuild.verbs.explain import replayed
from edgebuild.verbs.journal import SEVERAL
from edgebuild.verbs.request import Request

if TYPE_CHECKING:
    from edgebuild.engine.resolve import Resolver
    from edgebuild.engine.task import Limits
    from edgebuild.plan.product import Product


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Steps whose bytes came out again as the bundle says, and how many others its model has behind it, whose bytes
    this kind of processor or the clock decides.
    """

    steps: tuple[str, ...]
    others: int


def rebuild(bundle: Path, project: Project, limits: Limits, recipe: str | None = None) -> Rebuilt:
    """Run every step of the bundle that is deterministic everywhere, the bundle's own among them, in a scratch folder.

    IntegrityError where bytes differ. UsageError where the project is another than the bundle was built of, and where
    the store lacks what other steps made.
    """
    from edgebuild.engine.resolve import Resolver

    facts = manifest.verify_bundle(bundle)
    request = Request(project, (facts.subject.target,), (facts.subject.model,), recipe=recipe)
    with replayed(request) as (store, plan), tempfile.TemporaryDirectory(prefix="edgebuild-rebuild-") as scratch:
        resolver, (product,) = Resolver(plan.graph, store), plan.products
        recorded = dict(_recorded(bundle, facts, resolver, product))
        again = [name for name in recorded if plan.graph.nodes[name].step.deterministic == "everywhere"]
        preloading.preload(plan.graph, store, again, SEVERAL)
        for number, name in enumerate(again):
            output, label = _run(resolver, name, Path(scratch, str(number)), limits), plan.graph.label(name)
            whole = name == product.bundle
            digest = sha256.of_file(output / "bundle" / manifest.MANIFEST) if whole else digests.of_tree(output)
            if digest != recorded[name]:
                reason = f"says that step {label} made {recorded[name][:12]}, and here it makes {digest[:12]}"
                raise IntegrityError(reason, file=str(bundle), key="--rebuild")
        return Rebuilt(tuple(plan.graph.label(name) for name in again), len(recorded) - len(again))


def _recorded(bundle: Path, facts: BundleManifest, resolver: Resolver, product: Product) -> Iterator[tuple[str, str]]:
    """By id the steps behind the bundle, with the digest that it says each has made; the bundle's is its manifest's."""
    from edgebuild.engine import keys

    records = {record.key: record.output for record in facts.provenance}
    for name in [*resolver.graph.upstream(product.bundle), product.bundle]:
        label, key = resolver.graph.label(name), keys.of(resolver.parts(name))
        if name != product.bundle and key not in records:
            reason = f"was built of other sources, options or tools than are here: step {label} has another key"
            raise UsageError(reason, file=str(bundle), hint=f"edgebuild explain --target {facts.subject.target}")
        action = resolver.store.find(key)
        if action is None:
            raise UsageError(f"the store has not what step {label} made", file=str(bundle), hint="build it first")
        resolver.done[name] = action
        yield name, promote.built_as(bundle) if name == product.bundle else records[key]


def _run(resolver: Resolver, name: str, folder: Path, limits: Limits) -> Path:
    """What the node's step makes of its inputs, in a worker of its own."""
    from edgebuild.engine.task import Task
    from edgebuild.engine.worker import Worker

    folder.mkdir()
    provenance = resolver.provenance(name) if resolver.graph.nodes[name].records else ()
    label, step = resolver.graph.label(name), resolver.graph.nodes[name].step
    worker = Worker(Task(label, step, resolver.inputs(name), folder, folder / "curves", provenance), limits)
    try:
        if not connection.wait([worker.sentinel], timeout=limits.seconds):
            raise worker.too_late()
        if (error := worker.outcome()) is not None:
            raise error
    finally:
        worker.kill()
    return folder / "output"
