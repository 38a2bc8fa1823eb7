"""Verdicts one by one, for reports that other programs read: what was judged, against what, and where it says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    from edgebuild.spec.evidence import Verdict
    from edgebuild.spec.project import Project
    from edgebuild.verbs.build import Outcome
    from edgebuild.verbs.gate import Result


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict on one format of a model for a target; `file` declares the gate."""

    target: str
    model: str
    format: str
    against: str
    file: str
    verdict: Verdict

    @property
    def suite(self) -> str:
        """What was judged, against what."""
        return f"{self.target}/{self.model}/{self.format} against {self.against}"

    @property
    def name(self) -> str:
        """The gate: metrics may have several, with different limits."""
        return f"{self.verdict.name} {self.verdict.limit}"

    @property
    def line(self) -> str:
        """Why, on how much, from where, and what to do next: one line."""
        verdict = self.verdict
        why = f"{verdict.reason} (n = {verdict.n}, {verdict.fidelity})"
        return f"{why}. Try {verdict.next}" if verdict.next else why


class Renderer(Protocol):
    """Makes the text of a report."""

    def __call__(self, judged: list[Judged]) -> str:
        """All of it."""


def of_build(outcomes: Iterable[Outcome], project: Project) -> list[Judged]:
    """The verdicts on the format that each outcome ships, or would ship."""
    judged = []
    for outcome in outcomes:
        about = (outcome.target, outcome.model, outcome.verdicts.format, "the float model")
        place = _declarer(project, outcome.target, outcome.model)
        judged += [Judged(*about, place(verdict.metric), verdict) for verdict in outcome.verdicts.shipped.verdicts]
    return judged


def of_gate(result: Result, project: Project) -> list[Judged]:
    """The verdicts of all comparisons."""
    named, place = (result.target, result.model), _declarer(project, result.target, result.model)
    return [
        Judged(*named, result.format, comparison.against, place(verdict.metric), verdict)
        for comparison in result.comparisons
        for verdict in comparison.verdicts
    ]


def write(path: Path, render: Renderer, judged: list[Judged]) -> None:
    """Write a report; UsageError when it cannot be written."""
    try:
        path.write_text(render(judged), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", file=str(path)) from None


def _declarer(project: Project, target: str, model: str) -> Callable[[str], str]:
    """Says which file has the gate on a metric, relative to the project: the model's, the target's or the policy's.

    A built-in one is named as if it were the project's own.
    """
    folder, file = project.model_folders()[model], project.target_files()[target]
    budgets = project.model(model).declared.budgets.get(target, {})
    own = {spec.metric for spec in project.target(target).gates}

    def place(metric: str) -> str:
        if metric in budgets:
            return _within(project, folder / "model.toml")
        return _within(project, file if metric in own else project.policy_file())

    return place


def _within(project: Project, path: Path) -> str:
    """The last of what names a file: `targets/x.toml`, `models/x/model.toml`, `policies/default.toml`."""
    if path.is_relative_to(project.root):
        return path.relative_to(project.root).as_posix()
    folder = next(part for part in ("targets", "models", "policies") if part in path.parts)
    return Path(*path.parts[len(path.parts) - path.parts[::-1].index(folder) - 1 :]).as_posix()
