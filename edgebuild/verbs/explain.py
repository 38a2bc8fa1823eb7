"""What a build would do and why, and what the last one said; nothing runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgebuild.engine.store import Store
from edgebuild.spec import documents, notes
from edgebuild.spec.errors import UsageError
from edgebuild.spec.evidence import VERDICTS, Verdict, Verdicts
from edgebuild.spec.registry import GATES
from edgebuild.verbs.request import Request, Revised, pass_over, planned, revise

if TYPE_CHECKING:
    from edgebuild.engine.resolve import Outlook
    from edgebuild.plan.planner import Plan
    from edgebuild.plan.product import Product


def foresee(request: Request) -> list[Outlook]:
    """What a build would do now, step by step, without running anything."""
    from edgebuild.engine.resolve import outlook

    with replayed(request) as (store, plan):
        return [_with_notes(item, store) for item in outlook(plan.graph, store)]


def _with_notes(item: Outlook, store: Store) -> Outlook:
    """The same with what an up-to-date step noted, such as files that it read and whose change nobody would see."""
    remarks = notes.read(store.path(item.action.output)) if item.action and item.state == "current" else []
    return replace(item, reason="; ".join([item.reason, *remarks]))


@contextmanager
def replayed(request: Request) -> Iterator[tuple[Store, Plan]]:
    """The plan that a build would arrive at by what is known: less what proofs that are up to date call useless, and
    with the recipe that took the place of one that did not pass, or could not be gone by.

    What was revised is kept nowhere: the rounds of the build are gone through again in its stored verdicts, up to the
    first that would be judged anew.
    """
    from edgebuild.engine.resolve import outlook

    revised = Revised()
    while True:
        with planned(request, revised) as (store, plan):
            revisable = any(each.recipe.drop_useless or each.recipe.otherwise for each in plan.products)
            foreseen = {item.label: item for item in outlook(plan.graph, store)} if revisable else {}
            judged = [(p.verdicts, foreseen.get(plan.graph.label(p.verdicts))) for p in plan.products]
            done = {name: item.action for name, item in judged if item and item.action and item.state == "current"}
            if not (pass_over(store, plan, revised) or revise(store, plan, done, revised)):
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
    with replayed(request) as (store, plan):
        foreseen = {item.label: item for item in outlook(plan.graph, store)}
        for product in plan.products:
            item = foreseen[plan.graph.label(product.verdicts)]
            if item.action is None or not store.holds(item.action.output):
                message = f"{product.target}/{product.model} was never judged here"
                raise UsageError(message, hint=f"edgebuild build --target {product.target}")
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
    inputs = plan.graph.nodes[inputs["whole"]].inputs if "whole" in inputs else inputs  # with those on a fall-back
    metric = verdict.metric
    needed = GATES.get(metric).asks(verdict.limit) or metric
    role = next((name for name in (needed, f"{needed}/{kind}", f"{metric}/{kind}") if name in inputs), None)
    facts: dict[str, str] = {}
    for identity in [*plan.graph.upstream(inputs[role]), inputs[role]] if role else ():
        last = store.last(plan.graph.label(identity))
        parts = last.parts if last else {}
        facts |= {name.removeprefix("fact."): text for name, text in parts.items() if name.startswith("fact.")}
    return dict(sorted(facts.items()))
